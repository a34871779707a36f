//! The program: argv and environment in, exit status out; nothing else.

fn main() -> std::process::ExitCode {
    ecs_bootstrap::main()
}
