//! What the configuration of a host says, whichever of its files a setting is in: the one answer to
//! that question, for each reader.
//!
//! ecs-init reads `/var/lib/ecs/ecs.config` and then `/etc/ecs/ecs.config`, which wins key by key,
//! and hands the result to the agent's container as it is: quotes and white space stay
//! (aws/amazon-ecs-agent: ecs-init/docker/docker.go, getEnvVars). The agent then takes from
//! `/etc/ecs/ecs.config.json` what its environment leaves out (agent/config/config.go, Merge).

use crate::go;
use crate::json_file;
use crate::readers::{Assignment, Reader, Reading};
use crate::variables;

/// One of the files that the agent's configuration comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConfigFile {
    /// `/etc/ecs/ecs.config`.
    #[default]
    Etc,
    /// `/var/lib/ecs/ecs.config`, which image builds and the ECS Anywhere script write.
    Var,
    /// `/etc/ecs/ecs.config.json`, which only the agent reads.
    Json,
}

impl ConfigFile {
    /// The absolute path.
    pub const fn path(self) -> &'static str {
        match self {
            ConfigFile::Etc => "/etc/ecs/ecs.config",
            ConfigFile::Var => "/var/lib/ecs/ecs.config",
            ConfigFile::Json => "/etc/ecs/ecs.config.json",
        }
    }
}

/// One setting as its reader gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting<'a> {
    /// Bytes, which need not be UTF-8. From the JSON file a string's content, or else the JSON
    /// text: durations there are numbers of nanoseconds.
    pub value: &'a [u8],
    /// The file that it is in.
    pub file: ConfigFile,
    /// From 1; `None` in the JSON file.
    pub line: Option<usize>,
}

impl Setting<'_> {
    /// As the agent reads a switch: Go's strconv.ParseBool of the trimmed value
    /// (aws/amazon-ecs-agent: agent/config/parse.go, parseBooleanDefaultFalseConfig).
    pub fn boolean(&self) -> Option<bool> {
        go::boolean(str::from_utf8(self.value).ok()?.trim())
    }

    /// The value as text, with U+FFFD for what is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value).into_owned()
    }

    /// For messages: `/etc/ecs/ecs.config, line 3`.
    pub fn place(&self) -> String {
        let line = self.line.map(|line| format!(", line {line}")).unwrap_or_default();
        self.file.path().to_owned() + &line
    }

    fn is_blank(&self) -> bool {
        self.value.trim_ascii().is_empty()
    }
}

/// The configuration of a host, as one of its readers gets it.
///
/// ```
/// use ecs_config::Effective;
///
/// let etc = b"ECS_CLUSTER=prod\nECS_AWSVPC_BLOCK_IMDS=\"true\"\n";
/// let host = Effective::new(Some(etc), None).with_json(Some(b"{\"External\": true}"));
/// assert_eq!(host.text("ECS_CLUSTER").as_deref(), Some("prod"));
/// assert_eq!(host.boolean("ECS_AWSVPC_BLOCK_IMDS"), None); // the quotes reach the agent
/// assert_eq!(host.boolean("ECS_EXTERNAL"), Some(true));
/// ```
#[derive(Debug)]
pub struct Effective<'a> {
    /// The first that has a name wins.
    files: Vec<(ConfigFile, Reading<'a>)>,
    /// What the JSON file sets.
    json: Result<Vec<(String, String)>, json_file::Refusal>,
}

impl<'a> Effective<'a> {
    /// As the agent gets it from ecs-init, of the bytes of both files; `None` for a file that is
    /// missing or cannot be read, as for ecs-init itself.
    pub fn new(etc: Option<&'a [u8]>, var: Option<&'a [u8]>) -> Self {
        Self::read_by(Reader::EcsInit, etc, var)
    }

    /// As another reader gets it. systemd's view is the process environment of ecs-init itself:
    /// `None` for a file that the unit does not load (`var` on Amazon Linux, both on SUSE).
    /// docker's is that of an agent started with `docker run --env-file /etc/ecs/ecs.config`.
    pub fn read_by(reader: Reader, etc: Option<&'a [u8]>, var: Option<&'a [u8]>) -> Self {
        let files = [(ConfigFile::Etc, etc), (ConfigFile::Var, var)];
        let read = |(file, bytes): (_, Option<&'a [u8]>)| Some((file, reader.read(bytes?)));
        Effective { files: files.into_iter().filter_map(read).collect(), json: Ok(Vec::new()) }
    }

    /// A file as its author means it: for the linter, which reports separately where readers
    /// differ from that.
    pub(crate) fn intended(
        file: ConfigFile,
        settings: impl Iterator<Item = (&'a str, &'a str)>,
        var: Option<&'a [u8]>,
    ) -> Self {
        let assignment = |(line, (name, value)): (_, (&'a str, &'a str))| Assignment {
            name: name.as_bytes(),
            value: Some(value.as_bytes().into()),
            line,
        };
        let variables = (1..).zip(settings).map(assignment).collect();
        let mut effective = Self::read_by(Reader::EcsInit, None, var);
        effective.files.insert(0, (file, Reading { variables, ..Reading::default() }));
        effective
    }

    /// With the agent's JSON file behind the others: it counts where they set nothing.
    pub fn with_json(self, json: Option<&[u8]>) -> Self {
        Effective { json: json_file::fields(json.unwrap_or_default()), ..self }
    }

    /// Whether the agent exits at the JSON file. An empty one counts as missing.
    pub fn has_unreadable_json(&self) -> bool {
        self.json.is_err()
    }

    /// The field of the JSON file at which the agent exits, and what it wants there; `None` if the
    /// types of all are right.
    pub fn wrong_json_field(&self) -> Option<(&'static str, &'static str)> {
        self.json.as_ref().err().copied().flatten()
    }

    /// What the reader gets under this name. An empty value is a value, and overrides that of
    /// another file; only the JSON file is asked behind it, too.
    pub fn get(&self, name: &str) -> Option<Setting<'_>> {
        let set = self.in_environment(name);
        let is_set = set.is_some_and(|set| !set.is_blank());
        if is_set { set } else { self.in_json(name).or(set) }
    }

    /// The text of a setting that is not blank.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|set| !set.is_blank()).map(|set| set.text())
    }

    /// A switch as the agent reads it; `None` where it is not set or not one of Go's booleans.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        let of = |set: Option<Setting<'_>>| set?.boolean();
        of(self.in_environment(name)).or_else(|| of(self.in_json(name)))
    }

    /// The same of the files of lines alone. It is what the reader finds in its environment, and
    /// all that counts for what the agent looks at before it opens the JSON file.
    pub fn in_environment(&self, name: &str) -> Option<Setting<'_>> {
        self.files.iter().find_map(|(file, reading)| {
            let set = reading.variables.iter().rev().find(|set| set.name == name.as_bytes())?;
            Some(Setting { value: set.value.as_deref()?, file: *file, line: Some(set.line) })
        })
    }

    /// By the names of fields, in any case (encoding/json, Unmarshal).
    fn in_json(&self, name: &str) -> Option<Setting<'_>> {
        let fields = self.json.as_ref().ok()?;
        variables::find(name)?.json_fields().find_map(|wanted| {
            let (_, text) =
                fields.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(wanted))?;
            Some(Setting { value: text.as_bytes(), file: ConfigFile::Json, line: None })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::Generation;

    const SWITCH: &str = "ECS_AWSVPC_BLOCK_IMDS";

    fn switch(etc: Option<&str>, var: Option<&str>) -> Option<bool> {
        Effective::new(etc.map(str::as_bytes), var.map(str::as_bytes)).boolean(SWITCH)
    }

    #[test]
    fn a_quoted_switch_is_not_a_boolean_to_the_agent() {
        assert_eq!(switch(Some("ECS_AWSVPC_BLOCK_IMDS=\"true\"\n"), None), None);
        assert_eq!(switch(Some("ECS_AWSVPC_BLOCK_IMDS='true'\n"), None), None);
        assert_eq!(switch(Some("ECS_AWSVPC_BLOCK_IMDS= true\n"), None), Some(true));
    }

    #[test]
    fn a_setting_of_var_counts_unless_etc_has_it() {
        let (yes, no) = ("ECS_AWSVPC_BLOCK_IMDS=true\n", "ECS_AWSVPC_BLOCK_IMDS=false\n");
        assert_eq!(switch(Some("ECS_CLUSTER=c\n"), Some(yes)), Some(true));
        assert_eq!(switch(Some(no), Some(yes)), Some(false));
        assert_eq!(switch(Some("ECS_AWSVPC_BLOCK_IMDS=\n"), Some(yes)), None);
        assert_eq!(switch(None, None), None);
    }

    #[test]
    fn the_json_file_counts_where_the_files_set_nothing() {
        let json =
            b"{\"cluster\": \"j\", \"awsvpcblockinstancemetdata\": true, \"AWSRegion\": \"\"}";
        let agent = |etc: &'static [u8]| Effective::new(Some(etc), None).with_json(Some(json));
        let of = |etc: &'static [u8]| agent(etc).text("ECS_CLUSTER");
        assert_eq!(of(b"ECS_CLUSTER=c\n").as_deref(), Some("c"));
        assert_eq!(of(b"ECS_CLUSTER=\n").as_deref(), Some("j"));
        assert_eq!(agent(b"").get("ECS_CLUSTER").map(|set| set.file), Some(ConfigFile::Json));
        assert_eq!(agent(b"").text("AWS_DEFAULT_REGION"), None);
        for (etc, expected) in [
            ("", true),
            ("ECS_AWSVPC_BLOCK_IMDS=\"\"\n", true),
            ("ECS_AWSVPC_BLOCK_IMDS=f\n", false),
        ] {
            let agent = Effective::new(Some(etc.as_bytes()), None).with_json(Some(json));
            assert_eq!(agent.boolean(SWITCH), Some(expected), "{etc}");
        }
    }

    #[test]
    fn a_deprecated_json_field_counts_behind_its_successor() {
        let cluster = |json: &str| {
            Effective::new(None, None).with_json(Some(json.as_bytes())).text("ECS_CLUSTER")
        };
        assert_eq!(cluster("{\"ClusterArn\": \"old\"}").as_deref(), Some("old"));
        assert_eq!(
            cluster("{\"Cluster\": \"new\", \"ClusterArn\": \"old\"}").as_deref(),
            Some("new")
        );
        assert_eq!(cluster("{\"Cluster\": \"\", \"ClusterArn\": \"old\"}").as_deref(), Some("old"));
    }

    #[test]
    fn only_an_empty_json_file_is_as_good_as_none() {
        let unreadable = |json: &str| {
            Effective::new(None, None).with_json(Some(json.as_bytes())).has_unreadable_json()
        };
        assert!(["[", "[]", "1", "\"\"", "{} x"].iter().all(|json| unreadable(json)));
        assert!(["", " \n", "{}"].iter().all(|json| !unreadable(json)));
    }

    #[test]
    fn each_reader_has_its_own_view() {
        let etc: Option<&[u8]> = Some(b"# ECS_AWSVPC_BLOCK_IMDS\nECS_AWSVPC_BLOCK_IMDS=\"true\"\n");
        let view = |reader| Effective::read_by(reader, etc, None).boolean(SWITCH);
        assert_eq!(view(Reader::EcsInit), None);
        assert_eq!(view(Reader::Docker), None);
        assert_eq!(view(Reader::Systemd(Generation::V252)), Some(true));
    }

    #[test]
    fn the_last_of_several_lines_counts() {
        let text = "ECS_AWSVPC_BLOCK_IMDS=false\nECS_AWSVPC_BLOCK_IMDS=true\n";
        assert_eq!(switch(Some(text), None), Some(true));
    }
}
