//! Settings together, with the host's other files behind them: what is wrong only there.

use super::findings::{At, Findings};
use super::registered::Registered;
use super::rules::cross_checks as rule;
use super::{Context, Severity};
use crate::Effective;
use crate::effective::ConfigFile;
use crate::go;
use crate::proxy;
use crate::variables;

/// A setting and where it comes from.
pub(super) struct Placed<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    pub(super) source: &'a str,
    pub(super) line: usize,
}

/// Checks the settings of one file; the last of a name counts.
pub(super) fn check(settings: &[Placed<'_>], context: &Context<'_>, found: &mut Findings<'_>) {
    let values = settings.iter().map(|setting| (setting.name, setting.value));
    let effective = Effective::intended(context.file, values, context.instance_file)
        .with_json(context.json_file);
    let checks = CrossChecks { settings, effective, context };
    checks.json_file(found);
    checks.cluster(found);
    checks.joined(found);
    checks.proxy(found);
    checks.external(found);
    checks.host_tasks(found);
    checks.registry(found);
}

struct CrossChecks<'c> {
    settings: &'c [Placed<'c>],
    effective: Effective<'c>,
    context: &'c Context<'c>,
}

impl CrossChecks<'_> {
    /// The place of a name in the checked file, or the file as a whole.
    fn at<'s>(&'s self, name: &'s str) -> At<'s> {
        let place = self.settings.iter().rfind(|setting| setting.name == name);
        let source = place.map(|setting| setting.source);
        At { source, line: place.map(|setting| setting.line), key: Some(name), ..At::default() }
    }

    /// The same for what is wrong unless one of the `missing` is set: only a note in a file that
    /// sets none of them, if it is not the whole configuration, since another source may.
    fn at_unless<'s>(&'s self, name: &'s str, missing: &[&str]) -> At<'s> {
        let is_here = self.settings.iter().any(|setting| missing.contains(&setting.name));
        let at_most = (!self.context.whole && !is_here).then_some(Severity::Note);
        At { at_most, ..self.at(name) }
    }

    fn json_file(&self, found: &mut Findings<'_>) {
        let file = ConfigFile::Json.path();
        let at = At { source: Some(file), ..At::default() };
        // Elsewhere such a timeout is raised (agent/config/config.go, validateAndOverrideBounds).
        let timeouts = ["ECS_CONTAINER_STOP_TIMEOUT", "ECS_CONTAINER_START_TIMEOUT"];
        let too_short = timeouts.into_iter().filter_map(variables::find).find_map(|known| {
            let set = self.effective.get(known.name)?;
            let least = go::duration(known.min).filter(|_| set.file == ConfigFile::Json)?;
            let is_below = set.text().parse().is_ok_and(|count: f64| count < least);
            is_below.then_some((known.json_fields().next()?, known.min, least))
        });
        if let Some((field, wanted)) = self.effective.wrong_json_field() {
            let message = format_args!("{field} in {file} has a wrong type: the agent stops");
            found.add_with(&rule::WRONG_JSON_FIELD, at, message, format_args!("write {wanted}"));
        } else if let Some((field, min, least)) = too_short {
            let message = format_args!("{field} in {file} is below {min}: the agent stops");
            let fix = format_args!("write it in nanoseconds, {least} or more");
            found.add_with(&rule::WRONG_JSON_FIELD, at, message, fix);
        } else if self.effective.has_unreadable_json() {
            found.add(&rule::UNREADABLE_JSON_FILE, at);
        }
    }

    fn cluster(&self, found: &mut Findings<'_>) {
        let name = "ECS_CLUSTER";
        if self.effective.text(name).is_none() && !self.context.allow_default_cluster {
            let is_whole = self.context.whole;
            let rule = if is_whole { &rule::NO_CLUSTER } else { &rule::NO_CLUSTER_HERE };
            found.add(rule, self.at(name));
        }
    }

    fn joined(&self, found: &mut Findings<'_>) {
        let (name, registered) = ("ECS_CLUSTER", &self.context.registered);
        if registered.conflicts_with(self.effective.text(name).as_deref()) {
            found.add(&rule::JOINED_ANOTHER_CLUSTER, self.at_unless(name, &[name]));
        } else if *registered == Registered::Unknown {
            found.add(&rule::JOINED_SOME_CLUSTER, self.at(name));
        }
    }

    fn proxy(&self, found: &mut Findings<'_>) {
        let text = |name: &str| self.effective.text(name);
        let mut exposed = proxy::exposed(text);
        if self.context.is_external() {
            exposed.retain(|host| *host != proxy::METADATA); // there is none
        }
        let is_set = |name: &&str| text(name).is_some();
        let name = ["HTTP_PROXY", "http_proxy"].into_iter().find(is_set);
        let Some(name) = name.filter(|_| !exposed.is_empty()) else { return };
        let at = self.at_unless(name, &["NO_PROXY", "no_proxy", "REQUEST_METHOD"]);
        let hosts = exposed.join(" and ");
        let (message, fix) = if text("REQUEST_METHOD").is_some() {
            let message = format!("with REQUEST_METHOD, requests for {hosts} are refused");
            (message, "remove REQUEST_METHOD".to_owned())
        } else {
            // AWS's documentation asks for the socket too.
            let list = text("NO_PROXY").or_else(|| text("no_proxy")).unwrap_or_default();
            let has_socket = list.split(',').any(|entry| entry.trim().ends_with("docker.sock"));
            exposed.extend((!has_socket).then_some("/var/run/docker.sock"));
            let message = format!("requests for {hosts} would go to the proxy");
            (message, format!("add {} to NO_PROXY", exposed.join(",")))
        };
        found.add_with(&rule::PROXY_WITHOUT_NO_PROXY, at, message, fix);
    }

    /// Before the agent opens its JSON file it looks at these two (agent/config/config.go,
    /// NewConfig).
    fn external(&self, found: &mut Findings<'_>) {
        let set = |name: &str| self.effective.in_environment(name);
        let is_known = self.context.is_external() && self.context.whole;
        if !is_known && set("ECS_EXTERNAL").and_then(|set| set.boolean()) != Some(true) {
            return;
        }
        let region = "AWS_DEFAULT_REGION";
        if set(region).is_none_or(|set| set.value.is_empty()) {
            let at = self.at_unless("ECS_EXTERNAL", &[region]);
            found.add(&rule::EXTERNAL_WITHOUT_REGION, at);
        }
        for name in
            ["ECS_ENABLE_TASK_ENI", "ECS_ENABLE_SPOT_INSTANCE_DRAINING", "ECS_WARM_POOLS_CHECK"]
        {
            if self.effective.boolean(name) == Some(true) {
                found.add(&rule::EXTERNAL_NO_EFFECT, self.at(name));
            }
        }
    }

    fn host_tasks(&self, found: &mut Findings<'_>) {
        let name = "ECS_ENABLE_TASK_CPU_MEM_LIMIT";
        if self.context.block_host_tasks && self.effective.boolean(name) == Some(false) {
            found.add(&rule::HOST_TASKS_ESCAPE, self.at(name));
        }
    }

    fn registry(&self, found: &mut Findings<'_>) {
        let names = ["ECS_ENGINE_AUTH_TYPE", "ECS_ENGINE_AUTH_DATA"];
        let (set, missing) = match names.map(|name| self.effective.text(name).is_some()) {
            [false, true] => (names[1], names[0]),
            [true, false] => (names[0], names[1]),
            _ => return,
        };
        let at = self.at_unless(set, &[missing]);
        let message =
            format_args!("{set} without {missing}: private pulls run without credentials");
        let fix = format_args!("set {missing} as well");
        found.add_with(&rule::AUTH_TYPE_MISSING, at, message, fix);
    }
}
