//! Runs other programs, each with a time limit: one that hangs is killed and cannot hang a boot.

use std::io::{self, ErrorKind, Read, Write};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::net::backoff::Poll;

/// systemd answers in milliseconds; a reload of thousands of units takes seconds.
const SYSTEMCTL_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to look whether the program has ended.
const INTERVAL: Duration = Duration::from_millis(2);

/// Runs `systemctl` with these arguments.
pub(crate) fn systemctl(arguments: &[&str]) -> io::Result<Output> {
    output("systemctl", arguments, "", SYSTEMCTL_TIMEOUT)
}

/// Runs a program to its end, and returns what it wrote. `input` is at most what a pipe holds,
/// 64 KiB.
///
/// # Errors
/// `NotFound` if there is no such program; `TimedOut` if it was killed after `timeout`.
pub(crate) fn output(
    program: &str,
    arguments: &[&str],
    input: &str,
    timeout: Duration,
) -> io::Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // A program that ends without reading reports its own error.
    _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let stdout = read_all(child.stdout.take().expect("it is piped"));
    let stderr = read_all(child.stderr.take().expect("it is piped"));
    let poll = Poll::lasting(INTERVAL, timeout);
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if poll.wait_blocking() => {}
            None => {
                child.kill()?;
                child.wait()?;
                let seconds = timeout.as_secs();
                let reason = format!("killed, because it did not end within {seconds} s");
                return Err(io::Error::new(ErrorKind::TimedOut, reason));
            }
        }
    };
    let bytes = |reader: JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
    Ok(Output { status, stdout: bytes(stdout), stderr: bytes(stderr) })
}

/// Reads beside the program, which would otherwise wait for room in the pipe.
fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until then is what there is.
        _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &str, timeout: Duration) -> io::Result<Output> {
        output("/bin/sh", &["-c", script], input, timeout)
    }

    #[test]
    fn input_output_and_status_are_passed_on() {
        let ended = shell("cat; echo no >&2; exit 3", "yes", Duration::from_secs(10)).unwrap();
        assert_eq!((ended.stdout.as_slice(), ended.stderr.as_slice()), (&b"yes"[..], &b"no\n"[..]));
        assert_eq!(ended.status.code(), Some(3));
    }

    #[test]
    fn more_output_than_a_pipe_holds_is_read() {
        let ended = shell("head -c 300000 /dev/zero", "", Duration::from_secs(10)).unwrap();
        assert_eq!(ended.stdout.len(), 300_000);
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let error = shell("exec sleep 1000", "", Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_missing_program_is_not_found() {
        let error = output("/nonexistent/program", &[], "", Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
