//! Names: unknown, without effect, meant for elsewhere, or read by another program than one thinks.

use std::fmt;

use super::findings::Findings;
use super::rules::names as rule;
use super::scan::{Setting, is_name};
use super::{Context, is_presentable};
use crate::variables::{self, Variable};

/// Checks the name of one setting.
pub(super) fn check(setting: &Setting<'_>, context: &Context<'_>, found: &mut Findings<'_>) {
    let (name, at) = (setting.name, setting.at_name());
    if let Some(known) = setting.known {
        known_name(setting, known, context, found);
    } else if let Some(known) = variables::in_another_case(name) {
        let message = "only the case differs from a name that is read";
        found.add_with(&rule::NAME_CASE, at, message, format_args!("write {known}"));
    } else if is_name(name) {
        let shown = if is_presentable(name) { name } else { "a variable of this name" };
        let fix = fmt::from_fn(|f| match variables::nearest(name) {
            Some(near) => write!(f, "did you mean {near}?"),
            None => Ok(()),
        });
        found.add_with(&rule::UNKNOWN_VARIABLE, at, format_args!("nothing reads {shown}"), fix);
    }
}

fn known_name(
    setting: &Setting<'_>,
    known: &Variable,
    context: &Context<'_>,
    found: &mut Findings<'_>,
) {
    let (value, at) = (setting.value(), setting.at_name());
    if !known.deprecated.is_empty() {
        let message = format_args!("{}: {}", known.name, known.deprecated);
        found.add_with(&rule::DEPRECATED_VARIABLE, at, message, "remove the line");
    }
    if known.platform == "windows" {
        found.add(&rule::WINDOWS_ONLY, at);
    }
    let is_path = known.in_container() && setting.is_whole() && value.starts_with('/');
    if is_path && !is_visible(value) {
        found.add(&rule::CONTAINER_PATH, setting.at_value());
    }
    if STATIC_KEYS.split(' ').any(|name| name == known.name) && !value.is_empty() {
        found.add(&rule::STATIC_CREDENTIALS, at);
    }
    let needs_loading = known.from_process_environment() && known.ecs_init_reads != "file";
    if needs_loading && !context.is_loaded() {
        let is_external = known.name == "ECS_EXTERNAL";
        let rule = if is_external { &rule::EXTERNAL_NOT_LOADED } else { &rule::NOT_LOADED_HERE };
        found.add(rule, at);
    }
}

const STATIC_KEYS: &str =
    "AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SECRET_KEY AWS_SESSION_TOKEN";

/// What ecs-init mounts into the agent's container (ecs-init/docker/docker_config.go), and what its
/// image brings.
const VISIBLE: &str = "/etc/ecs /var/lib/ecs /var/cache/ecs /log /data /var/run /run /usr/lib /lib \
    /etc/ssl /etc/pki /usr/share/ca-certificates /sys/fs/cgroup /amazon-ecs-cni-plugins \
    /rotatingcreds /proc";

fn is_visible(path: &str) -> bool {
    let is_rest = |rest: &str| rest.is_empty() || rest.starts_with('/');
    VISIBLE.split(' ').any(|mount| path.strip_prefix(mount).is_some_and(is_rest))
}
