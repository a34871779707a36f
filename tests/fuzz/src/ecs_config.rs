#[path = "../../../src/ecs_config/merge/mod.rs"]
pub mod merge;
#[path = "../../../src/ecs_config/readers/mod.rs"]
pub mod readers;
