//! A boot waits for no answer that it does not need: its time is that of its longest chain of
//! requests, and no more.

mod support;

use std::time::Duration;

use rehearsal::{Service, longest_chain};
use support::{Host, SOURCE};

/// token → role's name → credentials → STS beside S3.
const CHAIN: usize = 4;
const DELAY: Duration = Duration::from_millis(50);

#[test]
fn the_longest_chain_of_a_boot_is_four_requests_and_no_request_is_made_twice() {
    let host = Host::default();
    // Answers that come at once hide what waits for what.
    host.cloud.fault("delay", Duration::from_millis(100));
    host.boots("installed");
    let requests = host.cloud.requests();
    let asked = |service: Service| {
        requests
            .iter()
            .filter(|seen| seen.service == service)
            .map(|seen| seen.path.clone())
            .collect::<Vec<_>>()
    };
    println!("IMDS: {:?}", asked(Service::Imds));
    assert_eq!(longest_chain(&requests), CHAIN, "{requests:#?}");
    assert_eq!((asked(Service::Sts).len(), asked(Service::S3).len()), (1, 1));
    let mut imds = asked(Service::Imds);
    imds.sort();
    let wanted = [
        "/latest/api/token",
        "/latest/dynamic/instance-identity/document",
        "/latest/meta-data/iam/info",
        "/latest/meta-data/iam/security-credentials/",
        "/latest/meta-data/iam/security-credentials/ecsInstanceRole",
    ];
    assert_eq!(imds, wanted);
}

#[test]
fn with_every_answer_50_ms_late_a_boot_takes_its_chain_and_one_answer_more() {
    // What a run costs by itself, on this machine at this moment: the same without the delay.
    let best = |host: &Host| (0..5).map(|_| host.run(&["--config", SOURCE]).took).min().unwrap();
    let (prompt, late) = (Host::default(), Host::default());
    late.cloud.fault("delay", DELAY);
    let (alone, delayed) = (best(&prompt), best(&late));
    let most = alone + DELAY * (CHAIN as u32 + 1);
    assert!(
        delayed >= DELAY * CHAIN as u32,
        "{delayed:?} is shorter than the chain: is it delayed at all?"
    );
    // 200 ms for a machine that does other things, too; a chain longer by four would still be seen.
    assert!(
        delayed <= most + Duration::from_millis(200),
        "{delayed:?} with the delay, {alone:?} without"
    );
    println!("without delay {alone:?}, with 50 ms {delayed:?}, at most {most:?}");
}

#[test]
fn layers_are_fetched_at_the_same_time() {
    let host = Host::default();
    host.cloud.set_object("fleet-config", "b", "ECS_LOGLEVEL=debug\n");
    host.cloud.set_object("fleet-config", "c", "ECS_ENABLE_TASK_IAM_ROLE=true\n");
    host.cloud.fault("delay", Duration::from_millis(150));
    host.run(&[
        "--config",
        SOURCE,
        "--config",
        "s3://fleet-config/b",
        "--config",
        "s3://fleet-config/c",
    ])
    .succeeds_as("installed");
    assert_eq!(longest_chain(&host.cloud.requests()), CHAIN);
}

#[test]
fn a_bucket_in_another_region_costs_one_round_trip_more() {
    let host = Host::default().with_fault("s3-wrong-region");
    host.cloud.fault("delay", Duration::from_millis(100));
    host.boots("installed");
    let requests = host.cloud.requests();
    assert_eq!(requests.iter().filter(|seen| seen.service == Service::S3).count(), 2);
    assert_eq!(longest_chain(&requests), CHAIN + 1);
}

#[test]
fn metadata_is_asked_over_few_connections() {
    let host = Host::default();
    host.boots("installed");
    let requests = host.cloud.requests();
    let mut connections: Vec<u64> = requests
        .iter()
        .filter(|seen| seen.service == Service::Imds)
        .map(|seen| seen.connection)
        .collect();
    connections.sort_unstable();
    connections.dedup();
    assert!(
        connections.len() <= 3,
        "three requests are made at the same time, and the others reuse a connection: {connections:?}"
    );
}
