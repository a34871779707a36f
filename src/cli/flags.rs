//! Settings as flags: made of the one list of settings, so that each flag is a setting with its
//! help.

use std::iter::successors;

use clap::{Arg, ArgAction, ArgMatches};

use crate::settings::{Commands, Given, KEYS, Key, Shape};

/// Where `--help` lists a command's other flags: behind all settings.
pub(super) const LAST: usize = 100;

/// The settings that these commands take as flags.
pub(super) fn of(commands: Commands) -> impl Iterator<Item = Arg> {
    KEYS.iter().filter(move |key| key.commands & commands != 0).map(arg)
}

/// The settings that were typed, of whichever command. A flag that has the name of a setting, but
/// does not take text, is another thing.
pub(super) fn typed(matches: &ArgMatches) -> Given {
    let commands = successors(Some(matches), |command| Some(command.subcommand()?.1));
    let Some(command) = commands.last() else { return Given::default() };
    Given::flags(KEYS.iter().filter_map(|key| {
        let typed = command.try_get_many::<String>(key.name).ok()??;
        Some((key.name, typed.cloned().collect()))
    }))
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
