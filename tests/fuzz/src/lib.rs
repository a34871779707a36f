//! What must hold for every input, for `cargo fuzz` and for `tests/corpus.rs`:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run lint -s none --fuzz-dir tests/fuzz -- -max_total_time=600`,
//! and the same with `--features source` for the target `source`.

pub mod checks;
#[cfg(feature = "source")]
pub mod source;
