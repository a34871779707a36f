//! Gets a container instance ready for Amazon ECS.

pub mod ecs_config;
pub mod word;
