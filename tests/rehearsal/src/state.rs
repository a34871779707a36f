//! The state of the rehearsal cloud: one host, its role, the credentials handed out, buckets,
//! pages. Plain data; no I/O.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::clock;
use crate::fault::Active;
use crate::http::Response;
use crate::secrets::{SecretFault, Versions};
use crate::sigv4::Credentials;

/// How long credentials of a role last when IMDS hands them out (six hours at AWS).
const CREDENTIALS_LAST: Duration = Duration::from_secs(6 * 3600);

/// The host whose boot is rehearsed, as EC2 knows it.
#[derive(Clone, Debug)]
pub struct Host {
    pub instance_id: String,
    pub instance_type: String,
    pub ami_id: String,
    pub account_id: String,
    pub partition: String,
    /// `services/domain`: amazonaws.com, amazonaws.com.cn, …
    pub domain: String,
    pub region: String,
    pub availability_zone: String,
    pub mac: String,
    /// No role, no credentials: every path under `iam/` is absent.
    pub role: Option<String>,
    pub instance_profile: String,
    /// Absent unless `InstanceMetadataTags` is enabled: `None` answers 404, an empty map an empty
    /// list.
    pub tags: Option<BTreeMap<String, String>>,
    pub user_data: Option<String>,
    /// `autoscaling/target-lifecycle-state`; `None` outside an Auto Scaling group.
    pub lifecycle_state: Option<String>,
    /// Hops the answer to a token PUT survives; 1 keeps bridged containers out.
    pub hop_limit: u32,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            instance_id: "i-0ec5b007572a90001".into(),
            instance_type: "m7i.large".into(),
            ami_id: "ami-0ec5b007572a90002".into(),
            account_id: "123456789012".into(),
            partition: "aws".into(),
            domain: "amazonaws.com".into(),
            // Not us-east-1, which a client may assume without asking.
            region: "eu-west-1".into(),
            availability_zone: "eu-west-1b".into(),
            mac: "02:00:00:00:00:01".into(),
            role: Some("ecsInstanceRole".into()),
            instance_profile: "ecsInstanceRole-profile".into(),
            tags: None,
            user_data: None,
            lifecycle_state: None,
            hop_limit: 1,
        }
    }
}

impl Host {
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/INSTANCE`
    pub fn arn(&self) -> String {
        let role = self.role.as_deref().unwrap_or("none");
        format!(
            "arn:{}:sts::{}:assumed-role/{role}/{}",
            self.partition, self.account_id, self.instance_id
        )
    }
}

/// The checksum S3 stored with an object and returns when asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Checksum {
    Crc32,
    Sha256,
    None,
}

/// What an object is made from.
#[derive(Clone, Debug)]
pub struct Object {
    pub bytes: Vec<u8>,
    pub content_type: String,
    pub checksum: Checksum,
    /// Encrypted with a KMS key of the account instead of S3's own.
    pub kms: bool,
}

/// An object as a bucket keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub id: String,
    pub modified: SystemTime,
    pub object: Object,
}

impl From<Vec<u8>> for Object {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            content_type: "binary/octet-stream".into(),
            checksum: Checksum::Crc32,
            kms: false,
        }
    }
}

impl From<&[u8]> for Object {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<&str> for Object {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

/// A bucket and what the host's role may do with it.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub region: String,
    pub owner: String,
    pub versioned: bool,
    /// The role has s3:GetObject (and s3:GetObjectVersion).
    pub readable: bool,
    /// The role has s3:ListBucket: without it a missing key is 403, not 404.
    pub listable: bool,
    /// A bucket policy lets anybody read the objects whose keys begin so, without a signature.
    pub public_prefix: Option<String>,
    /// Oldest version first; the last one is current.
    pub(crate) objects: BTreeMap<String, Vec<Version>>,
}

/// Everything the services answer from.
pub(crate) struct CloudState {
    pub host: Host,
    /// Oldest first; IMDS hands out the last.
    pub credentials: Vec<Credentials>,
    pub minted: u32,
    pub updated: SystemTime,
    pub tokens: Vec<Token>,
    pub buckets: BTreeMap<String, Bucket>,
    /// Access points, as `NAME-ACCOUNT`, and the bucket behind each.
    pub access_points: BTreeMap<String, String>,
    pub parameters: BTreeMap<String, Versions>,
    pub secrets: BTreeMap<String, Versions>,
    pub secret_fault: Option<SecretFault>,
    pub pages: BTreeMap<String, Response>,
    pub faults: Vec<Active>,
    pub answered: u64,
}

/// A session token of IMDSv2.
pub(crate) struct Token {
    pub text: String,
    pub expires: Instant,
}

impl CloudState {
    pub(crate) fn new(host: Host) -> Self {
        let mut state = Self {
            host,
            credentials: Vec::new(),
            minted: 0,
            updated: SystemTime::now(),
            tokens: Vec::new(),
            buckets: BTreeMap::new(),
            access_points: BTreeMap::new(),
            parameters: BTreeMap::new(),
            secrets: BTreeMap::new(),
            secret_fault: None,
            pages: BTreeMap::new(),
            faults: Vec::new(),
            answered: 0,
        };
        state.mint(CREDENTIALS_LAST);
        state
    }

    /// New credentials for the role. Their values are markers: no output of the program may
    /// ever hold one.
    pub(crate) fn mint(&mut self, lifetime: Duration) {
        self.minted += 1;
        let n = self.minted;
        self.updated = SystemTime::now();
        self.credentials.push(Credentials {
            access_key_id: format!("ASIAREHEARSAL{n:07}"),
            secret_access_key: format!("PLANTED-SECRET-ACCESS-KEY/+{n:013}"),
            session_token: format!("PLANTED-SESSION-TOKEN/+{n:040}=="),
            expires: self.updated + lifetime,
        });
    }

    /// The credentials IMDS hands out now.
    pub(crate) fn current(&self) -> &Credentials {
        self.credentials.last().expect("a new state has credentials")
    }

    /// The bucket of that name, made now if it does not exist.
    pub(crate) fn bucket(&mut self, name: &str) -> &mut Bucket {
        let (region, owner) = (self.host.region.clone(), self.host.account_id.clone());
        let new = || Bucket {
            region,
            owner,
            versioned: false,
            readable: true,
            listable: false,
            public_prefix: None,
            objects: BTreeMap::new(),
        };
        self.buckets.entry(name.into()).or_insert_with(new)
    }

    /// Stores an object; returns its version (`null` in a bucket without versions).
    pub(crate) fn put(&mut self, bucket: &str, key: &str, object: Object) -> String {
        let bucket = self.bucket(bucket);
        let versions = bucket.objects.entry(key.into()).or_default();
        let id = match bucket.versioned {
            true => format!("rehearsal.version.{:04}", versions.len() + 1),
            false => "null".into(),
        };
        versions.retain(|version| version.id != id);
        versions.push(Version { id: id.clone(), modified: SystemTime::now(), object });
        id
    }

    /// The body of `iam/security-credentials/ROLE`.
    pub(crate) fn credentials_document(&self) -> serde_json::Value {
        let current = self.current();
        serde_json::json!({
            "Code": "Success",
            "LastUpdated": clock::rfc3339(self.updated),
            "Type": "AWS-HMAC",
            "AccessKeyId": current.access_key_id,
            "SecretAccessKey": current.secret_access_key,
            "Token": current.session_token,
            "Expiration": clock::rfc3339(current.expires),
        })
    }
}
