//! Docker as it will start: its unit, its command line with what that takes from environment files,
//! and `daemon.json`.
//!
//! What Docker refuses was tried with dockerd 20.10; an empty `daemon.json` is accepted since 23.0
//! (docs.docker.com, "Docker Engine 23.0 release notes").

use std::collections::BTreeMap;

use ecs_config::readers::{Generation, Reader};
use ecs_config::text::nearest;
use serde_json::{Map, Value};

use super::Target;
use super::check::{Check, Found, check, failure, ok, skipped, warning};
use super::unit_files::{self, Unit, items};
use crate::files;
use crate::paths::{AGENT_UNITS, DOCKER_CONFIG, DOCKER_UNIT, MAX_CONFIG};

pub(super) const CHECKS: &[Check] = &[
    check("docker-unit", "whether Docker's unit is there and can start", check_unit),
    check("docker-firewall", "Docker's options: valid, and with which firewall", check_firewall)
        .needs(&["docker-unit"]),
];

/// Options of dockerd: what is set on its command line, and in `daemon.json`.
struct Options {
    flags: BTreeMap<String, String>,
    file: Map<String, Value>,
    path: String,
}

fn check_unit(target: &Target) -> Found {
    let mut agents = AGENT_UNITS.into_iter();
    let Some(unit) = unit_files::read(target.root(), DOCKER_UNIT) else {
        if !agents.any(|name| unit_files::read(target.root(), name).is_some()) {
            return skipped("neither Docker nor an agent is installed");
        }
        return failure(
            format!("{DOCKER_UNIT} is missing: the agent's unit cannot start without it"),
            "install Docker (`dnf install docker`, `apt-get install docker.io`)",
        );
    };
    if unit.masked {
        return failure(
            format!("{DOCKER_UNIT} is masked: the agent will never start"),
            format!("systemctl unmask {DOCKER_UNIT}"),
        );
    }
    ok("it is there and not masked")
}

fn check_firewall(target: &Target) -> Found {
    let unit = unit_files::read(target.root(), DOCKER_UNIT).unwrap_or_default();
    let Options { flags, file, path } = options(target, &unit)?;
    let flag = |name: &str| flags.get(name).map(String::as_str);
    let off = match (flag("iptables"), file.get("iptables")) {
        (Some(value), _) if is_false(value) => Some(("--iptables=false", "its command line")),
        (_, Some(Value::Bool(false))) => Some(("\"iptables\": false", path.as_str())),
        _ => None,
    };
    if let Some((what, place)) = off {
        return warning(
            format!(
                "{what} in {place} switches Docker's rules off: bridge networks have no way out and ports are not published, unless other rules do it"
            ),
            format!("remove `{what}` from {place} (`systemctl cat {DOCKER_UNIT}`)"),
        );
    }
    let file_says = |name: &str| file.get(name).and_then(Value::as_str);
    if flag("bridge").or_else(|| file_says("bridge")) == Some("none") {
        return warning(
            "Docker is started without its bridge (`bridge`: `none`): tasks in bridge network mode fail",
            "remove that option, or use other network modes only",
        );
    }
    match flag("firewall-backend").or_else(|| file_says("firewall-backend")) {
        Some("nftables") => {
            ok("nftables: without a DOCKER-USER chain, which the guard does not need")
        }
        _ => ok("iptables, Docker's default"),
    }
}

/// As Go's strconv.ParseBool has it.
fn is_false(value: &str) -> bool {
    ["0", "f", "F", "false", "FALSE", "False"].contains(&value)
}

fn options(target: &Target, unit: &Unit) -> Found<Options> {
    let flags = flags(&command_line(target, unit));
    let path = flags.get("config-file").map_or(DOCKER_CONFIG, String::as_str);
    let options = Options { file: settings(target, path)?, path: path.to_owned(), flags };
    conflict(&options).map(|()| options)
}

/// The words of `ExecStart=` after the program, with their variables replaced (systemd.service(5),
/// "COMMAND LINES").
fn command_line(target: &Target, unit: &Unit) -> Vec<String> {
    let mut variables: BTreeMap<String, String> = unit.environment().into_iter().collect();
    for file in unit.values("EnvironmentFile") {
        let path = target.path(file.trim_start_matches('-'));
        let bytes = files::read(&path, MAX_CONFIG).unwrap_or_default();
        for (name, value) in Reader::Systemd(Generation::V252).read(&bytes).map() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            variables.insert(text(name), value.map(text).unwrap_or_default());
        }
    }
    let line = unit.last("ExecStart").unwrap_or_default();
    let words = items(line).into_iter().skip(1).flat_map(|word| match word.strip_prefix('$') {
        Some(name) if !name.starts_with(['{', '$']) => {
            variables.get(name).map(|value| items(value)).unwrap_or_default()
        }
        _ => vec![with_variables(word, &variables)],
    });
    words.collect()
}

fn with_variables(word: String, variables: &BTreeMap<String, String>) -> String {
    variables.iter().fold(word, |word, (name, value)| word.replace(&format!("${{{name}}}"), value))
}

/// Short options, and those whose name in `daemon.json` is another one.
const OTHER_NAMES: [(&str, &str); 19] = [
    ("b", "bridge"),
    ("D", "debug"),
    ("G", "group"),
    ("H", "hosts"),
    ("l", "log-level"),
    ("p", "pidfile"),
    ("s", "storage-driver"),
    ("host", "hosts"),
    ("label", "labels"),
    ("dns-opt", "dns-opts"),
    ("default-ulimit", "default-ulimits"),
    ("log-opt", "log-opts"),
    ("storage-opt", "storage-opts"),
    ("exec-opt", "exec-opts"),
    ("insecure-registry", "insecure-registries"),
    ("registry-mirror", "registry-mirrors"),
    ("authorization-plugin", "authorization-plugins"),
    ("default-address-pool", "default-address-pools"),
    ("add-runtime", "runtimes"),
];

/// Each option with its value, by its name in `daemon.json`.
fn flags(words: &[String]) -> BTreeMap<String, String> {
    let mut flags = BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            continue;
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => {
                let value = words
                    .next_if(|next| !next.starts_with('-') && kind(option) != Some(Kind::Bool));
                (option, value.cloned().unwrap_or_else(|| "true".into()))
            }
        };
        let known = OTHER_NAMES.iter().find(|(other, _)| *other == name);
        flags.insert(known.map_or(name, |(_, name)| name).to_owned(), value);
    }
    flags
}

/// What a key of `daemon.json` holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Bool,
    Number,
    Text,
    Texts,
    Objects,
    BoolMap,
    TextMap,
    ObjectMap,
    Other,
}

/// Docker's documentation, "dockerd", and the names that older versions know; without those of
/// Swarm, which ECS does not use.
const KINDS: [(Kind, &str); 9] = [
    (
        Kind::Bool,
        "allow-direct-routing cri-containerd debug disable-legacy-registry experimental icc init \
        ip-forward ip-forward-no-drop ip-masq ip6tables iptables ipv6 live-restore \
        no-new-privileges raw-logs selinux-enabled tls tlsverify userland-proxy D",
    ),
    (
        Kind::Number,
        "cpu-rt-period cpu-rt-runtime max-concurrent-downloads max-concurrent-uploads \
        max-download-attempts mtu network-control-plane-mtu network-diagnostic-port \
        oom-score-adjust shutdown-timeout",
    ),
    (
        Kind::Text,
        "api-cors-header bip bip6 bridge bridge-accept-fwmark cgroup-parent cluster-advertise \
        cluster-store containerd containerd-namespace containerd-plugin-namespace data-root \
        default-cgroupns-mode default-gateway default-gateway-v6 default-ipc-mode \
        default-runtime deprecated-key-path exec-root firewall-backend fixed-cidr \
        fixed-cidr-v6 graph group http-proxy https-proxy init-path ip log-driver log-format \
        log-level metrics-addr no-proxy pidfile seccomp-profile storage-driver \
        tlscacert tlscert tlskey userland-proxy-path userns-remap",
    ),
    (
        Kind::Texts,
        "allow-nondistributable-artifacts authorization-plugins cdi-spec-dirs dns dns-opts \
        dns-search exec-opts host-gateway-ips hosts insecure-registries labels \
        node-generic-resources registry-mirrors storage-opts",
    ),
    (Kind::Objects, "default-address-pools"),
    (Kind::BoolMap, "features"),
    (Kind::TextMap, "cluster-store-opts log-opts proxies"),
    (Kind::ObjectMap, "default-network-opts default-ulimits runtimes"),
    (Kind::Other, "builder default-shm-size host-gateway-ip"),
];

fn known_keys(keys: &'static str) -> impl Iterator<Item = &'static str> {
    keys.split_whitespace()
}

fn kind(key: &str) -> Option<Kind> {
    let known = KINDS.iter().find(|(_, keys)| known_keys(keys).any(|known| known == key));
    known.map(|(kind, _)| *kind)
}

fn settings(target: &Target, path: &str) -> Found<Map<String, Value>> {
    let Ok(text) = files::read(&target.path(path), MAX_CONFIG) else { return Ok(Map::new()) };
    let stops = |why: &str| {
        let correct = format!("correct it: `jq . {path}` shows what is in it");
        failure(format!("{path} {why}: Docker does not start"), correct)
    };
    if text.trim_ascii().is_empty() {
        return match major_version(target) {
            Some(version) if version < 23 => stops("is empty, which Docker accepts from 23.0 on"),
            _ => Ok(Map::new()),
        };
    }
    let object = match serde_json::from_slice(&text) {
        Ok(Value::Object(object)) => object,
        Ok(Value::Null) => Map::new(),
        Ok(_) => return stops("is not a JSON object"),
        Err(_) => return stops("is not valid JSON"),
    };
    if let Some((key, _)) = object.iter().find(|(key, value)| !fits(value, kind(key))) {
        return stops(&format!("has a value of the wrong type for `{key}`"));
    }
    // Newer versions know more; what is nearly one of these is misspelt.
    let keys = || KINDS.into_iter().flat_map(|(_, keys)| known_keys(keys));
    let mut unknown = object.keys().filter(|key| kind(key).is_none());
    match unknown.find_map(|key| Some((key, nearest(key, keys())?))) {
        Some((key, known)) => {
            stops(&format!("has the unknown key `{key}` (did you mean `{known}`?)"))
        }
        None => Ok(object),
    }
}

fn fits(value: &Value, kind: Option<Kind>) -> bool {
    let each = |is: fn(&Value) -> bool| value.as_array().is_some_and(|all| all.iter().all(is));
    let map = |is: fn(&Value) -> bool| value.as_object().is_some_and(|all| all.values().all(is));
    match kind {
        _ if value.is_null() => true,
        Some(Kind::Bool) => value.is_boolean(),
        Some(Kind::Number) => value.is_i64(),
        Some(Kind::Text) => value.is_string(),
        Some(Kind::Texts) => each(Value::is_string),
        Some(Kind::Objects) => each(Value::is_object),
        Some(Kind::BoolMap) => map(Value::is_boolean),
        Some(Kind::TextMap) => map(Value::is_string),
        Some(Kind::ObjectMap) => map(Value::is_object),
        Some(Kind::Other) | None => true,
    }
}

/// An option that is set twice, which Docker refuses; but it merges runtimes.
fn conflict(options: &Options) -> Found<()> {
    let is_twice = |name: &&String| *name != "runtimes" && options.file.contains_key(*name);
    let Some(name) = options.flags.keys().find(is_twice) else { return Ok(()) };
    let path = &options.path;
    failure(
        format!("`{name}` is set on Docker's command line and in {path}: Docker does not start"),
        format!(
            "remove it from one of them (`systemctl cat {DOCKER_UNIT}` shows the command line)"
        ),
    )
}

/// Docker's version as dpkg has it; rpm's database is not readable text.
fn major_version(target: &Target) -> Option<u32> {
    const MAX_STATUS: usize = 8 << 20;
    let status = files::read(&target.path("/var/lib/dpkg/status"), MAX_STATUS).ok()?;
    let status = String::from_utf8_lossy(&status);
    let mut packages = status.split("\n\n");
    let docker = packages.find(|package| {
        ["docker.io", "docker-ce"]
            .iter()
            .any(|name| package.lines().any(|line| line.strip_prefix("Package: ") == Some(name)))
    })?;
    let version = docker.lines().find_map(|line| line.strip_prefix("Version: "))?;
    let version = version.rsplit(':').next()?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_the_names_of_daemon_json() {
        let words =
            ["-H", "fd://", "--iptables=false", "--debug", "--bridge", "none", "-s=overlay2"];
        let flags = flags(&words.map(String::from));
        let pairs: Vec<_> =
            flags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("bridge", "none"),
                ("debug", "true"),
                ("hosts", "fd://"),
                ("iptables", "false"),
                ("storage-driver", "overlay2")
            ]
        );
    }
}
