//! Runs other programs, each with a time limit: one that hangs is killed and cannot hang a boot, nor
//! can what it leaves behind with its output open.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::{ChildStdin, Command, Output, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::net::backoff::Poll;

/// systemd answers in milliseconds; a reload of thousands of units takes seconds.
pub(crate) const SYSTEMCTL_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to look whether the program has ended.
const INTERVAL: Duration = Duration::from_millis(2);
/// More than the longest list of firewall rules, in bytes.
const MAX_OUTPUT: usize = 8 << 20;

/// Runs `systemctl` with these arguments, at most so long.
pub(crate) fn systemctl(arguments: &[&str], timeout: Duration) -> io::Result<Output> {
    output("systemctl", arguments, "", timeout.min(SYSTEMCTL_TIMEOUT))
}

/// Runs a program to its end, and returns what it wrote. No pipe is waited for: a thread for each
/// would be one more thing that can fail, and wait for whoever has the other end.
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
    let (mut stdin, mut input) = (child.stdin.take(), input.as_bytes());
    let mut out = child.stdout.take().expect("it is piped");
    let mut err = child.stderr.take().expect("it is piped");
    unblock(stdin.as_ref().expect("it is piped"))?;
    unblock(&out)?;
    unblock(&err)?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let poll = Poll::lasting(INTERVAL, timeout);
    let reason = loop {
        feed(&mut stdin, &mut input);
        let ended = child.try_wait()?;
        drain(&mut out, &mut stdout);
        drain(&mut err, &mut stderr);
        match ended {
            _ if stdout.len() + stderr.len() > MAX_OUTPUT => break "it wrote too much".to_owned(),
            Some(status) => return Ok(Output { status, stdout, stderr }),
            None if poll.wait_blocking() => {}
            None => break format!("it did not end within {} s", timeout.as_secs_f32().ceil()),
        }
    };
    child.kill()?;
    child.wait()?;
    Err(io::Error::new(ErrorKind::TimedOut, format!("killed, because {reason}")))
}

fn unblock(pipe: &impl AsFd) -> io::Result<()> {
    Ok(fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)?)
}

/// Writes as much as there is room for, and closes the pipe behind the last byte. A program that
/// ends without reading reports its own error.
fn feed(stdin: &mut Option<ChildStdin>, input: &mut &[u8]) {
    while let Some(pipe) = stdin.as_mut().filter(|_| !input.is_empty()) {
        match pipe.write(input) {
            Ok(written) => *input = &input[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => break,
        }
    }
    *stdin = None;
}

/// Takes what is in the pipe, which holds at most 1 MiB.
fn drain(pipe: &mut impl Read, kept: &mut Vec<u8>) {
    let mut pieces = [0; 16 << 10];
    for _ in 0..64 {
        match pipe.read(&mut pieces) {
            Ok(0) | Err(_) => return,
            Ok(length) => kept.extend_from_slice(&pieces[..length]),
        }
    }
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
    fn what_a_program_leaves_behind_is_not_waited_for() {
        let began = std::time::Instant::now();
        let ended = shell("echo yes; sleep 60 &", "", Duration::from_secs(100)).unwrap();
        assert_eq!(ended.stdout, b"yes\n");
        assert!(began.elapsed() < Duration::from_secs(60), "it waited for what was left");
    }

    #[test]
    fn output_without_an_end_is_an_error() {
        let error = shell("exec cat /dev/zero", "", Duration::from_secs(100)).unwrap_err();
        assert!(error.to_string().contains("too much"), "{error}");
    }

    #[test]
    fn a_missing_program_is_not_found() {
        let error = output("/nonexistent/program", &[], "", Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
