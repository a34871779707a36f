//! The file itself: what it will hold, how it gets there, what is known of earlier runs.

pub mod agent;
pub mod compose;
pub mod diff;
pub mod lock;
pub mod stale;
pub mod state;
