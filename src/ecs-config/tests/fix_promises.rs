//! `--fix` over 10,000 generated files: it is final, keeps what no finding is about, and never turns
//! a protection off.

use std::collections::{BTreeMap, HashSet};

use ecs_config::Effective;
use ecs_config::lint::{self, Context, File, fix};
use ecs_config::readers::Reader;

const FILES: u64 = 10_000;

const NAMES: [&str; 10] = [
    "ECS_CLUSTER",
    "ECS_AWSVPC_BLOCK_IMDS",
    "ECS_DISABLE_PRIVILEGED",
    "ECS_SELINUX_CAPABLE",
    "ECS_DISABLE_IMAGE_CLEANUP",
    "ECS_INSTANCE_ATTRIBUTES",
    "ECS_RESERVED_PORTS",
    "ECS_BACKEND_HOST",
    "ECS_LOGFILE",
    "UNKNOWN",
];

/// Switches that keep containers away from something.
const PROTECTIONS: [&str; 3] =
    ["ECS_AWSVPC_BLOCK_IMDS", "ECS_DISABLE_PRIVILEGED", "ECS_SELINUX_CAPABLE"];

fn file(random: &mut fastrand::Rng) -> Vec<u8> {
    const PREFIXES: [&str; 8] = ["", "", "", "", "export ", "-e ", " ", "# "];
    const EQUALS: [&str; 6] = ["=", "=", "=", " = ", "= ", " ="];
    const VALUES: [&str; 22] = [
        "true",
        "false",
        "1",
        "0",
        "T",
        "False",
        "yes",
        "no",
        "enabled",
        "prod",
        "",
        "/data",
        "{\"a\":\"b\"}",
        "{\\\"a\\\":\\\"b\\\"}",
        "[22]",
        ">> /etc/ecs/ecs.config",
        "{{ x }}",
        "\u{201c}a\u{201d}",
        "a # b",
        "$X",
        "a\\b",
        "caf\u{e9}",
    ];
    const QUOTES: [(&str, &str); 6] =
        [("", ""), ("", ""), ("", ""), ("\"", "\""), ("'", "'"), ("\"", "")];
    const ENDS: [&str; 7] = ["\n", "\n", "\n", "\r\n", " \n", "\\\n", "\u{a0}\n"];
    const PLAIN: [&str; 4] = [
        "ECS_CLUSTER=prod\n",
        "ECS_AWSVPC_BLOCK_IMDS=true\n",
        "ECS_RESERVED_PORTS=[22]\n",
        "ECS_LOGFILE=/log/a\n",
    ];
    const OTHERS: [&str; 6] = ["# note\n", "# note \\\n", ";off\n", "EOF\n", "--==B==--\n", "\n"];
    let mut pick = |list: &[&str]| list[random.usize(..list.len())].to_owned();
    let mut text = pick(&["", "", "", "\u{feff}"]);
    for _ in 0..4 {
        match pick(&["odd", "odd", "plain", "other"]).as_str() {
            "other" => text += &pick(&OTHERS),
            "plain" => text += &pick(&PLAIN),
            _ => {}
        }
        let quotes = pick(&["0", "1", "2", "3", "4", "5"]);
        let (open, close) = QUOTES[quotes.parse::<usize>().unwrap()];
        let (prefix, name, equals) = (pick(&PREFIXES), pick(&NAMES), pick(&EQUALS));
        text +=
            &[prefix, name, equals, open.into(), pick(&VALUES), close.into(), pick(&ENDS)].concat();
    }
    text.into_bytes()
}

type View = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn view(reader: Reader, bytes: &[u8]) -> View {
    let reading = reader.read(bytes);
    let map = reading.map().into_iter();
    map.map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect()
}

/// Names of which no line has a finding, and no line before one, which may run on.
fn unreported(bytes: &[u8]) -> Vec<&'static str> {
    let found = lint::check_layer(&File { source: "", bytes }, &Context::default());
    let lines: HashSet<usize> = found.iter().filter_map(|one| one.line).collect();
    let text = String::from_utf8_lossy(bytes);
    let is_untouched = |name: &&str| {
        let sets = (1..).zip(text.lines()).filter(|(_, line)| line.contains(*name));
        let mut numbers = sets.map(|(number, _)| number);
        numbers.all(|number: usize| !lines.contains(&number) && !lines.contains(&(number - 1)))
    };
    let runs_on = ["unclosed-quote", "line-continuation", "multi-line-value", "readers-disagree"];
    match found.iter().any(|one| runs_on.contains(&one.id)) {
        true => Vec::new(),
        false => NAMES.into_iter().filter(is_untouched).collect(),
    }
}

#[test]
fn fix_is_final_and_keeps_what_is_not_reported() {
    let mut kept = 0;
    for seed in 0..FILES {
        let before = file(&mut fastrand::Rng::with_seed(seed));
        let shown = before.escape_ascii();
        let (after, _) = fix(&before);
        assert_eq!(fix(&after), (after.clone(), Vec::new()), "{seed}: {shown}");
        for name in unreported(&before) {
            // A reader that refuses the whole file sets nothing before.
            let reads = |reader: &Reader| reader.read(&before).error.is_none();
            for reader in Reader::ALL.into_iter().filter(reads) {
                let of = |bytes| view(reader, bytes).get(name.as_bytes()).cloned();
                let (was, is) = (of(&before), of(&after));
                assert_eq!(is, was, "{seed}: {name} by {}: {shown}", reader.name());
                kept += usize::from(was.is_some());
            }
        }
        for name in PROTECTIONS {
            let is_on = |bytes| Effective::new(Some(bytes), None).boolean(name) == Some(true);
            assert!(!is_on(&before) || is_on(&after), "{seed}: {name}: {shown}");
        }
    }
    assert!(kept > 1000, "{kept}");
}
