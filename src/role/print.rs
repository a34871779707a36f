//! A role's documents, in the four ways in which people create roles. Pure.

use serde_json::{Value, json};

use super::documents::Documents;
use super::hcl::{self, Attribute};
use super::{Role, shell, yaml};

/// How the documents are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
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
pub(crate) fn print(role: &Role, format: Format) -> String {
    let documents = Documents::of(role);
    match format {
        Format::Cli => cli(role, &documents),
        Format::Json => in_json(role, &documents),
        Format::Cloudformation => cloudformation(role, &documents),
        Format::Terraform => terraform(role, &documents),
    }
}

fn heading(role: &Role) -> String {
    format!("# The IAM role {} for {}\n", role.name, role.kind.noun())
}

fn cli(role: &Role, documents: &Documents) -> String {
    format!("{}{}\n", heading(role), shell::all(&shell::procedure(role, documents)))
}

fn in_json(role: &Role, documents: &Documents) -> String {
    let whole = json!({
        "schema": 1,
        "role": role.name,
        "for": role.kind.name(),
        "partition": role.partition.name,
        "trust_policy": documents.trust,
        "managed_policies": documents.managed,
        "inline_policies": serde_json::Map::from_iter(documents.inline.iter().map(|(name, document)| ((*name).to_owned(), document.clone()))),
        "instance_profile": documents.profile,
    });
    format!("{whole:#}\n")
}

fn cloudformation(role: &Role, documents: &Documents) -> String {
    let inline: Vec<Value> = documents
        .inline
        .iter()
        .map(|(name, document)| json!({"PolicyName": name, "PolicyDocument": document}))
        .collect();
    let mut properties =
        json!({"RoleName": role.name, "AssumeRolePolicyDocument": documents.trust});
    for (name, list) in
        [("ManagedPolicyArns", json!(documents.managed)), ("Policies", json!(inline))]
    {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            properties[name] = list;
        }
    }
    let mut template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("The IAM role {} for {}", role.name, role.kind.noun()),
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
    format!("{deploy}{}", yaml::block(&template))
}

fn terraform(role: &Role, documents: &Documents) -> String {
    const NAME: &str = "container_instance";
    let of_role =
        |reference: &str| Attribute::new("role", format!("aws_iam_role.{NAME}.{reference}"));
    let name = |name: &str| Attribute::new("name", hcl::string(name));
    let mut blocks = vec![hcl::resource(
        "aws_iam_role",
        NAME,
        &[name(&role.name), Attribute::new("assume_role_policy", hcl::json(&documents.trust))],
    )];
    blocks.extend(documents.managed.iter().map(|arn| {
        let label = arn.rsplit('/').next().unwrap_or_default();
        hcl::resource(
            "aws_iam_role_policy_attachment",
            label,
            &[of_role("name"), Attribute::new("policy_arn", hcl::string(arn))],
        )
    }));
    blocks.extend(documents.inline.iter().map(|(policy, document)| {
        let label = policy.replace('-', "_");
        hcl::resource(
            "aws_iam_role_policy",
            &label,
            &[name(policy), of_role("id"), Attribute::new("policy", hcl::json(document))],
        )
    }));
    blocks.extend(documents.profile.iter().map(|profile| {
        hcl::resource("aws_iam_instance_profile", NAME, &[name(profile), of_role("name")])
    }));
    format!("{}{}", heading(role), blocks.join("\n"))
}
