//! AWS Batch's mark. Its user data appends to `/etc/ecs/ecs.config` with `echo …>>`: first
//! `ECS_CLUSTER`, then clean-up settings, `ECS_RESERVED_MEMORY`, log drivers or instance
//! attributes, and sometimes `ECS_CLUSTER` once more (aws/aws-cdk#9900).

use super::Text;
use super::lines::{lines, mend};

pub(super) const ECS_CLUSTER: &[u8] = b"ECS_CLUSTER";

/// Whether AWS Batch generated the `ECS_CLUSTER` of this file.
pub fn is_batch(present: &[u8]) -> bool {
    let (bytes, _) = mend(present);
    let clusters = lines(&bytes);
    let last = clusters
        .iter()
        .rev()
        .find_map(|line| line.assignment().filter(|(name, _)| *name == ECS_CLUSTER));
    last.is_some_and(|(_, value)| is_generated(value))
}

/// The cluster that Batch generated, if the file ends up in one, and its line.
pub(super) fn cluster<'a>(text: &Text<'a>) -> Option<(&'a [u8], usize)> {
    let value = text.last.get(ECS_CLUSTER).filter(|value| is_generated(value))?;
    Some((value, text.last_line[ECS_CLUSTER]))
}

/// `NAME_Batch_UUID` in older compute environments, `AWSBatch-NAME-UUID` in newer ones.
fn is_generated(cluster: &[u8]) -> bool {
    let Some((name, uuid)) = str::from_utf8(cluster)
        .ok()
        .and_then(|cluster| cluster.split_at_checked(cluster.len().checked_sub(36)?))
    else {
        return false;
    };
    is_uuid(uuid)
        && (name.ends_with("_Batch_") || (name.starts_with("AWSBatch-") && name.ends_with('-')))
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, c)| {
        if matches!(at, 8 | 13 | 18 | 23) { c == b'-' } else { c.is_ascii_hexdigit() }
    })
}
