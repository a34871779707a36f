//! The one list of settings. Whatever is in it can be given as a flag, in the environment, as an
//! instance tag and in the settings file, under the same name; flags and their help are made of it.

/// How several values of a setting are written in one piece of text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    One,
    /// `true` or `false`; as a flag without a value, `true`.
    Switch,
    /// Items separated by white space.
    Words,
    /// One item a line: values may hold spaces.
    Lines,
}

/// A set of commands that take a setting as a flag.
pub(crate) type Commands = u8;
pub(crate) const RUN: Commands = 1;
pub(crate) const VERIFY: Commands = 2;
pub(crate) const DOCTOR: Commands = 4;
pub(crate) const ABANDON: Commands = 16;
pub(crate) const GUARD: Commands = 8;

/// One setting.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// The name with hyphens.
    pub(crate) flag: &'static str,
    pub(crate) shape: Shape,
    /// The placeholder of its value in `--help`.
    pub(crate) value: &'static str,
    pub(crate) commands: Commands,
    pub(crate) help: &'static str,
}

const fn key(
    (name, flag): (&'static str, &'static str),
    shape: Shape,
    value: &'static str,
    commands: Commands,
    help: &'static str,
) -> Key {
    Key { name, flag, shape, value, commands, help }
}

const fn switch(
    names: (&'static str, &'static str),
    commands: Commands,
    help: &'static str,
) -> Key {
    key(names, Shape::Switch, "BOOL", commands, help)
}

const IDENTITY: Commands = RUN | VERIFY | DOCTOR;

/// In the order of `run --help`.
#[rustfmt::skip]
pub(crate) const KEYS: [Key; 24] = [
    key(("config", "config"), Shape::Words, "SOURCE", RUN | DOCTOR,
        "Where ecs.config is: s3://BUCKET/KEY, an S3 ARN, https://…, file:///PATH. May be repeated: a later layer's key wins"),
    key(("set", "set"), Shape::Lines, "KEY=VALUE", RUN,
        "A last layer by hand. May be repeated"),
    key(("keep", "keep"), Shape::Words, "KEY", RUN,
        "If ecs.config already has KEY and this program did not write it, its value is kept. May be repeated"),
    switch(("replace", "replace"), RUN,
        "Replace the whole file: keys that others wrote are dropped"),
    switch(("expand", "expand"), RUN,
        "Replace ${region}, ${instance_id}, ${tag:NAME} and the like in values"),
    switch(("allow_default_cluster", "allow-default-cluster"), RUN,
        "Accept a configuration without ECS_CLUSTER: the agent joins the cluster `default`"),
    switch(("tolerate_foreign", "tolerate-foreign"), RUN,
        "Errors in what other programs wrote into the agent's files are warnings"),
    key(("expect_role", "expect-role"), Shape::One, "NAME", IDENTITY,
        "The role must have this name"),
    key(("expect_account", "expect-account"), Shape::One, "ID", IDENTITY,
        "The account must have this id"),
    key(("host", "host"), Shape::One, "KIND", IDENTITY,
        "How the host gets its credentials: auto, ec2 or external [default: auto]"),
    key(("sts", "sts"), Shape::One, "auto|require|skip", RUN | DOCTOR,
        "Whether STS must confirm the host. auto: if STS is away, S3's acceptance of the role is enough, unless a role or an account is expected [default: auto]"),
    key(("timeout", "timeout"), Shape::One, "DURATION", RUN | VERIFY | ABANDON,
        "One deadline for everything, such as 90s or 5m [default: 5m]"),
    switch(("block_imds", "block-imds"), RUN,
        "Keep containers on every bridge from instance metadata"),
    switch(("block_imds_host_tasks", "block-imds-host-tasks"), RUN,
        "Keep tasks in host network mode from it too (cgroup v2)"),
    switch(("allow_local_proxy", "allow-local-proxy"), RUN | GUARD,
        "Let connections to it pass that are redirected to a proxy on this host, which then answers for it"),
    switch(("attributes", "attributes"), RUN,
        "Add what the run has proven to ECS_INSTANCE_ATTRIBUTES (ecs-bootstrap.guard and so on)"),
    switch(("inventory", "inventory"), RUN,
        "Leave the outcome for the inventory of Systems Manager (Custom:EcsBootstrap)"),
    switch(("restart_agent", "restart-agent"), RUN,
        "If the file changed and the ECS agent runs, restart it (without waiting for it)"),
    key(("health_gate", "health-gate"), Shape::One, "DURATION", RUN,
        "How long a restarted agent may take to join its cluster: after that, back to the file before [default: not watched]"),
    key(("stale", "stale"), Shape::One, "fail|keep", RUN,
        "When the source cannot be reached: keep the last verified file, or fail [default: keep]"),
    key(("max_age", "max-age"), Shape::One, "DURATION", RUN,
        "How old the verification of a kept file may be, such as 36h [default: no limit]"),
    switch(("from_tags", "from-tags"), RUN,
        "Read settings from instance tags too (ecs-bootstrap:config and so on)"),
    // These two are flags of every command, and typed there.
    key(("output", "output"), Shape::One, "FORMAT", 0, ""),
    key(("log_format", "log-format"), Shape::One, "FORMAT", 0, ""),
];

/// The names of all settings.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The setting of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_the_name_with_hyphens() {
        for key in &KEYS {
            assert_eq!(key.flag, key.name.replace('_', "-"));
        }
    }
}
