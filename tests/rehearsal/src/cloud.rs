//! The cloud itself: four doors on loopback, one world behind them, a journal of who knocked. Ends
//! with the value.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime};

use socket2::SockRef;

use crate::clock;
use crate::door::Door;
use crate::fault::{self, Active, Effect, Extent, Service};
use crate::http::{Pace, Request, Response, read_request, write_response};
use crate::journal::{Journal, Seen};
use crate::proxy::Proxy;
use crate::sigv4::{self, Credentials};
use crate::tls::{self, Certificate, Tls, Wire};
use crate::world::{Bucket, Host, Object, World};
use crate::{imds, s3, sts};

/// How a cloud starts; the default suits most tests.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub host: Host,
    /// IMDS on `[::1]` instead of 127.0.0.1.
    pub imds_v6: bool,
    /// IMDS at this very address: only inside a namespace of the test's own.
    pub imds_at: Option<SocketAddr>,
    /// STS, S3 and the web server speak TLS.
    pub tls: Option<Certificate>,
    /// One more door, at this very address, that tells STS from S3 by the `Host` header: for AWS's
    /// real names in a namespace.
    pub aws_at: Option<SocketAddr>,
}

/// A running cloud.
pub struct Cloud {
    inner: Arc<Inner>,
    doors: Vec<(Service, Arc<Door>)>,
}

struct Inner {
    world: Mutex<World>,
    journal: Journal,
    tls: Option<Tls>,
    connections: AtomicU64,
    /// To end those that still wait for an answer when the cloud ends.
    streams: Mutex<BTreeMap<u64, TcpStream>>,
}

impl Cloud {
    /// Starts a cloud whose host has a role and whose S3 is empty.
    ///
    /// # Panics
    /// When loopback cannot be listened on: no test can go on from there.
    pub fn start(options: Options) -> Self {
        Self::try_start(options).expect("the rehearsal cloud listens on loopback")
    }

    fn try_start(options: Options) -> io::Result<Self> {
        let tls = options.tls.map(tls::make).transpose().map_err(io::Error::other)?;
        let loopback = |v6: bool| {
            SocketAddr::new(
                if v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() },
                0,
            )
        };
        let imds_at = options.imds_at.unwrap_or_else(|| loopback(options.imds_v6));
        let inner = Arc::new(Inner {
            world: Mutex::new(World::new(options.host)),
            journal: Journal::default(),
            tls,
            connections: AtomicU64::new(0),
            streams: Mutex::default(),
        });
        let mut places = vec![(Service::Imds, imds_at)];
        places.extend(
            [Service::Sts, Service::S3, Service::Web].map(|service| (service, loopback(false))),
        );
        places.extend(options.aws_at.map(|at| (Service::S3, at)));
        let open = |(service, at)| Ok((service, open(&inner, service, at)?));
        let doors = places.into_iter().map(open).collect::<io::Result<_>>()?;
        Ok(Self { inner, doors })
    }

    /// The environment in which the program finds this cloud and nothing else. `AWS_REGION` is not
    /// in it: IMDS knows.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", Service::Imds),
            ("AWS_ENDPOINT_URL_STS", Service::Sts),
            ("AWS_ENDPOINT_URL_S3", Service::S3),
        ]
        .map(|(name, service)| (name.to_owned(), self.url(service)))
        .to_vec()
    }

    /// The environment in which the program finds this cloud under AWS's own names: metadata at its
    /// loopback address, all else through a proxy in front of this cloud, trusting the CA in
    /// that file.
    pub fn env_by_names(&self, proxy: &Proxy, ca_file: &Path) -> Vec<(String, String)> {
        let mut env = self.env();
        env.retain(|(name, _)| name.starts_with("AWS_EC2_METADATA"));
        env.push(("HTTPS_PROXY".into(), proxy.url()));
        env.push(("AWS_CA_BUNDLE".into(), ca_file.display().to_string()));
        env
    }

    /// `http://127.0.0.1:PORT`, or `https` where TLS is on.
    pub fn url(&self, service: Service) -> String {
        let scheme = if self.inner.tls_of(service).is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address(service))
    }

    pub fn address(&self, service: Service) -> SocketAddr {
        self.door(service).address
    }

    /// The CA behind the TLS doors, as PEM, for `AWS_CA_BUNDLE`; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.inner.tls.as_ref().map(|tls| tls.ca_pem.as_str())
    }

    /// Sets a fault of the table. A plain duration is how long it lasts, or how large it is where a
    /// fault has a size.
    ///
    /// # Panics
    /// When no fault has that name.
    pub fn fault(&self, name: &str, extent: impl Into<Extent>) {
        let fault = fault::named(name);
        let extent = match (extent.into(), fault.extent) {
            (Extent::For(size), Extent::By(_)) => Extent::By(size),
            (extent, _) => extent,
        };
        self.inner.world().faults.push(Active::new(fault, extent));
        match fault.effect {
            Effect::Shut(service) => self.door(service).shut(),
            Effect::Wall(service) => {
                self.door(service).wall_up().expect("an address of ours can be listened on again")
            }
            _ => return,
        }
        if let (Extent::For(duration), Effect::Shut(service) | Effect::Wall(service)) =
            (extent, fault.effect)
        {
            self.open_after(service, duration);
        }
    }

    /// Sets a fault with the extent that the table gives it.
    pub fn usual_fault(&self, name: &str) {
        self.fault(name, fault::named(name).extent);
    }

    /// Ends every fault; doors open again.
    pub fn heal(&self) {
        self.inner.world().faults.clear();
        for (_, door) in &self.doors {
            door.open().expect("an address of ours can be listened on again");
        }
    }

    /// Every request so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Seen> {
        self.inner.journal.all()
    }

    /// Puts an object into a bucket of the host's own account and region, made if needed; gives its
    /// version id.
    pub fn set_object(&self, bucket: &str, key: &str, object: impl Into<Object>) -> String {
        self.inner.world().put(bucket, key, object.into())
    }

    /// Makes the bucket if needed, and changes it.
    pub fn set_bucket(&self, name: &str, change: impl FnOnce(&mut Bucket)) {
        change(self.inner.world().bucket(name));
    }

    /// An access point of the host's account, in front of a bucket.
    pub fn set_access_point(&self, name: &str, bucket: &str) {
        let mut world = self.inner.world();
        let alias = format!("{name}-{}", world.host.account_id);
        world.access_points.insert(alias, bucket.into());
    }

    /// What the web server answers at a path (with query, if there is one): for `https` sources.
    pub fn set_page(&self, path: &str, response: Response) {
        self.inner.world().pages.insert(path.into(), response);
    }

    /// Changes the host, for instance its tags.
    pub fn set_host(&self, change: impl FnOnce(&mut Host)) {
        change(&mut self.inner.world().host);
    }

    /// IMDS hands out these from now on: credentials that another server (a real one) minted and
    /// will check.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.inner.world().credentials.push(credentials);
    }

    /// New credentials for the role, good for so long; the old ones stay good until they expire.
    pub fn renew_credentials(&self, lifetime: Duration) {
        self.inner.world().mint(lifetime);
    }

    /// A presigned URL of an object, path-style, signed by the role.
    pub fn presigned(&self, bucket: &str, key: &str, lifetime: Duration) -> String {
        let path = format!("/{bucket}/{key}");
        let world = self.inner.world();
        let host = self.address(Service::S3).to_string();
        let query = sigv4::presigned_query(
            &host,
            &path,
            &world.host.region,
            world.current(),
            SystemTime::now(),
            lifetime,
        );
        format!("{}{path}?{query}", self.url(Service::S3))
    }

    /// Everything that must never be seen outside: secret keys, session tokens, tokens of IMDS. All
    /// but foreign ones begin with `PLANTED-`.
    pub fn secrets(&self) -> Vec<String> {
        let world = self.inner.world();
        let of_role =
            world.credentials.iter().flat_map(|c| [&c.secret_access_key, &c.session_token]);
        of_role.chain(world.tokens.iter().map(|token| &token.text)).cloned().collect()
    }

    fn door(&self, service: Service) -> &Arc<Door> {
        &self.doors.iter().find(|(s, _)| *s == service).expect("every service has a door").1
    }

    fn open_after(&self, service: Service, duration: Duration) {
        let door = Arc::downgrade(self.door(service));
        thread::spawn(move || {
            thread::sleep(duration);
            door.upgrade().map(|door| door.open())
        });
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        for (_, door) in &self.doors {
            door.shut();
        }
        for stream in self.inner.streams().values() {
            let _already_closed = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn open(inner: &Arc<Inner>, service: Service, at: SocketAddr) -> io::Result<Arc<Door>> {
    let inner = inner.clone();
    Door::open_at(at, Arc::new(move |stream| inner.serve(service, stream)))
}

impl Inner {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no thread panics while it holds the world")
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        self.streams.lock().expect("no thread panics while it holds the connections")
    }

    fn tls_of(&self, service: Service) -> Option<&Tls> {
        self.tls.as_ref().filter(|_| service != Service::Imds)
    }

    /// One connection, to its end. That it broke is the client's affair: the double has nobody to
    /// tell.
    fn serve(&self, service: Service, stream: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
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
            let place = self.journal.begins(service, number, &request);
            let response = self.answer(service, &request);
            if matches!(response.manner.pace, Pace::Silent) {
                return wait_for_the_client_to_leave(&mut wire);
            }
            thread::sleep(response.manner.wait);
            set_hop_limit(wire.get_ref().socket(), response.manner.hop_limit)?;
            self.journal.ends(place, response.status);
            if !write_response(wire.get_mut(), &response, request.method == "HEAD")? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn answer(&self, service: Service, request: &Request) -> Response {
        let world = &mut *self.world();
        let now = server_clock(world);
        world.answered += 1;
        let mut met = meet_faults(world, service, request);
        let instead = met.iter().find_map(|(effect, _)| instead(*effect, world, request));
        let mut response = instead.unwrap_or_else(|| usual(world, service, request, now));
        for (effect, size) in met.drain(..) {
            response = bent(effect, size, world, request, response);
        }
        if response.header("Date").is_none() {
            response.set("Date", clock::http_date(now));
        }
        response
    }
}

/// The door that serves all of AWS tells STS by its name.
fn service_of(service: Service, request: &Request) -> Service {
    match service {
        Service::S3 if request.host().starts_with("sts.") || request.host().starts_with("sts-") => {
            Service::Sts
        }
        service => service,
    }
}

fn server_clock(world: &World) -> SystemTime {
    let ahead =
        world.faults.iter().find(|active| matches!(active.fault.effect, Effect::ClockAhead));
    SystemTime::now() + ahead.map_or(Duration::ZERO, Active::size)
}

fn meet_faults(world: &mut World, service: Service, request: &Request) -> Vec<(Effect, Duration)> {
    let met = world
        .faults
        .iter_mut()
        .filter(|active| !matches!(active.fault.effect, Effect::Shut(_) | Effect::Wall(_)));
    met.filter_map(|active| {
        active.meets(service, request).then(|| (active.fault.effect, active.size()))
    })
    .collect()
}

fn instead(effect: Effect, world: &mut World, request: &Request) -> Option<Response> {
    match effect {
        Effect::Instead(answer) => answer(world, request),
        _ => None,
    }
}

fn usual(world: &mut World, service: Service, request: &Request, now: SystemTime) -> Response {
    match service {
        Service::Imds => imds::answer(world, request),
        Service::Sts => sts::answer(world, request, now),
        Service::S3 => s3::answer(world, request, now),
        Service::Web => {
            world.pages.get(&request.target).cloned().unwrap_or_else(|| imds::page(404))
        }
    }
}

fn bent(
    effect: Effect,
    size: Duration,
    world: &World,
    request: &Request,
    response: Response,
) -> Response {
    match effect {
        Effect::Spoils(spoil) if response.is_success() => spoil(world, request, response),
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

    #[test]
    fn only_the_answer_to_a_token_put_is_short_lived() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        set_hop_limit(&socket, Some(1)).unwrap();
        assert_eq!(socket.ttl().unwrap(), 1);
        set_hop_limit(&socket, None).unwrap();
        assert_eq!(socket.ttl().unwrap(), 64);
    }

    #[test]
    fn a_cloud_that_ends_lets_go_of_those_who_wait() {
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
