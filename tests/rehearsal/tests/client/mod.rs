//! A client as small as its server: one request a connection, and signatures made by the SDK's own
//! signer, so that the double's check is tested against independent code.

#![allow(dead_code, reason = "each test file uses the part it needs")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials as Key;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use rehearsal::{Cloud, Service};
use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// The text of an XML element.
    pub(crate) fn xml(&self, element: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("<{element}>"))?;
        Some(rest.split_once(&format!("</{element}>"))?.0.to_owned())
    }
}

/// One request over a connection of its own.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    let has_host = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    if !has_host {
        text.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes()).unwrap();
    read_answer(&mut stream, method == "HEAD")
}

fn read_answer(stream: &mut TcpStream, head_only: bool) -> Answer {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: Vec::new() };
    let length: u64 = if head_only {
        0
    } else {
        answer.header("content-length").map_or(u64::MAX, |l| l.parse().unwrap())
    };
    let length = if status == 304 { 0 } else { length };
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body).unwrap();
    answer.body = body;
    answer
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(mut fact: impl FnMut() -> bool) {
    let began = Instant::now();
    while !fact() {
        assert!(began.elapsed() < Duration::from_secs(30), "it did not happen within 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A token of IMDSv2.
pub(crate) fn token(cloud: &Cloud) -> String {
    let answer = ask(
        cloud.address(Service::Imds),
        "PUT",
        "/latest/api/token",
        &[("X-aws-ec2-metadata-token-ttl-seconds", "60")],
        "",
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

/// An item of IMDS, with a new token.
pub(crate) fn item(cloud: &Cloud, path: &str) -> Answer {
    ask(
        cloud.address(Service::Imds),
        "GET",
        &format!("/latest/{path}"),
        &[("X-aws-ec2-metadata-token", &token(cloud))],
        "",
    )
}

/// The role's credentials as IMDS hands them out.
pub(crate) fn key(cloud: &Cloud) -> Key {
    let role = item(cloud, "meta-data/iam/security-credentials/").text();
    let document =
        item(cloud, &format!("meta-data/iam/security-credentials/{}", role.trim())).text();
    let document: Value = serde_json::from_str(&document).unwrap();
    let text = |name: &str| document[name].as_str().unwrap().to_owned();
    Key::new(text("AccessKeyId"), text("SecretAccessKey"), Some(text("Token")), None, "test")
}

/// How a request differs from a good one.
pub(crate) struct Signed<'a> {
    pub service: Service,
    pub method: &'a str,
    pub target: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub region: &'a str,
    pub key: Key,
    pub time: SystemTime,
}

impl<'a> Signed<'a> {
    pub(crate) fn s3(cloud: &Cloud, target: &'a str) -> Self {
        Self {
            service: Service::S3,
            method: "GET",
            target,
            headers: &[],
            region: "eu-west-1",
            key: key(cloud),
            time: SystemTime::now(),
        }
    }

    pub(crate) fn sts(cloud: &Cloud) -> Self {
        Self { service: Service::Sts, method: "POST", target: "/", ..Self::s3(cloud, "/") }
    }

    pub(crate) fn send(&self, cloud: &Cloud) -> Answer {
        // ECS and ECR are told by their names at the listener of S3.
        let by_name = self.service == Service::Ecs;
        let address = cloud.address(if by_name { Service::S3 } else { self.service });
        let host = self
            .headers
            .iter()
            .find(|(name, _)| *name == "host")
            .map_or(address.to_string(), |(_, host)| (*host).to_owned());
        let body = if self.service == Service::Sts {
            "Action=GetCallerIdentity&Version=2011-06-15"
        } else {
            ""
        };
        let mut headers: Vec<(String, String)> =
            self.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        headers.retain(|(name, _)| name != "host");
        headers.push(("host".into(), host.clone()));
        headers.extend(self.signature(&format!("http://{host}{}", self.target), &headers, body));
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        ask(address, self.method, self.target, &headers, body)
    }

    fn signature(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> Vec<(String, String)> {
        let s3 = self.service == Service::S3;
        let mut settings = SigningSettings::default();
        if s3 {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let identity = self.key.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(match self.service {
                Service::S3 => "s3",
                Service::Ecs => "ecs",
                _ => "sts",
            })
            .time(self.time)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let headers = headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let request =
            SignableRequest::new(self.method, url, headers, SignableBody::Bytes(body.as_bytes()))
                .unwrap();
        let (instructions, _) = sign(request, &params).unwrap().into_parts();
        instructions.headers().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }
}
