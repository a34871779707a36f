//! Commands of the AWS CLI that run in `sh` as they are printed, whatever names and documents
//! contain. Pure.

use serde_json::Value;

use super::Role;
use super::documents::Documents;

/// One word of a shell: bare where that is safe, else between single quotes.
pub(super) fn word(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@,+".contains(&byte);
    match !text.is_empty() && text.bytes().all(safe) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// `aws iam OPERATION` with options, one a line.
pub(super) fn iam(role: &Role, operation: &str, options: &[(&str, &str)]) -> String {
    // IAM is one per partition, and outside the first the CLI finds it by a region only.
    let region = (role.partition.name != "aws").then_some(("region", role.partition.home));
    let options = options.iter().copied().chain(region);
    let options = options.map(|(name, value)| format!(" \\\n    --{name} {}", word(value)));
    format!("aws iam {operation}{}", options.collect::<String>())
}

/// The same for operations whose first option is the role.
pub(super) fn on_role(role: &Role, operation: &str, options: &[(&str, &str)]) -> String {
    iam(role, operation, &[&[("role-name", role.name.as_str())], options].concat())
}

/// Each command only if the one before it worked, as one thing to paste.
pub(super) fn sequence(commands: &[String]) -> String {
    commands.join(" &&\n")
}

/// Attaches a managed policy.
pub(super) fn attach(role: &Role, arn: &str) -> String {
    on_role(role, "attach-role-policy", &[("policy-arn", arn)])
}

/// Writes an inline policy.
pub(super) fn put(role: &Role, name: &str, document: &Value) -> String {
    let options = [("policy-name", name), ("policy-document", &document.to_string())];
    on_role(role, "put-role-policy", &options)
}

pub(super) fn create_profile(role: &Role, profile: &str) -> String {
    iam(role, "create-instance-profile", &[("instance-profile-name", profile)])
}

pub(super) fn add_to_profile(role: &Role, profile: &str) -> String {
    let options = [("instance-profile-name", profile), ("role-name", &role.name)];
    iam(role, "add-role-to-instance-profile", &options)
}

/// The documents' own procedure, from nothing to a role that works.
pub(super) fn procedure(role: &Role, documents: &Documents) -> Vec<String> {
    let trust = documents.trust.to_string();
    let create = on_role(role, "create-role", &[("assume-role-policy-document", &trust)]);
    let attach = documents.managed.iter().map(|arn| attach(role, arn));
    let put = documents.inline.iter().map(|(name, document)| put(role, name, document));
    let profile = documents.profile.iter();
    let profile = profile.flat_map(|it| [create_profile(role, it), add_to_profile(role, it)]);
    std::iter::once(create).chain(attach).chain(put).chain(profile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_survive_the_shell() {
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
            let script = format!("printf %s {}", word(text));
            let printed = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), text);
        }
    }
}
