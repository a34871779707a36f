//! How the guard can fail, with the exit status and the remedy of each failure.

use std::io;
use std::path::PathBuf;

use nix::libc;

use super::iptables::IptablesError;
use super::netlink;
use super::parts::GuardPart;
use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("reading or changing the firewall needs CAP_NET_ADMIN, which this process lacks")]
    Capability,
    #[error("sending a probe packet: this process lacks CAP_NET_ADMIN or CAP_NET_RAW")]
    ProbeCapability,
    #[error("{doing} {}", rules(*part))]
    Kernel { part: GuardPart, doing: &'static str, source: io::Error },
    /// Rather left out than an error.
    #[error("this kernel has no {}", if *.0 == GuardPart::Routing { "routing policy rules" } else { "nf_tables" })]
    Unsupported(GuardPart),
    #[error("{} differ from what was loaded", rules(*.0))]
    Unlike(GuardPart),
    #[error(
        "{doing} the rules of table ecs-bootstrap, which belongs to another process: netlink port {port}"
    )]
    Owned { doing: &'static str, port: u32 },
    #[error("neither guard can be installed: {0}")]
    Impossible(String),
    #[error(transparent)]
    Iptables(#[from] IptablesError),
    #[error("another ecs-bootstrap has held {} for {seconds} s", path.display())]
    Busy { path: PathBuf, seconds: u64 },
    #[error("tasks in host network mode cannot be blocked on this host: {0}")]
    HostTasks(&'static str),
    #[error("{doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Write(#[from] files::Error),
    #[error("systemctl daemon-reload failed: {0}")]
    Reload(String),
    #[error("{doing}")]
    Probe { doing: &'static str, source: io::Error },
    #[error("containers reach instance metadata from {0}")]
    Leak(String),
    #[error("no verdict on {0}, where containers reached instance metadata when last proven")]
    LeakedBefore(String),
    #[error("no verdict on {0}")]
    Unproven(String),
    #[error("no verdict on {networks}, because the probe failed: {reason}")]
    ProbeFailed { networks: String, reason: String },
}

impl Error {
    /// What the kernel answered while one of the guards was read or changed.
    pub(super) fn kernel(part: GuardPart, doing: &'static str, source: io::Error) -> Error {
        match source.raw_os_error() {
            Some(libc::EPERM) => Error::Capability,
            _ if netlink::unsupported(&source) => Error::Unsupported(part),
            _ => Error::Kernel { part, doing, source },
        }
    }
}

fn rules(part: GuardPart) -> &'static str {
    match part {
        GuardPart::Routing => "the guard's routing rules",
        GuardPart::Nftables => "the rules of table ecs-bootstrap",
    }
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Guard
    }

    fn status(&self) -> ExitStatus {
        match self {
            Error::Leak(_) | Error::LeakedBefore(_) => ExitStatus::GuardLeak,
            Error::Unproven(_) => ExitStatus::GuardUnproven,
            Error::Probe { .. } | Error::ProbeFailed { .. } | Error::ProbeCapability => {
                ExitStatus::GuardProbe
            }
            _ => ExitStatus::Guard,
        }
    }

    fn remedy(&self) -> String {
        let remedy = match self {
            Error::Write(error) => return error.remedy(),
            Error::Capability => {
                "run as root, or with CAP_NET_ADMIN as ecs-bootstrap-guard.service"
            }
            Error::ProbeCapability => "run as root, or with CAP_NET_ADMIN and CAP_NET_RAW",
            Error::Kernel { part, .. } | Error::Unsupported(part) | Error::Unlike(part) => {
                match part {
                    GuardPart::Routing => {
                        "check that `ip rule` works, and that no other program writes rules of priority 0"
                    }
                    GuardPart::Nftables => {
                        "check that `nft list table inet ecs-bootstrap` works, and that no other program writes to that table"
                    }
                }
            }
            Error::Owned { .. } => {
                "end the process that owns the table (`nft list tables` and `ps` show both), or give `guard install` --without nftables"
            }
            Error::Impossible(_) => {
                "leave out --without and the trailing + of --interface, or load the module nf_tables"
            }
            Error::Iptables(_) => "run the command by hand to see what blocks it",
            Error::Busy { .. } => "wait for the other run to end, then try again",
            Error::HostTasks(_) => {
                "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or leave out --block-imds-host-tasks and run no tasks in host network mode"
            }
            Error::File { .. } => "make the path writable for root",
            Error::Reload(_) => {
                "run `systemctl daemon-reload`; until then the drop-in has no effect"
            }
            Error::Probe { .. } => "run as root, and see the cause",
            Error::ProbeFailed { .. } => {
                "load the modules tun, sch_ingress, cls_u32 and act_mirred, and run as root"
            }
            Error::Leak(_) | Error::LeakedBefore(_) => {
                "run `ecs-bootstrap guard install`, then `ecs-bootstrap guard status` to see what is missing"
            }
            Error::Unproven(_) => {
                "start Docker, then run `ecs-bootstrap guard prove` for the reason on each network"
            }
        };
        remedy.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::error::tests::examples;

    impl Error {
        /// For the test over all errors.
        pub(crate) fn examples() -> Vec<(ExitStatus, Error)> {
            let source = || io::Error::from(ErrorKind::NotFound);
            let iptables = |kind| IptablesError { message: "iptables failed".into(), kind };
            let path = || PathBuf::from("/run/ecs-bootstrap/guard.lock");
            examples!(Error {
                Error::Capability => Guard [Error::Capability],
                Error::ProbeCapability => GuardProbe [Error::ProbeCapability],
                Error::Kernel { .. } => Guard [
                    Error::Kernel { part: GuardPart::Routing, doing: "reading", source: source() },
                    Error::Kernel { part: GuardPart::Nftables, doing: "reading", source: source() },
                ],
                Error::Unsupported(_) => Guard [
                    Error::Unsupported(GuardPart::Routing), Error::Unsupported(GuardPart::Nftables),
                ],
                Error::Unlike(_) => Guard [
                    Error::Unlike(GuardPart::Routing), Error::Unlike(GuardPart::Nftables),
                ],
                Error::Owned { .. } => Guard [Error::Owned { doing: "loading", port: 4711 }],
                Error::Impossible(_) => Guard [Error::Impossible("no nf_tables".into())],
                Error::Iptables(_) => Guard [Error::Iptables(iptables(ErrorKind::TimedOut))],
                Error::Busy { .. } => Guard [Error::Busy { path: path(), seconds: 15 }],
                Error::HostTasks(_) => Guard [Error::HostTasks("cgroup v1")],
                Error::File { .. } => Guard [
                    Error::File { doing: "opening", path: path(), source: source() },
                ],
                Error::Write(_) => Guard [
                    Error::Write(files::Error::Privilege { what: "it", uid: 1000 }),
                ],
                Error::Reload(_) => Guard [Error::Reload("refused".into())],
                Error::Probe { .. } => GuardProbe [
                    Error::Probe { doing: "probing", source: source() },
                ],
                Error::Leak(_) => GuardLeak [Error::Leak("docker0 (IPv4)".into())],
                Error::LeakedBefore(_) => GuardLeak [Error::LeakedBefore("docker0 (IPv4)".into())],
                Error::ProbeFailed { .. } => GuardProbe [
                    Error::ProbeFailed { networks: "docker0 (IPv4)".into(), reason: "no tun".into() },
                ],
                Error::Unproven(_) => GuardUnproven [Error::Unproven("docker0 (IPv4)".into())],
            })
        }
    }
}
