//! What another program wrote into the present file, and no reader takes as it is written.

use ecs_config::merge::{Layer, Present, merge};

fn refusal(present: &[u8]) -> String {
    let layer = Layer { name: "layer", bytes: b"ECS_CLUSTER=prod\n" };
    let (path, owned) = ("/etc/ecs/ecs.config", &Default::default());
    let present = Present { path, bytes: present, owned, keep: &[], replace: false };
    merge(&[layer], present).unwrap_err().to_string()
}

#[test]
fn refused_line_is_named() {
    for (present, named) in [
        (b"export ECS_DATADIR=/data\n".as_slice(), "`export ECS_DATADIR`"),
        (b"export AWS_REGION=a\n", "`export AWS_REGION`"),
        (b"E\0C\0S\0_\0A\0=\x001\0\n\0", "UTF-16"),
    ] {
        let message = refusal(present);
        assert!(message.contains(named), "{message}");
    }
}
