//! Names: unknown, dead, meant for elsewhere, or read by another program than one thinks.

use super::lines::{Setting, is_name};
use super::rules::names as rule;
use super::{Context, Findings, fit_to_show, say};
use crate::variables::{self, EcsInitReads, Variable};

/// Checks the name of one setting.
pub fn check(setting: &Setting, context: &Context, found: &mut Findings) {
    match variables::find(setting.name) {
        Some(known) => known_name(setting, known, context, found),
        None if is_name(setting.name) => unknown(setting, found),
        None => {}
    }
}

fn unknown(setting: &Setting, found: &mut Findings) {
    // A lower case name has a finding of its own, unless upper case would not help.
    found.add(&rule::UNKNOWN_VARIABLE, setting.name_place(), || {
        let said = match fit_to_show(setting.name) {
            true => say(format!("nothing reads {}", setting.name)),
            false => say("nothing reads a variable of this name"),
        };
        match variables::nearest(setting.name) {
            Some(near) => said.fix(format!("did you mean {near}?")),
            None => said,
        }
    });
}

fn known_name(setting: &Setting, known: &Variable, context: &Context, found: &mut Findings) {
    let place = setting.name_place();
    if !known.deprecated.is_empty() {
        let said = || say(format!("{}: {}", known.name, known.deprecated)).fix("remove the line");
        found.add(&rule::DEPRECATED_VARIABLE, place, said);
    }
    if known.platform == "windows" {
        let said = || say(format!("{} is for Windows only", known.name)).fix("remove the line");
        found.add(&rule::WINDOWS_ONLY, place, said);
    }
    if known.in_container()
        && setting.whole
        && setting.value.starts_with('/')
        && !is_visible(setting.value)
    {
        let said = || {
            say("the agent's container does not have this path").fix("put the file below /etc/ecs")
        };
        found.add(&rule::CONTAINER_PATH, setting.value_place(), said);
    }
    if STATIC_KEYS.contains(&known.name) && !setting.value.is_empty() {
        let said = || {
            say(format!("{} hides the instance role and never rotates", known.name))
                .fix("use the host's role")
        };
        found.add(&rule::STATIC_CREDENTIALS, place, said);
    }
    if !context.loaded()
        && known.ecs_init_reads != EcsInitReads::File
        && known.from_process_environment()
    {
        not_loaded(setting, known, found);
    }
}

fn not_loaded(setting: &Setting, known: &Variable, found: &mut Findings) {
    let rule = if known.name == "ECS_EXTERNAL" {
        &rule::EXTERNAL_NOT_LOADED
    } else {
        &rule::NOT_LOADED_HERE
    };
    found.add(rule, setting.name_place(), || {
        say(format!("ecs-init takes {} from its process environment, and this file is not loaded into it", known.name))
            .fix("set it in /etc/ecs/ecs.config where the unit loads that, else in a drop-in of the unit")
    });
}

const STATIC_KEYS: [&str; 5] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
];

/// What ecs-init mounts into the agent's container (ecs-init/docker/docker_config.go), and what its
/// image brings.
const VISIBLE: [&str; 16] = [
    "/etc/ecs",
    "/var/lib/ecs",
    "/var/cache/ecs",
    "/log",
    "/data",
    "/var/run",
    "/run",
    "/usr/lib",
    "/lib",
    "/etc/ssl",
    "/etc/pki",
    "/usr/share/ca-certificates",
    "/sys/fs/cgroup",
    "/amazon-ecs-cni-plugins",
    "/rotatingcreds",
    "/proc",
];

fn is_visible(path: &str) -> bool {
    VISIBLE.iter().any(|mount| {
        path.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
