//! `ecs-bootstrap run`: one boot, its report, its exit status.

use nix::unistd::geteuid;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::call::{Call, block_on, runtime};
use super::output::{print, print_error_text};
use super::signals::interrupted;
use super::{Output, flags};
use crate::bootstrap::{self, Boot};
use crate::error::{Diagnostic, Error, Step};
use crate::files;
use crate::install::lock::{self, Lock};
use crate::log::LogFormat;
use crate::paths;
use crate::report::{Report, inventory, refusal};
use crate::settings::{RUN, Settings};

#[derive(clap::Args, Debug)]
#[command(args = flags::of(RUN))]
pub(crate) struct RunArgs {
    /// Do everything up to the installation, and print the difference
    #[arg(long, display_order = flags::LAST)]
    dry_run: bool,
    /// Print when each step and each connection began and ended
    #[arg(long, display_order = flags::LAST)]
    timings: bool,
}

/// Runs it. The report is left in /run/ecs-bootstrap, but for a dry run.
pub(crate) fn run(call: &Call<'_>, args: &RunArgs) -> u8 {
    let Boot { report, lock, diff } = match ready(call, args) {
        Ok((settings, runtime)) => {
            let (environment, dry_run) = (call.environment, args.dry_run);
            let boot =
                runtime.block_on(bootstrap::run(settings, environment, dry_run, interrupted()));
            // A name look-up that hangs in a thread of its own is left behind.
            runtime.shutdown_background();
            boot
        }
        Err(error) => Boot { report: Report::of_failure("run", error), lock: None, diff: None },
    };
    if !args.dry_run
        && let Some(_lock) = lock.or_else(|| lock_at_once(call))
    {
        leave(call, &report);
        if report.results.inventory {
            inventory::leave(&call.root, &report);
        }
    }
    if let (Some(diff), Output::Text) = (&diff, call.output) {
        print(diff);
    }
    let status = call.print_report(&report);
    if args.timings && call.output == Output::Text {
        print(&report.timings());
    }
    if call.format == LogFormat::Emf {
        print_error_text(&(inventory::metric(&report) + "\n"));
    }
    status
}

fn ready(call: &Call<'_>, args: &RunArgs) -> Result<(Settings, Runtime), Error> {
    let settings = call.settings()?;
    may_replace(&settings, args)?;
    Ok((settings, runtime()?))
}

/// Every user may work below a folder of their own; the host's own files are root's.
fn may_replace(settings: &Settings, args: &RunArgs) -> Result<(), files::Error> {
    let uid = geteuid().as_raw();
    match uid == 0 || args.dry_run || !settings.is_host_root() {
        true => Ok(()),
        false => {
            Err(files::Error::Privilege { what: "`run` replaces /etc/ecs/ecs.config, which", uid })
        }
    }
}

/// For the report of a run that ended before it waited for its turn; `None` if another run is at
/// work: then its report is the last.
fn lock_at_once(call: &Call<'_>) -> Option<Lock> {
    let path = paths::below(&call.root, paths::LOCK);
    block_on(lock::take(&path, Instant::now())).ok()?.ok()
}

/// Settings that are refused do not replace the report of a boot: they are noted beside it.
fn leave(call: &Call<'_>, report: &Report) {
    let path = paths::below(&call.root, paths::REPORT);
    let refused = report.error.as_ref().filter(|error| error.step == Step::Settings);
    if let Some(refused) = refused.filter(|_| path.exists()) {
        return refusal::record(&call.root, &refused.why());
    }
    match files::replace(&path, format!("{}\n", report.json()).as_bytes(), 0o644) {
        Ok(_) => refusal::forget(&call.root),
        Err(error) => {
            let causes = error.causes().into_iter().map(|cause| format!(": {cause}"));
            let causes: String = causes.collect();
            tracing::warn!("the report could not be written: {error}{causes}");
        }
    }
}
