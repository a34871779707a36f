//! The cloud alone, for curl and for tests in other languages: options on the command line, changes
//! while it runs on standard input, requests in a log.

use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use rehearsal::{Certificate, Cloud, Credentials, Fault, Observer, Options, Seen};
use serde_json::{Value, json};

use crate::boot::{BUCKET, CONFIG, KEY};
use crate::find_fault;

#[derive(Default)]
struct Served {
    cloud: Options,
    ca: Option<PathBuf>,
    credentials: Option<Credentials>,
    faults: Vec<&'static Fault>,
    delay: Option<Duration>,
    log: Option<PathBuf>,
    on_request: Vec<String>,
    until_killed: bool,
}

/// Serves until standard input ends.
pub(crate) fn serve(options: &[&str]) -> Result<(), String> {
    let served = parse(options)?;
    let observer = observer(&served)?;
    let cloud =
        Cloud::try_start(served.cloud, observer).map_err(|e| format!("cannot listen: {e}"))?;
    cloud.set_bucket(BUCKET, |bucket| bucket.versioned = true);
    cloud.set_object(BUCKET, KEY, CONFIG);
    if let Some(credentials) = served.credentials {
        cloud.set_credentials(credentials);
    }
    if let (Some(file), Some(ca)) = (&served.ca, cloud.ca_pem()) {
        fs::write(file, ca).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    if let Some(delay) = served.delay {
        cloud.fault("delay", delay);
    }
    served.faults.iter().for_each(|fault| cloud.usual_fault(fault.name));
    for (name, value) in cloud.env() {
        println!("export {name}={value}");
    }
    println!("# s3://{BUCKET}/{KEY} is there; ends with standard input");
    if served.until_killed {
        loop {
            std::thread::park();
        }
    }
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match change(&cloud, &line) {
            Ok(()) => println!("ok"),
            Err(reason) => println!("error: {reason}"),
        }
    }
    Ok(())
}

fn parse(options: &[&str]) -> Result<Served, String> {
    let mut served = Served::default();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        if *option == "--until-killed" {
            served.until_killed = true;
            continue;
        }
        let value = options.next().ok_or_else(|| format!("{option} needs a value"))?;
        match *option {
            "--imds" => served.cloud.imds_at.push(parsed(option, value)?),
            "--aws" => served.cloud.aws_at = Some(parsed::<SocketAddr>(option, value)?),
            "--ca" => {
                served.cloud.tls = Some(Certificate::Good);
                served.ca = Some(value.into());
            }
            "--credentials" => served.credentials = Some(read_credentials(value)?),
            "--instance-id" => served.cloud.host.instance_id = (*value).into(),
            "--region" => {
                served.cloud.host.region = (*value).into();
                served.cloud.host.availability_zone = format!("{value}a");
            }
            "--role" => served.cloud.host.role = Some((*value).into()),
            "--hop-limit" => served.cloud.host.hop_limit = parsed(option, value)?,
            "--fault" => served.faults.push(find_fault(value)?),
            "--delay" => served.delay = Some(milliseconds(option, value)?),
            "--far" => served.cloud.far = milliseconds(option, value)?,
            "--log" => served.log = Some(value.into()),
            "--on-request" => {
                served.on_request = value.split_whitespace().map(str::to_owned).collect();
            }
            _ => return Err(format!("--serve has no option {option}")),
        }
    }
    Ok(served)
}

fn milliseconds(option: &str, value: &str) -> Result<Duration, String> {
    parsed(option, value).map(Duration::from_millis)
}

fn parsed<T: FromStr>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{option}: `{value}` is not valid"))
}

fn read_credentials(file: &str) -> Result<Credentials, String> {
    let text = fs::read(file).map_err(|e| format!("{file}: {e}"))?;
    let document: Value =
        serde_json::from_slice(&text).map_err(|_| format!("{file} is not valid JSON"))?;
    let field = |name: &str| {
        let value = document[name].as_str().map(str::to_owned);
        value.ok_or_else(|| format!("{file}: {name} is missing"))
    };
    Ok(Credentials {
        access_key_id: field("AccessKeyId")?,
        secret_access_key: field("SecretAccessKey")?,
        session_token: field("Token")?,
        expires: SystemTime::now() + Duration::from_secs(6 * 3600),
    })
}

/// Runs the command and writes the log.
fn observer(served: &Served) -> Result<Observer, String> {
    let command = served.on_request.clone();
    let Some(path) = &served.log else {
        return Ok(Box::new(move |_: &Seen| {
            let _unlogged = succeeds(&command);
        }));
    };
    let log = File::options().create(true).append(true).open(path);
    let log = Mutex::new(log.map_err(|e| format!("{}: {e}", path.display()))?);
    Ok(Box::new(move |seen: &Seen| {
        let line = line(seen, succeeds(&command));
        let mut log = log.lock().expect("no thread panics while it holds the log");
        log.write_all(line.as_bytes()).expect("the log can be written");
    }))
}

fn succeeds(command: &[String]) -> Option<bool> {
    let (program, args) = command.split_first()?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Some(command.status().is_ok_and(|status| status.success()))
}

fn line(seen: &Seen, on_request: Option<bool>) -> String {
    let mut line = json!({
        "connection": seen.connection,
        "start_us": microseconds(seen.start),
        "end_us": seen.end.map(microseconds),
        "service": format!("{:?}", seen.service).to_lowercase(),
        "host": seen.host,
        "method": seen.method,
        "path": seen.path,
        "status": seen.status,
        "had_token": seen.had_token,
        "signed": seen.signed,
        "user_agent": seen.user_agent,
    });
    if let Some(succeeded) = on_request {
        line["on_request"] = succeeded.into();
    }
    format!("{line}\n")
}

fn microseconds(since_the_start: Duration) -> u64 {
    u64::try_from(since_the_start.as_micros()).unwrap_or(u64::MAX)
}

/// One command from standard input.
fn change(cloud: &Cloud, line: &str) -> Result<(), String> {
    // The last part may contain blanks: it is the path of a file.
    let words: Vec<&str> = line.trim_end().splitn(4, ' ').collect();
    match words[..] {
        ["fault", name] => cloud.usual_fault(find_fault(name)?.name),
        ["clear-faults"] => cloud.clear_faults(),
        ["object", bucket, key, file] => {
            let bytes = fs::read(file).map_err(|e| format!("{file}: {e}"))?;
            cloud.set_object(bucket, key, bytes);
        }
        [kind @ ("parameter" | "secret"), name, file] => {
            let value = fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
            match kind {
                "secret" => cloud.set_secret(name, &value),
                _ => cloud.set_parameter(name, &value),
            }
        }
        ["readable", bucket, readable @ ("yes" | "no")] => {
            cloud.set_bucket(bucket, |bucket| bucket.readable = readable == "yes");
        }
        ["public", bucket] => make_public(cloud, bucket, ""),
        ["public", bucket, prefix] => make_public(cloud, bucket, prefix),
        _ => return Err(format!("unknown command: {line}")),
    }
    Ok(())
}

fn make_public(cloud: &Cloud, bucket: &str, prefix: &str) {
    cloud.set_bucket(bucket, |bucket| bucket.public_prefix = Some(prefix.into()));
}
