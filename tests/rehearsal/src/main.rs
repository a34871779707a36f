//! The newcomer's first command, and the double of AWS for the layers of the tests that are not
//! written in Rust.

mod boot;
mod serve;
mod show;
mod suite;

use std::process::ExitCode;

use rehearsal::{FAULTS, Fault, HOSTILE};

const HELP: &str = "\
Rehearses a boot with ecs-bootstrap against a cloud on loopback. Nothing leaves this machine, and nothing on it changes.

  cargo run -p rehearsal                        a boot, and the one after it
  cargo run -p rehearsal -- --fault NAME        a boot on which something goes wrong
  cargo run -p rehearsal -- --list              what can go wrong
  cargo run -p rehearsal -- --suite [NAME]      every fault, hostile ones too: exit status, seconds, memory, message
  cargo run -p rehearsal -- --serve [OPTION]... only the cloud, until standard input ends; prints its environment

Options of --serve:
  --imds ADDRESS:PORT   where instance metadata listens, instead of a free port of 127.0.0.1; can be repeated.
                        169.254.169.254:80 and [fd00:ec2::254]:80 are for a network namespace of the caller's own
  --aws ADDRESS:PORT    one more listener for STS, S3, ECS and ECR, told by their host names
  --ca FILE             all but instance metadata speak TLS; the certificate authority to trust is written to FILE
  --credentials FILE    served instead of its own, and checked: JSON as IMDS writes it
  --instance-id ID, --region REGION, --role NAME, --hop-limit NUMBER
  --fault NAME          can be repeated
  --delay MILLISECONDS  before each answer; --far MILLISECONDS: before each connection with TLS
  --log FILE            a line of JSON a request, written before its answer leaves
  --on-request COMMAND  runs before each answer; `on_request` in the log is whether it succeeded
  --until-killed        does not read standard input

Commands on standard input, a line each, answered with `ok` or `error: REASON`:
  fault NAME | clear-faults
  object BUCKET KEY FILE                  puts the file into the bucket
  parameter PATH FILE | secret NAME FILE  a new version of it
  readable BUCKET yes|no                  whether the role may read it
  public BUCKET [PREFIX]                  anybody may read its objects
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => boot::rehearse(),
        ["--list"] => list(),
        ["--suite", ref options @ ..] => suite::run(options),
        [suite::measure::MEASURE, file, program, ref arguments @ ..] => {
            suite::measure::measured(file, program, arguments)
        }
        ["--fault", name] => match find_fault(name) {
            Ok(fault) => boot::fail(fault),
            Err(reason) => wrong_usage(&reason),
        },
        ["--serve", ref options @ ..] => match serve::serve(options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => wrong_usage(&reason),
        },
        ["--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => wrong_usage("unknown arguments"),
    }
}

fn wrong_usage(reason: &str) -> ExitCode {
    eprint!("rehearsal: {reason}\n\n{HELP}");
    ExitCode::from(2)
}

/// The row of that name in the table of faults.
fn find_fault(name: &str) -> Result<&'static Fault, String> {
    let found = FAULTS.iter().chain(HOSTILE).find(|fault| fault.name == name);
    found.ok_or_else(|| format!("no fault is called {name}; --list names them all"))
}

fn list() -> ExitCode {
    println!("{:<20}  {:>4}  what the cloud does", "fault", "exit");
    for fault in FAULTS {
        println!("{:<20}  {:>4}  {}", fault.name, fault.exit_status, fault.does);
    }
    ExitCode::SUCCESS
}
