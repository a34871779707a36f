//! The cloud itself: its listeners, what tests set in it, and what it saw. Ends with the value.

mod connection;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::fault::{self, Active, Effect, Extent, Service};
use crate::http::Response;
use crate::journal::{Journal, Seen};
use crate::listener::Listener;
use crate::proxy::Proxy;
use crate::rendezvous::Rendezvous;
use crate::secrets::SecretFault;
use crate::sigv4::{self, Credentials};
use crate::state::{Bucket, CloudState, Host, Object};
use crate::tls::{self, Certificate, Tls};

/// How a cloud starts; the default suits most tests.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub host: Host,
    /// IMDS on `[::1]` instead of 127.0.0.1.
    pub imds_v6: bool,
    /// IMDS at these very addresses instead: only inside a network namespace of the caller's own.
    pub imds_at: Vec<SocketAddr>,
    /// All services but IMDS speak TLS.
    pub tls: Option<Certificate>,
    /// One more listener, at this very address, that tells AWS's services by the `Host` header:
    /// for AWS's own names in a network namespace.
    pub aws_at: Option<SocketAddr>,
    /// How much longer a connection with TLS takes than one without, as to servers far away.
    pub far: Duration,
}

/// Called with each request before its answer leaves.
pub type Observer = Box<dyn Fn(&Seen) + Send + Sync>;

/// A running cloud.
pub struct Cloud {
    inner: Arc<Inner>,
    listeners: Vec<(Service, Arc<Listener>)>,
}

struct Inner {
    state: Mutex<CloudState>,
    journal: Journal,
    rendezvous: Rendezvous,
    observer: Observer,
    tls: Option<Tls>,
    connections: AtomicU64,
    far: Duration,
    /// To end those that still wait for an answer when the cloud ends.
    streams: Mutex<BTreeMap<u64, TcpStream>>,
}

impl Cloud {
    /// Starts a cloud whose host has a role and whose S3 is empty.
    ///
    /// # Panics
    /// When loopback cannot be listened on: no test can go on from there.
    pub fn start(options: Options) -> Self {
        let unobserved = Box::new(|_: &Seen| ());
        Self::try_start(options, unobserved).expect("the rehearsal cloud listens on loopback")
    }

    /// The same for a caller who observes the requests and names addresses that may be taken.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub fn try_start(options: Options, observer: Observer) -> io::Result<Self> {
        let tls = options.tls.map(tls::make).transpose().map_err(io::Error::other)?;
        let mut addresses: Vec<_> = imds_addresses(&options);
        addresses.extend(
            [Service::Sts, Service::S3, Service::Secrets, Service::Web]
                .map(|service| (service, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))),
        );
        addresses.extend(options.aws_at.map(|at| (Service::S3, at)));
        let inner = Arc::new(Inner {
            state: Mutex::new(CloudState::new(options.host)),
            journal: Journal::default(),
            rendezvous: Rendezvous::default(),
            observer,
            tls,
            connections: AtomicU64::new(0),
            far: options.far,
            streams: Mutex::default(),
        });
        let listen = |(service, at)| {
            let inner = inner.clone();
            let serve = Arc::new(move |stream| inner.serve(service, stream));
            Ok((service, Listener::bind(at, serve)?))
        };
        let listeners = addresses.into_iter().map(listen).collect::<io::Result<_>>()?;
        Ok(Self { inner, listeners })
    }

    /// The environment in which the program finds this cloud and nothing else. `AWS_REGION` is not
    /// in it: IMDS knows.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", Service::Imds),
            ("AWS_ENDPOINT_URL_STS", Service::Sts),
            ("AWS_ENDPOINT_URL_S3", Service::S3),
            ("AWS_ENDPOINT_URL_SSM", Service::Secrets),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", Service::Secrets),
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
        self.listener(service).address
    }

    /// The CA behind the TLS listeners, as PEM, for `AWS_CA_BUNDLE`; `None` without TLS.
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
        self.inner.state().faults.push(Active::new(fault, extent));
        let service = match fault.effect {
            Effect::Refuse(service) => service,
            Effect::Blackhole(service) => service,
            _ => return,
        };
        for listener in self.listeners_of(service) {
            match fault.effect {
                Effect::Blackhole(_) => listener.blackhole().expect(REOPENS),
                _ => listener.close(),
            }
        }
        if let Extent::For(duration) = extent {
            self.open_after(service, duration);
        }
    }

    /// Sets a fault with the extent that the table gives it.
    pub fn usual_fault(&self, name: &str) {
        self.fault(name, fault::named(name).extent);
    }

    /// Ends every fault; closed listeners open again.
    pub fn clear_faults(&self) {
        self.inner.state().faults.clear();
        for (_, listener) in &self.listeners {
            listener.open().expect(REOPENS);
        }
    }

    /// Every request so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Seen> {
        self.inner.journal.all()
    }

    /// Holds the answers to these requests, each a service and a path, until all of them have come:
    /// a client that sends one only after the answer to another fails
    /// [`Cloud::were_concurrent`].
    pub fn expect_concurrent(&self, requests: &[(Service, &str)]) {
        self.inner.rendezvous.expect(requests);
    }

    /// Whether all expected requests came, each while the others were under way.
    pub fn were_concurrent(&self) -> bool {
        self.inner.rendezvous.succeeded()
    }

    /// Puts an object into a bucket of the host's own account and region, made if needed; returns
    /// its version id.
    pub fn set_object(&self, bucket: &str, key: &str, object: impl Into<Object>) -> String {
        self.inner.state().put(bucket, key, object.into())
    }

    /// Makes the bucket if needed, and changes it.
    pub fn set_bucket(&self, name: &str, change: impl FnOnce(&mut Bucket)) {
        change(self.inner.state().bucket(name));
    }

    /// A new version of a parameter (SecureString).
    pub fn set_parameter(&self, path: &str, value: &str) {
        self.inner.state().parameters.entry(path.into()).or_default().push(value.into());
    }

    /// A new version of a secret.
    pub fn set_secret(&self, name: &str, value: &str) {
        self.inner.state().secrets.entry(name.into()).or_default().push(value.into());
    }

    /// What Parameter Store and Secrets Manager do wrong from now on; `None`: nothing.
    pub fn set_secret_fault(&self, fault: Option<SecretFault>) {
        self.inner.state().secret_fault = fault;
    }

    /// An access point of the host's account, in front of a bucket.
    pub fn set_access_point(&self, name: &str, bucket: &str) {
        let mut state = self.inner.state();
        let alias = format!("{name}-{}", state.host.account_id);
        state.access_points.insert(alias, bucket.into());
    }

    /// What the web server answers at a path (with query, if there is one): for `https` sources.
    pub fn set_page(&self, path: &str, response: Response) {
        self.inner.state().pages.insert(path.into(), response);
    }

    /// Changes the host, for instance its tags.
    pub fn set_host(&self, change: impl FnOnce(&mut Host)) {
        change(&mut self.inner.state().host);
    }

    /// IMDS hands out these from now on: credentials that another server (a real one) minted and
    /// will check.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.inner.state().credentials.push(credentials);
    }

    /// New credentials for the role, good for so long; the old ones stay good until they expire.
    pub fn renew_credentials(&self, lifetime: Duration) {
        self.inner.state().mint(lifetime);
    }

    /// A presigned URL of an object, path-style, signed by the role.
    pub fn presigned(&self, bucket: &str, key: &str, lifetime: Duration) -> String {
        let path = format!("/{bucket}/{key}");
        let state = self.inner.state();
        let host = self.address(Service::S3).to_string();
        let query = sigv4::presigned_query(
            &host,
            &path,
            &state.host.region,
            state.current(),
            SystemTime::now(),
            lifetime,
        );
        format!("{}{path}?{query}", self.url(Service::S3))
    }

    /// Everything that must never be seen outside: secret keys, session tokens, tokens of IMDS. All
    /// but foreign ones begin with `PLANTED-`.
    pub fn secrets(&self) -> Vec<String> {
        let state = self.inner.state();
        let of_role =
            state.credentials.iter().flat_map(|c| [&c.secret_access_key, &c.session_token]);
        of_role.chain(state.tokens.iter().map(|token| &token.text)).cloned().collect()
    }

    fn listener(&self, service: Service) -> &Arc<Listener> {
        self.listeners_of(service).next().expect("every service that is asked for has a listener")
    }

    fn listeners_of(&self, service: Service) -> impl Iterator<Item = &Arc<Listener>> {
        self.listeners.iter().filter(move |(of, _)| *of == service).map(|(_, listener)| listener)
    }

    fn open_after(&self, service: Service, duration: Duration) {
        let listeners: Vec<_> = self.listeners_of(service).map(Arc::downgrade).collect();
        thread::spawn(move || {
            thread::sleep(duration);
            for listener in listeners.iter().filter_map(std::sync::Weak::upgrade) {
                listener.open().expect(REOPENS);
            }
        });
    }
}

const REOPENS: &str = "the address is kept by a socket of this listener's own";

fn imds_addresses(options: &Options) -> Vec<(Service, SocketAddr)> {
    let loopback = match options.imds_v6 {
        true => SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        false => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    let addresses = if options.imds_at.is_empty() { &[loopback][..] } else { &options.imds_at };
    addresses.iter().map(|at| (Service::Imds, *at)).collect()
}

impl Drop for Cloud {
    fn drop(&mut self) {
        for (_, listener) in &self.listeners {
            listener.close();
        }
        for stream in self.inner.streams().values() {
            let _already_closed = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, CloudState> {
        self.state.lock().expect("no thread panics while it holds the state")
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        self.streams.lock().expect("no thread panics while it holds the connections")
    }

    fn tls_of(&self, service: Service) -> Option<&Tls> {
        self.tls.as_ref().filter(|_| service != Service::Imds)
    }
}
