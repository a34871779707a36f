//! `ecs-bootstrap verify`: who is this host?

use super::call::{Call, block_on};
use crate::bootstrap;

pub(crate) fn run(call: &Call<'_>) -> u8 {
    let verify = |settings| block_on(bootstrap::verify(settings, call.environment));
    call.print_result("verify", call.settings().and_then(verify))
}
