//! The program: argv and environment in, exit status out; nothing else.

/// musl's own allocator maps and unmaps memory over and over: a third of the system calls of a run.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> std::process::ExitCode {
    ecs_bootstrap::main()
}
