//! Small limits of the process (setrlimit(2)) are raised, or an error: without that, what runs out
//! ends in a signal.

use std::io;

use nix::libc::rlim_t;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What a command needs at least, with room to spare. The stack can grow to a limit that is raised
/// while the program runs: the kernel leaves at least 128 MiB for it (mm/util.c, `mmap_base`).
const LEAST: [(Resource, rlim_t, &str); 3] = [
    (Resource::RLIMIT_NOFILE, 64, "open files"),
    (Resource::RLIMIT_STACK, 2 << 20, "bytes of stack"),
    (Resource::RLIMIT_AS, 64 << 20, "bytes of address space"),
];

/// Raises the soft limits that are too small.
///
/// # Errors
/// The hard limit does not allow it.
pub(super) fn raise() -> io::Result<()> {
    for (resource, least, what) in LEAST {
        let (soft, hard) = getrlimit(resource)?;
        if soft >= least {
            continue;
        }
        if hard < least {
            let why = format!("only {hard} {what} are allowed, and {least} are needed");
            return Err(io::Error::other(why));
        }
        setrlimit(resource, least, hard)?;
    }
    Ok(())
}
