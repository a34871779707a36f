//! What the configuration of a host says to the ECS agent, whichever of its files a setting is in.
//!
//! ecs-init reads `/var/lib/ecs/ecs.config` and then `/etc/ecs/ecs.config`, which wins key by key,
//! and hands the result to the agent's container as it is: quotes and white space stay
//! (aws/amazon-ecs-agent: ecs-init/docker/docker.go, getEnvVars).

use crate::go;
use crate::readers::{Reading, ecs_init};

/// One of ecs-init's two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigFile {
    /// `/etc/ecs/ecs.config`.
    Etc,
    /// `/var/lib/ecs/ecs.config`.
    Var,
}

impl ConfigFile {
    pub fn path(self) -> &'static str {
        match self {
            ConfigFile::Etc => "/etc/ecs/ecs.config",
            ConfigFile::Var => "/var/lib/ecs/ecs.config",
        }
    }
}

/// One setting as the agent gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting<'a> {
    /// Bytes, for nothing makes them UTF-8.
    pub value: &'a [u8],
    pub file: ConfigFile,
    /// From 1.
    pub line: usize,
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
}

/// The configuration of a host.
#[derive(Debug, Default)]
pub struct Effective<'a> {
    files: Vec<(ConfigFile, Reading<'a>)>,
}

impl<'a> Effective<'a> {
    /// Of the bytes of both files; `None` for a file that is missing or cannot be read, as for
    /// ecs-init itself.
    pub fn new(etc: Option<&'a [u8]>, var: Option<&'a [u8]>) -> Self {
        let files = [(ConfigFile::Etc, etc), (ConfigFile::Var, var)];
        let read = |(file, bytes): (_, Option<&'a [u8]>)| Some((file, ecs_init(bytes?)));
        Effective { files: files.into_iter().filter_map(read).collect() }
    }

    /// What the agent gets under this name. An empty value is a value: it overrides.
    pub fn get(&self, name: &str) -> Option<Setting<'_>> {
        self.files.iter().find_map(|(file, reading)| {
            let set = reading.variables.iter().rev().find(|set| set.name == name.as_bytes())?;
            Some(Setting { value: set.value.as_deref()?, file: *file, line: set.line })
        })
    }

    /// The text of a setting that is not empty.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|set| set.text()).filter(|text| !text.is_empty())
    }

    /// A switch as the agent reads it; `None` where it is not set or not a boolean of Go's.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.get(name)?.boolean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_last_of_several_lines_counts() {
        let text = "ECS_AWSVPC_BLOCK_IMDS=false\nECS_AWSVPC_BLOCK_IMDS=true\n";
        assert_eq!(switch(Some(text), None), Some(true));
    }
}
