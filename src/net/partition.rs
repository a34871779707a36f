//! The partitions of AWS, and what regions, accounts and roles may be called. Pure data.

/// A part of AWS with its own accounts and host names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) name: &'static str,
    region_prefix: &'static str,
    /// Its first region: where an S3 request starts when nothing better is known.
    pub(crate) home: &'static str,
    /// The domain of its services, and of those that IPv6 reaches (botocore's partitions.json).
    pub(crate) suffix: &'static str,
    pub(crate) dual_stack_suffix: &'static str,
}

const fn partition(
    name: &'static str,
    region_prefix: &'static str,
    home: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
) -> Partition {
    Partition { name, region_prefix, home, suffix, dual_stack_suffix }
}

/// `aws`, whose regions have no prefix of their own, is last.
#[rustfmt::skip]
pub(crate) const PARTITIONS: [Partition; 8] = [
    partition("aws-cn", "cn-", "cn-north-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("aws-us-gov", "us-gov-", "us-gov-west-1", "amazonaws.com", "api.aws"),
    partition("aws-iso", "us-iso-", "us-iso-east-1", "c2s.ic.gov", "api.aws.ic.gov"),
    partition("aws-iso-b", "us-isob-", "us-isob-east-1", "sc2s.sgov.gov", "api.aws.scloud"),
    partition("aws-iso-e", "eu-isoe-", "eu-isoe-west-1", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("aws-iso-f", "us-isof-", "us-isof-south-1", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    partition("aws-eusc", "eusc-", "eusc-de-east-1", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("aws", "", "us-east-1", "amazonaws.com", "api.aws"),
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
    let is_bounded = !text.starts_with('-') && !text.ends_with('-');
    is_label(text) && (2..=63).contains(&text.len()) && is_bounded
}

/// Whether `text` has lower-case letters, digits and hyphens only.
pub(crate) fn is_label(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether `text` has ASCII letters, digits and these others only.
pub(crate) fn is_plain(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// Whether `text` is an account id: 12 digits.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `text` can be the id of an instance, `i-…` or `mi-…`: it becomes a part of paths.
pub(crate) fn is_instance_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && is_plain(text, "-")
}

/// Whether `text` can be the name of a role, and not lead to another path.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
pub(crate) fn is_role_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && is_plain(text, "_+=,.@-") && ![".", ".."].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_its_partition() {
        let table = [
            ("us-west-2", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("us-iso-west-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-east-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
        ];
        for (region, name) in table {
            assert_eq!(Partition::of_region(region).name, name);
        }
        assert!(
            PARTITIONS
                .iter()
                .all(|partition| Partition::of_region(partition.home).name == partition.name)
        );
    }

    #[test]
    fn names_that_would_change_a_host_name_or_path_are_refused() {
        assert!(is_region("us-west-2") && !is_region("us-west-2.evil.test") && !is_region("US"));
        assert!(is_account("123456789012") && !is_account("12345678901a") && !is_account("1"));
        assert!(is_role_name("ecs+Instance=Role") && !is_role_name("../x") && !is_role_name(".."));
        assert!(is_instance_id("i-0abc") && !is_instance_id("i-1/../x") && !is_instance_id(""));
    }
}
