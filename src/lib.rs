//! Gets a container instance ready for Amazon ECS.

pub mod aws;
pub mod http;
pub mod source;
pub mod word;
