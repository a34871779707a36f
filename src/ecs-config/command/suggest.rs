//! What was meant by a mistyped flag. clap suggests none for words as short as `--fr`.

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use crate::text::nearest;

/// Adds a suggestion where clap made none. `root` is the program, `typed` the command line.
pub fn suggest_flag(error: &mut Error, root: &Command, typed: &[String]) {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else { return };
    let is_unknown_flag = error.kind() == ErrorKind::UnknownArgument && wrong.starts_with("--");
    if !is_unknown_flag || error.get(ContextKind::SuggestedArg).is_some() {
        return;
    }
    let mut command = root;
    for word in typed {
        command = command.find_subcommand(word).unwrap_or(command);
    }
    let flags = command.get_arguments().chain(root.get_arguments());
    let known = flags.filter_map(|flag| flag.get_long());
    if let Some(near) = nearest(wrong.trim_start_matches('-'), known) {
        let suggestion = ContextValue::String(format!("--{near}"));
        error.insert(ContextKind::SuggestedArg, suggestion);
        error.remove(ContextKind::Suggested); // to pass it as a value
    }
}
