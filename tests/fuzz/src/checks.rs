//! What must hold for every input, one check a fuzz target. `tests/corpus.rs` replays the corpora
//! through them.

use std::collections::BTreeSet;

use ecs_config::expand::{expand as expanded, placeholders};
use ecs_config::lint::{self, Context, File, Finding, fix};
use ecs_config::merge::{Layer, Merged, Present, merge as merged};
use ecs_config::proxy::{self, METADATA};
use ecs_config::readers::{Generation, Reader, Reading};

pub fn systemd(bytes: &[u8]) {
    let [old, now, new] = [Generation::V219, Generation::V252, Generation::V254]
        .map(|generation| read(Reader::Systemd(generation), bytes));
    for reading in [&old, &now, &new] {
        assert!(
            reading
                .variables
                .iter()
                .all(|set| set.name.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_'))
        );
        assert!(
            reading
                .variables
                .iter()
                .all(|set| str::from_utf8(set.value.as_deref().unwrap()).is_ok())
        );
    }
    if !bytes.contains(&b'#') && !bytes.contains(&b';') {
        assert_eq!(now.variables, new.variables, "252 and 254 differ only in comments");
    }
    let differs_from_219 = |c: &u8| *c == b'\\' || (c.is_ascii_control() && !b"\t\n\r".contains(c));
    if !bytes.iter().any(differs_from_219)
        && now.error.is_none()
        && !now.variables.iter().any(spans_lines)
    {
        assert_eq!(
            old.variables, now.variables,
            "219 and 252 differ only in backslashes and control characters"
        );
    }
}

fn spans_lines(set: &ecs_config::readers::Assignment<'_>) -> bool {
    set.value.as_deref().unwrap().iter().any(|c| b"\n\r".contains(c))
}

pub fn ecs_init(bytes: &[u8]) {
    let reading = read(Reader::EcsInit, bytes);
    assert!(reading.error.is_none());
    assert!(
        reading.variables.iter().all(|set| !set.name.contains(&b'=') && !set.name.contains(&b'\n'))
    );
    assert!(reading.variables.iter().all(|set| !set.value.as_deref().unwrap().contains(&b'\n')));
}

pub fn docker(bytes: &[u8]) {
    let reading = read(Reader::Docker, bytes);
    assert!(
        reading
            .variables
            .iter()
            .all(|set| !set.name.is_empty() && !set.name.iter().any(|c| b"= \t\n".contains(c)))
    );
    assert!(reading.error.is_none() || reading.variables.is_empty());
}

fn read(reader: Reader, bytes: &[u8]) -> Reading<'_> {
    let reading = reader.read(bytes);
    let lines = 1 + bytes.iter().filter(|&&c| c == b'\n').count();
    let notes = reading.dropped.iter().chain(&reading.error).map(|note| note.line);
    assert!(
        reading
            .variables
            .iter()
            .map(|set| set.line)
            .chain(notes)
            .all(|line| (1..=lines).contains(&line))
    );
    assert!(reading.map().len() <= reading.variables.len());
    reading
}

/// Findings are in the order of the lines and hold no value; a fix is final and keeps the lines.
pub fn lint(bytes: &[u8]) {
    let check = |bytes| lint::check(&File { source: "file", bytes }, &Context::default());
    let lines = |bytes: &[u8]| bytes.iter().filter(|&&c| c == b'\n').count();
    let found: Vec<usize> = check(bytes).iter().filter_map(|finding| finding.line).collect();
    assert!(found.is_sorted(), "findings are not in the order of the lines");
    assert!(
        found.iter().all(|line| (1..=1 + lines(bytes)).contains(line)),
        "not a line: {found:?}"
    );

    const MARKER: &[u8] = b"PLANTED5f1c";
    let planted: Vec<u8> = bytes.split_inclusive(|&c| c == b'\n').flat_map(plant).collect();
    let found: Vec<Finding> = check(&planted);
    let texts = serde_json::to_vec(&found).expect("findings are JSON");
    let holds_value = texts.windows(MARKER.len()).any(|text| text == MARKER);
    assert!(!holds_value, "a value is shown: {found:?}");

    let (fixed, _) = fix(bytes);
    assert!((0..=1).contains(&(lines(&fixed) - lines(bytes))), "lines were added");
    assert_eq!(fix(&fixed), (fixed.clone(), vec![]), "fixing twice changes something");

    fn plant(line: &[u8]) -> Vec<u8> {
        match line.iter().position(|&c| c == b'=') {
            Some(at) => [&line[..=at], MARKER, &line[at + 1..]].concat(),
            None => line.to_vec(),
        }
    }
}

/// What is expanded has the lines that it had, and needs what was announced, no more.
pub fn expand(bytes: &[u8]) {
    let announced = placeholders(bytes);
    let mut asked = BTreeSet::new();
    let found = expanded(bytes, |placeholder| {
        asked.insert(placeholder.clone());
        Some("a value".into())
    });
    assert_eq!(asked, announced);
    let Ok(found) = found else { return };
    let lines = |bytes: &[u8]| bytes.iter().filter(|&&c| c == b'\n').count();
    assert_eq!(lines(&found), lines(bytes), "lines were added");
    assert!(!asked.is_empty() || found == bytes, "something else was replaced");
    let without = expanded(bytes, |_| None);
    assert_eq!(without.is_ok(), asked.is_empty(), "a placeholder without a value is an error");
}

/// What is behind a list takes nothing from it; where everything is direct, nothing is exposed.
pub fn no_proxy(bytes: &[u8]) {
    let Ok(list) = str::from_utf8(bytes) else { return };
    let covers = |list: &str, host: &str| proxy::covers(list, host, 80);
    for host in [METADATA, "fd00:ec2::254", "s3.eu-west-1.amazonaws.com"] {
        assert_eq!(covers(list, host), covers(&format!("{list},other.test"), host), "{host}");
        assert!(covers(&format!("{list},*"), host), "{host}");
    }
    let exposed = |proxy: &str, list: &str| {
        proxy::exposed(|name| match name {
            "HTTP_PROXY" => Some(proxy.into()),
            "NO_PROXY" => Some(list.into()),
            _ => None,
        })
    };
    assert_eq!(exposed("http://p:1", list).contains(&METADATA), !covers(list, METADATA));
    assert!(exposed(list, "*").is_empty());
}

/// A first byte of flags, then the present file and up to three layers, with 0xFE between them.
pub fn merge(bytes: &[u8]) {
    let Some((flags, rest)) = bytes.split_first() else { return };
    let mut files = rest.splitn(4, |&c| c == 0xfe);
    let present = files.next().unwrap_or_default();
    let layers: Vec<_> = files.map(|bytes| Layer { name: "layer", bytes }).collect();
    let owned = if flags & 1 == 0 {
        BTreeSet::new()
    } else {
        BTreeSet::from(["A".into(), "ECS_CLUSTER".into()])
    };
    let keep = if flags & 2 == 0 { vec![] } else { vec!["B".into(), "ECS_CLUSTER".into()] };
    let (path, replace) = ("/etc/ecs/ecs.config", flags & 4 != 0);
    let present = Present { path, bytes: present, owned: &owned, keep: &keep, replace };
    let Ok(first) = merged(&layers, present) else { return };

    check(&first, layers.len());
    // What a single layer holds is for the linter to refuse, a cluster twice for instance.
    if layers.len() > 1 {
        let present = Present { bytes: &first.bytes, owned: &first.owned, ..present };
        let again = merged(&layers, present).expect("our own file merges");
        assert!(
            again.bytes == first.bytes
                && again.owned == first.owned
                && origins(&again).eq(origins(&first)),
            "running twice changes something"
        );
    }
    if keep.is_empty() {
        assert!(
            merged(&layers, Present { bytes: b"", ..present }).is_ok(),
            "what merges with a present file merges without"
        );
    }
}

/// A key that stays from the present file may be on another line of it the second time.
fn origins(merged: &Merged) -> impl Iterator<Item = (&String, &String)> {
    merged.keys.iter().map(|(key, origin)| (key, &origin.from))
}

fn check(merged: &Merged, layers: usize) {
    assert!(merged.bytes.is_empty() || merged.bytes.ends_with(b"\n"));
    assert!(merged.owned.iter().all(|key| merged.keys.contains_key(key)));
    if layers != 1 {
        let maps = Reader::ALL.map(|reader| reader.read(&merged.bytes));
        assert!(
            maps.iter().all(|reading| reading.error.is_none() && reading.map() == maps[0].map()),
            "the readers differ"
        );
    }
}
