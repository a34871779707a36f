//! Small limits of the process (setrlimit(2)) are raised, or an error: without that, what runs out
//! ends in a signal.

use std::{io, thread};

use nix::libc::rlim_t;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What a command needs at least, with room to spare. The stack can grow to a limit that is raised
/// while the program runs: the kernel leaves at least 128 MiB for it (mm/util.c, `mmap_base`).
const STACK: Least = (Resource::RLIMIT_STACK, 2 << 20, "bytes of stack");
const OTHERS: [Least; 2] = [
    (Resource::RLIMIT_NOFILE, 64, "open files"),
    (Resource::RLIMIT_AS, 64 << 20, "bytes of address space"),
];
/// For the largest objects: an ordinary run needs a tenth of it.
const DATA: Least = (Resource::RLIMIT_DATA, 64 << 20, "bytes of data");

type Least = (Resource, rlim_t, &'static str);

/// Raises the soft limits that are too small for a command, but for that of the stack; and tries
/// whether there may be a thread (RLIMIT_NPROC, or pids.max of a cgroup), which names are resolved
/// in.
///
/// # Errors
/// The hard limit does not allow it.
pub(super) fn raise() -> io::Result<()> {
    OTHERS.into_iter().try_for_each(raise_one)?;
    // Where the hard limit does not allow it, most runs do without.
    _ = raise_one(DATA);
    thread::Builder::new().spawn(|| ()).map(drop)
}

/// The same for the stack: before the command line is parsed, which takes some.
pub(super) fn raise_stack() -> io::Result<()> {
    raise_one(STACK)
}

fn raise_one((resource, least, what): Least) -> io::Result<()> {
    let (soft, hard) = getrlimit(resource)?;
    if soft >= least {
        return Ok(());
    }
    if hard < least {
        let why = format!("only {hard} {what} are allowed, and {least} are needed");
        return Err(io::Error::other(why));
    }
    setrlimit(resource, least, hard).map_err(io::Error::from)
}
