//! Settings as flags: made of the one list of settings, so that each flag is a setting with its
//! help.

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};

use crate::settings::{Commands, Given, KEYS, Key, Shape};

/// The settings that the commands of this set take as flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingFlags<const COMMANDS: Commands>(Given);

impl<const COMMANDS: Commands> SettingFlags<COMMANDS> {
    /// What was typed.
    pub(crate) fn given(&self) -> Given {
        self.0.clone()
    }
}

impl<const COMMANDS: Commands> Args for SettingFlags<COMMANDS> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(keys::<COMMANDS>().map(arg))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<const COMMANDS: Commands> FromArgMatches for SettingFlags<COMMANDS> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let items = |key: &Key| {
            let typed = matches.get_many::<String>(key.name);
            (key.name, typed.into_iter().flatten().cloned().collect())
        };
        Ok(SettingFlags(Given::flags(keys::<COMMANDS>().map(items))))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        Self::from_arg_matches(matches).map(|typed| *self = typed)
    }
}

fn keys<const COMMANDS: Commands>() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(|key| key.commands & COMMANDS != 0)
}

fn arg(key: &'static Key) -> Arg {
    let arg = Arg::new(key.name).long(key.flag).value_name(key.value).help(key.help);
    match key.shape {
        Shape::One => arg,
        Shape::Words | Shape::Lines => arg.action(ArgAction::Append),
        Shape::Switch => arg
            .num_args(0..=1)
            .default_missing_value("true")
            .require_equals(true)
            .value_parser(["true", "false"])
            .hide_possible_values(true),
    }
}
