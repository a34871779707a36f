//! The way of a request through the cloud: read, noted, answered or spoilt by the faults that are
//! set, sent.

use std::io::{self, BufReader, Read};
use std::net::{IpAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

use socket2::SockRef;

use super::Inner;
use crate::fault::{Active, Effect, Service};
use crate::http::{Pace, Request, Response, read_request, write_response};
use crate::rendezvous::CONNECTION;
use crate::state::CloudState;
use crate::tls::Wire;
use crate::{clock, ecs, imds, s3, secrets, sts};

impl Inner {
    /// One connection, to its end. That it broke is the client's affair.
    pub(super) fn serve(&self, service: Service, stream: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        self.rendezvous.hold(service, CONNECTION);
        if self.tls_of(service).is_some() {
            thread::sleep(self.far);
        }
        if let Ok(copy) = stream.try_clone() {
            self.streams().insert(number, copy);
        }
        let _broken = Wire::new(stream, self.tls_of(service))
            .and_then(|wire| self.converse(service, number, wire));
        self.streams().remove(&number);
    }

    fn converse(&self, service: Service, number: u64, wire: Wire) -> io::Result<()> {
        wire.socket().set_nodelay(true)?;
        let mut wire = BufReader::new(wire);
        while let Some(request) = read_request(&mut wire)? {
            let service = service_of(service, &request);
            let entry = self.journal.begins(service, number, &request);
            self.rendezvous.hold(service, request.path());
            let response = self.answer(service, &request);
            if matches!(response.manner.pace, Pace::Silent) {
                (self.observer)(&self.journal.entry(entry));
                return wait_for_the_client_to_leave(&mut wire);
            }
            thread::sleep(response.manner.wait);
            set_hop_limit(wire.get_ref().socket(), response.manner.hop_limit)?;
            (self.observer)(&self.journal.ends(entry, response.status));
            let reusable = write_response(wire.get_mut(), &response, request.method == "HEAD")?;
            if !reusable || !request.keep_alive {
                return Ok(());
            }
        }
        Ok(())
    }

    fn answer(&self, service: Service, request: &Request) -> Response {
        let state = &mut *self.state();
        let now = server_clock(state);
        state.answered += 1;
        let mut met = meet_faults(state, service, request);
        let instead = met.iter().find_map(|(effect, _)| instead(*effect, state, request));
        let mut response = instead.unwrap_or_else(|| usual(state, service, request, now));
        for (effect, size) in met.drain(..) {
            response = bent(effect, size, state, request, response);
        }
        if response.header("Date").is_none() {
            response.set("Date", clock::http_date(now));
        }
        response
    }
}

/// The listener that serves all of AWS tells the services by their names.
fn service_of(service: Service, request: &Request) -> Service {
    const NAMES: [(&str, Service); 8] = [
        ("sts.", Service::Sts),
        ("sts-", Service::Sts),
        ("ecs.", Service::Ecs),
        ("ecs-a-", Service::Ecs),
        ("ecs-t-", Service::Ecs),
        ("api.ecr.", Service::Ecs),
        ("ssm.", Service::Secrets),
        ("secretsmanager.", Service::Secrets),
    ];
    let named = |(prefix, _): &&(&str, Service)| request.host().starts_with(prefix);
    match service {
        Service::S3 => NAMES.iter().find(named).map_or(Service::S3, |(_, service)| *service),
        service => service,
    }
}

fn server_clock(state: &CloudState) -> SystemTime {
    let ahead =
        state.faults.iter().find(|active| matches!(active.fault.effect, Effect::ClockAhead));
    SystemTime::now() + ahead.map_or(Duration::ZERO, Active::size)
}

fn meet_faults(
    state: &mut CloudState,
    service: Service,
    request: &Request,
) -> Vec<(Effect, Duration)> {
    let met = state
        .faults
        .iter_mut()
        .filter(|active| !matches!(active.fault.effect, Effect::Refuse(_) | Effect::Blackhole(_)));
    met.filter_map(|active| {
        active.meets(service, request).then(|| (active.fault.effect, active.size()))
    })
    .collect()
}

fn instead(effect: Effect, state: &mut CloudState, request: &Request) -> Option<Response> {
    match effect {
        Effect::Instead(answer) => answer(state, request),
        _ => None,
    }
}

fn usual(state: &mut CloudState, service: Service, request: &Request, now: SystemTime) -> Response {
    match service {
        Service::Imds => imds::answer(state, request),
        Service::Sts => sts::answer(state, request, now),
        Service::S3 => s3::answer(state, request, now),
        Service::Ecs => ecs::answer(state, request, now),
        Service::Secrets => secrets::answer(state, request, now),
        Service::Web => {
            state.pages.get(&request.target).cloned().unwrap_or_else(|| imds::page(404))
        }
    }
}

fn bent(
    effect: Effect,
    size: Duration,
    state: &CloudState,
    request: &Request,
    response: Response,
) -> Response {
    match effect {
        Effect::Spoils(spoil) if response.is_success() => spoil(state, request, response),
        Effect::Bends(bend) => bend(response, size),
        _ => response,
    }
}

/// `IP_TTL` or its sister: how far the packets of this answer travel. Back to 64 for the next
/// answer.
fn set_hop_limit(socket: &TcpStream, hops: Option<u32>) -> io::Result<()> {
    let hops = hops.unwrap_or(64);
    match socket.local_addr()?.ip() {
        IpAddr::V4(_) => socket.set_ttl(hops),
        IpAddr::V6(_) => SockRef::from(socket).set_unicast_hops_v6(hops),
    }
}

fn wait_for_the_client_to_leave(wire: &mut impl Read) -> io::Result<()> {
    while wire.read(&mut [0; 512])? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{Cloud, Options};

    #[test]
    fn hop_limit_is_set_for_one_answer_only() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        set_hop_limit(&socket, Some(1)).unwrap();
        assert_eq!(socket.ttl().unwrap(), 1);
        set_hop_limit(&socket, None).unwrap();
        assert_eq!(socket.ttl().unwrap(), 64);
    }

    #[test]
    fn dropped_cloud_closes_the_connections_of_waiting_clients() {
        let cloud = Cloud::start(Options::default());
        cloud.usual_fault("s3-hang");
        let mut stream = TcpStream::connect(cloud.address(Service::S3)).unwrap();
        io::Write::write_all(&mut stream, b"GET /b/k HTTP/1.1\r\n\r\n").unwrap();
        while cloud.requests().is_empty() {
            thread::yield_now();
        }
        drop(cloud);
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
}
