//! What a check knows besides the file: which programs read it, on which host, next to which other
//! files.

use std::str::FromStr;

use super::registered::Registered;

/// A set of the programs that read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readers(u8);

impl Readers {
    /// Amazon Linux 2.
    pub const SYSTEMD_219: Self = Self(1);
    /// Up to 253; Amazon Linux 2023 has 252.
    pub const SYSTEMD_252: Self = Self(2);
    /// From 254.
    pub const SYSTEMD_254: Self = Self(4);
    pub const ECS_INIT: Self = Self(8);
    pub const DOCKER: Self = Self(16);

    pub const ALL: Self = Self(31);
    pub const SYSTEMD: Self = Self(7);
    pub const SYSTEMD_TO_253: Self = Self(3);
    pub const NOT_SYSTEMD: Self = Self(24);
    pub const NOT_DOCKER: Self = Self(15);

    /// Readers that are in one of the two sets.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the two sets share a reader.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Hosts that `--for` names. Each is a row of [`HOSTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    pub name: &'static str,
    pub readers: Readers,
    /// The unit of ecs-init loads `/etc/ecs/ecs.config` into its process environment.
    pub loads_etc: bool,
    /// The unit loads `/var/lib/ecs/ecs.config` as well.
    pub loads_var: bool,
    pub external: bool,
}

const fn host(name: &'static str, systemd: Readers, loads_etc: bool, loads_var: bool) -> Host {
    Host { name, readers: systemd.or(Readers::ECS_INIT), loads_etc, loads_var, external: false }
}

/// From the units in aws/amazon-ecs-agent packaging/ and the systemd of each distribution: Debian
/// 12 and Ubuntu 22.04 are up to 253, Debian 13 and Ubuntu 24.04 from 254; SUSE's unit loads no
/// file.
pub const HOSTS: [Host; 7] = [
    host("al2", Readers::SYSTEMD_219, true, false),
    host("al2023", Readers::SYSTEMD_252, true, false),
    host("ubuntu", Readers(6), true, true),
    host("debian", Readers(6), true, true),
    host("rhel", Readers(6), true, true),
    host("suse", Readers(0), false, false),
    Host { external: true, ..host("external", Readers::SYSTEMD, true, true) },
];

impl FromStr for Host {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || HOSTS.map(|host| host.name).join(", ");
        HOSTS
            .into_iter()
            .find(|host| host.name == name)
            .ok_or_else(|| format!("expected one of {}", names()))
    }
}

/// Which of ecs-init's two files is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// `/etc/ecs/ecs.config`, or what will become it.
    #[default]
    Etc,
    /// `/var/lib/ecs/ecs.config`, which image builds and the ECS Anywhere script write.
    Var,
}

/// Everything that a check takes into account besides the file itself. The default is a layer on an
/// unknown host: all readers, no other files.
#[derive(Debug, Clone, Default)]
pub struct Context<'a> {
    pub host: Option<Host>,
    pub place: Place,
    /// The file is the whole configuration: with the two below it makes the agent's view, so
    /// ECS_CLUSTER must be in it.
    pub whole: bool,
    /// `/var/lib/ecs/ecs.config`; keys of the checked file win over it.
    pub instance_file: Option<&'a [u8]>,
    /// `/etc/ecs/ecs.config.json`; the checked file wins over it.
    pub json_file: Option<&'a [u8]>,
    pub allow_default_cluster: bool,
    /// The guard fences off tasks in host network mode.
    pub block_host_tasks: bool,
    /// The host is an ECS Anywhere host.
    pub external: bool,
    /// The cluster that an agent on this host has joined already.
    pub registered: Registered,
}

impl Context<'_> {
    /// The programs that will read the file.
    pub fn readers(&self) -> Readers {
        self.host.map_or(Readers::ALL, |host| host.readers)
    }

    /// Whether the host is an external one, as far as the caller knows.
    pub fn external(&self) -> bool {
        self.external || self.host.is_some_and(|host| host.external)
    }

    /// Whether ecs-init finds the file's variables in its process environment; on an unknown host
    /// `/etc` counts as loaded and `/var/lib` does not, as on Amazon Linux.
    pub fn loaded(&self) -> bool {
        match self.place {
            Place::Etc => self.host.is_none_or(|host| host.loads_etc),
            Place::Var => self.host.is_some_and(|host| host.loads_var),
        }
    }
}
