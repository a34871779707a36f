//! Connections that are kept: at most [`MAX_PER_HOST`] to one host, opened early where it is known
//! that they will be needed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::connect::{Sender, Target, open};
use super::error::Failure;
use super::proxy::Proxies;

/// Thirty layers from one bucket are thirty requests, and not as many handshakes.
const MAX_PER_HOST: usize = 4;

/// The connections of one client, and the way to make more.
pub(super) struct Pool {
    pub(super) proxies: Proxies,
    /// `None` where only plain HTTP is spoken.
    tls: Option<TlsConnector>,
    lanes: Mutex<BTreeMap<Target, Arc<Lane>>>,
    opened: Mutex<Vec<Opened>>,
}

/// A connection, and when it was opened: its name, TCP and TLS together.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// `host:port`.
    pub(crate) to: String,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
}

/// What leads to one host.
struct Lane {
    permits: Arc<Semaphore>,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    idle: Vec<Sender>,
    opening: Vec<JoinHandle<Result<Sender, Failure>>>,
}

/// A connection for one request, from its beginning to the end of its answer. Dropped, it is kept
/// for the next one.
pub(super) struct Lease {
    lane: Arc<Lane>,
    sender: Option<Sender>,
    /// Whether another request has been sent over it.
    pub(super) is_used: bool,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(proxies: Proxies, tls: Option<TlsConnector>) -> Self {
        Pool { proxies, tls, lanes: Mutex::default(), opened: Mutex::default() }
    }

    /// Opens a connection that a request to come will take. What fails here is tried once more by
    /// that request, which then tells.
    pub(super) fn open_early(self: &Arc<Self>, target: Target) {
        let (lane, pool) = (self.lane(&target), self.clone());
        let mut connections = lane.connections();
        if connections.opening.len() < MAX_PER_HOST {
            let opening = tokio::spawn(async move { pool.connect(&target).await });
            connections.opening.push(opening);
        }
    }

    /// Waits for a turn at this host. Not to be counted against the server: the others are ours.
    pub(super) async fn turn(&self, target: &Target) -> Lease {
        let lane = self.lane(target);
        let permit = lane.permits.clone().acquire_owned().await;
        let _permit = permit.expect("the semaphore is never closed");
        Lease { lane, sender: None, is_used: false, _permit }
    }

    /// A connection for that turn: a kept one, one that is being opened, or a new one.
    pub(super) async fn connection<'l>(
        &self,
        target: &Target,
        lease: &'l mut Lease,
    ) -> Result<&'l mut Sender, Failure> {
        lease.is_used = true;
        while let Some(mut idle) = lease.lane.take_idle() {
            // Servers close what is idle; and the end of the last answer may still be on its way.
            if idle.ready().await.is_ok() {
                return Ok(lease.sender.insert(idle));
            }
        }
        let opening = lease.lane.connections().opening.pop();
        if let Some(opening) = opening
            && let Ok(Ok(sender)) = opening.await
        {
            return Ok(lease.sender.insert(sender));
        }
        self.fresh_connection(target, lease).await
    }

    pub(super) async fn fresh_connection<'l>(
        &self,
        target: &Target,
        lease: &'l mut Lease,
    ) -> Result<&'l mut Sender, Failure> {
        lease.is_used = false;
        Ok(lease.sender.insert(self.connect(target).await?))
    }

    async fn connect(&self, target: &Target) -> Result<Sender, Failure> {
        let (began, to) = (Instant::now(), target.authority());
        let proxy = self.proxies.for_target(target);
        let sender = open(target, proxy, self.tls.as_ref()).await?;
        let opened = Opened { to, began, ended: Instant::now() };
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
        Ok(sender)
    }

    /// The connections so far, in the order in which they were there.
    pub(super) fn opened(&self) -> Vec<Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lane(&self, target: &Target) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let permits = Arc::new(Semaphore::new(MAX_PER_HOST));
            Arc::new(Lane { permits, connections: Mutex::default() })
        };
        lanes.entry(target.clone()).or_insert_with(new).clone()
    }
}

impl Lane {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Sender> {
        let mut connections = self.connections();
        connections.idle.retain(|sender| !sender.is_closed());
        connections.idle.pop()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.lane.connections().idle.extend(self.sender.take());
    }
}
