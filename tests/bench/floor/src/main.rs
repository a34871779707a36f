//! The smallest client that makes a boot's six requests and installs the object: blocking sockets,
//! the same TLS, signatures by hand, no checks. What `ecs-bootstrap run` is measured beside.
//!
//! `floor BUCKET KEY FILE`, with the CA's file in `AWS_CA_BUNDLE`.

mod sigv4;

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sigv4::Keys;

type Failed = Box<dyn Error + Send + Sync>;

const IMDS: &str = "169.254.169.254";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

fn main() -> Result<(), Failed> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [bucket, key, file] = &args[..] else { return Err("floor BUCKET KEY FILE".into()) };
    let mut imds = TcpStream::connect((IMDS, 80))?;
    let ttl = "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Length: 0\r\n";
    let token = exchange(&mut imds, "PUT /latest/api/token", IMDS, ttl)?;
    let header = format!("X-aws-ec2-metadata-token: {token}\r\n");
    let ((region, _), keys) = thread::scope(|scope| {
        let document = scope.spawn(|| document(&header));
        let role = exchange(&mut imds, &format!("GET {ROLES}"), IMDS, &header)?;
        let path = format!("GET {ROLES}{}", role.trim());
        let keys = exchange(&mut imds, &path, IMDS, &header)?;
        Ok::<_, Failed>((document.join().map_err(|_| "a thread panicked")??, keys))
    })?;
    let keys = Keys {
        id: field(&keys, "AccessKeyId")?,
        secret: field(&keys, "SecretAccessKey")?,
        token: field(&keys, "Token")?,
        region,
    };
    let tls = Arc::new(tls()?);
    let (identity, object) = thread::scope(|scope| {
        let identity = scope.spawn(|| identity(&tls, &keys));
        let object = object(&tls, &keys, bucket, key)?;
        Ok::<_, Failed>((identity.join().map_err(|_| "a thread panicked")??, object))
    })?;
    if !identity.contains("assumed-role/") {
        return Err("the caller is not a role".into());
    }
    install(Path::new(file), object.as_bytes())
}

/// Region and account.
fn document(header: &str) -> Result<(String, String), Failed> {
    let mut imds = TcpStream::connect((IMDS, 80))?;
    let path = "GET /latest/dynamic/instance-identity/document";
    let document = exchange(&mut imds, path, IMDS, header)?;
    Ok((field(&document, "region")?, field(&document, "accountId")?))
}

fn identity(tls: &Arc<ClientConfig>, keys: &Keys) -> Result<String, Failed> {
    const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
    let host = format!("sts.{}.amazonaws.com", keys.region);
    let signed = sigv4::headers(keys, "sts", "POST", &host, "/", BODY);
    let headers = format!(
        "{signed}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
        BODY.len()
    );
    let mut stream = connect(tls, &host)?;
    send(&mut stream, "POST /", &host, &headers, BODY)?;
    answer(&mut stream)
}

fn object(tls: &Arc<ClientConfig>, keys: &Keys, bucket: &str, key: &str) -> Result<String, Failed> {
    let (host, path) = (format!("{bucket}.s3.{}.amazonaws.com", keys.region), format!("/{key}"));
    let headers = sigv4::headers(keys, "s3", "GET", &host, &path, "");
    exchange(&mut connect(tls, &host)?, &format!("GET {path}"), &host, &headers)
}

fn tls() -> Result<ClientConfig, Failed> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(std::env::var("AWS_CA_BUNDLE")?)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn connect(
    tls: &Arc<ClientConfig>,
    host: &str,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Failed> {
    let stream = TcpStream::connect((host, 443))?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(host.to_owned())?;
    Ok(StreamOwned::new(ClientConnection::new(tls.clone(), name)?, stream))
}

fn exchange(
    stream: &mut (impl Read + Write),
    what: &str,
    host: &str,
    headers: &str,
) -> Result<String, Failed> {
    send(stream, what, host, headers, "")?;
    answer(stream)
}

fn send(
    stream: &mut impl Write,
    what: &str,
    host: &str,
    headers: &str,
    body: &str,
) -> Result<(), Failed> {
    let request = format!("{what} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n{body}");
    Ok(stream.write_all(request.as_bytes())?)
}

/// The body of a 200, whose length the server says.
fn answer(stream: &mut impl Read) -> Result<String, Failed> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let read = stream.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            if read == 0 {
                return Err("the answer was cut off".into());
            }
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            return Err(head.lines().next().unwrap_or_default().into());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.ok_or("no Content-Length")?.trim().parse()?;
        if bytes.len() >= end + 4 + length {
            return Ok(String::from_utf8(bytes[end + 4..end + 4 + length].to_vec())?);
        }
        if read == 0 {
            return Err("the answer was cut off".into());
        }
    }
}

/// A field of flat JSON whose value has no escapes.
fn field(json: &str, name: &str) -> Result<String, Failed> {
    let (_, after) = json.split_once(&format!("\"{name}\"")).ok_or(format!("no {name}"))?;
    let value = after.split('"').nth(1).ok_or(format!("no {name}"))?;
    Ok(value.to_owned())
}

fn install(file: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let temporary = file.with_extension("new");
    let mut written = File::create(&temporary)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    Ok(fs::rename(temporary, file)?)
}
