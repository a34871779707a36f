//! Keeps every JSON document that a test gets from the program: `tests/schemas/run` holds each
//! against its schema.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Below the target folder.
const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/json");

/// Keeps what the program printed, if it is JSON.
pub(crate) fn collect(printed: &[u8]) {
    if serde_json::from_slice::<serde_json::Value>(printed).is_err() {
        return;
    }
    let mut hasher = DefaultHasher::new();
    printed.hash(&mut hasher);
    fs::create_dir_all(FOLDER).unwrap();
    let file = Path::new(FOLDER).join(format!("{:016x}.json", hasher.finish()));
    // Tests run side by side, and may print the same.
    let new =
        file.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
    fs::write(&new, printed).unwrap();
    fs::rename(&new, &file).unwrap();
}
