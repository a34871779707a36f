//! The fence: keeps containers from instance metadata (IMDS), and proves with packets that it
//! holds.
//!
//! Takes what is [`Wanted`] and the [`Host`] it is wanted on; gives what was done, or why not. Four
//! verbs: [`enforce`], [`prove`], [`status`](status::status), [`remove`]. Plain blocking functions;
//! the kernel answers in milliseconds, iptables may take a second.
//!
//! Touches: the nf_tables table `inet ecs-bootstrap` (or two rules in iptables' mangle table on
//! kernels without it), one rule in iptables' FORWARD chain,
//! `/etc/systemd/system/ecstasks.slice.d/50-ecs-bootstrap-imds.conf` if asked,
//! `/run/ecs-bootstrap/guard.json`. Never flushes, saves or reorders what is not its own.
//!
//! `fence` raises it, by `nft` (netlink) or `iptables`; `documented` shows the rule that AWS
//! documents; `slice` fences host-network tasks; `probe` sends the packets and `proof` says what
//! they showed.

mod documented;
mod error;
mod firewall;
mod iptables;
mod links;
mod netlink;
mod nft;
mod probe;
mod proof;
mod rules;
mod slice;
mod state;
pub(crate) mod status;
pub(crate) mod step;

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

pub(crate) use documented::Shown;
pub(crate) use error::Error;
pub(crate) use firewall::{Change, Fence, Method};
pub(crate) use proof::{Network, Proof, Reach};
use serde::Serialize;
use state::State;
pub(crate) use status::status;

use crate::paths::GUARD_UNIT;

/// How long to wait for another of us, each of which needs our lock for milliseconds.
const QUEUE: Duration = Duration::from_secs(15);

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Fence containers on every bridge.
    pub(crate) bridges: bool,
    /// Fence tasks in host network mode too.
    pub(crate) host_tasks: bool,
    /// Only packets that come in by this interface; a trailing `+` means any ending. `None`, which
    /// is better: all.
    pub(crate) interface: Option<String>,
}

/// The machine: where its files begin, and which programs change it.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) root: PathBuf,
    pub(crate) iptables: String,
    pub(crate) ip6tables: String,
    pub(crate) systemctl: String,
}

impl Host {
    /// Programs by their usual names, looked up in PATH.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Host {
        Host {
            root: root.into(),
            iptables: "iptables".into(),
            ip6tables: "ip6tables".into(),
            systemctl: "systemctl".into(),
        }
    }
}

/// What [`enforce`] did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Enforced {
    /// False if everything already was as wanted.
    pub(crate) changed: bool,
    pub(crate) fence: Option<Fence>,
    pub(crate) documented_rule: Option<Shown>,
    /// Whether the drop-in for host tasks was written now; `None`: not asked for.
    pub(crate) host_tasks: Option<bool>,
    pub(crate) notes: Vec<String>,
}

/// Makes the guard stand as wanted; changes only what differs.
///
/// # Errors
/// The fence does not stand, or host tasks cannot be fenced. That the documented rule could not be
/// shown is no error.
pub(crate) fn enforce(wanted: &Wanted, host: &Host) -> Result<Enforced, Error> {
    if let Some(reason) = slice::impossible(&host.root).filter(|_| wanted.host_tasks) {
        return Err(Error::HostTasks(reason));
    }
    let interface = wanted.interface.as_deref();
    let fence = wanted.bridges.then(|| raise(host, interface)).transpose()?;
    let documented_rule = wanted.bridges.then(|| documented::show(host, interface));
    let host_tasks = wanted.host_tasks.then(|| slice::install(host)).transpose()?;
    let changed = fence.is_some_and(|fence| fence.change != Change::Unchanged)
        || documented_rule.as_ref().is_some_and(|shown| shown.changed)
        || host_tasks == Some(true);
    let notes = [warnings(host, wanted.host_tasks), narrowed(interface)].concat();
    Ok(Enforced { changed, fence, documented_rule, host_tasks, notes })
}

/// Raises the fence, and then takes away what an earlier call had put there for another interface.
fn raise(host: &Host, interface: Option<&str>) -> Result<Fence, Error> {
    let fence = firewall::raise(host, interface)?;
    let new_in_mangle = fence.method == Method::Mangle && fence.change == Change::Installed;
    let before = state::read(host);
    if before.interface.as_deref() == interface && (before.mangle_is_ours || !new_in_mangle) {
        return Ok(fence);
    }
    let _lock = state::lock(host, QUEUE)?;
    let mut state = state::read(host);
    if state.interface.as_deref() != interface {
        documented::hide(host, &state)?;
        if state.mangle_is_ours {
            firewall::lower_mangle(host, state.interface.as_deref())?;
        }
        state = State {
            interface: interface.map(str::to_owned),
            last_proof: state.last_proof,
            ..State::default()
        };
    }
    state.mangle_is_ours |= new_in_mangle;
    state::write(host, &state).map(|()| fence)
}

fn narrowed(interface: Option<&str>) -> Vec<String> {
    let note = |name| {
        format!(
            "the fence is narrowed to packets from {name}: containers on any other network reach instance metadata"
        )
    };
    interface.map(note).into_iter().collect()
}

/// What [`remove`] did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Removed {
    pub(crate) changed: bool,
    pub(crate) notes: Vec<String>,
}

/// Takes away everything that [`enforce`] may have put there. Nothing there is no error.
pub(crate) fn remove(host: &Host) -> Result<Removed, Error> {
    let fence = firewall::lower_nft()?;
    let _lock = state::lock(host, QUEUE)?;
    let state = state::read(host);
    let mangle = state.mangle_is_ours && firewall::lower_mangle(host, state.interface.as_deref())?;
    let documented = documented::hide(host, &state)?;
    let host_tasks = slice::remove(host)?;
    state::clear(host);
    Ok(Removed { changed: fence || mangle || documented || host_tasks, notes: comes_back(host) })
}

/// Units that would raise the fence again.
fn comes_back(host: &Host) -> Vec<String> {
    const TIMER: &str = "ecs-bootstrap-guard-verify.timer";
    let wants = ["multi-user.target.wants", "docker.service.requires", "timers.target.wants"];
    let enabled = wants.iter().any(|folder| {
        let folder = host.root.join("etc/systemd/system").join(folder);
        [GUARD_UNIT, TIMER].iter().any(|unit| folder.join(unit).is_symlink())
    });
    let note = format!(
        "the guard's units are enabled and bring it back: systemctl disable --now {TIMER} {GUARD_UNIT}"
    );
    enabled.then_some(note).into_iter().collect()
}

/// Sends packets as containers would, and says what became of them. At most 1.5 s, whatever the
/// number of networks.
///
/// # Errors
/// The probe itself could not be made. A leak is no error here: see [`Proof::outcome`].
pub(crate) fn prove(host: &Host) -> Result<Proof, Error> {
    let start = Instant::now();
    let links = links::read()
        .map_err(|source| Error::Probe { doing: "listing the host's links", source })?;
    let (findings, reach) = std::thread::scope(|scope| {
        let reach = scope.spawn(host_reach);
        (probe::probe(&links), reach.join().unwrap_or_default())
    });
    let findings = findings.map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => Error::ProbeCapability,
        _ => Error::Probe { doing: "making a probe port on a bridge (/dev/net/tun)", source },
    })?;
    let mut proof = Proof::new(findings, reach, warnings(host, false));
    proof.at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    proof.duration_ms = start.elapsed().as_millis() as u64;
    remember(host, &proof);
    Ok(proof)
}

/// Best effort: a proof that could not be written down is still one.
fn remember(host: &Host, proof: &Proof) {
    if let Ok(_lock) = state::lock(host, Duration::from_secs(1)) {
        _ = state::write(host, &State { last_proof: Some(proof.clone()), ..state::read(host) });
    }
}

/// Tries metadata as any program on the host would; says nothing, asks nothing.
fn host_reach() -> Vec<Reach> {
    const HTTP: u16 = 80;
    let reach = |family: rules::Family| {
        let address = family.metadata();
        let reason = connect(address, HTTP).err();
        Reach { address: address.to_string(), reached: reason.is_none(), reason }
    };
    rules::Family::ALL.into_iter().map(reach).collect()
}

fn connect(address: IpAddr, port: u16) -> Result<(), String> {
    match TcpStream::connect_timeout(&SocketAddr::new(address, port), Duration::from_millis(200)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err("no answer within 200 ms".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What weakens the guard without being part of it.
fn warnings(host: &Host, host_tasks: bool) -> Vec<String> {
    const LIMIT: &str = "ECS_ENABLE_TASK_CPU_MEM_LIMIT";
    let source_routes = fs::read_to_string("/proc/sys/net/ipv4/conf/all/accept_source_route")
        .is_ok_and(|value| value.trim() != "0");
    let routed = "net.ipv4.conf.all.accept_source_route is on: a source-routed packet can pass a rule on its destination; \
                  the guard's table drops such packets where the kernel can tell them. Set it to 0";
    let unlimited =
        (host_tasks || slice::present(&host.root)) && status::setting(host, LIMIT) == Some(false);
    let outside = format!(
        "{LIMIT} is false in ecs.config: tasks are not in ecstasks.slice, and host tasks are not fenced"
    );
    [source_routes.then(|| routed.to_owned()), unlimited.then_some(outside)]
        .into_iter()
        .flatten()
        .collect()
}
