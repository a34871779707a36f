//! The file itself: what it will hold, how it gets there, what is known of earlier runs.

pub(crate) mod agent;
pub(crate) mod compose;
pub(crate) mod diff;
pub(crate) mod lock;
pub(crate) mod stale;
pub(crate) mod state;
