//! Paths below another root than `/`, for images: no link leads out of the root.
//!
//! Resolved as the kernel resolves them for `openat2` with `RESOLVE_IN_ROOT`, component by component,
//! since kernels before 5.6 (Amazon Linux 2) have no such call. Whoever can change the tree during
//! a run could still lead it out: an image under construction has one owner.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// So many links does the kernel follow in one path.
const MAX_LINKS: usize = 40;
/// No file can have so long a name, so that a path with it is an error wherever it is used.
const TOO_LONG: usize = 256;

/// `absolute` as it is found from inside `root`; its last component too, if `follow_last`.
pub fn inside(root: &Path, absolute: &str, follow_last: bool) -> PathBuf {
    if root == Path::new("/") {
        return root.join(absolute);
    }
    let mut found = root.to_owned();
    let mut links = 0;
    // The next one is at the end.
    let mut rest: Vec<OsString> = names(Path::new(absolute)).rev().collect();
    while let Some(name) = rest.pop() {
        if name == ".." {
            if found != root {
                found.pop();
            }
            continue;
        }
        let next = found.join(&name);
        match fs::read_link(&next) {
            Ok(_) if links == MAX_LINKS => return found.join("x".repeat(TOO_LONG)),
            Ok(target) if follow_last || !rest.is_empty() => {
                links += 1;
                if target.is_absolute() {
                    found = root.to_owned();
                }
                rest.extend(names(&target).rev());
            }
            _ => found = next,
        }
    }
    found
}

/// The components of a path, but for those that stay where they are.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out_of_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("image");
        fs::create_dir_all(root.join("etc")).unwrap();
        for (link, target) in [
            ("etc/ecs", "/srv/ecs"),
            ("up", "../../../outside"),
            ("chain", "/up/x"),
            ("loop", "loop/y"),
            ("etc/file", "/etc/shadow"),
            ("etc/dots", "a/../../../b"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let table = [
            ("/etc/ecs/ecs.config", "srv/ecs/ecs.config"),
            ("/up/x", "outside/x"),
            ("/chain", "outside/x"),
            ("/etc/file", "etc/shadow"),
            ("/etc/dots", "b"),
            ("/missing/x", "missing/x"),
            ("/../../x", "x"),
        ];
        for (absolute, expected) in table {
            assert_eq!(inside(&root, absolute, true), root.join(expected), "{absolute}");
        }
        assert_eq!(inside(&root, "/etc/file", false), root.join("etc/file"));
        let endless = inside(&root, "/loop", true);
        assert!(endless.starts_with(&root) && endless.file_name().unwrap().len() > 255);
    }
}
