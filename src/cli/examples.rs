//! What `--help` of each command shows at its end: examples, and the page of the manual.

/// Command, page and examples; a command of a command after a blank.
#[rustfmt::skip]
const EXAMPLES: [(&str, &str, &[&str]); 17] = [
    ("run", "ecs-bootstrap-run(8)", &[
        "run --config s3://my-bucket/ecs.config --expect-role ecsInstanceRole",
        "run --config s3://my-bucket/base --config s3://my-bucket/prod --set ECS_LOGLEVEL=warn",
        "run --config s3://my-bucket/ecs.config --dry-run",
    ]),
    ("verify", "ecs-bootstrap(8)", &["verify", "verify --expect-role ecsInstanceRole --output json"]),
    ("lint", "ecs-bootstrap-lint(1)", &[
        "lint ecs.config",
        "lint --whole --for al2023 --deny warnings ecs.config",
        "lint --explain quoted-value",
    ]),
    ("guard", "ecs-bootstrap-guard(8)", &["guard install", "guard prove"]),
    ("guard install", "ecs-bootstrap-guard(8)", &["guard install", "guard install --block-imds-host-tasks"]),
    ("guard remove", "ecs-bootstrap-guard(8)", &["guard remove"]),
    ("guard status", "ecs-bootstrap-guard(8)", &["guard status", "guard status --output json"]),
    ("guard prove", "ecs-bootstrap-guard(8)", &["guard prove"]),
    ("doctor", "ecs-bootstrap-doctor(8)", &[
        "doctor",
        "doctor --config s3://my-bucket/ecs.config --bundle /root/bundle.tar.gz",
    ]),
    ("abandon", "ecs-bootstrap(8)", &["abandon", "abandon --group my-group --hook launching"]),
    ("role", "ecs-bootstrap-role(1)", &["role print --config s3://my-bucket/ecs.config"]),
    ("role print", "ecs-bootstrap-role(1)", &[
        "role print --config s3://my-bucket/ecs.config",
        "role print --config s3://my-bucket/ecs.config --format terraform",
    ]),
    ("role check", "ecs-bootstrap-role(1)", &["role check --role ecsInstanceRole --config s3://my-bucket/ecs.config"]),
    ("status", "ecs-bootstrap(8)", &["status", "status --check && systemctl start ecs"]),
    ("completions", "ecs-bootstrap(8)", &["completions bash >/etc/bash_completion.d/ecs-bootstrap"]),
    ("man", "ecs-bootstrap(8)", &["man | man -l -"]),
    ("", "ecs-bootstrap(8), with the exit statuses and what to do about each", &[
        "lint /etc/ecs/ecs.config",
        "run --config s3://my-bucket/ecs.config --block-imds",
        "doctor",
    ]),
];

/// The command with examples in the help of each of its commands.
pub(super) fn add(command: clap::Command) -> clap::Command {
    add_below(command, "")
}

fn add_below(command: clap::Command, path: &str) -> clap::Command {
    let command = command.mut_subcommands(|one| {
        let path = format!("{path} {}", one.get_name());
        add_below(one, path.trim_start())
    });
    match EXAMPLES.iter().find(|(name, ..)| *name == path) {
        Some((_, page, examples)) => {
            let lines: String =
                examples.iter().map(|line| format!("  ecs-bootstrap {line}\n")).collect();
            command.after_help(format!("Examples:\n{lines}\nManual: {page}"))
        }
        None => command,
    }
}

#[cfg(test)]
mod tests {
    fn check(command: &clap::Command) {
        let help = command.clone().render_long_help().to_string();
        assert!(help.contains("Examples:\n  ecs-bootstrap "), "{}: {help}", command.get_name());
        assert!(help.contains("Manual: ecs-bootstrap"), "{}", command.get_name());
        command.get_subcommands().for_each(check);
    }

    #[test]
    fn every_example_is_a_valid_call() {
        for (name, _, examples) in super::EXAMPLES {
            // `role check` is in the administrators' build.
            if name == "role check" && !cfg!(feature = "role-check") {
                continue;
            }
            for example in examples {
                let call = example.split(['&', '|', '>']).next().unwrap();
                let words = std::iter::once("ecs-bootstrap").chain(call.split_whitespace());
                let parsed = crate::cli::command().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn every_command_has_examples_and_names_its_page() {
        check(&crate::cli::command());
    }
}
