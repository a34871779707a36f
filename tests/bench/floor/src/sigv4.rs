//! AWS's Signature Version 4, as much as a request without a query needs.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::{digest, hmac};

pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) region: String,
}

/// The headers of a signed request, each with its line's end.
pub(crate) fn headers(
    keys: &Keys,
    service: &str,
    method: &str,
    host: &str,
    path: &str,
    body: &str,
) -> String {
    let (time, token, payload) = (now(), &keys.token, sha256(body));
    let date = &time[..8];
    let names = "host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
    let request = format!(
        "{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{payload}\nx-amz-date:{time}\nx-amz-security-token:{token}\n\n{names}\n{payload}"
    );
    let scope = format!("{date}/{}/{service}/aws4_request", keys.region);
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(&request));
    let secret = format!("AWS4{}", keys.secret).into_bytes();
    let key = [date, &keys.region, service, "aws4_request"]
        .into_iter()
        .fold(secret, |key, part| sign(&key, part));
    let signature = hex(&sign(&key, &to_sign));
    format!(
        "x-amz-date: {time}\r\nx-amz-security-token: {token}\r\nx-amz-content-sha256: {payload}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}\r\n",
        keys.id
    )
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `YYYYMMDDTHHMMSSZ`, by Howard Hinnant's `civil_from_days`.
fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, of_day) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}
