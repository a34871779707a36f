//! systemd's units as they lie on the disk: main file, drop-ins, and the links that `enable` makes.
//! Asks no systemd.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where units lie, strongest first (systemd.unit(5), "UNIT FILE LOAD PATH").
const FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// One unit with its drop-ins.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Unit {
    pub(crate) masked: bool,
    /// Assignments in the order in which systemd reads them.
    set: Vec<(String, String)>,
}

impl Unit {
    /// Everything a list holds; an empty assignment empties it.
    pub(crate) fn list(&self, key: &str) -> Vec<&str> {
        let mut list = Vec::new();
        for (_, value) in self.set.iter().filter(|(name, _)| name == key) {
            match value.is_empty() {
                true => list.clear(),
                false => list.extend(value.split_whitespace()),
            }
        }
        list
    }

    /// The last value, if it is not empty.
    pub(crate) fn last(&self, key: &str) -> Option<&str> {
        let last = self.set.iter().rev().find(|(name, _)| name == key);
        last.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// The unit of that name, if there is one.
pub(crate) fn read(root: &Path, name: &str) -> Option<Unit> {
    let main = FOLDERS
        .iter()
        .map(|folder| root.join(folder).join(name))
        .find(|path| path.symlink_metadata().is_ok())?;
    let target = fs::read_link(&main).ok();
    if target.as_deref() == Some(Path::new("/dev/null")) {
        return Some(Unit { masked: true, ..Unit::default() });
    }
    let text = fs::read_to_string(within(root, &main, target)).unwrap_or_default();
    let drop_ins =
        drop_ins(root, name).into_values().filter_map(|path| fs::read_to_string(path).ok());
    let set = std::iter::once(text).chain(drop_ins).flat_map(|text| assignments(&text)).collect();
    Some(Unit { masked: false, set })
}

/// An absolute link below the root means a path below the root.
fn within(root: &Path, main: &Path, target: Option<PathBuf>) -> PathBuf {
    match target.as_deref().and_then(|target| target.strip_prefix("/").ok()) {
        Some(absolute) => root.join(absolute),
        None => main.to_owned(),
    }
}

/// By file name, which is the order in which they are read; the strongest folder's file of a name
/// stands for all of that name.
fn drop_ins(root: &Path, name: &str) -> BTreeMap<std::ffi::OsString, PathBuf> {
    let mut found = BTreeMap::new();
    for folder in FOLDERS.iter().rev() {
        found.extend(drop_ins_in(&root.join(folder), name));
    }
    found
}

fn drop_ins_in(folder: &Path, name: &str) -> impl Iterator<Item = (std::ffi::OsString, PathBuf)> {
    let entries = fs::read_dir(folder.join(format!("{name}.d"))).into_iter().flatten().flatten();
    let files = entries
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "conf"));
    files.map(|entry| (entry.file_name(), entry.path()))
}

/// Every file of the unit, in whichever folder, the strongest first; of each folder's drop-ins no
/// more than anybody reads.
pub(crate) fn paths(root: &Path, name: &str) -> Vec<PathBuf> {
    const MOST: usize = 32;
    // Where /lib is /usr/lib, the last folder is the one before it.
    let folders = FOLDERS
        .iter()
        .filter(|folder| !folder.starts_with("lib/") || !root.join("lib").is_symlink());
    let files = folders.flat_map(|folder| {
        let main =
            Some(root.join(folder).join(name)).filter(|path| path.symlink_metadata().is_ok());
        let drop_ins: BTreeMap<_, _> = drop_ins_in(&root.join(folder), name).collect();
        main.into_iter().chain(drop_ins.into_values().take(MOST))
    });
    files.collect()
}

/// Whether a drop-in of the unit has a line that holds this text.
pub(crate) fn drop_in_holds(root: &Path, name: &str, text: &str) -> bool {
    drop_ins(root, name)
        .into_values()
        .any(|path| fs::read_to_string(path).is_ok_and(|file| file.contains(text)))
}

/// What this unit pulls in by links: `kind` is `wants` or `requires`.
pub(crate) fn links(root: &Path, name: &str, kind: &str) -> Vec<String> {
    let folders = FOLDERS.iter().map(|folder| root.join(folder).join(format!("{name}.{kind}")));
    let entries = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Whether anything pulls the unit in at boot.
pub(crate) fn is_enabled(root: &Path, name: &str) -> bool {
    let folders = FOLDERS
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).into_iter().flatten().flatten());
    let pulls = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "wants" || extension == "requires")
    };
    folders
        .map(|entry| entry.path())
        .any(|folder| pulls(&folder) && folder.join(name).symlink_metadata().is_ok())
}

fn assignments(text: &str) -> Vec<(String, String)> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
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
    fn a_unit_is_its_file_and_its_drop_ins_and_an_empty_assignment_empties() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            "usr/lib/systemd/system/a.service",
            "[Unit]\n# After=no\nAfter=x.service \\\n  y.service\n",
        );
        write(root.path(), "usr/lib/systemd/system/a.service.d/10.conf", "After=\n");
        write(root.path(), "etc/systemd/system/a.service.d/20.conf", "[Unit]\nAfter = z.service\n");
        assert_eq!(read(root.path(), "a.service").unwrap().list("After"), ["z.service"]);
        fs::remove_file(root.path().join("usr/lib/systemd/system/a.service.d/10.conf")).unwrap();
        assert_eq!(
            read(root.path(), "a.service").unwrap().list("After"),
            ["x.service", "y.service", "z.service"]
        );
        assert_eq!(read(root.path(), "b.service"), None);
    }

    #[test]
    fn a_masked_unit_is_known_by_its_link_and_an_enabled_one_by_its_target_s() {
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
        std::os::unix::fs::symlink("/dev/null", etc.join("a.service")).unwrap();
        assert!(read(root.path(), "a.service").unwrap().masked);
    }
}
