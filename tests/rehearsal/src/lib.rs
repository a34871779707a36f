//! A cloud on loopback, to rehearse a boot in: instance metadata (version 2), STS and S3 that speak
//! the real protocols, check signatures, tokens and clocks, answer in AWS's own words, and fail on
//! demand in every way of [`FAULTS`].
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
//! cloud    doors, threads, the way of a request     ──►  imds, sts, s3   what AWS would answer
//! door     an address that can be shut and reopened      fault, effect   what goes wrong instead
//! http     HTTP/1.1 with bad manners on demand           sigv4           is this signature one of ours
//! journal  who asked what, when                          world           what there is to know
//! machine  a folder that is the machine                  proxy           counts what passes through
//! ```
//!
//! A thread a connection, blocking I/O: a double that hangs, trickles and cuts is easiest to read
//! that way.

mod clock;
mod cloud;
mod door;
mod effect;
mod fault;
mod http;
mod imds;
mod journal;
mod machine;
mod proxy;
mod s3;
mod sigv4;
mod sts;
mod tls;
mod world;

pub use cloud::{Cloud, Options};
pub use fault::{Extent, FAULTS, Fault, Service};
pub use http::{Length, Manner, Pace, Request, Response};
pub use journal::{Seen, longest_chain};
pub use machine::{Machine, inside_own_namespace, program};
pub use proxy::{Manners, Proxy};
pub use sigv4::Credentials;
pub use tls::Certificate;
pub use world::{Bucket, Checksum, Host, Object};
