//! A cloud on loopback, to rehearse a boot in, as one rehearses an emergency: the real program on a
//! pretended host, before the day it matters. Hence the name. Instance metadata (version 2), STS
//! and S3 speak the real protocols, check signatures, tokens and clocks, answer in AWS's own words,
//! and fail on demand in every way of [`FAULTS`]. It is the double of IMDS for every layer of the
//! tests: Rust tests hold a [`Cloud`], all others start `rehearsal --serve`.
//!
//! ```
//! use rehearsal::{Cloud, Options, Service};
//! use std::time::Duration;
//!
//! let cloud = Cloud::start(Options::default());
//! cloud.set_object("fleet-config", "ecs.config", "ECS_CLUSTER=prod\n");
//! cloud.fault("token-503", Duration::from_secs(2));
//! assert!(cloud.url(Service::Imds).starts_with("http://127.0.0.1:"));
//! ```
//!
//! ```text
//! cloud       listeners, threads, the way of a request ──►  imds, sts, s3, ecs, secrets  what AWS answers
//! listener    an address that can be closed and reopened    fault, effect       what goes wrong
//! http        HTTP/1.1 with bad manners on demand           sigv4               checks signatures
//! journal     which requests came, when                     state               what the cloud knows
//! machine     a folder that is the machine                  proxy               counts what passes
//! rendezvous  holds answers until all expected requests have come
//! ```
//!
//! A thread a connection, blocking I/O: a double that hangs, trickles and cuts is easiest to read
//! that way.

mod clock;
mod cloud;
mod ecs;
mod effect;
mod fault;
mod hostile;
mod http;
mod imds;
mod journal;
mod listener;
mod machine;
mod proxy;
mod rendezvous;
mod s3;
mod secrets;
mod sigv4;
mod state;
mod sts;
mod tls;

pub use cloud::{Cloud, Observer, Options};
pub use fault::{Extent, FAULTS, Fault, Service};
pub use hostile::HOSTILE;
pub use http::{Length, Manner, Pace, Request, Response};
pub use journal::{Seen, longest_chain};
pub use machine::{Machine, inside_own_namespace, program};
pub use proxy::{Manners, Proxy};
pub use rendezvous::CONNECTION;
pub use secrets::SecretFault;
pub use sigv4::Credentials;
pub use state::{Bucket, Checksum, Host, Object};
pub use tls::Certificate;
