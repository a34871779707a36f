//! What a check knows besides the file: which programs read it, on which host, next to which other
//! files.

use std::str::FromStr;

use super::registered::Registered;
use crate::effective::ConfigFile;
use crate::readers::{Generation, Reader};

/// A set of the programs that read the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReaderSet(u8);

impl ReaderSet {
    pub(super) const NONE: Self = Self(0);
    /// Amazon Linux 2.
    pub(super) const SYSTEMD_219: Self = Self(1);
    /// Up to 253; Amazon Linux 2023 has 252.
    pub(super) const SYSTEMD_252: Self = Self(2);
    pub(super) const SYSTEMD_254: Self = Self(4);
    pub(super) const ECS_INIT: Self = Self(8);
    pub(super) const DOCKER: Self = Self(16);

    /// Every reader.
    pub const ALL: Self = Self(31);
    pub(super) const SYSTEMD: Self = Self(7);
    pub(super) const SYSTEMD_TO_253: Self = Self(3);
    pub(super) const SYSTEMD_FROM_252: Self = Self(6);
    pub(super) const NOT_SYSTEMD: Self = Self(24);
    pub(super) const NOT_DOCKER: Self = Self(15);

    /// Its readers, in the order in which people see them.
    pub(super) fn members(self) -> impl Iterator<Item = Reader> {
        const ALL: [(Reader, ReaderSet); 5] = [
            (Reader::Systemd(Generation::V219), ReaderSet::SYSTEMD_219),
            (Reader::Systemd(Generation::V252), ReaderSet::SYSTEMD_252),
            (Reader::Systemd(Generation::V254), ReaderSet::SYSTEMD_254),
            (Reader::EcsInit, ReaderSet::ECS_INIT),
            (Reader::Docker, ReaderSet::DOCKER),
        ];
        ALL.into_iter().filter(move |(_, set)| self.meets(*set)).map(|(reader, _)| reader)
    }

    /// Whether the two sets share a reader.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A kind of host: a row of [`HOSTS`]. Parses from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// As `lint --for` takes it.
    pub name: &'static str,
    /// The programs that read the file there.
    pub readers: ReaderSet,
    /// The unit of ecs-init loads `/etc/ecs/ecs.config` into its process environment.
    pub loads_etc: bool,
    /// The unit loads `/var/lib/ecs/ecs.config` as well.
    pub loads_var: bool,
    /// It gets its credentials from Systems Manager (ECS Anywhere).
    pub external: bool,
}

const fn host(name: &'static str, systemd: ReaderSet, loads_etc: bool, loads_var: bool) -> Host {
    let readers = ReaderSet(systemd.0 | ReaderSet::ECS_INIT.0);
    Host { name, readers, loads_etc, loads_var, external: false }
}

/// From the units in aws/amazon-ecs-agent packaging/ and the systemd of each distribution: Debian
/// 12 and Ubuntu 22.04 have one up to 253, Debian 13 and Ubuntu 24.04 from 254; SUSE's unit loads
/// no file.
pub const HOSTS: [Host; 7] = [
    host("al2", ReaderSet::SYSTEMD_219, true, false),
    host("al2023", ReaderSet::SYSTEMD_252, true, false),
    host("ubuntu", ReaderSet::SYSTEMD_FROM_252, true, true),
    host("debian", ReaderSet::SYSTEMD_FROM_252, true, true),
    host("rhel", ReaderSet::SYSTEMD_FROM_252, true, true),
    host("suse", ReaderSet::NONE, false, false),
    Host { external: true, ..host("external", ReaderSet::SYSTEMD, true, true) },
];

impl FromStr for Host {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = HOSTS.into_iter().find(|host| host.name == name);
        known.ok_or_else(|| format!("expected one of {}", HOSTS.map(|host| host.name).join(", ")))
    }
}

/// Everything that a check takes into account besides the file itself. The default is a layer on an
/// unknown host: all readers, no other files.
#[derive(Debug, Clone, Default)]
pub struct Context<'a> {
    /// The kind of host, if it is known.
    pub host: Option<Host>,
    /// Which file it is, or will become.
    pub file: ConfigFile,
    /// The file is the whole configuration: with the two below it makes the agent's view, so
    /// ECS_CLUSTER must be in it.
    pub whole: bool,
    /// `/var/lib/ecs/ecs.config`; keys of the checked file win over it.
    pub instance_file: Option<&'a [u8]>,
    /// `/etc/ecs/ecs.config.json`; the checked file wins over it.
    pub json_file: Option<&'a [u8]>,
    /// A whole configuration without ECS_CLUSTER is accepted.
    pub allow_default_cluster: bool,
    /// The guard stops tasks in host network mode.
    pub block_host_tasks: bool,
    /// The host is an ECS Anywhere host.
    pub external: bool,
    /// Placeholders in values will be replaced, and what they stand for is not known yet.
    pub expand: bool,
    /// The cluster that an agent on this host has joined already.
    pub registered: Registered,
}

impl Context<'_> {
    /// The programs that will read the file.
    pub fn readers(&self) -> ReaderSet {
        self.host.map_or(ReaderSet::ALL, |host| host.readers)
    }

    /// Whether the host is an external one, as far as the caller knows.
    pub(super) fn is_external(&self) -> bool {
        self.external || self.host.is_some_and(|host| host.external)
    }

    /// Whether ecs-init finds the file's variables in its process environment; on an unknown host
    /// `/etc` counts as loaded and `/var/lib` does not, as on Amazon Linux.
    pub(super) fn is_loaded(&self) -> bool {
        match self.file {
            ConfigFile::Etc => self.host.is_none_or(|host| host.loads_etc),
            ConfigFile::Var => self.host.is_some_and(|host| host.loads_var),
            ConfigFile::Json => false,
        }
    }
}
