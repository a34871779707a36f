//! Files that are something else altogether: one finding, where a hundred about lines would hide
//! the cause.

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use serde::de::IgnoredAny;

use crate::lines::{Kind, lines};
use crate::readers::is_name;
use crate::variables;

/// What the file is, and what to do about it; `None` for what may be a configuration.
pub(super) fn kind(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const PACKED: [(&[u8], &str); 11] = [
        (b"\x1f\x8b", "gzip data"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x28\xb5\x2f\xfd", "zstd data"),
        (b"\xfd7zXZ", "xz data"),
        (b"BZh", "bzip2 data"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x04\x22\x4d\x18", "lz4 data"),
        (b"\xed\xab\xee\xdb", "a package"),
        (b"%PDF-", "a PDF document"),
        (b"\x89PNG", "a picture"),
        (b"\x7fELF", "a program"),
    ];
    if let Some((_, what)) = PACKED.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some((what, "store the plain text"));
    }
    let text = str::from_utf8(bytes).ok()?.trim_start();
    let first = text.lines().next().unwrap_or_default().trim_end();
    let lines_only = "store the lines NAME=value only";
    Some(match first {
        _ if first.starts_with("<<<<<<<") => ("what git left of a merge", "resolve the conflicts"),
        _ if first.starts_with("<powershell>") => ("user data for Windows", lines_only),
        _ if first.starts_with('<') => ("XML or HTML", ""),
        _ if is_mime(text, first) => ("user data in MIME", lines_only),
        _ if first.starts_with("-----BEGIN ") => ("a key or a certificate", lines_only),
        _ if first.starts_with("#!") && has_other_lines(text) => ("a script", lines_only),
        _ if USER_DATA.iter().any(|start| first.starts_with(start)) && has_other_lines(text) => {
            ("user data for cloud-init", lines_only)
        }
        _ if is_encoded(text) => ("base64", "decode it"),
        _ if sets_something_known(text) => return None,
        _ if first.starts_with('{') || is_json(text) => ("JSON", "write lines NAME=value"),
        _ if is_section(text) || has_dotted_keys(text) => {
            ("TOML or an ini file", "write lines NAME=value")
        }
        _ if is_yaml(text) => ("YAML", "write lines NAME=value"),
        _ => return None,
    })
}

/// How user data begins that cloud-init takes, MIME and scripts aside.
const USER_DATA: [&str; 4] = ["#cloud-", "#include", "#part-handler", "## template:"];

/// A head of MIME, or the boundary before one.
fn is_mime(text: &str, first: &str) -> bool {
    let is_head = |line: &str| {
        let lower = line.to_ascii_lowercase();
        lower.starts_with("content-type:") || lower.starts_with("mime-version:")
    };
    is_head(first) || first.starts_with("--") && text.lines().skip(1).take(3).any(is_head)
}

/// Lines that are neither comments nor settings.
fn has_other_lines(text: &str) -> bool {
    lines(text.as_bytes()).any(|line| match line.kind {
        Kind::Blank | Kind::Comment => false,
        Kind::Assignment(name, _) => !is_name(name),
        Kind::Other => true,
    })
}

fn sets_something_known(text: &str) -> bool {
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
    let is_known = |name: String| {
        let name = name.strip_prefix("export ").unwrap_or(&name).trim();
        variables::find(&name.to_ascii_uppercase()).is_some()
    };
    text.lines().filter_map(name).any(is_known)
}

/// Base64 of lines with `=`, or of what is something else itself.
fn is_encoded(text: &str) -> bool {
    let packed: String = text.split_ascii_whitespace().collect();
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    packed.len() >= 16
        && GeneralPurpose::new(&alphabet::STANDARD, config)
            .decode(&packed)
            .is_ok_and(|plain| plain.contains(&b'=') && plain.is_ascii() || kind(&plain).is_some())
}

fn is_json(text: &str) -> bool {
    text.starts_with(['[', '"']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Lines with something in them.
fn content(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The first line is `[section]`.
fn is_section(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-[] \"".contains(c);
    content(text).next().is_some_and(|line| {
        line.starts_with('[') && line.ends_with(']') && line.chars().all(is_plain)
    })
}

/// Every line sets a key in lower case with dots in it, as in `settings.ecs.cluster = "web"`.
fn has_dotted_keys(text: &str) -> bool {
    let is_key = |key: &str| {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
        key.contains('.') && key.chars().all(is_plain)
    };
    content(text).next().is_some()
        && content(text).all(|line| line.split_once('=').is_some_and(|(key, _)| is_key(key.trim())))
}

/// Two lines or more, all of them items, or keys with a colon.
fn is_yaml(text: &str) -> bool {
    let is_key = |line: &str| {
        let key = line.split_once(':').filter(|(_, rest)| rest.is_empty() || rest.starts_with(' '));
        key.is_some_and(|(key, _)| {
            key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        })
    };
    let is_line =
        |line: &str| ["---", "..."].contains(&line) || line.starts_with("- ") || is_key(line);
    content(text).count() > 1 && content(text).all(is_line)
}
