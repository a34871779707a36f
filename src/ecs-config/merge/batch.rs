//! AWS Batch's mark. Its user data appends to `/etc/ecs/ecs.config` with `echo …>>`: first
//! `ECS_CLUSTER`, then clean-up settings, `ECS_RESERVED_MEMORY`, log drivers or instance
//! attributes, and sometimes `ECS_CLUSTER` once more (aws/aws-cdk#9900).

use super::normalise;
use crate::Effective;

pub(super) const ECS_CLUSTER: &str = "ECS_CLUSTER";

/// Whether AWS Batch generated the `ECS_CLUSTER` of this `/etc/ecs/ecs.config`.
pub fn is_batch(etc: &[u8]) -> bool {
    let (bytes, _) = normalise(etc);
    Effective::new(Some(&bytes), None).get(ECS_CLUSTER).is_some_and(|set| is_generated(set.value))
}

/// `NAME_Batch_UUID` in older compute environments, `AWSBatch-NAME-UUID` in newer ones.
pub(super) fn is_generated(cluster: &[u8]) -> bool {
    let Some((name, uuid)) = cluster.len().checked_sub(36).map(|at| cluster.split_at(at)) else {
        return false;
    };
    let is_newer = name.starts_with(b"AWSBatch-") && name.ends_with(b"-");
    is_uuid(uuid) && (is_newer || name.ends_with(b"_Batch_"))
}

fn is_uuid(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => *c == b'-',
        _ => c.is_ascii_hexdigit(),
    })
}
