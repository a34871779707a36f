//! The TLS listeners, asked by a rustls client that trusts only the CA it is given.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rehearsal::{Certificate, Cloud, Options, Service};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

fn cloud(certificate: Certificate) -> Cloud {
    Cloud::start(Options { tls: Some(certificate), ..Options::default() })
}

/// The first line of S3's answer under a name, or why there is none.
fn first_line(cloud: &Cloud, ca_pem: &str, name: &str) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream =
        StreamOwned::new(connection, TcpStream::connect(cloud.address(Service::S3)).unwrap());
    stream.write_all(b"GET /b/k HTTP/1.1\r\n\r\n").map_err(|e| e.to_string())?;
    let mut line = [0; 22];
    stream.read_exact(&mut line).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(line.to_vec()).unwrap())
}

#[test]
fn certificate_is_valid_for_loopback_and_aws_names() {
    let cloud = cloud(Certificate::Good);
    assert!(
        cloud.url(Service::S3).starts_with("https://")
            && cloud.url(Service::Imds).starts_with("http://")
    );
    for name in [
        "127.0.0.1",
        "localhost",
        "sts.eu-west-1.amazonaws.com",
        "fleet.s3.eu-west-1.amazonaws.com",
        "api.ecr.us-west-2.amazonaws.com",
        "amazon-ecs-agent.s3.amazonaws.com",
    ] {
        assert_eq!(
            first_line(&cloud, cloud.ca_pem().unwrap(), name).as_deref(),
            Ok("HTTP/1.1 403 Forbidden"),
            "{name}"
        );
    }
}

#[test]
fn wrong_ca_expiry_and_name_are_not_trusted() {
    let (good, expired, wrong) =
        (cloud(Certificate::Good), cloud(Certificate::Expired), cloud(Certificate::WrongName));
    let reason = |cloud: &Cloud, ca: &Cloud| {
        first_line(cloud, ca.ca_pem().unwrap(), "127.0.0.1").unwrap_err()
    };
    assert!(
        reason(&good, &expired).contains("UnknownIssuer")
            || reason(&good, &expired).contains("BadSignature")
    );
    assert!(
        reason(&expired, &expired).to_lowercase().contains("expired"),
        "{}",
        reason(&expired, &expired)
    );
    assert!(reason(&wrong, &wrong).contains("not valid for name"), "{}", reason(&wrong, &wrong));
}
