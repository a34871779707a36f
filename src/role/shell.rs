//! Commands of the AWS CLI that run in `sh` as they are printed, whatever stands in names and
//! documents. Pure.

use serde_json::Value;

use super::Role;
use super::documents::Documents;

/// One word of a shell: bare where that is safe, else between single quotes.
pub(crate) fn word(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@,+".contains(&byte);
    match !text.is_empty() && text.bytes().all(safe) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// `aws iam OPERATION` with options, one a line.
pub(crate) fn iam(role: &Role, operation: &str, options: &[(&str, &str)]) -> String {
    // IAM is one per partition, and outside the first the CLI finds it by a region only.
    let region = [("region", role.partition.home)];
    let region = region.iter().filter(|_| role.partition.name != "aws");
    let options = options
        .iter()
        .chain(region)
        .map(|(name, value)| format!(" \\\n    --{name} {}", word(value)));
    format!("aws iam {operation}{}", options.collect::<String>())
}

/// Each command only if the one before it worked, as one thing to paste.
pub(crate) fn all(commands: &[String]) -> String {
    commands.join(" &&\n")
}

pub(crate) fn create_role(role: &Role, trust: &Value) -> String {
    iam(
        role,
        "create-role",
        &[("role-name", &role.name), ("assume-role-policy-document", &trust.to_string())],
    )
}

pub(crate) fn update_trust(role: &Role, trust: &Value) -> String {
    iam(
        role,
        "update-assume-role-policy",
        &[("role-name", &role.name), ("policy-document", &trust.to_string())],
    )
}

pub(crate) fn attach(role: &Role, arn: &str) -> String {
    iam(role, "attach-role-policy", &[("role-name", &role.name), ("policy-arn", arn)])
}

pub(crate) fn detach(role: &Role, arn: &str) -> String {
    iam(role, "detach-role-policy", &[("role-name", &role.name), ("policy-arn", arn)])
}

pub(crate) fn put(role: &Role, name: &str, document: &Value) -> String {
    iam(
        role,
        "put-role-policy",
        &[
            ("role-name", &role.name),
            ("policy-name", name),
            ("policy-document", &document.to_string()),
        ],
    )
}

pub(crate) fn delete(role: &Role, name: &str) -> String {
    iam(role, "delete-role-policy", &[("role-name", &role.name), ("policy-name", name)])
}

pub(crate) fn create_profile(role: &Role, profile: &str) -> String {
    iam(role, "create-instance-profile", &[("instance-profile-name", profile)])
}

pub(crate) fn add_to_profile(role: &Role, profile: &str) -> String {
    iam(
        role,
        "add-role-to-instance-profile",
        &[("instance-profile-name", profile), ("role-name", &role.name)],
    )
}

pub(crate) fn remove_from_profile(role: &Role, profile: &str, other: &str) -> String {
    iam(
        role,
        "remove-role-from-instance-profile",
        &[("instance-profile-name", profile), ("role-name", other)],
    )
}

/// Changes a managed policy for every role it is attached to.
pub(crate) fn new_version(role: &Role, arn: &str, document: &Value) -> String {
    let text = document.to_string();
    format!(
        "{} \\\n    --set-as-default",
        iam(role, "create-policy-version", &[("policy-arn", arn), ("policy-document", &text)])
    )
}

pub(crate) fn delete_boundary(role: &Role) -> String {
    iam(role, "delete-role-permissions-boundary", &[("role-name", &role.name)])
}

/// The documents' own procedure, from nothing to a role that works.
pub(crate) fn procedure(role: &Role, documents: &Documents) -> Vec<String> {
    let create = create_role(role, &documents.trust);
    let attach = documents.managed.iter().map(|arn| attach(role, arn));
    let put = documents.inline.iter().map(|(name, document)| put(role, name, document));
    let profile = documents
        .profile
        .iter()
        .flat_map(|profile| [create_profile(role, profile), add_to_profile(role, profile)]);
    std::iter::once(create).chain(attach).chain(put).chain(profile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_gives_back_every_word() {
        let words = [
            "plain",
            "",
            "a b",
            "it's",
            "'",
            "$HOME `id` \\ \"",
            "{\"a\":[1]}",
            "new\nline",
            "-x",
            "*?~#!",
            "é",
        ];
        for text in words {
            let printed = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", word(text))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), text);
        }
    }
}
