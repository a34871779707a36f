//! A certificate authority made for one rehearsal, and the server's end of TLS. Gives a CA as PEM;
//! touches no file.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use aws_smithy_types::base64;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Which certificate the TLS listeners show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Certificate {
    /// Good for 127.0.0.1, localhost and AWS's names, once the client trusts the CA.
    Good,
    /// Ran out in 2020.
    Expired,
    /// For `elsewhere.example` only.
    WrongName,
}

/// The server's side of TLS, and the CA that signed it.
pub(crate) struct Tls {
    pub ca_pem: String,
    pub config: Arc<ServerConfig>,
}

/// The regions of the names below: the host's own, where faults move buckets to, and the one that
/// clients fall back on.
const REGIONS: [&str; 3] = ["eu-west-1", "us-west-2", "us-east-1"];
/// What precedes the region in AWS's names: virtual hosts of S3, access points, FIPS, dual stack.
const BEFORE_REGION: [&str; 7] = [
    "*.",
    "*.ecr.",
    "*.s3.",
    "*.s3-fips.",
    "*.s3.dualstack.",
    "*.s3-fips.dualstack.",
    "*.s3-accesspoint.",
];

/// Loopback, and the names of AWS's own under which an unmodified program finds this cloud, through
/// a proxy or a hosts file.
fn names() -> Vec<String> {
    let everywhere = ["127.0.0.1", "::1", "localhost", "*.amazonaws.com", "*.s3.amazonaws.com"]
        .map(str::to_owned);
    let regional = |region: &&str| {
        let dual_stack = format!("*.{region}.api.aws");
        let names = BEFORE_REGION.iter().map(|before| format!("{before}{region}.amazonaws.com"));
        names.chain([dual_stack]).collect::<Vec<_>>()
    };
    everywhere.into_iter().chain(REGIONS.iter().flat_map(regional)).collect()
}

pub(crate) fn make(certificate: Certificate) -> Result<Tls, rcgen::Error> {
    let (ca_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    let ca_params = ca_params();
    let ca = ca_params.self_signed(&ca_key)?;
    let issuer = Issuer::from_params(&ca_params, &ca_key);
    let leaf = leaf_params(certificate)?.signed_by(&key, &issuer)?;
    let config = server_config(leaf.der().clone(), &key);
    Ok(Tls { ca_pem: pem(ca.der()), config: Arc::new(config) })
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "Rehearsal CA, of one test run");
    params
}

fn leaf_params(certificate: Certificate) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = match certificate {
        Certificate::WrongName => vec!["elsewhere.example".into()],
        _ => names(),
    };
    let mut params = CertificateParams::new(names)?;
    if certificate == Certificate::Expired {
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    Ok(params)
}

fn server_config(leaf: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the versions of TLS that rustls does")
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key.into())
        .expect("certificate and key were made for each other just now")
}

/// RFC 7468.
fn pem(der: &[u8]) -> String {
    let text = base64::encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// A connection, with or without TLS around it.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, tls: Option<&Tls>) -> io::Result<Self> {
        let Some(tls) = tls else { return Ok(Self::Plain(stream)) };
        let connection = ServerConnection::new(tls.config.clone()).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
