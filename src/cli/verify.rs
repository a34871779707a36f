//! `ecs-bootstrap verify`: who is this host?

use super::call::{Call, block_on};
use crate::bootstrap;
use crate::error::Error;
use crate::report::Report;

pub(crate) fn run(call: &Call<'_>) -> u8 {
    call.print_result("verify", verify(call))
}

fn verify(call: &Call<'_>) -> Result<Report, Error> {
    let settings = call.settings()?;
    block_on(bootstrap::verify(settings, call.environment))
}
