//! The addresses that the guard is about.
//!
//! Exactly two are blocked, those of instance metadata. Task credentials (169.254.170.2), time
//! (169.254.169.123) and DNS (169.254.169.253) stay reachable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::libc;
use serde::{Deserialize, Serialize};

/// Instance metadata over IPv4, on every instance.
pub(crate) const METADATA_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Instance metadata over IPv6, on Nitro instances where it is switched on.
pub(crate) const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// Task credentials, as ecs-init redirects them to the agent.
pub(crate) const CREDENTIALS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);

/// The bytes of an address.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

/// The address of these bytes.
pub(crate) fn from_octets(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// AF_INET or AF_INET6.
pub(crate) fn number(address: IpAddr) -> u8 {
    (if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum IpFamily {
    #[serde(rename = "IPv4")]
    V4,
    #[serde(rename = "IPv6")]
    V6,
}

impl IpFamily {
    pub(crate) const ALL: [IpFamily; 2] = [IpFamily::V4, IpFamily::V6];

    pub(crate) fn metadata(self) -> IpAddr {
        match self {
            IpFamily::V4 => METADATA_V4.into(),
            IpFamily::V6 => METADATA_V6.into(),
        }
    }

    /// The VPC's resolver: an address of the same kind that no rule should block.
    pub(crate) fn control(self) -> IpAddr {
        match self {
            IpFamily::V4 => Ipv4Addr::new(169, 254, 169, 253).into(),
            IpFamily::V6 => Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253).into(),
        }
    }
}

/// As serde spells it.
impl std::fmt::Display for IpFamily {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_control_are_different_addresses() {
        assert_eq!(
            IpFamily::ALL.map(|family| family.metadata().to_string()),
            ["169.254.169.254", "fd00:ec2::254"]
        );
        assert_eq!(
            IpFamily::ALL.map(|family| family.control().to_string()),
            ["169.254.169.253", "fd00:ec2::253"]
        );
    }
}
