//! `--suite`: every named fault against the real program, each with its exit status and within its
//! limits: the run's deadline and 1.5 s, 16 MiB, no secret, no control character, and a report that
//! agrees.

mod cases;
mod earlier;
mod files;
mod host;
mod local;
pub(crate) mod measure;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rehearsal::{Cloud, Machine, Options, program};
use serde_json::Value;

pub(crate) use cases::Case;
use measure::{Ended, measure};

/// Most cases wait for a deadline.
const AT_ONCE: usize = 6;
/// A run may end this much after its deadline.
const GRACE: Duration = Duration::from_millis(1500);
/// In KiB; a debug build takes 15 MiB more before it does anything.
const MOST_MEMORY: i64 = 16 << 10;
const MOST_MEMORY_IN_DEBUG: i64 = 36 << 10;
/// Larger than any program that ships.
const DEBUG_BYTES: u64 = 16 << 20;

const REPORT: &str = "/run/ecs-bootstrap/report.json";

/// Where a case takes place.
pub(crate) struct Stage {
    pub(crate) cloud: Cloud,
    pub(crate) machine: Machine,
}

/// A case that was run.
struct Row<'c> {
    case: &'c Case,
    ended: Ended,
    wrong: Vec<String>,
}

/// `--suite [--markdown] [NAME]`: all cases, or those with the text in their names.
pub(crate) fn run(options: &[&str]) -> ExitCode {
    let markdown = options.contains(&"--markdown");
    let part = options.iter().find(|option| !option.starts_with("--")).copied().unwrap_or("");
    let all = cases::all();
    let chosen: Vec<&Case> = all.iter().filter(|case| case.name.contains(part)).collect();
    let (waiting, done) = (Mutex::new(chosen.iter()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = { waiting.lock().expect("no case panics").next() } {
            let row = play(case);
            done.lock().expect("no case panics").push(row);
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let mut rows = done.into_inner().expect("no case panics");
    rows.sort_by_key(|row| chosen.iter().position(|case| case.name == row.case.name));
    print!("{}", if markdown { table_in_markdown(&rows) } else { table(&rows) });
    verdict(&rows, markdown)
}

fn verdict(rows: &[Row<'_>], quiet: bool) -> ExitCode {
    let failed: Vec<&Row<'_>> = rows.iter().filter(|row| !row.wrong.is_empty()).collect();
    for row in &failed {
        eprintln!("FAILED {}: {}\n{}", row.case.name, row.wrong.join("; "), row.ended.stderr);
    }
    let passed = rows.len() - failed.len();
    if !quiet {
        println!("{passed} passed, {} failed, 0 skipped", failed.len());
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play(case: &Case) -> Row<'_> {
    let stage = Stage { cloud: Cloud::start(Options::default()), machine: Machine::new() };
    stage.cloud.set_bucket("fleet-config", |bucket| bucket.versioned = true);
    stage.cloud.set_object("fleet-config", "ecs.config", cases::CONFIG);
    (case.prepare)(&stage);
    let mut command = stage.machine.command(&stage.cloud);
    command.args(["--root"]).arg(stage.machine.root());
    command.args(case.arguments(&stage)).envs(case.env.iter().cloned());
    let folder = Machine::new();
    let root = stage.machine.root().display().to_string();
    let shell = case.shell.as_ref().map(|commands| commands.replace("ROOT", &root));
    let ended =
        measure(&command, shell.as_deref(), folder.root()).expect("the program can be started");
    let wrong = judge(case, &stage, &ended);
    Row { case, ended, wrong }
}

fn judge(case: &Case, stage: &Stage, ended: &Ended) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let status = ended.status;
    expect(status == Some(case.status), format!("ended with {status:?}, not {}", case.status));
    expect(ended.time <= case.timeout + GRACE, format!("took {:.1} s", ended.time.as_secs_f64()));
    expect(ended.memory <= most_memory(), format!("took {} KiB", ended.memory));
    let printed = format!("{}{}", ended.stdout, ended.stderr);
    expect(!printed.chars().any(is_harmful), "printed a control character".into());
    expect(printed.matches("\nremedy: ").count() <= 1, "printed a forged remedy".into());
    let secrets = stage.cloud.secrets();
    let files = stage.machine.files();
    let texts = files.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
    let report = stage.machine.read(REPORT).unwrap_or_default();
    let shown = printed.clone() + &String::from_utf8_lossy(&report);
    expect(!shown.contains("PLANTED"), "a planted secret is shown".into());
    let leaks = texts.chain([printed]).any(|text| secrets.iter().any(|one| text.contains(one)));
    expect(!leaks, "a credential or token is in an output or file".into());
    let report = Some(REPORT).filter(|_| case.reports).and_then(|path| stage.machine.read(path));
    let report = report.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    if let Some(report) = report {
        let agrees = report["exit_status"].as_i64() == status.map(i64::from);
        expect(agrees, format!("the report has {}", report["exit_status"]));
    }
    let strays = files.iter().any(|(path, _)| path.to_string_lossy().ends_with(".ecs-bootstrap"));
    expect(!strays, "left a temporary file".into());
    wrong
}

fn most_memory() -> i64 {
    let is_debug = std::fs::metadata(program()).is_ok_and(|found| found.len() > DEBUG_BYTES);
    if is_debug { MOST_MEMORY_IN_DEBUG } else { MOST_MEMORY }
}

/// What moves a cursor or reorders text; JSON and text have line feeds and tabs.
fn is_harmful(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// What was wrong, or for a boot that went well its outcome.
fn message(ended: &Ended) -> String {
    let lines = ended.stderr.lines().chain(ended.stdout.lines());
    let why = lines.clone().find_map(|line| line.strip_prefix("why:"));
    why.or_else(|| lines.last()).unwrap_or_default().trim().chars().take(100).collect()
}

fn shown(ended: &Ended) -> (String, String, String) {
    let status = ended.status.map_or_else(|| "-".into(), |status| status.to_string());
    let memory = ended.memory as f64 / 1024.0;
    (status, format!("{:.1}", ended.time.as_secs_f64()), format!("{memory:.1}"))
}

fn table(rows: &[Row<'_>]) -> String {
    let mut text = format!("{:<34} {:>4} {:>5} {:>5}  message\n", "fault", "exit", "s", "MiB");
    for Row { case, ended, wrong } in rows {
        let (status, time, memory) = shown(ended);
        let mark = if wrong.is_empty() { "" } else { "FAILED " };
        let message = message(ended);
        let _ =
            writeln!(text, "{:<34} {status:>4} {time:>5} {memory:>5}  {mark}{message}", case.name);
    }
    text
}

/// For the manual: what does not change from one machine to another.
fn table_in_markdown(rows: &[Row<'_>]) -> String {
    let mut text = String::from("| fault | exit status | seconds |\n|---|---|---|\n");
    for Row { case, ended, .. } in rows {
        let (status, time, _) = shown(ended);
        let _ = writeln!(text, "| {} | {status} | {time} |", case.does);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_has_every_fault_with_its_exit_status() {
        let page = include_str!("../../../../packaging/man/ecs-bootstrap-security.7.md");
        let all = cases::all();
        assert!(all.len() >= 120);
        for case in &all {
            let row = format!("| {} | {} |", case.does, case.status);
            assert!(page.contains(&row), "write `rehearsal --suite --markdown` there: {row}");
        }
    }
}
