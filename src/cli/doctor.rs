//! `ecs-bootstrap doctor`: everything that is wrong on this host.

use std::path::PathBuf;
use std::time::Instant;

use super::call::Call;
use super::output::print;
use super::{Output, flags, limits};
use crate::doctor::{self, Target, bundle};
use crate::error::{Error, RuntimeFailed, Step};
use crate::log;
use crate::settings::DOCTOR;

#[derive(clap::Args, Debug)]
#[command(args = flags::of(DOCTOR))]
pub(crate) struct DoctorArgs {
    /// Write a support bundle: the checks, and the files they looked at, without any value of a
    /// configuration key
    #[arg(long, value_name = "FILE.tar.gz", value_parser = bundle_path, display_order = flags::LAST)]
    bundle: Option<PathBuf>,
}

/// A path at which a file can be replaced.
fn bundle_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match text != "-" && !text.ends_with('/') && path.file_name().is_some() {
        true => Ok(path),
        false => Err("a bundle is a file: name one, such as /root/bundle.tar.gz".into()),
    }
}

/// Settings that cannot be used are one of its findings.
pub(crate) fn run(call: &Call<'_>, args: &DoctorArgs) -> u8 {
    let began = Instant::now();
    if let Err(error) = limits::raise() {
        return call.print_error(&RuntimeFailed(error).into());
    }
    let target = Target::new(call.root.clone(), call.given.clone(), call.environment.variables());
    let report = doctor::examine(target);
    log::clear();
    let text = if call.output == Output::Json { report.json() } else { report.text() };
    let status = print(&text).max(report.exit_status());
    let Some(path) = &args.bundle else { return status };
    let host = bundle::HostPaths { root: call.root.clone(), settings: call.settings_file.clone() };
    match bundle::write(path, &report, host, began) {
        Ok(()) => {
            tracing::info!("the support bundle is {}", path.display());
            status
        }
        Err(error) => call.print_error(&Error::from(error).in_step(Step::Bundle)),
    }
}
