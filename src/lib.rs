//! Gets a container instance ready for Amazon ECS.

pub mod word;
