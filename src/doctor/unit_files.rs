//! systemd's units as their files have them: main file, drop-ins, and the links that `enable`
//! makes. Asks no systemd, so that it works below any root.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::has_word;
use crate::files::read_text;
use crate::paths::MAX_CONFIG;

/// Folders of units, strongest first (systemd.unit(5), "UNIT FILE LOAD PATH").
const FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// One unit with its drop-ins.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Unit {
    pub(super) masked: bool,
    /// In the order in which systemd reads them.
    assignments: Vec<(String, String)>,
}

impl Unit {
    /// What is assigned to a list; an empty assignment resets it, unless it is one of dependencies
    /// (systemd.unit(5): "dependencies … cannot be reset to an empty list").
    pub(super) fn values(&self, key: &str) -> Vec<&str> {
        const DEPENDENCIES: &str =
            "After Before Wants Requires Requisite BindsTo PartOf Upholds Conflicts";
        let mut values = Vec::new();
        for (_, value) in self.assignments.iter().filter(|(name, _)| name == key) {
            match value.as_str() {
                "" if has_word(DEPENDENCIES, key) => {}
                "" => values.clear(),
                value => values.push(value),
            }
        }
        values
    }

    /// Whether a list has this item.
    pub(super) fn lists(&self, key: &str, item: &str) -> bool {
        self.values(key).into_iter().flat_map(str::split_whitespace).any(|listed| listed == item)
    }

    /// The last value, if it is not empty.
    pub(super) fn last(&self, key: &str) -> Option<&str> {
        self.values(key).pop()
    }

    /// Whether a command of the unit contains this text.
    pub(super) fn runs(&self, command: &str) -> bool {
        let executes =
            |(name, value): &(String, String)| name.starts_with("Exec") && value.contains(command);
        self.assignments.iter().any(executes)
    }

    /// `Environment=`: names and values, in order.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let items = self.values("Environment").into_iter().flat_map(items);
        let split = |item: String| {
            item.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        items.filter_map(split).collect()
    }
}

/// The entries of a folder; none where it cannot be read.
fn entries(folder: PathBuf) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

/// The unit of that name, if there is one.
pub(super) fn read(root: &Path, name: &str) -> Option<Unit> {
    let main = FOLDERS
        .iter()
        .map(|folder| root.join(folder).join(name))
        .find(|path| path.symlink_metadata().is_ok())?;
    let target = fs::read_link(&main).ok();
    let is_null = target.as_ref().is_some_and(|target| target.ends_with("dev/null"));
    // An absolute link below the root leads to a path below the root.
    let absolute = target.as_deref().and_then(|target| target.strip_prefix("/").ok());
    let main = absolute.map_or(main, |target| root.join(target));
    let is_empty = fs::metadata(&main).is_ok_and(|file| file.is_file() && file.len() == 0);
    // The file's own name, where this one is an alias.
    let own = main.file_name().and_then(|name| name.to_str()).filter(|own| *own != name);
    // `service.d` is for every service.
    let kind = name.rsplit_once('.').map(|(_, kind)| kind);
    let names = kind.into_iter().chain(own).chain([name]);
    let folders = names.flat_map(|name| FOLDERS.iter().rev().map(move |it| (it, name)));
    // By file name, which is the order in which they are read; the file of the most specific name
    // in the strongest folder replaces all others of its name.
    let drop_ins: BTreeMap<OsString, PathBuf> =
        folders.flat_map(|(folder, name)| drop_ins(&root.join(folder), name)).collect();
    let paths = std::iter::once(&main).chain(drop_ins.values());
    let texts = paths.filter_map(|path| read_text(path, MAX_CONFIG));
    let assignments = texts.flat_map(|text| assignments(&text)).collect();
    Some(Unit { masked: is_null || is_empty, assignments })
}

fn drop_ins(folder: &Path, name: &str) -> BTreeMap<OsString, PathBuf> {
    let entries = entries(folder.join(format!("{name}.d")));
    let files = entries.map(|entry| (entry.file_name(), entry.path()));
    files.filter(|(_, path)| path.extension().is_some_and(|end| end == "conf")).collect()
}

/// Every file of the unit, in whichever folder, the strongest first; of each folder's drop-ins the
/// first 32.
pub(super) fn paths(root: &Path, name: &str) -> Vec<PathBuf> {
    const MAX_DROP_INS: usize = 32;
    // Where /lib is /usr/lib, the last folder is the one before it.
    let folders = FOLDERS
        .iter()
        .filter(|folder| !folder.starts_with("lib/") || !root.join("lib").is_symlink());
    let files = folders.flat_map(|folder| {
        let main =
            Some(root.join(folder).join(name)).filter(|path| path.symlink_metadata().is_ok());
        let drop_ins = drop_ins(&root.join(folder), name).into_values();
        main.into_iter().chain(drop_ins.take(MAX_DROP_INS))
    });
    files.collect()
}

/// What this unit pulls in by links: `kind` is `wants` or `requires`.
pub(super) fn links(root: &Path, name: &str, kind: &str) -> Vec<String> {
    let folders = FOLDERS.iter().map(|folder| root.join(folder).join(format!("{name}.{kind}")));
    folders.flat_map(entries).filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Whether any other unit pulls this one in at boot.
pub(super) fn is_enabled(root: &Path, name: &str) -> bool {
    FOLDERS.iter().flat_map(|folder| entries(root.join(folder))).any(|entry| {
        let folder = entry.path();
        let kind = folder.extension().unwrap_or_default();
        (kind == "wants" || kind == "requires") && folder.join(name).symlink_metadata().is_ok()
    })
}

/// The assignments of a unit file. A line that ends in a backslash continues on the next one,
/// comments between them left out (systemd.syntax(7)).
pub(super) fn assignments(text: &str) -> Vec<(String, String)> {
    let mut lines = vec![String::new()];
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        let joined = lines.last_mut().expect("it begins with one line and never loses one");
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            *joined += &line[..line.len() - 1];
            joined.push(' ');
        } else {
            *joined += line;
            lines.push(String::new());
        }
    }
    let pairs = lines.iter().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// The items of a value, without quotes and escapes (systemd.syntax(7), "QUOTING").
pub(super) fn items(value: &str) -> Vec<String> {
    let (mut items, mut item, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                item.get_or_insert_default();
            }
            c if quote == Some(c) => quote = None,
            c if quote.is_none() && c.is_whitespace() => items.extend(item.take()),
            '\\' => item.get_or_insert_default().extend(chars.next().map(unescaped)),
            c => item.get_or_insert_default().push(c),
        }
    }
    items.extend(item);
    items
}

fn unescaped(c: char) -> char {
    match c {
        's' => ' ',
        't' => '\t',
        'n' => '\n',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn empty_assignments_reset_lists_but_no_dependencies() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            "usr/lib/systemd/system/a.service",
            "[Unit]\n# After=no\nAfter=x.service \\\n; no\n  y.service\n[Service]\nExecStart=/bin/a\n",
        );
        write(root.path(), "usr/lib/systemd/system/a.service.d/10.conf", "After=\nExecStart=\n");
        write(
            root.path(),
            "etc/systemd/system/a.service.d/20.conf",
            "[Unit]\nAfter = z.service\n[Service]\nExecStart=/bin/b\n",
        );
        let unit = read(root.path(), "a.service").unwrap();
        assert!(
            ["x.service", "y.service", "z.service"].iter().all(|name| unit.lists("After", name))
        );
        assert_eq!(unit.values("ExecStart"), ["/bin/b"]);
        assert_eq!(read(root.path(), "b.service"), None);
    }

    #[test]
    fn links_mask_and_enable_units() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "usr/lib/systemd/system/a.service", "[Unit]\n");
        let etc = root.path().join("etc/systemd/system");
        fs::create_dir_all(etc.join("multi-user.target.wants")).unwrap();
        assert!(!is_enabled(root.path(), "a.service"));
        std::os::unix::fs::symlink(
            "/usr/lib/systemd/system/a.service",
            etc.join("multi-user.target.wants/a.service"),
        )
        .unwrap();
        assert!(is_enabled(root.path(), "a.service"));
        assert_eq!(links(root.path(), "multi-user.target", "wants"), ["a.service"]);
        std::os::unix::fs::symlink("../../../dev/null", etc.join("a.service")).unwrap();
        assert!(read(root.path(), "a.service").unwrap().masked);
        write(root.path(), "etc/systemd/system/b.service", "");
        assert!(read(root.path(), "b.service").unwrap().masked);
    }

    #[test]
    fn drop_ins_of_aliases_and_of_all_services_count() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "usr/lib/systemd/system/a.service", "[Unit]\n");
        write(root.path(), "etc/systemd/system/a.service.d/1.conf", "After=a\n");
        write(root.path(), "etc/systemd/system/b.service.d/1.conf", "After=b\n");
        write(root.path(), "etc/systemd/system/b.service.d/2.conf", "After=c\n");
        write(root.path(), "etc/systemd/system/service.d/0.conf", "After=all\n");
        let alias = root.path().join("etc/systemd/system/b.service");
        std::os::unix::fs::symlink("/usr/lib/systemd/system/a.service", alias).unwrap();
        assert_eq!(read(root.path(), "b.service").unwrap().values("After"), ["all", "b", "c"]);
    }

    #[test]
    fn a_double_backslash_does_not_continue_a_line() {
        let read = assignments("After=a\\\\\nBefore=b\n");
        assert_eq!(read, [("After".into(), "a\\\\".into()), ("Before".into(), "b".into())]);
    }

    #[test]
    fn quotes_keep_blanks_and_escapes_are_replaced() {
        let table: [(&str, &[&str]); 6] = [
            (r#""NO_PROXY=a b"  C=d"#, &["NO_PROXY=a b", "C=d"]),
            (r#"'A="b"' "C='d'""#, &["A=\"b\"", "C='d'"]),
            (r#"A="b c" D"#, &["A=b c", "D"]),
            (r#""A=b\"c" D\se"#, &["A=b\"c", "D e"]),
            (r#""""#, &[""]),
            ("  ", &[]),
        ];
        for (value, wanted) in table {
            assert_eq!(items(value), wanted, "{value}");
        }
    }
}
