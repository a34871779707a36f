//! `ecs-bootstrap man` and `ecs-bootstrap completions`: for packagers.

use clap_mangen::roff::{Roff, bold, roman};
use ecs_config::lint::rules;

use super::output::print;
use crate::error::ExitStatus;

pub(crate) fn completions(shell: clap_complete::Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "ecs-bootstrap", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// The manual page: the flags that all commands take, commands, exit statuses, rules of the linter.
pub(crate) fn manual() -> u8 {
    let mut page = Vec::new();
    render(&mut page).expect("a Vec takes all that is written to it");
    print(&String::from_utf8_lossy(&page))
}

/// One page, so clap_mangen's references to `ecs-bootstrap-run(1)` and its like would lead nowhere.
fn render(out: &mut Vec<u8>) -> std::io::Result<()> {
    let command = super::command();
    let man = clap_mangen::Man::new(command.clone()).section("8");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_options_section(out)?;
    let mut page = Roff::new();
    page.control("SH", ["COMMANDS"]);
    page.text([roman("Each has a --help of its own, which lists its flags.")]);
    for command in command.get_subcommands() {
        let about = command.get_about().expect("every command has a description").to_string();
        paragraph(&mut page, &format!("ecs-bootstrap {}", command.get_name()), &about);
    }
    page.control("SH", ["EXIT STATUS"]);
    for status in ExitStatus::all() {
        let text = format!("{status}: {}", status.meaning());
        paragraph(&mut page, &status.code().to_string(), &text);
    }
    page.control("SH", ["RULES OF LINT"]);
    for rule in rules::all() {
        paragraph(&mut page, &format!("{} ({})", rule.id, rule.severity.word()), rule.why);
    }
    page.to_writer(out)
}

fn paragraph(page: &mut Roff, term: &str, text: &str) {
    page.control("TP", []);
    page.text([bold(term)]);
    page.text([roman(text)]);
}
