//! What must hold for every input, for `cargo fuzz` and for `tests/corpus.rs`:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run lint -s none --fuzz-dir tests/fuzz -- -max_total_time=600`,
//! and the same with `--features source` for the targets that are parts of the program (`documents`
//! and `source` below). `tests/fuzz/long` runs all for ten minutes each.

pub mod checks;
#[cfg(feature = "source")]
pub mod documents;
#[cfg(feature = "source")]
pub mod source;
