//! A fleet of hosts that start within a minute, in simulated time, against the quotas of S3 and STS.
//!
//! `fleet POLICY HOSTS SPREAD S3-QUOTA STS-QUOTA DOWN-FROM DOWN-UNTIL STS` prints one line of JSON.
//! POLICY is `ours` (the program's own code, src/net/pauses.rs), `plain` (exponential, without
//! jitter) or `aws-cli` (three tries); STS is `needed` or `optional`. All times are in seconds, both
//! quotas in requests a second, both services are down between the two times.
//!
//! Refusals are quick and cost a service nothing. A host whose deadline passes is started again by
//! systemd 15 s later, as the packaged unit has it; the AWS CLI in user data is not.

#[path = "../../../../src/net/pauses.rs"]
mod pauses;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use pauses::Pauses;

/// `TimeoutSec` of a run, and `RestartSec` of the unit.
const DEADLINE: f64 = 300.0;
const RESTART: f64 = 15.0;
/// Microseconds: the order of events is exact.
type Time = u64;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    Ours,
    Plain,
    AwsCli,
}

/// A token bucket that holds a second's worth.
struct Service {
    quota: f64,
    tokens: f64,
    filled: f64,
    requests: u64,
    /// Requests in each second from the end of the outage on.
    load: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Good,
    Throttled,
    Down,
}

/// One service's turn at a host.
struct Asking {
    ordinary: Pauses,
    throttled: Pauses,
    tries: u32,
    is_done: bool,
}

struct Host {
    /// Counts its starts: what was planned in an earlier one is void.
    start: u32,
    deadline: f64,
    asking: [Asking; 2],
    up: Option<f64>,
    is_lost: bool,
}

struct Fleet {
    policy: Policy,
    outage: (f64, f64),
    sts_needed: bool,
    services: [Service; 2],
    hosts: Vec<Host>,
    events: BinaryHeap<Reverse<(Time, usize, usize, u32)>>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| args[index].parse::<f64>().expect("a number");
    assert!(args.len() == 8, "fleet POLICY HOSTS SPREAD S3 STS FROM UNTIL STS-NEEDED");
    let policy = match args[0].as_str() {
        "ours" => Policy::Ours,
        "plain" => Policy::Plain,
        "aws-cli" => Policy::AwsCli,
        other => panic!("no policy is called {other}"),
    };
    fastrand::seed(20_260_101);
    let outage = (number(5), number(6));
    let services = [3, 4].map(|index| Service::new(number(index)));
    let sts_needed = args[7] == "needed";
    let mut fleet = Fleet {
        policy,
        outage,
        sts_needed,
        services,
        hosts: Vec::new(),
        events: BinaryHeap::new(),
    };
    fleet.run(number(1) as usize, number(2));
    fleet.print();
}

impl Service {
    fn new(quota: f64) -> Self {
        Service { quota, tokens: quota, filled: 0.0, requests: 0, load: Vec::new() }
    }

    fn ask(&mut self, now: f64, (from, until): (f64, f64)) -> Answer {
        self.requests += 1;
        if now >= until {
            let second = (now - until) as usize;
            self.load.resize(self.load.len().max(second + 1), 0);
            self.load[second] += 1;
        }
        if now >= from && now < until {
            return Answer::Down;
        }
        self.tokens = (self.tokens + (now - self.filled) * self.quota).min(self.quota);
        self.filled = now;
        if self.tokens < 1.0 {
            return Answer::Throttled;
        }
        self.tokens -= 1.0;
        Answer::Good
    }

    fn worst_second(&self) -> f64 {
        f64::from(self.load.iter().copied().max().unwrap_or_default()) / self.quota
    }
}

impl Asking {
    fn new() -> Self {
        Asking {
            ordinary: Pauses::ordinary(),
            throttled: Pauses::throttled(),
            tries: 0,
            is_done: false,
        }
    }

    /// The pause after a failure; `None`: it gives up.
    fn pause(&mut self, policy: Policy, service: usize, answer: Answer) -> Option<Duration> {
        self.tries += 1;
        let exponential = |first: f64| (first * f64::from(1 << self.tries.min(20))).min(20.0);
        match policy {
            // S3's throttling passes within a second; STS's quota is the whole account's.
            Policy::Ours if service == 1 && answer == Answer::Throttled => {
                Some(self.throttled.next())
            }
            Policy::Ours => Some(self.ordinary.next()),
            Policy::Plain => Some(Duration::from_secs_f64(exponential(0.1))),
            Policy::AwsCli if self.tries == 3 => None,
            Policy::AwsCli => Some(Duration::from_secs_f64(fastrand::f64() * exponential(0.5))),
        }
    }
}

impl Fleet {
    fn run(&mut self, hosts: usize, spread: f64) {
        for index in 0..hosts {
            self.hosts.push(Host {
                start: 0,
                deadline: 0.0,
                asking: [Asking::new(), Asking::new()],
                up: None,
                is_lost: false,
            });
            self.begin(index, spread * fastrand::f64());
        }
        while let Some(Reverse((time, host, service, start))) = self.events.pop() {
            if self.hosts[host].start == start {
                self.step(time as f64 / 1e6, host, service);
            }
        }
    }

    fn begin(&mut self, host: usize, at: f64) {
        let at = (at * 1e6).round() / 1e6;
        self.hosts[host].start += 1;
        self.hosts[host].deadline = at + DEADLINE;
        self.hosts[host].asking = [Asking::new(), Asking::new()];
        self.hosts[host].asking[1].is_done = self.policy == Policy::AwsCli;
        for service in 0..2 {
            if !self.hosts[host].asking[service].is_done {
                self.at(at, host, service);
            }
        }
    }

    fn at(&mut self, time: f64, host: usize, service: usize) {
        let start = self.hosts[host].start;
        self.events.push(Reverse(((time * 1e6) as Time, host, service, start)));
    }

    fn step(&mut self, now: f64, index: usize, service: usize) {
        let host = &mut self.hosts[index];
        // The first requests to both services leave together.
        let is_first = (now - host.deadline + DEADLINE).abs() < 1e-5;
        if host.is_lost || host.up.is_some() && !is_first {
            return;
        }
        let answer = self.services[service].ask(now, self.outage);
        let asking = &mut host.asking[service];
        if answer == Answer::Good {
            asking.is_done = true;
            let is_enough = service == 0 && !self.sts_needed;
            if is_enough || host.asking.iter().all(|asking| asking.is_done) {
                host.up.get_or_insert(now);
            }
            return;
        }
        let pause = asking.pause(self.policy, service, answer).map(|pause| pause.as_secs_f64());
        match pause.filter(|pause| now + pause < host.deadline) {
            Some(pause) => self.at(now + pause, index, service),
            None if self.policy == Policy::AwsCli => host.is_lost = true,
            // Without STS the run goes on as long as S3 may still answer.
            None if service == 1 && !self.sts_needed => {}
            None => self.begin(index, now + RESTART),
        }
    }

    fn print(&self) {
        let mut up: Vec<f64> = self.hosts.iter().filter_map(|host| host.up).collect();
        up.sort_by(f64::total_cmp);
        let share = |share: f64| {
            let at = (self.hosts.len() as f64 * share).ceil() as usize;
            up.get(at.saturating_sub(1)).map_or("null".into(), |time| format!("{time:.1}"))
        };
        let lost = self.hosts.iter().filter(|host| host.is_lost).count();
        let [s3, sts] = self.services.each_ref().map(|service| {
            (service.requests as f64 / self.hosts.len() as f64, service.worst_second())
        });
        println!(
            "{{\"policy\": \"{:?}\", \"hosts\": {}, \"up_50\": {}, \"up_99\": {}, \"up_100\": {}, \"lost\": {lost}, \
             \"s3_a_host\": {:.2}, \"s3_worst\": {:.2}, \"sts_a_host\": {:.2}, \"sts_worst\": {:.2}}}",
            self.policy,
            self.hosts.len(),
            share(0.5),
            share(0.99),
            share(1.0),
            s3.0,
            s3.1,
            sts.0,
            sts.1,
        );
    }
}
