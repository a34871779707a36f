//! Names: unknown, without effect, meant for elsewhere, or read by another program than one thinks.

use super::findings::{Findings, words};
use super::rules::names as rule;
use super::scan::Setting;
use super::{Context, is_presentable};
use crate::readers;
use crate::variables::{self, EcsInitReads, Variable};

/// Checks the name of one setting.
pub(super) fn check(setting: &Setting<'_>, context: &Context<'_>, found: &mut Findings<'_>) {
    match variables::find(setting.name) {
        Some(known) => known_name(setting, known, context, found),
        None if let Some(known) = variables::in_another_case(setting.name) => {
            found.add_with(&rule::NAME_CASE, setting.at_name(), || {
                words("only the case differs from a name that is read", format!("write {known}"))
            });
        }
        None if readers::is_name(setting.name.as_bytes()) => {
            found.add_with(&rule::UNKNOWN_VARIABLE, setting.at_name(), || {
                let name = setting.name;
                let shown = if is_presentable(name) { name } else { "a variable of this name" };
                let near = variables::nearest(name);
                let fix = near.map(|near| format!("did you mean {near}?"));
                words(format!("nothing reads {shown}"), fix.unwrap_or_default())
            });
        }
        None => {}
    }
}

fn known_name(
    setting: &Setting<'_>,
    known: &Variable,
    context: &Context<'_>,
    found: &mut Findings<'_>,
) {
    let at = setting.at_name();
    if !known.deprecated.is_empty() {
        found.add_with(&rule::DEPRECATED_VARIABLE, at, || {
            words(format!("{}: {}", known.name, known.deprecated), "remove the line")
        });
    }
    if known.platform == "windows" {
        found.add(&rule::WINDOWS_ONLY, at);
    }
    let is_path = known.in_container() && setting.is_whole && setting.value.starts_with('/');
    if is_path && !is_visible(setting.value) {
        found.add(&rule::CONTAINER_PATH, setting.at_value());
    }
    if STATIC_KEYS.split(' ').any(|name| name == known.name) && !setting.value.is_empty() {
        found.add(&rule::STATIC_CREDENTIALS, at);
    }
    let needs_loading =
        known.from_process_environment() && known.ecs_init_reads != EcsInitReads::File;
    if needs_loading && !context.is_loaded() {
        let is_external = known.name == "ECS_EXTERNAL";
        found
            .add(if is_external { &rule::EXTERNAL_NOT_LOADED } else { &rule::NOT_LOADED_HERE }, at);
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
