//! The parts that AWS consists of, and what a region may be called. Pure data.

/// A part of AWS with its own accounts and host names; the first region of each is where an S3
/// request starts when nothing better is known.
pub(crate) struct Partition {
    pub(crate) name: &'static str,
    region_prefix: &'static str,
    pub(crate) home: &'static str,
}

const fn partition(
    name: &'static str,
    region_prefix: &'static str,
    home: &'static str,
) -> Partition {
    Partition { name, region_prefix, home }
}

/// `aws`, whose regions have no prefix of their own, is last.
pub(crate) const PARTITIONS: [Partition; 8] = [
    partition("aws-cn", "cn-", "cn-north-1"),
    partition("aws-us-gov", "us-gov-", "us-gov-west-1"),
    partition("aws-iso", "us-iso-", "us-iso-east-1"),
    partition("aws-iso-b", "us-isob-", "us-isob-east-1"),
    partition("aws-iso-e", "eu-isoe-", "eu-isoe-west-1"),
    partition("aws-iso-f", "us-isof-", "us-isof-south-1"),
    partition("aws-eusc", "eusc-", "eusc-de-east-1"),
    partition("aws", "", "us-east-1"),
];

impl Partition {
    /// The one that `region` belongs to.
    pub(crate) fn of_region(region: &str) -> &'static Partition {
        PARTITIONS
            .iter()
            .find(|partition| region.starts_with(partition.region_prefix))
            .expect("the last one has every region")
    }

    /// By its name in an ARN.
    pub(crate) fn named(name: &str) -> Option<&'static Partition> {
        PARTITIONS.iter().find(|partition| partition.name == name)
    }
}

/// Whether `text` can be the name of a region: it becomes a part of host names.
pub(crate) fn is_region(text: &str) -> bool {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain && text.len() >= 2 && text.len() <= 63 && !text.starts_with('-') && !text.ends_with('-')
}
