//! A role's documents, in the four ways in which people create roles. Pure.

mod hcl;
mod yaml;

use std::collections::BTreeSet;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::documents::Documents;
use super::{Role, shell};
use crate::source::{Source, policy};

/// How the documents are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrintFormat {
    /// Commands of the AWS CLI, to read or to pipe into sh
    Cli,
    /// The documents alone
    Json,
    /// A CloudFormation template
    Cloudformation,
    /// A Terraform configuration
    Terraform,
}

/// Ends in a newline.
pub(crate) fn print_role(role: &Role, format: PrintFormat) -> String {
    let documents = Documents::of(role);
    match format {
        PrintFormat::Cli => cli(role, &documents),
        PrintFormat::Json => json(role, &documents),
        PrintFormat::Cloudformation => cloudformation(role, &documents),
        PrintFormat::Terraform => terraform(role, &documents),
    }
}

fn title(role: &Role) -> String {
    format!("The IAM role {} for {}", role.name, role.host.noun())
}

fn cli(role: &Role, documents: &Documents) -> String {
    let commands = shell::sequence(&shell::procedure(role, documents));
    let objects = role.sources.iter().filter_map(Source::object);
    let notes: BTreeSet<&str> = objects.filter_map(policy::note).collect();
    let notes: String = notes.iter().map(|note| format!("# {note}\n")).collect();
    format!("# {}\n{notes}{commands}\n", title(role))
}

fn json(role: &Role, documents: &Documents) -> String {
    let inline = documents.inline.iter().map(|(name, it)| ((*name).to_owned(), it.clone()));
    let whole = json!({
        "schema": 1,
        "role": role.name,
        "for": role.host,
        "partition": role.partition.name,
        "trust_policy": documents.trust,
        "managed_policies": documents.managed,
        "inline_policies": Map::from_iter(inline),
        "instance_profile": documents.profile,
    });
    format!("{whole:#}\n")
}

fn cloudformation(role: &Role, documents: &Documents) -> String {
    let policy =
        |(name, document): &(&str, Value)| json!({"PolicyName": name, "PolicyDocument": document});
    let inline: Vec<Value> = documents.inline.iter().map(policy).collect();
    let mut properties =
        json!({"RoleName": role.name, "AssumeRolePolicyDocument": documents.trust});
    if !documents.managed.is_empty() {
        properties["ManagedPolicyArns"] = json!(documents.managed);
    }
    if !inline.is_empty() {
        properties["Policies"] = json!(inline);
    }
    let mut template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": title(role),
        "Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}},
        "Outputs": {"RoleArn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}},
    });
    if let Some(profile) = &documents.profile {
        let properties = json!({"InstanceProfileName": profile, "Roles": [{"Ref": "Role"}]});
        template["Resources"]["InstanceProfile"] =
            json!({"Type": "AWS::IAM::InstanceProfile", "Properties": properties});
        template["Outputs"]["InstanceProfileArn"] =
            json!({"Value": {"Fn::GetAtt": ["InstanceProfile", "Arn"]}});
    }
    let stack = shell::word(&role.name.replace(|char: char| !char.is_ascii_alphanumeric(), "-"));
    let deploy = format!(
        "# aws cloudformation deploy --stack-name {stack} --capabilities CAPABILITY_NAMED_IAM --template-file FILE\n"
    );
    format!("{deploy}{}", yaml::block(&template, 0))
}

fn terraform(role: &Role, documents: &Documents) -> String {
    const LABEL: &str = "container_instance";
    let of_role = |attribute: &str| ("role", format!("aws_iam_role.{LABEL}.{attribute}"));
    let name = |name: &str| ("name", hcl::string(name));
    let role_attributes =
        [name(&role.name), ("assume_role_policy", hcl::jsonencode(&documents.trust))];
    let resource = hcl::resource("aws_iam_role", LABEL, &role_attributes);
    let managed = documents.managed.iter().map(|arn| {
        let label = arn.rsplit('/').next().unwrap_or_default();
        let attributes = [of_role("name"), ("policy_arn", hcl::string(arn))];
        hcl::resource("aws_iam_role_policy_attachment", label, &attributes)
    });
    let inline = documents.inline.iter().map(|(policy, document)| {
        let attributes = [name(policy), of_role("id"), ("policy", hcl::jsonencode(document))];
        hcl::resource("aws_iam_role_policy", &policy.replace('-', "_"), &attributes)
    });
    let profile = documents.profile.iter().map(|profile| {
        hcl::resource("aws_iam_instance_profile", LABEL, &[name(profile), of_role("name")])
    });
    let blocks: Vec<String> =
        std::iter::once(resource).chain(managed).chain(inline).chain(profile).collect();
    format!("# {}\n{}", title(role), blocks.join("\n"))
}
