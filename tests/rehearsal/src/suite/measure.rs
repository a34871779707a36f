//! What one call of the program takes: time, and the largest memory that it had.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// The hidden command by which this program runs another one and measures it alone: the kernel
/// counts memory for all children together.
pub(crate) const MEASURE: &str = "--measure";

/// Far beyond every deadline: what is still there then has no end.
const LONGEST: Duration = Duration::from_secs(40);

/// How a call ended.
pub(crate) struct Ended {
    /// As a shell shows it: 128 and the signal, if one ended it; `None` if it was still there.
    pub(crate) status: Option<i32>,
    pub(crate) time: Duration,
    /// In KiB.
    pub(crate) memory: i64,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `--measure FILE PROGRAM ARGUMENT...`: runs it, and writes status and KiB into the file.
pub(crate) fn measured(file: &str, program: &str, arguments: &[&str]) -> ExitCode {
    let ended = Command::new(program).args(arguments).status();
    let status = ended.map_or(127, |ended| {
        ended.code().or_else(|| ended.signal().map(|signal| 128 + signal)).unwrap_or(127)
    });
    let memory = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss());
    match fs::write(file, format!("{status} {memory}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Runs a command by way of [`measured`]; `shell` are commands of sh(1) that set its stage.
pub(crate) fn measure(command: &Command, shell: Option<&str>, folder: &Path) -> io::Result<Ended> {
    let result = folder.join("measured");
    let mut wrapper = Command::new(std::env::current_exe()?);
    wrapper.arg(MEASURE).arg(&result);
    if let Some(shell) = shell {
        wrapper.args(["/bin/sh", "-c", &format!("{shell}; exec \"$@\""), "sh"]);
    }
    wrapper.arg(command.get_program()).args(command.get_args());
    wrapper.env_clear();
    wrapper.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapper.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = wrapper.spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let readers = [read(stdout.expect("it is a pipe")), read(stderr.expect("it is a pipe"))];
    while child.try_wait()?.is_none() {
        if start.elapsed() > LONGEST {
            child.kill()?;
            child.wait()?;
            return Ok(endless(start.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let time = start.elapsed();
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap_or_default());
    let text = fs::read_to_string(&result).unwrap_or_default();
    let mut numbers = text.split(' ').filter_map(|number| number.parse().ok());
    let status = numbers.next().and_then(|status| i32::try_from(status).ok());
    Ok(Ended { status, time, memory: numbers.next().unwrap_or(i64::MAX), stdout, stderr })
}

fn endless(time: Duration) -> Ended {
    let (stdout, stderr) = (String::new(), "it did not end".into());
    Ended { status: None, time, memory: i64::MAX, stdout, stderr }
}

fn read(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _cut = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
