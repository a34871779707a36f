//! How the guard can fail, what each failure is called, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::error::{Diagnostic, ExitStatus, Step};
use crate::files;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "the kernel lets nobody read or change the firewall without CAP_NET_ADMIN, which this process lacks"
    )]
    Capability,
    #[error("sending a probe packet: this process lacks CAP_NET_ADMIN or CAP_NET_RAW")]
    ProbeCapability,
    #[error("{doing} table inet ecs-bootstrap")]
    Netfilter { doing: &'static str, source: io::Error },
    #[error("table inet ecs-bootstrap reads differently from what was loaded")]
    Unlike,
    #[error("this kernel has no nf_tables, and {command} failed: {said}")]
    Fallback { command: String, said: String },
    #[error("{command} failed: {said}")]
    Iptables { command: String, said: String },
    #[error("another ecs-bootstrap has held {} for {seconds} s", path.display())]
    Busy { path: PathBuf, seconds: u64 },
    #[error("tasks in host network mode cannot be fenced on this host: {0}")]
    HostTasks(&'static str),
    #[error("{doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{0}")]
    Write(#[from] files::Error),
    #[error("systemctl daemon-reload failed: {0}")]
    Reload(String),
    #[error("{doing}")]
    Probe { doing: &'static str, source: io::Error },
    #[error("containers reach instance metadata from {0}")]
    Leak(String),
    #[error("no verdict on {0}")]
    Unproven(String),
}

impl Diagnostic for Error {
    fn step(&self) -> Step {
        Step::Guard
    }

    /// The word in the report, which settles the exit status.
    fn status(&self) -> ExitStatus {
        match self {
            Error::Leak(_) => ExitStatus::GuardLeak,
            Error::Unproven(_) | Error::Probe { .. } | Error::ProbeCapability => {
                ExitStatus::GuardUnproven
            }
            _ => ExitStatus::Guard,
        }
    }

    /// What to do about it.
    fn remedy(&self) -> String {
        let remedy = match self {
            Error::Write(error) => return error.remedy(),
            Error::Capability => {
                "run as root, or with CAP_NET_ADMIN; the unit ecs-bootstrap-guard.service has it"
            }
            Error::ProbeCapability => "run as root, or with CAP_NET_ADMIN and CAP_NET_RAW",
            Error::Netfilter { .. } | Error::Unlike => {
                "see whether `nft list table inet ecs-bootstrap` works and whether another program owns that table"
            }
            Error::Fallback { .. } => {
                "load the module nf_tables, or install iptables and ip6tables with a kernel that has them"
            }
            Error::Iptables { .. } => {
                "run the command by hand to see why; if another program holds the xtables lock, wait for it to end"
            }
            Error::Busy { .. } => "wait for the other run to end, then try again",
            Error::HostTasks(_) => {
                "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or leave out --block-imds-host-tasks and run no tasks in host network mode"
            }
            Error::File { .. } => "make the path writable for root",
            Error::Reload(_) => {
                "run `systemctl daemon-reload` by hand; until then the drop-in has no effect"
            }
            Error::Probe { .. } => "load the module tun (modprobe tun), and run as root",
            Error::Leak(_) => {
                "run `ecs-bootstrap guard install`, then `ecs-bootstrap guard status` to see what is missing"
            }
            Error::Unproven(_) => "start Docker and try again; the reasons stand with each network",
        };
        remedy.to_owned()
    }
}
