//! What one command of a shell script does: its words are as the shell hands them over.

use super::super::has_word;
use crate::paths::AGENT_UNITS;

/// The port of the agent's introspection endpoint.
pub(super) const PORT: &str = "51678";
/// They read a script from a file or from their input.
pub(super) const SHELLS: &str = "sh bash dash ash ksh zsh";

/// Whether systemd answers this command only when one of these units, or the whole boot, has
/// started.
pub(super) fn waits(words: &[&str], units: &[&str]) -> bool {
    let Some((program, arguments)) = words.split_first() else { return false };
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    let names_unit = || arguments.iter().any(|word| names_one(word, units));
    match base(program) {
        "systemctl" => {
            const NOT_HERE: [&str; 5] = ["--root", "--image", "--host", "--machine", "--user"];
            let elsewhere = |word: &&str| {
                NOT_HERE.iter().any(|option| word.starts_with(option))
                    || ["-H", "-M"].contains(word)
            };
            let at_once =
                has(&["--no-block", "--ignore-dependencies", "--job-mode=ignore-dependencies"]);
            let starts = match arguments.iter().find(|word| !word.starts_with('-')) {
                Some(&("start" | "restart" | "reload-or-restart" | "isolate")) => names_unit(),
                Some(&("enable" | "reenable")) => names_unit() && has(&["--now"]),
                Some(&"is-system-running") => has(&["--wait"]),
                _ => false,
            };
            starts && !at_once && !arguments.iter().any(elsewhere)
        }
        "service" | "invoke-rc.d" => names_unit() && has(&["start", "restart", "--full-restart"]),
        "ecs" => program.contains("init.d/") && has(&["start", "restart"]),
        "cloud-init" => has(&["status"]) && has(&["--wait", "-w"]),
        _ => false,
    }
}

/// Whether a command finds out if the agent runs: by its introspection port, its container, its
/// unit, its log or its database.
pub(super) fn asks(words: &[&str], targets: &[String]) -> bool {
    const WRITERS: [&str; 4] = ["echo", "printf", "cat", "logger"];
    const MARKS: [&str; 5] =
        [PORT, "ecs-agent", "amazon-ecs-init", "/ecs/data/agent.db", "/var/log/ecs/"];
    if targets.iter().any(|target| target.contains("/dev/tcp/") && target.contains(PORT)) {
        return true;
    }
    let Some(program) = words.first().map(|program| base(program)) else { return false };
    // The agent's image and options are not the agent.
    const FETCHES: [&str; 7] = ["build", "create", "image", "load", "pull", "run", "tag"];
    if program == "docker" && words.get(1).is_some_and(|verb| FETCHES.contains(verb)) {
        return false;
    }
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
    let unit = program == "systemctl"
        && has(&["is-active", "status", "show"])
        && words.iter().any(|word| names_one(word, &AGENT_UNITS));
    let named = MARKS.iter().any(|mark| words.iter().any(|word| word.contains(mark)));
    unit || named && !WRITERS.contains(&program)
}

/// Whether a command that asks succeeds where the agent is there (`true`) or where it is not;
/// `None` where that depends on values.
pub(super) fn succeeds_with_agent(words: &[&str]) -> Option<bool> {
    const PRESENT: [&str; 7] = ["-n", "-f", "-e", "-s", "-S", "-d", "-r"];
    let (program, arguments) = words.split_first()?;
    if !["[", "[[", "test"].contains(program) {
        return Some(true);
    }
    let operands = arguments.iter().filter(|word| !["]", "]]", "!"].contains(word));
    let operands: Vec<&str> = operands.copied().collect();
    let found = match operands[..] {
        [_] => true,
        ["-z", _] => false,
        [option, _] if PRESENT.contains(&option) => true,
        _ => return None,
    };
    Some(found != arguments.contains(&"!"))
}

/// A comparison that ends a loop some time, or input that does.
pub(super) fn counts(words: &[&str]) -> bool {
    const COUNTS: [&str; 7] = ["-lt", "-le", "-gt", "-ge", "-eq", "-ne", "read"];
    let is_number =
        |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let equals = |three: &[&str]| {
        ["=", "=="].contains(&three[1]) && [three[0], three[2]].iter().any(is_number)
    };
    let compares = |word: &&str| COUNTS.contains(word) || word.starts_with("((");
    words.iter().any(compares) || words.windows(3).any(equals)
}

/// The text of a script that is an argument of the command that runs it.
pub(super) fn inline(words: &[&str]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let name = base(program);
    let is_su = ["su", "runuser"].contains(&name);
    let is_option =
        |word: &&str| is_su && *word == "--command" || word.starts_with('-') && word.ends_with('c');
    match name {
        "eval" => Some(arguments.join(" ")),
        "trap" => {
            let (script, signals) = arguments.split_first()?;
            let at_exit = signals.iter().any(|signal| ["EXIT", "0"].contains(signal));
            at_exit.then(|| (*script).to_owned())
        }
        _ if is_su || has_word(SHELLS, name) => {
            let at = arguments.iter().position(is_option)?;
            arguments.get(at + 1).map(|script| (*script).to_owned())
        }
        _ => None,
    }
}

/// Without assignments, and without programs that run another one and wait for it.
pub(super) fn without_prefixes<'w, 'a>(mut words: &'w [&'a str]) -> &'w [&'a str] {
    const PREFIXES: &str = "sudo doas env exec command nice ionice nohup builtin stdbuf busybox \
        systemd-inhibit chronic xargs";
    const WAITS: [&str; 6] = ["--wait", "--scope", "-t", "--pty", "-P", "--pipe"];
    while let [first, rest @ ..] = words {
        let has = |wanted: &[&str]| rest.iter().any(|word| wanted.contains(word));
        // How many words of its own it has after its options.
        let own = match base(first) {
            "setsid" => (!has(&["-f", "--fork"])).then_some(0),
            "systemd-run" => has(&WAITS).then_some(0),
            "runuser" => has(&["--"]).then_some(0),
            "flock" => Some(1),
            "cloud-init-per" => Some(2),
            name => (has_word(PREFIXES, name) || assignment(first).is_some()).then_some(0),
        };
        let Some(own) = own else { return words };
        words = without_options(rest).get(own..).unwrap_or_default();
    }
    words
}

/// Without the options of a prefix and their values (`-u root`, `-n 19`).
fn without_options<'w, 'a>(mut words: &'w [&'a str]) -> &'w [&'a str] {
    const WITH_VALUE: [&str; 8] =
        ["-u", "-g", "-U", "-p", "--user", "--group", "--unit", "--property"];
    while let [option, rest @ ..] = words
        && option.starts_with('-')
    {
        let is_number = rest.first().is_some_and(|next| next.parse::<i32>().is_ok());
        let has_value = WITH_VALUE.contains(option) || is_number;
        words = &rest[usize::from(has_value && !rest.is_empty())..];
    }
    words
}

/// `NAME=value`.
pub(super) fn assignment(word: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    word.split_once('=').filter(|(name, _)| is_name(name))
}

pub(super) fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Of a word that names several units, one is enough.
fn names_one(word: &str, units: &[&str]) -> bool {
    let is_unit = |named: &str, name: &str| match named.strip_suffix('*') {
        Some(start) => !start.is_empty() && name.starts_with(start),
        None => name == named || name.strip_suffix(".service") == Some(named),
    };
    let mut named = word.split(['{', ',', '}', ' ']);
    named.any(|named| units.iter().any(|name| is_unit(named, name)))
}
