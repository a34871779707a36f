//! The pure modules of ecs-bootstrap, for fuzzing:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run merge -s none --fuzz-dir tests/fuzz -- -max_total_time=600`

pub mod checks;
pub mod ecs_config;
#[path = "../../../src/word.rs"]
pub mod word;
