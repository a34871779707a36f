//! The catalogue: every variable that the ECS agent, ecs-init and the AWS SDK inside the agent
//! read.
//!
//! Takes a name; gives its row of `variables.tsv`, the nearest known name, or whether its value is
//! a secret. The rows were read from amazon-ecs-agent 1.105.1 and are checked by the tests below.
//! Touches nothing.

use std::sync::LazyLock;

/// One variable, as `variables.tsv` states it. Empty strings mean "none".
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    pub kind: Kind,
    /// Allowed words, or allowed elements of a list.
    words: &'static str,
    /// Bounds that the code enforces; durations as Go writes them.
    pub min: &'static str,
    pub max: &'static str,
    pub default: &'static str,
    pub on_invalid: OnInvalid,
    /// `all`, `linux` or `windows`.
    pub platform: &'static str,
    /// `agent`, `ecs-init` or `aws-sdk`.
    pub consumer: &'static str,
    pub ecs_init_reads: EcsInitReads,
    flags: &'static str,
    /// What ecs-init gives the agent unless the file has the name.
    pub ecs_init_sets: &'static str,
    pub deprecated: &'static str,
    pub summary: &'static str,
    /// Path in aws/amazon-ecs-agent; `sdk:` stands for the vendored AWS SDK.
    pub source: &'static str,
}

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    String,
    Path,
    Url,
    Bool,
    Int,
    Duration,
    Size,
    Enum,
    Csv,
    StringList,
    StringMap,
    Auth,
    PortList,
    CidrList,
    PortRange,
    RateLimit,
}

const KINDS: [(&str, Kind); 16] = [
    ("string", Kind::String),
    ("path", Kind::Path),
    ("url", Kind::Url),
    ("bool", Kind::Bool),
    ("int", Kind::Int),
    ("duration", Kind::Duration),
    ("size", Kind::Size),
    ("enum", Kind::Enum),
    ("csv", Kind::Csv),
    ("string_list", Kind::StringList),
    ("string_map", Kind::StringMap),
    ("auth", Kind::Auth),
    ("port_list", Kind::PortList),
    ("cidr_list", Kind::CidrList),
    ("port_range", Kind::PortRange),
    ("rate_limit", Kind::RateLimit),
];

/// What the program does with a value that it cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInvalid {
    Ignored,
    Default,
    Clamped,
    Fatal,
    NotValidated,
    TreatedAsFalse,
    BreaksLogging,
}

const OUTCOMES: [(&str, OnInvalid); 7] = [
    ("ignored_with_warning", OnInvalid::Ignored),
    ("default", OnInvalid::Default),
    ("clamped_with_warning", OnInvalid::Clamped),
    ("fatal", OnInvalid::Fatal),
    ("not_validated", OnInvalid::NotValidated),
    ("treated_as_false", OnInvalid::TreatedAsFalse),
    ("breaks_logging", OnInvalid::BreaksLogging),
];

/// Where ecs-init itself looks for the variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcsInitReads {
    Nothing,
    ProcessEnvironment,
    File,
    Both,
}

const PLACES: [(&str, EcsInitReads); 4] = [
    ("", EcsInitReads::Nothing),
    ("process_env", EcsInitReads::ProcessEnvironment),
    ("file", EcsInitReads::File),
    ("both", EcsInitReads::Both),
];

impl Variable {
    /// The words that the variable, or each of its elements, may be.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.words.split('|').filter(|word| !word.is_empty())
    }

    /// ecs-init compares the value with the exact word `true`.
    pub fn wants_exactly_true(&self) -> bool {
        self.has("strict")
    }

    /// Words count whatever their case.
    pub fn any_case(&self) -> bool {
        self.has("anycase")
    }

    /// The number may have a fraction.
    pub fn allows_fraction(&self) -> bool {
        self.has("fraction")
    }

    /// The path is looked up inside the agent's container.
    pub fn in_container(&self) -> bool {
        self.has("container_path")
    }

    /// The value is, or may hold, a credential.
    pub fn secret(&self) -> bool {
        self.has("secret") || self.has("credentials")
    }

    /// ecs-init takes the variable from its process environment, which systemd made, and not from
    /// the file.
    pub fn from_process_environment(&self) -> bool {
        matches!(self.ecs_init_reads, EcsInitReads::ProcessEnvironment | EcsInitReads::Both)
            || self.consumer == "aws-sdk"
            || self.name.to_ascii_uppercase().ends_with("_PROXY")
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.split(',').any(|one| one == flag)
    }

    fn parse(row: &'static str) -> Option<Self> {
        let mut cells = row.split('\t').map(|cell| if cell == "-" { "" } else { cell });
        let mut next = || cells.next();
        Some(Self {
            name: next()?,
            kind: named(&KINDS, next()?)?,
            words: next()?,
            min: next()?,
            max: next()?,
            default: next()?,
            on_invalid: named(&OUTCOMES, next()?)?,
            platform: next()?,
            consumer: next()?,
            ecs_init_reads: named(&PLACES, next()?)?,
            flags: next()?,
            ecs_init_sets: next()?,
            deprecated: next()?,
            summary: next()?,
            source: next()?,
        })
    }
}

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(word, _)| *word == name).map(|(_, value)| *value)
}

static CATALOGUE: LazyLock<Vec<Variable>> =
    LazyLock::new(|| rows().filter_map(Variable::parse).collect());

fn rows() -> impl Iterator<Item = &'static str> {
    include_str!("variables.tsv").lines().filter(|line| !line.starts_with('#'))
}

/// Every variable, sorted by name.
pub fn all() -> &'static [Variable] {
    &CATALOGUE
}

/// The variable of exactly this name.
pub fn find(name: &str) -> Option<&'static Variable> {
    let at = CATALOGUE.binary_search_by(|variable| variable.name.cmp(name)).ok()?;
    CATALOGUE.get(at)
}

/// Names that people write, and the one that they meant. The first three stand in documents or in
/// other tools' code (README.md of amazon-ecs-agent, Bottlerocket's settings); no edit distance
/// finds the longer ones.
const NEAR_MISSES: [(&str, &str); 9] = [
    ("ECS_POLL_METRICS_WAIT_DURATION", "ECS_POLLING_METRICS_WAIT_DURATION"),
    ("ECS_PRIVILEGED_DISABLED", "ECS_DISABLE_PRIVILEGED"),
    ("ECS_INIT_LOGLEVEL", "ECS_LOGLEVEL"),
    ("ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS", "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM"),
    ("ECS_DOCKER_PULL_INACTIVITY_TIMEOUT", "ECS_IMAGE_PULL_INACTIVITY_TIMEOUT"),
    ("NONECS_IMAGE_MINIMUM_CLEANUP_AGE", "NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE"),
    ("NON_ECS_NUM_CONTAINERS_DELETE_PER_CYCLE", "NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE"),
    ("ECS_CLUSTER_NAME", "ECS_CLUSTER"),
    ("ECS_REGION", "AWS_DEFAULT_REGION"),
];

/// The known name that an unknown one most likely stands for.
pub fn nearest(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    named(&NEAR_MISSES, &upper)
        .or_else(|| find(&upper).map(|known| known.name))
        .or_else(|| closest(&upper))
}

/// Within three edits, and within a third of the name: beyond that a suggestion confuses more than
/// it helps.
fn closest(name: &str) -> Option<&'static str> {
    let limit = (name.len() / 3).min(3);
    let letters = letters(name);
    all()
        .iter()
        .filter(|known| known.name.len().abs_diff(name.len()) <= limit)
        .filter(|known| apart(&letters, &self::letters(known.name)) <= 2 * limit)
        .map(|known| (strsim::osa_distance(known.name, name), known.name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, known)| known)
}

/// How often each letter, digit or `_` stands in a name. One edit changes two of the counts at
/// most, which tells names that are far apart without measuring how far.
fn letters(name: &str) -> [u8; 32] {
    let mut counts = [0; 32];
    for byte in name.bytes() {
        let count: &mut u8 = &mut counts[usize::from(byte & 31)];
        *count = count.saturating_add(1);
    }
    counts
}

fn apart(one: &[u8; 32], other: &[u8; 32]) -> usize {
    one.iter().zip(other).map(|(a, b)| usize::from(a.abs_diff(*b))).sum()
}

/// Words that make an unknown name look like a credential's.
const SECRET_WORDS: [&str; 9] =
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "KEY", "AUTH", "CREDENTIAL", "PRIVATE", "COOKIE"];

/// Whether the value must never be shown: the catalogue says so, or the name is unknown and looks
/// like it.
pub fn is_secret(name: &str) -> bool {
    match find(name) {
        Some(known) => known.secret(),
        None => looks_secret(name),
    }
}

/// A near miss of a secret's name is a secret too.
fn looks_secret(name: &str) -> bool {
    sounds_secret(name) || nearest(name).and_then(find).is_some_and(Variable::secret)
}

/// The same, without looking for near misses: quick enough for every line.
pub fn sounds_secret(name: &str) -> bool {
    let sounds = || {
        let upper = name.to_ascii_uppercase();
        SECRET_WORDS.iter().any(|word| upper.contains(word))
    };
    find(name).map_or_else(sounds, Variable::secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_parses_and_has_fifteen_columns() {
        for row in rows() {
            assert_eq!(row.split('\t').count(), 15, "{row}");
            assert!(Variable::parse(row).is_some(), "{row}");
        }
        assert_eq!(all().len(), 176);
    }

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(all().windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn every_word_in_the_table_is_a_known_one() {
        for v in all() {
            assert!(["all", "linux", "windows"].contains(&v.platform), "{}", v.name);
            assert!(["agent", "ecs-init", "aws-sdk"].contains(&v.consumer), "{}", v.name);
            for flag in v.flags.split(',').filter(|f| !f.is_empty()) {
                let known = [
                    "secret",
                    "credentials",
                    "strict",
                    "fraction",
                    "anycase",
                    "container_path",
                    "readme",
                ];
                assert!(known.contains(&flag), "{} {flag}", v.name);
            }
            assert_eq!(
                v.kind == Kind::Enum,
                v.kind == Kind::Enum && v.words().count() > 1,
                "{}",
                v.name
            );
            assert!(!v.summary.is_empty() && !v.source.is_empty(), "{}", v.name);
        }
    }

    #[test]
    fn every_near_miss_is_unknown_and_leads_to_a_known_name() {
        for (miss, meant) in NEAR_MISSES {
            assert!(find(miss).is_none(), "{miss}");
            assert!(find(meant).is_some(), "{meant}");
            assert_eq!(nearest(miss), Some(meant));
        }
    }

    #[test]
    fn a_typing_error_finds_the_name_and_a_foreign_name_finds_none() {
        for (written, meant) in [
            ("ECS_CLUSTR", "ECS_CLUSTER"),
            ("ecs_cluster", "ECS_CLUSTER"),
            ("ECS_LOGELVEL", "ECS_LOGLEVEL"),
        ] {
            assert_eq!(nearest(written), Some(meant));
        }
        assert_eq!(nearest("MY_APPLICATION_SETTING"), None);
        assert_eq!(nearest("FOO"), None);
    }

    #[test]
    fn secrets_are_those_of_the_catalogue_and_those_that_look_like_one() {
        let secret = [
            "ECS_ENGINE_AUTH_DATA",
            "AWS_SECRET_ACCESS_KEY",
            "HTTP_PROXY",
            "ECS_LOG_OPTS",
            "DB_PASSWORD",
            "GITHUB_TOKEN",
            "ECS_ENGINE_ATH_DATA",
        ];
        assert!(secret.iter().all(|name| is_secret(name)));
        assert!(["ECS_CLUSTER", "ECS_ENGINE_AUTH_TYPE", "FOO"].iter().all(|name| !is_secret(name)));
    }
}
