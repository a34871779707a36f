//! `abandon` in front of a stand-in for Auto Scaling: what it sends, and what each answer means.
//! That IAM decides as the printed role says is in `tests/peers`, with moto.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use support::{Ended, Host};

const TAKEN: (u16, &str) = (200, "<SetInstanceHealthResponse/>");
const ENDED: (u16, &str) = (
    200,
    "<?xml version=\"1.0\"?><CompleteLifecycleActionResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"/>",
);
const DENIED: (u16, &str) = (
    403,
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>",
);
const UNKNOWN: (u16, &str) = (
    400,
    "<ErrorResponse><Error><Code>ValidationError</Code><Message>No active Lifecycle Action found</Message></Error></ErrorResponse>",
);
const BUSY: (u16, &str) = (
    400,
    "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>",
);

/// Gives these answers, the last one for ever, and keeps each request as `AUTHORIZATION BODY`.
struct AutoScaling {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl AutoScaling {
    fn start(answers: &'static [(u16, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = requests.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some(request) = read(&stream) else { continue };
                let mut seen = seen.lock().unwrap();
                seen.push(request);
                let (status, body) = answers[seen.len().min(answers.len()) - 1];
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n");
                // The program may have gone.
                let _sent = write!(stream, "{head}Connection: close\r\n\r\n{body}");
            }
        });
        AutoScaling { url, requests }
    }

    fn abandon(&self, host: &Host, args: &[&str]) -> Ended {
        let mut command = host.command();
        command.args(["abandon", "--output", "json"]).args(args);
        Ended::of(command.env("AWS_ENDPOINT_URL_AUTO_SCALING", &self.url))
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut authorization, mut length) = (String::new(), 0);
    reader.read_line(&mut String::new()).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "authorization" => authorization = value.trim().to_owned(),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(format!("{authorization} {}", String::from_utf8_lossy(&body)))
}

#[test]
fn instance_is_marked_unhealthy_despite_its_grace_period() {
    let (host, auto_scaling) = (Host::default(), AutoScaling::start(&[TAKEN]));
    auto_scaling.abandon(&host, &[]).succeeds_as("abandoned");
    let [request] = &auto_scaling.requests()[..] else { panic!("one request") };
    for part in [
        "/eu-west-1/autoscaling/aws4_request",
        "x-amz-security-token",
        "Action=SetInstanceHealth&Version=2011-01-01",
        "InstanceId=i-0ec5b007572a90001",
        "HealthStatus=Unhealthy",
        "ShouldRespectGracePeriod=false",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
    assert_eq!(host.names("/run/ecs-bootstrap"), [""; 0], "the report of the boot stays");
}

#[test]
fn launch_that_waits_for_a_hook_is_abandoned() {
    let (host, auto_scaling) = (Host::default(), AutoScaling::start(&[ENDED]));
    auto_scaling
        .abandon(&host, &["--group", "web", "--hook", "at launch"])
        .succeeds_as("abandoned");
    let [request] = &auto_scaling.requests()[..] else { panic!("one request") };
    for part in [
        "Action=CompleteLifecycleAction&",
        "AutoScalingGroupName=web",
        "LifecycleHookName=at+launch",
        "LifecycleActionResult=ABANDON",
        "InstanceId=i-0ec5b007572a90001",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
    assert_eq!(auto_scaling.abandon(&host, &["--hook", "x"]).status, 2);
}

#[test]
fn refusal_prints_the_statement_that_would_allow_it() {
    let (host, auto_scaling) = (Host::default(), AutoScaling::start(&[DENIED]));
    let statement = "autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName";
    let ended = auto_scaling.abandon(&host, &[]);
    ended.fails_as("access_denied", 20, &["autoscaling:SetInstanceHealth", statement, "/*"]);
    let ended = auto_scaling.abandon(&host, &["--group", "web", "--hook", "x"]);
    ended.fails_as(
        "access_denied",
        20,
        &["autoscaling:CompleteLifecycleAction", statement, "/web"],
    );
    assert_eq!(auto_scaling.requests().len(), 2);
}

#[test]
fn throttling_is_waited_out_and_unknown_instances_are_not() {
    let (host, auto_scaling) = (Host::default(), AutoScaling::start(&[BUSY, BUSY, TAKEN]));
    auto_scaling.abandon(&host, &[]).succeeds_as("abandoned");
    let auto_scaling = AutoScaling::start(&[UNKNOWN]);
    let ended = auto_scaling.abandon(&host, &["--group", "web", "--hook", "x"]);
    ended.fails_as("not_found", 21, &["No active Lifecycle Action", "Pending:Wait"]);
    assert_eq!(auto_scaling.requests().len(), 1);
}

#[test]
fn a_web_page_is_not_the_word_of_auto_scaling() {
    const PAGES: [&[(u16, &str)]; 3] =
        [&[(200, "<html>log in</html>")], &[(403, "<html>")], &[(302, "")]];
    let host = Host::default();
    for page in PAGES {
        let ended = AutoScaling::start(page).abandon(&host, &["--timeout", "1s"]);
        ended.fails_as("source_unreachable", 22, &["only 200 is the answer"]);
    }
}

#[test]
fn unreachable_endpoint_and_external_host_are_told() {
    let host = Host::default();
    let nowhere = AutoScaling { url: "http://127.0.0.1:1".into(), requests: Arc::default() };
    let ended = nowhere.abandon(&host, &["--timeout", "1s"]);
    ended.fails_as("source_unreachable", 22, &["refused", "REGION.autoscaling"]);
    host.machine.write("/etc/ecs-bootstrap/ecs-bootstrap.toml", "host = \"external\"\n");
    nowhere.abandon(&host, &[]).fails_as("settings", 2, &["external"]);
}
