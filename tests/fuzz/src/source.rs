#[path = "../../../src/source/grammar.rs"]
mod grammar;
#[path = "../../../src/source/invalid.rs"]
mod invalid;

pub use grammar::{Bucket, Object, Source};
pub use invalid::Invalid;
