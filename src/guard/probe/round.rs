//! One round over all bridges: what is sent, by which ways, and what is observed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use super::super::addresses::{CREDENTIALS, IpFamily};
use super::super::links::{self, Link};
use super::super::nft;
use super::super::proof::{CredentialsAccess, ProbePath, Proof};
use super::capture::PacketCapture;
use super::frames::FramePath;
use super::injector::Injector;
use super::neighbours::TemporaryNeighbour;
use super::packet::ProbePacket;
use super::route;
use super::target::{HTTP, Target};

/// For all networks together; a network that lets nothing through at all takes this long.
const TIMEOUT: Duration = Duration::from_millis(1200);
/// Positive evidence comes within this; afterwards the control is sent as well.
const FIRST_ROUND: Duration = Duration::from_millis(20);
/// Packets may be lost, and the kernel answers no more than so many a second: send again.
const RESEND: Duration = Duration::from_millis(150);
/// The kernel answers 1,000 packets a second with ICMP, and 50 at once
/// (net.ipv4.icmp_msgs_per_sec, icmp_msgs_burst).
const PACE: Duration = Duration::from_millis(1);
const BURST: usize = 20;

/// Everything that is sent, and what it takes to send it.
pub(crate) struct Round<'a> {
    injector: Option<Injector>,
    capture: PacketCapture,
    pub(crate) targets: Vec<Target<'a>>,
    /// The same packets, but to the task credentials' address: they are sent once.
    credentials: Vec<Target<'a>>,
    /// Removed when the round is.
    neighbours: Vec<TemporaryNeighbour>,
    notes: Vec<String>,
    /// Why packets could not be sent, for a cause that is not some interface's own.
    failure: Option<String>,
    numbers: u16,
}

impl<'a> Round<'a> {
    /// # Errors
    /// `PermissionDenied` without CAP_NET_ADMIN and CAP_NET_RAW.
    pub(crate) fn new() -> io::Result<Round<'a>> {
        let capture = PacketCapture::open()?;
        let (injector, failure) = match Injector::new() {
            Ok(injector) => (Some(injector), None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Err(error) => (None, Some(cannot_send(&error))),
        };
        Ok(Round {
            injector,
            capture,
            targets: vec![],
            credentials: vec![],
            neighbours: vec![],
            notes: vec![],
            failure,
            numbers: 0,
        })
    }

    /// A way in for packets; or why there is none.
    fn way_in(&mut self, interface: u32) -> Result<u16, String> {
        let Some(injector) = &self.injector else {
            return Err(self.failure.clone().unwrap_or_default());
        };
        let number = self.numbers;
        self.numbers = number.checked_add(1).ok_or("too many networks")?;
        injector.lead(number, interface).map(|()| number).map_err(|error| {
            let reason = cannot_send(&error);
            // An interface that has vanished is no failure of the kernel's.
            if exists(interface) {
                self.failure.get_or_insert_with(|| reason.clone());
            }
            reason
        })
    }

    /// Every subnet of a bridge that routes, and its way to task credentials.
    pub(crate) fn add_network(&mut self, bridge: &'a Link) {
        // The kernel takes nothing from a bridge without carrier, and complains in its log.
        let way_in = match (bridge.up, bridge.carrier) {
            (false, _) => Err(format!("{} is down", bridge.name)),
            (_, false) => {
                Err(format!("{} has no carrier: none of its ports is up and forwards", bridge.name))
            }
            _ => self.way_in(bridge.index),
        };
        // Other addresses each time: the kernel answers each of them only so often.
        let nth = 2 * fastrand::u32(..500);
        for family in IpFamily::ALL {
            let Some((own, _)) = bridge.of_family(family).next() else { continue };
            let target = |source, way_in| Target {
                route: route::look_up(bridge, source, family.metadata()),
                ..Target::new(bridge, family, source, way_in)
            };
            let sources = bridge.probe_addresses(family, nth);
            if sources.is_empty() {
                let unsent = Err("its subnet has no room for a container".to_owned());
                self.targets.push(target(own, unsent));
            }
            for source in sources {
                if way_in.is_ok() {
                    self.neighbours.extend(TemporaryNeighbour::add(bridge, source));
                }
                self.targets.push(target(source, way_in.clone()));
            }
        }
        let source = bridge.probe_addresses(IpFamily::V4, nth + 1).first().copied();
        if let Some(source) = source.filter(|_| way_in.is_ok()) {
            self.neighbours.extend(TemporaryNeighbour::add(bridge, source));
            self.credentials.push(Target {
                metadata: ProbePacket::new(source, SocketAddr::new(CREDENTIALS.into(), HTTP)),
                ..Target::new(bridge, IpFamily::V4, source, way_in)
            });
        }
    }

    /// The frames that a container on the bridge would send to the router.
    pub(crate) fn add_frames(&mut self, path: &FramePath<'a>) {
        let names = path.uplinks.iter().map(|port| port.name.as_str()).collect::<Vec<_>>();
        let (bridge, uplinks) = (path.bridge, names.join(", "));
        let Some(guest) = path.guests.first() else {
            return self.notes.push(format!(
                "{} holds {uplinks} and no container: the frames that it passes on were not probed",
                bridge.name
            ));
        };
        let way_in = self.way_in(guest.index);
        let mut anywhere = [0x02; 6];
        fastrand::fill(&mut anywhere[1..]);
        for family in IpFamily::ALL {
            let source = match family {
                IpFamily::V4 => IpAddr::from([169, 254, 1, 1]),
                IpFamily::V6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0xec5, 0xb007, 1]),
            };
            let source = bridge.probe_addresses(family, 2).first().copied().unwrap_or(source);
            self.targets.push(Target {
                path: ProbePath::Bridged,
                // A bridge floods what is for a MAC that it does not know.
                to: Some(path.router.unwrap_or(anywhere)),
                uplinks: path.uplinks.iter().map(|port| port.index).collect(),
                ..Target::new(bridge, family, source, way_in.clone())
            });
        }
        if let (Some(injector), Ok(number)) = (&self.injector, way_in) {
            self.neighbours.push(TemporaryNeighbour::learned(guest.index, injector.sender(number)));
        }
    }

    /// Sends and observes until every verdict is in, or the time is up.
    pub(crate) fn send_and_observe(&mut self) {
        let start = Instant::now();
        let mut control = false;
        while start.elapsed() < TIMEOUT && !self.decided(control) {
            self.send(control);
            let until = Instant::now() + if control { RESEND } else { FIRST_ROUND };
            self.observe();
            self.ask_the_guard();
            while let Some(left) = until.checked_duration_since(Instant::now())
                && !self.decided(control)
            {
                self.capture.wait(left.min(Duration::from_millis(10)));
                self.observe();
            }
            self.ask_the_guard();
            control = true;
        }
    }

    /// What the guard's own rules have dropped. Without nf_tables there are none.
    fn ask_the_guard(&mut self) {
        if self.targets.iter().all(Target::decided) {
            return;
        }
        let dropped = nft::recorded();
        for target in &mut self.targets {
            target.observed.dropped |= dropped.contains(&target.metadata.sequence);
        }
    }

    /// Task credentials are not part of the verdict, and have the first round alone.
    fn decided(&self, control: bool) -> bool {
        (control || self.credentials.iter().all(Target::decided))
            && self.targets.iter().all(Target::decided)
    }

    fn send(&mut self, control: bool) {
        let Some(injector) = &self.injector else { return };
        let send = |target: &Target<'_>, packet: &ProbePacket| {
            if let Ok(number) = target.way_in {
                injector.send(number, target.to, &packet.bytes);
            }
        };
        let mut refusals = 0;
        for target in self.targets.iter_mut().filter(|target| !target.decided()) {
            refusals += usize::from(target.is_refused_by_route());
            if refusals > BURST && target.is_refused_by_route() {
                thread::sleep(PACE);
            }
            send(target, &target.metadata);
            if control {
                send(target, &target.control);
            }
            target.observed.first_sent.get_or_insert_with(Instant::now);
        }
        if !control {
            self.credentials.iter().for_each(|target| send(target, &target.metadata));
        }
    }

    fn observe(&mut self) {
        let own = self.injector.as_ref().map_or(0, |injector| injector.index);
        for seen in self.capture.observations().iter().filter(|seen| seen.interface != own) {
            let targets = self.targets.iter_mut().chain(&mut self.credentials);
            targets.for_each(|target| target.observe(seen));
        }
    }

    /// Removes the device and the socket, side by side: the kernel takes 15 to 30 ms for each.
    /// Returns what it showed of task credentials, and notes.
    pub(crate) fn end(self) -> Proof {
        let Round { injector, capture, credentials, notes, failure, .. } = self;
        thread::scope(|scope| {
            scope.spawn(|| drop(capture));
            drop(injector);
        });
        let access = |target: &Target<'_>| CredentialsAccess {
            network: target.bridge.name.clone(),
            passes: target.is_answered_by_host(),
        };
        let credentials = credentials.iter().map(access).collect();
        Proof { credentials, notes, failure, ..Proof::default() }
    }
}

fn exists(interface: u32) -> bool {
    links::read().is_ok_and(|links| links.iter().any(|link| link.index == interface))
}

/// The causes name a module that may be missing.
fn cannot_send(error: &io::Error) -> String {
    format!("no packet could be sent (/dev/net/tun, sch_ingress, cls_u32, act_mirred): {error}")
}
