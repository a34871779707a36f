//! `ecs-bootstrap verify`: who is this host?

use super::call::{Call, block_on};
use super::flags::SettingFlags;
use crate::bootstrap;
use crate::error::Error;
use crate::report::Report;
use crate::settings::VERIFY;

#[derive(clap::Args, Debug, Default)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) settings: SettingFlags<VERIFY>,
}

pub(crate) fn run(call: &Call<'_>) -> u8 {
    let report = verify(call).unwrap_or_else(|error| Report::of_failure("verify", error));
    call.print_report(&report)
}

fn verify(call: &Call<'_>) -> Result<Report, Error> {
    let settings = call.settings()?;
    block_on(bootstrap::verify(settings, call.environment))
}
