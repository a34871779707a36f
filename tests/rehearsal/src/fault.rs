//! The named faults: one table of what can go wrong, where, how the cloud then behaves, and what a
//! user sees of it.

use std::time::{Duration, Instant};

use crate::effect;
use crate::hostile::HOSTILE;
use crate::http::{Request, Response};
use crate::imds::TOKEN_PATH;
use crate::state::CloudState;

/// The services of the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Imds,
    Sts,
    S3,
    /// ECS and ECR, reached by their names alone.
    Ecs,
    /// Parameter Store and Secrets Manager, behind one address.
    Secrets,
    /// Any web server, for `https` sources.
    Web,
}

/// How long a fault lasts, or how large it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// From the first request that meets it. Faults of a listener (`late-imds`) count from when
    /// they are set.
    For(Duration),
    /// So many requests meet it.
    Times(u32),
    /// All requests meet it but the first ones, so many.
    After(u32),
    /// As long as the cloud runs, and by so much: how slow, how far off.
    By(Duration),
    Always,
}

impl From<Duration> for Extent {
    fn from(duration: Duration) -> Self {
        Self::For(duration)
    }
}

impl From<u32> for Extent {
    fn from(times: u32) -> Self {
        Self::Times(times)
    }
}

/// One row of the table.
pub struct Fault {
    pub name: &'static str,
    /// What the cloud does.
    pub does: &'static str,
    /// What a user of `ecs-bootstrap run` sees.
    pub sees: &'static str,
    /// The exit status of `ecs-bootstrap run` for this cause, with the extent below.
    pub exit_status: i32,
    /// Used unless a test sets another.
    pub extent: Extent,
    pub(crate) at: At,
    pub(crate) effect: Effect,
}

/// Which requests a fault meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    All,
    Imds,
    Token,
    /// The role's name and its credentials.
    Role,
    /// The credentials alone.
    Credentials,
    /// The instance identity document.
    Document,
    Sts,
    S3,
}

/// What a fault does to a request, or to a whole service.
#[derive(Clone, Copy)]
pub(crate) enum Effect {
    /// This answer instead of any other. `None`: the usual one, in a state that may have changed.
    Instead(fn(&mut CloudState, &Request) -> Option<Response>),
    /// Changes an answer that would have been a success.
    Spoils(fn(&CloudState, &Request, Response) -> Response),
    /// Changes any answer, by the fault's extent.
    Bends(fn(Response, Duration) -> Response),
    /// The server's clock is ahead.
    ClockAhead,
    /// Connections are refused.
    Refuse(Service),
    /// Connections are dropped.
    Blackhole(Service),
}

/// A fault that is set, and what it has met so far.
pub(crate) struct Active {
    pub fault: &'static Fault,
    pub extent: Extent,
    met: u32,
    since: Option<Instant>,
}

impl Active {
    pub(crate) fn new(fault: &'static Fault, extent: Extent) -> Self {
        Self { fault, extent, met: 0, since: None }
    }

    /// Whether this request still meets the fault; counts it if so.
    pub(crate) fn meets(&mut self, service: Service, request: &Request) -> bool {
        if !self.fault.at.covers(service, request) {
            return false;
        }
        self.met += 1;
        match self.extent {
            Extent::For(duration) => {
                self.since.get_or_insert_with(Instant::now).elapsed() < duration
            }
            Extent::Times(times) => self.met <= times,
            Extent::After(times) => self.met > times,
            Extent::By(_) | Extent::Always => true,
        }
    }

    pub(crate) fn size(&self) -> Duration {
        match self.extent {
            Extent::By(size) => size,
            _ => Duration::ZERO,
        }
    }
}

impl At {
    fn covers(self, service: Service, request: &Request) -> bool {
        const ROLE: &str = "/meta-data/iam/security-credentials";
        let below_role = || request.path().split_once(ROLE).map(|(_, rest)| rest.trim_matches('/'));
        let token = request.path() == TOKEN_PATH;
        match self {
            Self::All => true,
            Self::Imds => service == Service::Imds,
            Self::Token => service == Service::Imds && token,
            Self::Role => service == Service::Imds && below_role().is_some(),
            Self::Credentials => {
                service == Service::Imds && below_role().is_some_and(|role| !role.is_empty())
            }
            Self::Document => request.path().ends_with("/instance-identity/document"),
            Self::Sts => service == Service::Sts,
            Self::S3 => service == Service::S3,
        }
    }
}

/// The row of that name.
///
/// # Panics
/// When no fault has that name: such a test would test nothing.
pub(crate) fn named(name: &str) -> &'static Fault {
    let all = || FAULTS.iter().chain(HOSTILE);
    let names = || all().map(|fault| fault.name).collect::<Vec<_>>().join(", ");
    all()
        .find(|fault| fault.name == name)
        .unwrap_or_else(|| panic!("no fault is called {name}; there are: {}", names()))
}

const fn seconds(seconds: u64) -> Extent {
    Extent::For(Duration::from_secs(seconds))
}

const fn by_ms(milliseconds: u64) -> Extent {
    Extent::By(Duration::from_millis(milliseconds))
}

macro_rules! faults {
    ($($name:literal $at:ident $extent:expr, $effect:expr, $status:literal; $does:literal; $sees:literal;)*) => {
        &[$(Fault { name: $name, does: $does, sees: $sees, exit_status: $status, extent: $extent, at: $crate::fault::At::$at, effect: $effect }),*]
    };
}
pub(crate) use faults;

use Effect::{Bends, Blackhole, ClockAhead, Instead, Refuse, Spoils};
use Extent::{Always, Times};

/// Every fault there is, in the order of the boot.
#[rustfmt::skip]
pub const FAULTS: &[Fault] = faults! {
    "late-imds" Imds seconds(3), Refuse(Service::Imds), 0;
        "IMDS refuses connections for 3 s";
        "a boot that takes 3 s longer";
    "imds-refused" Imds Always, Refuse(Service::Imds), 10;
        "IMDS refuses every connection";
        "metadata unreachable, with the address and the reason";
    "imds-blackhole" Imds Always, Blackhole(Service::Imds), 10;
        "IMDS drops every connection, as a firewall does";
        "metadata unreachable: connecting timed out";
    "imds-off" Imds Always, Instead(effect::imds_off), 10;
        "IMDS answers 403 to everything, as when its endpoint is disabled";
        "metadata is switched off for this instance, at once and without retries";
    "imds-v1" Imds Always, Instead(effect::version_1), 0;
        "IMDS answers requests without a token as well: version 1 is still allowed";
        "nothing: version 1 is never used";
    "imds-proxy-html" Imds Always, Instead(effect::proxy_html), 10;
        "something that is not IMDS answers 200 with a web page";
        "what answers is not IMDS: a proxy or captive portal";
    "hop-limit" Token Always, Instead(effect::hang), 10;
        "the answer to a token PUT never arrives, a GET without token is answered 401 at once";
        "the hop limit is too low for where this runs";
    "token-503" Token seconds(3), Instead(effect::imds_503), 0;
        "token requests are answered 503 for 3 s";
        "a boot that takes 3 s longer";
    "token-400" Token Always, Instead(effect::imds_400), 10;
        "token requests are answered 400";
        "IMDS refuses the request: final, no fall-back to version 1";
    "slow-imds" Imds by_ms(400), Bends(effect::late), 0;
        "each answer of IMDS takes 400 ms more";
        "a boot that takes a second or two longer";
    "token-revoked" Credentials Times(1), Instead(effect::token_revoked), 0;
        "the token is refused (401) when the credentials are asked for; a new one is good";
        "nothing: one token more";
    "no-role" Role Always, Instead(effect::imds_404), 11;
        "no role is attached: everything under iam/security-credentials is 404, for ever";
        "no role attached, or not delivered before the deadline";
    "no-role-empty" Role Always, Instead(effect::empty_list), 11;
        "the list of roles is an empty 200";
        "no role attached";
    "role-hang" Role Always, Instead(effect::hang), 10;
        "the role is asked for and never answered";
        "metadata unreachable: no answer within the timeout";
    "role-404" Role seconds(3), Instead(effect::imds_404), 0;
        "the role is 404 for 3 s, then there, as on a fresh instance";
        "a boot that takes 3 s longer";
    "role-renamed" Credentials Times(1), Instead(effect::role_renamed), 0;
        "another role is attached between its listing and its credentials";
        "nothing: the list is read again";
    "role-code-failed" Credentials Always, Instead(effect::code_failed), 11;
        "the credentials are a 200 with Code AssumeRoleUnauthorizedAccess and a message";
        "EC2 cannot assume the role, with AWS's code and message";
    "role-expired" Credentials Always, Instead(effect::expired_credentials), 11;
        "the credentials ran out an hour ago";
        "expired credentials, since when, and what to look at";
    "truncated-json" Credentials Always, Spoils(effect::half_the_body), 10;
        "the credentials end in the middle";
        "what answers does not speak as IMDS does; the credentials are not shown";
    "sts-wrong-account" Sts Always, Spoils(effect::wrong_account), 12;
        "STS reports that the credentials belong to account 999999999999";
        "identity mismatch: both accounts named";
    "sts-wrong-instance" Sts Always, Spoils(effect::wrong_instance), 12;
        "STS reports that the session is another instance's";
        "identity mismatch: both instances named";
    "sts-denied" Sts Always, Instead(effect::sts_denied), 12;
        "a VPC endpoint policy denies GetCallerIdentity";
        "STS refused, with its message";
    "sts-503" Sts Times(2), Instead(effect::sts_503), 0;
        "STS is unavailable for two requests";
        "nothing but a little time";
    "sts-refused" Sts Always, Refuse(Service::Sts), 0;
        "STS refuses every connection";
        "a boot that takes 2 s longer, and a warning: S3 accepted the credentials";
    "sts-blackhole" Sts Always, Blackhole(Service::Sts), 0;
        "STS drops every connection, as in a VPC without an endpoint for it";
        "the same";
    "s3-403" S3 Always, Spoils(effect::s3_403), 20;
        "the role has no s3:GetObject for this object";
        "access denied, and the smallest policy statement that would have allowed it";
    "s3-404-key" S3 Always, Spoils(effect::s3_404_key), 21;
        "the key does not exist, and the role may list, so S3 answers 404";
        "not found: the key";
    "s3-404-bucket" S3 Always, Spoils(effect::s3_404_bucket), 21;
        "the bucket does not exist";
        "not found: the bucket";
    "s3-404-version" S3 Always, Spoils(effect::s3_404_version), 21;
        "the version does not exist";
        "not found: the version";
    "s3-wrong-owner" S3 Always, Instead(effect::s3_wrong_owner), 23;
        "the bucket belongs to another account than expected";
        "integrity: the bucket is not the expected account's";
    "s3-wrong-region" S3 Always, Instead(effect::s3_wrong_region_301), 0;
        "the bucket is in us-west-2: 301 PermanentRedirect to whoever signs for another region";
        "nothing: one round trip more";
    "s3-wrong-region-400" S3 Always, Instead(effect::s3_wrong_region_400), 0;
        "the same, answered 400 AuthorizationHeaderMalformed";
        "nothing: one round trip more";
    "s3-redirect-loop" S3 Always, Instead(effect::s3_redirect_loop), 22;
        "301 to another region, whichever region asks";
        "S3 sends us round in circles";
    "s3-kms-denied" S3 Always, Spoils(effect::kms_denied), 20;
        "the role may read the object and may not decrypt it";
        "access denied by KMS, and the policy statement for kms:Decrypt";
    "s3-kms-disabled" S3 Always, Spoils(effect::kms_disabled), 20;
        "the KMS key of the object is disabled";
        "the key is disabled";
    "s3-slow-body" S3 by_ms(100), Bends(effect::slow_body), 0;
        "the body comes in small pieces, 100 ms apart";
        "a boot that takes longer";
    "s3-cut-body" S3 Always, Spoils(effect::cut_body), 22;
        "the connection is closed after half of the body, every time";
        "source unreachable: the answer was cut off";
    "s3-bad-checksum" S3 Always, Spoils(effect::bad_checksum), 23;
        "the bytes are not those of the checksum";
        "integrity: the checksum differs";
    "s3-oversize" S3 Always, Spoils(effect::oversize), 23;
        "the object has 1 MiB and one byte";
        "integrity: larger than 1 MiB";
    "s3-oversize-unsaid" S3 Always, Spoils(effect::oversize_unsaid), 23;
        "the same, without Content-Length";
        "integrity: larger than 1 MiB";
    "s3-oversize-lie" S3 Always, Spoils(effect::oversize_lie), 23;
        "Content-Length claims a terabyte";
        "integrity: larger than 1 MiB";
    "s3-throttle" S3 Times(2), Instead(effect::slow_down), 0;
        "503 SlowDown, twice";
        "nothing but a little time";
    "s3-throttle-forever" S3 Always, Instead(effect::slow_down), 22;
        "503 SlowDown, every time";
        "source unreachable: S3 throttles";
    "s3-500" S3 Always, Instead(effect::s3_500), 22;
        "500 InternalError, every time";
        "source unreachable: S3 fails";
    "s3-hang" S3 Always, Instead(effect::hang), 22;
        "S3 accepts the request and never answers";
        "source unreachable: the deadline passed";
    "s3-refused" S3 Always, Refuse(Service::S3), 22;
        "S3 refuses every connection";
        "source unreachable: connection refused";
    "s3-html" S3 Always, Spoils(effect::html_body), 23;
        "the object is a web page";
        "integrity: this is HTML, no configuration";
    "s3-utf16" S3 Always, Spoils(effect::utf16_body), 23;
        "the object was saved as UTF-16, as some Windows editors do";
        "integrity: this is UTF-16";
    "clock-skew" All Extent::By(Duration::from_secs(3600)), ClockAhead, 0;
        "the servers' clocks are an hour ahead of ours";
        "nothing, or the seconds by which our clock is behind";
    "delay" All by_ms(50), Bends(effect::late), 0;
        "every answer takes 50 ms";
        "a boot as long as its longest chain of requests";
};
