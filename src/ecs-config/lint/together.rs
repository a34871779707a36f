//! Settings together: the agent's view of all its files, and what goes wrong only there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::lines::Setting;
use super::registered::{self, Registered};
use super::rules::together as rule;
use super::{At, Context, Findings, Owned, say};
use crate::go;

/// The settings that count, each with its place.
pub type View<'v> = BTreeMap<&'v str, Owned<'v>>;

/// The view of one file. The last line of a name counts.
pub fn view<'v>(settings: &[Setting<'v>], source: &'v str) -> View<'v> {
    let own = |setting: &Setting<'v>| Owned {
        name: setting.name,
        value: setting.value,
        source,
        line: setting.line,
    };
    settings.iter().map(|setting| (setting.name, own(setting))).collect()
}

/// The view of a merged result.
pub fn owned_view<'v>(settings: &[Owned<'v>]) -> View<'v> {
    settings.iter().map(|setting| (setting.name, *setting)).collect()
}

/// Checks the view, with the host's other files behind it.
pub fn check(view: &View, context: &Context, found: &mut Findings) {
    let text = context.instance_file.map(String::from_utf8_lossy).unwrap_or_default();
    let below = instance_settings(&text);
    let json = context.json_file.map(json_file);
    if matches!(json, Some(None)) {
        let said = || {
            say("/etc/ecs/ecs.config.json is no JSON object: the agent stops")
                .fix("mend or empty that file")
        };
        found.add(&rule::UNREADABLE_JSON_FILE, At::default(), said);
    }
    let merged = Merged { view, below, json: json.flatten().unwrap_or(Value::Null), context };
    merged.cluster(found);
    merged.joined(found);
    merged.proxy(found);
    merged.external(found);
    merged.host_tasks(found);
    merged.registry(found);
}

/// ecs-init's own reading of `/var/lib/ecs/ecs.config`: cut at the first `=`, nothing else.
fn instance_settings(text: &str) -> BTreeMap<&str, &str> {
    text.trim().split('\n').filter_map(|line| line.trim().split_once('=')).collect()
}

/// The agent's JSON file; `None` if the agent would stop at it. An empty one counts as absent.
fn json_file(bytes: &[u8]) -> Option<Value> {
    match bytes.trim_ascii() {
        [] => Some(Value::Null),
        text => serde_json::from_slice(text).ok().filter(Value::is_object),
    }
}

struct Merged<'m> {
    view: &'m View<'m>,
    below: BTreeMap<&'m str, &'m str>,
    json: Value,
    context: &'m Context<'m>,
}

impl Merged<'_> {
    /// What the agent's environment holds under the name; empty counts as absent.
    fn get(&self, name: &str) -> Option<&str> {
        let own = self.view.get(name).map(|setting| setting.value);
        own.or_else(|| self.below.get(name).copied())
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).and_then(go::boolean) == Some(true)
    }

    /// The place of a name in the checked layers, or the file as a whole.
    fn at<'s>(&'s self, name: &'s str) -> At<'s> {
        let place = self.view.get(name).map(|setting| (setting.source, setting.line));
        At {
            source: place.map(|(source, _)| source),
            line: place.map(|(_, line)| line),
            key: Some(name),
            columns: (0, 0),
        }
    }

    /// The cluster in the agent's merge order: environment, then the JSON file, whose keys are of
    /// any case.
    fn configured_cluster(&self) -> Option<&str> {
        let field =
            || self.json.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case("cluster"));
        let in_json =
            || field().and_then(|(_, value)| value.as_str()).filter(|name| !name.trim().is_empty());
        self.get("ECS_CLUSTER").or_else(in_json)
    }

    fn cluster(&self, found: &mut Findings) {
        if self.configured_cluster().is_some() || self.context.allow_default_cluster {
            return;
        }
        let fix = "write ECS_CLUSTER=NAME; ECS_CLUSTER=default if that is meant";
        let (rule, words) = match self.context.whole {
            true => (
                &rule::NO_CLUSTER,
                "ECS_CLUSTER is not set: the agent would join the cluster named default",
            ),
            false => (&rule::NO_CLUSTER_HERE, "ECS_CLUSTER is not set here"),
        };
        found.add(rule, self.at("ECS_CLUSTER"), || say(words).fix(fix));
    }

    fn joined(&self, found: &mut Findings) {
        let place = self.at("ECS_CLUSTER");
        if registered::conflict(self.configured_cluster(), &self.context.registered).is_some() {
            let said = || {
                say("the agent has joined another cluster and would exit 5").fix(
                    "replace the instance, or remove /var/lib/ecs/data/agent.db after draining it",
                )
            };
            found.add(&rule::JOINED_ANOTHER_CLUSTER, place, said);
        } else if self.context.registered == Registered::Unknown {
            let said = || say("an agent has run here before; nothing says in which cluster");
            found.add(&rule::JOINED_SOME_CLUSTER, place, said);
        }
    }

    fn proxy(&self, found: &mut Findings) {
        let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];
        let Some(proxy) = proxies.into_iter().find(|name| self.get(name).is_some()) else { return };
        let bypass = self.get("NO_PROXY").or_else(|| self.get("no_proxy")).unwrap_or("");
        let hosts: Vec<&str> = bypass.split(',').map(str::trim).collect();
        let lacks = |host: &&str| !hosts.iter().any(|entry| covers(entry, host));
        let wanted: &[&str] = match self.context.external() {
            true => &["169.254.170.2", "/var/run/docker.sock"],
            false => &["169.254.169.254", "169.254.170.2", "/var/run/docker.sock"],
        };
        let missing: Vec<&str> = wanted.iter().copied().filter(lacks).collect();
        if !missing.is_empty() {
            let missing = missing.join(",");
            let said = || {
                say(format!("a proxy is set and NO_PROXY lacks {missing}"))
                    .fix(format!("add {missing} to NO_PROXY"))
            };
            found.add(&rule::PROXY_WITHOUT_NO_PROXY, self.at(proxy), said);
        }
    }

    fn external(&self, found: &mut Findings) {
        let known = self.context.external() && self.context.whole;
        if !known && !self.is_true("ECS_EXTERNAL") {
            return;
        }
        if self.get("AWS_DEFAULT_REGION").is_none() {
            let said = || {
                say("an external host needs AWS_DEFAULT_REGION: the agent stops")
                    .fix("write AWS_DEFAULT_REGION=REGION")
            };
            found.add(&rule::EXTERNAL_WITHOUT_REGION, self.at("ECS_EXTERNAL"), said);
        }
        for name in
            ["ECS_ENABLE_TASK_ENI", "ECS_ENABLE_SPOT_INSTANCE_DRAINING", "ECS_WARM_POOLS_CHECK"]
        {
            if self.is_true(name) {
                let said = || {
                    say(format!("{name} has no effect on an external host")).fix("remove the line")
                };
                found.add(&rule::EXTERNAL_NO_EFFECT, self.at(name), said);
            }
        }
    }

    fn host_tasks(&self, found: &mut Findings) {
        const LIMIT: &str = "ECS_ENABLE_TASK_CPU_MEM_LIMIT";
        if self.context.block_host_tasks && self.get(LIMIT).and_then(go::boolean) == Some(false) {
            let said = || {
                say("without task cgroups the fence does not see tasks in host network mode")
                    .fix("remove the line")
            };
            found.add(&rule::HOST_TASKS_ESCAPE, self.at(LIMIT), said);
        }
    }

    fn registry(&self, found: &mut Findings) {
        let (kind, data) = ("ECS_ENGINE_AUTH_TYPE", "ECS_ENGINE_AUTH_DATA");
        let (there, missing) = match (self.get(kind), self.get(data)) {
            (None, Some(_)) => (data, kind),
            (Some(_), None) => (kind, data),
            _ => return,
        };
        let said = || {
            say(format!("{there} without {missing}: private pulls run without credentials"))
                .fix(format!("set {missing} as well"))
        };
        found.add(&rule::AUTH_TYPE_MISSING, self.at(there), said);
    }
}

/// Whether an entry of NO_PROXY takes the host out of the proxy. The socket has several spellings.
fn covers(entry: &str, host: &str) -> bool {
    let link_local = ["169.254.0.0/16", "169.254.", "169.254.*"].contains(&entry)
        && host.starts_with("169.254.");
    let socket = host.ends_with("docker.sock") && entry.ends_with("docker.sock");
    entry == "*" || entry == host || link_local || socket
}
