#[path = "../../../src/aws/partition.rs"]
mod partition;

pub use partition::{PARTITIONS, Partition, is_region};
