//! A page of the manual, and what a test reads in it.

use std::fs;
use std::path::{Path, PathBuf};

/// A page of `packaging/man`, or another text of the tree.
pub(crate) struct Page {
    pub path: PathBuf,
    pub text: String,
}

impl Page {
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path.into());
        let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path:?}: {why}"));
        Page { path, text }
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::at(format!("packaging/man/{name}.md"))
    }

    /// The text below a heading of the second level.
    pub(crate) fn section(&self, heading: &str) -> &str {
        let parts = self.text.split("\n## ").filter_map(|part| part.split_once('\n'));
        let found = parts.into_iter().find(|(known, _)| *known == heading).map(|(_, text)| text);
        found.unwrap_or_else(|| panic!("{:?} has no section {heading}", self.path))
    }
}

/// Every page of the manual.
pub(crate) fn pages() -> Vec<Page> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .map(Page::at)
        .collect()
}

/// The rows of all tables, without their headings.
pub(crate) fn rows(text: &str) -> Vec<Vec<&str>> {
    let mut rows = Vec::new();
    let mut body = false;
    for line in text.lines() {
        let cells = || line.trim_matches('|').split('|').map(str::trim).collect();
        match line {
            _ if !line.starts_with('|') => body = false,
            _ if line.starts_with("|---") => body = true,
            _ if body => rows.push(cells()),
            _ => {}
        }
    }
    rows
}

/// What is between backquotes.
pub(crate) fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The name of the long option that a word is, without a value.
pub(crate) fn option(word: &str) -> Option<&str> {
    let name = word.trim_start_matches(['\'', '"']).strip_prefix("--")?;
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(name.len());
    Some(&name[..end]).filter(|name| !name.is_empty())
}
