//! The catalogue: every variable that the ECS agent, ecs-init and the AWS SDK inside the agent read
//! (aws/amazon-ecs-agent 1.105.1). The rows are in `variables.tsv`, and `build.rs` makes them code.

use crate::text;

/// One variable. Empty strings mean "none".
#[derive(Debug)]
pub struct Variable {
    /// As it is written in the environment.
    pub name: &'static str,
    /// What a value must look like.
    pub kind: Kind,
    words: &'static str,
    /// The lower bound that the code enforces; of a duration as Go writes it.
    pub min: &'static str,
    /// The upper bound, likewise.
    pub max: &'static str,
    /// What the program uses if the variable is not set.
    pub default: &'static str,
    /// What happens to a value that the program cannot take.
    pub on_invalid: OnInvalid,
    /// `all`, `linux` or `windows`.
    pub platform: &'static str,
    /// `agent`, `ecs-init` or `aws-sdk`.
    pub consumer: &'static str,
    /// Where ecs-init itself looks for the variable: `process_env`, its process environment, which
    /// systemd made; `file`; or `both`.
    pub ecs_init_reads: &'static str,
    flags: &'static str,
    /// What ecs-init gives the agent unless the file has the name.
    pub ecs_init_sets: &'static str,
    /// Why it should not be set any more.
    pub deprecated: &'static str,
    json_field: &'static str,
    /// What it is for, in one sentence.
    pub summary: &'static str,
    /// Path in aws/amazon-ecs-agent; `sdk:` is the AWS SDK in its vendor folder.
    pub source: &'static str,
}

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    String,
    Path,
    Url,
    Bool,
    Int,
    Duration,
    /// A size as Docker writes it, `16m`.
    Size,
    Enum,
    /// A list with commas.
    Csv,
    /// A JSON list of strings.
    StringList,
    /// A JSON object of strings.
    StringMap,
    /// The registry credentials of `ECS_ENGINE_AUTH_DATA`.
    Auth,
    /// A JSON list of ports.
    PortList,
    /// A JSON list of address prefixes.
    CidrList,
    /// `FIRST-LAST`.
    PortRange,
    /// `STEADY,BURST`.
    RateLimit,
}

/// What the program does with a value that it cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInvalid {
    /// It counts as not set, with a warning in the log.
    IgnoredWithWarning,
    /// It counts as not set, silently.
    Default,
    /// The nearest bound is used.
    ClampedWithWarning,
    /// The program exits.
    Fatal,
    /// It is used as it is.
    NotValidated,
    /// It counts as `false`.
    TreatedAsFalse,
    /// The agent's log is not set up.
    BreaksLogging,
}

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
        matches!(self.ecs_init_reads, "process_env" | "both")
            || self.consumer == "aws-sdk"
            || self.name.to_ascii_uppercase().ends_with("_PROXY")
    }

    /// The fields of `ecs.config.json` that hold the same setting; the first one that is set wins.
    pub fn json_fields(&self) -> impl Iterator<Item = &'static str> {
        self.json_field.split('|').filter(|field| !field.is_empty())
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.split(',').any(|one| one == flag)
    }
}

include!(concat!(env!("OUT_DIR"), "/variables.rs"));

/// Every variable, sorted by name.
pub fn all() -> &'static [Variable] {
    &CATALOGUE
}

/// The variable of exactly this name.
pub fn find(name: &str) -> Option<&'static Variable> {
    let at = CATALOGUE.binary_search_by(|variable| variable.name.cmp(name)).ok()?;
    CATALOGUE.get(at)
}

/// The known name that an unknown one differs from by case alone.
pub(crate) fn in_another_case(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    if find(name).is_some() { None } else { find(&upper).map(|known| known.name) }
}

/// Names that people write, and the one that they meant. The first three are in documents or in
/// other tools' code (README.md of amazon-ecs-agent, Bottlerocket's settings); no edit distance
/// finds the longer ones.
const NEAR_MISSES: [(&str, &str); 11] = [
    ("ECS_POLL_METRICS_WAIT_DURATION", "ECS_POLLING_METRICS_WAIT_DURATION"),
    ("ECS_POLL_METRICS_INTERVAL", "ECS_POLLING_METRICS_WAIT_DURATION"),
    ("REGION", "AWS_DEFAULT_REGION"),
    ("ECS_PRIVILEGED_DISABLED", "ECS_DISABLE_PRIVILEGED"),
    ("ECS_INIT_LOGLEVEL", "ECS_LOGLEVEL"),
    ("ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS", "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM"),
    ("ECS_DOCKER_PULL_INACTIVITY_TIMEOUT", "ECS_IMAGE_PULL_INACTIVITY_TIMEOUT"),
    ("NONECS_IMAGE_MINIMUM_CLEANUP_AGE", "NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE"),
    ("NON_ECS_NUM_CONTAINERS_DELETE_PER_CYCLE", "NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE"),
    ("ECS_CLUSTER_NAME", "ECS_CLUSTER"),
    ("ECS_REGION", "AWS_DEFAULT_REGION"),
];

/// The known name that was probably meant by an unknown one.
pub fn nearest(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    let miss = NEAR_MISSES.iter().find(|(written, _)| *written == upper);
    let prefixed = ["ECS_", "AWS_"].iter().find_map(|prefix| find(&[prefix, &*upper].concat()));
    miss.map(|(_, meant)| *meant)
        .or(prefixed.map(|known| known.name))
        .or_else(|| text::nearest(&upper, all().iter().map(|known| known.name)))
}

/// Words that make an unknown name look like a credential's.
const SECRET_WORDS: [&str; 9] =
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "KEY", "AUTH", "CREDENTIAL", "PRIVATE", "COOKIE"];

/// Whether the value must never be shown: it is a secret in the catalogue, or the name is unknown
/// and looks like a secret's, perhaps misspelled.
pub fn is_secret(name: &str) -> bool {
    sounds_secret(name)
        || find(name).is_none() && nearest(name).and_then(find).is_some_and(Variable::secret)
}

/// The same, without looking for near misses: quick enough for every line.
pub(crate) fn sounds_secret(name: &str) -> bool {
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
    fn names_are_sorted_and_unique() {
        assert_eq!(all().len(), 176);
        assert!(all().windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn every_word_in_the_table_is_known() {
        for v in all() {
            assert!(["all", "linux", "windows"].contains(&v.platform), "{}", v.name);
            assert!(["agent", "ecs-init", "aws-sdk"].contains(&v.consumer), "{}", v.name);
            assert!(["", "process_env", "file", "both"].contains(&v.ecs_init_reads), "{}", v.name);
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
            assert!(v.kind != Kind::Enum || v.words().count() > 1, "{}", v.name);
            assert!(!v.summary.is_empty() && !v.source.is_empty(), "{}", v.name);
        }
    }

    #[test]
    fn near_misses_lead_to_known_names() {
        for (miss, meant) in NEAR_MISSES {
            assert!(find(miss).is_none(), "{miss}");
            assert!(find(meant).is_some(), "{meant}");
            assert_eq!(nearest(miss), Some(meant));
        }
    }

    #[test]
    fn nearest_finds_typing_errors_and_no_foreign_names() {
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
    fn is_secret_takes_known_secrets_and_look_alikes() {
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
