"""Checks of the Terraform module, the CloudFormation stack and the Systems Manager files, without a network.

    infrastructure.py BINARY          one line a case, and a count; BINARY prints the role that both must make
    infrastructure.py --write-tables  writes the tables of packaging/terraform/README.md

The module and the stack are evaluated (hcl.py, intrinsics.py) for the same hosts.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import botocore.session
import botocore.validate
import yaml

sys.path.insert(0, "tests/peers")
import hcl
import hcl_format
import intrinsics
from harness import equal, true
from roles import KEY, LAYER, MODULE, ONE, SECRET, STACK, TWO, case, module, role_of_module, role_of_stack, stack, statements

EXAMPLE, LIFECYCLE = MODULE / "examples/complete", Path("packaging/lifecycle")
DOCUMENT, ASSOCIATION = Path("packaging/ssm/refresh.yaml"), Path("packaging/ssm/association.yaml")


# --- what packaging/lifecycle does ----------------------------------------------------------------------------------------


def calls(text):
    """The actions of IAM that `ecs-bootstrap abandon` takes, without and with a hook."""
    found = {"autoscaling:SetInstanceHealth"} if "ecs-bootstrap abandon" in text else set()
    return found | ({"autoscaling:CompleteLifecycleAction"} if "--hook" in text else set())


def abandoning(role):
    return {action for action, *_ in role["inline"].get("ecs-bootstrap-abandon", set())}


@case
def the_role_allows_what_packaging_lifecycle_calls(_):
    unit = (LIFECYCLE / "ecs-bootstrap-abandon.service").read_text()
    command = calls("".join(line for line in unit.splitlines() if line.startswith("ExecStart=")))
    true(command and command < calls(unit), f"the unit calls {command}, and names {calls(unit)}")
    equal(abandoning(role_of_module(module(iam_role_allow_abandon=True).resources())), command, "the module's actions")
    equal(abandoning(role_of_stack(stack(AllowAbandon="true"))), command, "the stack's actions")
    equal(abandoning(role_of_module(module(create_lifecycle_hook=True).resources())), calls(unit), "the module's actions with a hook")
    equal(abandoning(role_of_stack(stack(LifecycleHook="true"))), calls(unit), "the stack's actions with a hook")


@case
def the_abandon_policy_covers_only_the_own_group(_):
    wanted = {"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/hosts-*"}
    for role in (role_of_module(module(create_lifecycle_hook=True).resources()), role_of_stack(stack(LifecycleHook="true"))):
        equal({resource for _, resource, _ in role["inline"]["ecs-bootstrap-abandon"]}, wanted, "the groups")
    resources = module(create_lifecycle_hook=True, use_name_prefix=False, autoscaling_group_name="mine").resources()
    resource = {resource for _, resource, _ in role_of_module(resources)["inline"]["ecs-bootstrap-abandon"]}
    equal(resource, {"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/mine"}, "the group with a name")


@case
def the_lifecycle_hook_continues_by_default(_):
    """Hosts report failures only, and Auto Scaling ignores the report during a grace period."""
    group = module(create_lifecycle_hook=True).resources()["aws_autoscaling_group.this[0]"]
    [hook] = group["initial_lifecycle_hook"]
    equal((hook["lifecycle_transition"], hook["default_result"]), ("autoscaling:EC2_INSTANCE_LAUNCHING", "CONTINUE"), "the module's hook")
    equal(group["health_check_grace_period"], 0, "the module's grace period")
    group = stack(LifecycleHook="true")["AutoScalingGroup"]
    [hook] = group["LifecycleHookSpecificationList"]
    equal((hook["LifecycleTransition"], hook["DefaultResult"]), ("autoscaling:EC2_INSTANCE_LAUNCHING", "CONTINUE"), "the stack's hook")
    equal(group["HealthCheckGracePeriod"], 0, "the stack's grace period")


@case
def the_drop_in_for_a_hook_completes_the_action(_):
    [command] = re.findall(r"^ExecStart=/bin/sh -c '(.*)'$", (MODULE / "README.md").read_text(), re.M)
    with tempfile.TemporaryDirectory() as folder:
        command = command.replace("$$", "$")
        stub(folder, "curl", 'case $* in *api/token) echo token ;; *"token: token"*/tags/instance/aws:autoscaling:groupName) echo hosts-1 ;; *) exit 22 ;; esac')
        stub(folder, "ecs-bootstrap", f'echo "$*" >{folder}/told')
        subprocess.run(["/bin/sh", "-c", command], env={"PATH": f"{folder}:/usr/bin:/bin"}, check=True, timeout=30)
        told = Path(folder, "told").read_text()
    equal(told, "abandon --hook hosts-launching --group hosts-1\n", "what ecs-bootstrap is told")


# --- defaults ---------------------------------------------------------------------------------------------------------


@case
def imds_requires_version_2_and_one_hop(_):
    [options] = module().resources()["aws_launch_template.this[0]"]["metadata_options"]
    wanted = {"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1, "instance_metadata_tags": "enabled"}
    equal(options, wanted, "the module's metadata options")
    options = stack()["LaunchTemplate"]["LaunchTemplateData"]["MetadataOptions"]
    wanted = {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": "1", "InstanceMetadataTags": "enabled"}
    equal(options, wanted, "the stack's metadata options")


@case
def every_volume_is_encrypted(_):
    volumes = [{"device_name": "/dev/xvda"}, {"device_name": "/dev/xvdb", "volume_size": 100, "volume_type": "io2", "kms_key_id": KEY}]
    for mapping in module(block_device_mappings=volumes).resources()["aws_launch_template.this[0]"]["block_device_mappings"]:
        equal(mapping["ebs"][0]["encrypted"], True, mapping["device_name"])
    for mapping in stack()["LaunchTemplate"]["LaunchTemplateData"]["BlockDeviceMappings"]:
        equal(mapping["Ebs"]["Encrypted"], True, mapping["DeviceName"])


@case
def settings_are_instance_tags(_):
    variables = {"config": [f"{ONE}?owner=123456789012", f"{TWO}?owner=123456789012"], "settings": {"timeout": "2m"}}
    wanted = {"ecs-bootstrap:config": f"{ONE}?owner=123456789012 {TWO}?owner=123456789012", "ecs-bootstrap:block_imds": "true"}
    ours = lambda tags: {key: value for key, value in tags.items() if key.startswith("ecs-bootstrap:")}
    template = module(**variables).resources()["aws_launch_template.this[0]"]
    [tags] = [one["tags"] for one in template["tag_specifications"] if one["resource_type"] == "instance"]
    equal(ours(tags), wanted | {"ecs-bootstrap:timeout": "2m"}, "the module's tags")
    for layers, value in ((ONE, TWO), wanted["ecs-bootstrap:config"]), ((LAYER, ONE), f"{LAYER} {ONE}?owner=123456789012"):
        template = stack(Config=layers[0], ConfigOverlay=layers[1], ConfigOwner="123456789012")["LaunchTemplate"]["LaunchTemplateData"]
        [tags] = [one["Tags"] for one in template["TagSpecifications"] if one["ResourceType"] == "instance"]
        equal(ours({tag["Key"]: tag["Value"] for tag in tags}), wanted | {"ecs-bootstrap:config": value}, "the stack's tags")


@case
def the_bucket_policy_requires_tls_and_limits_readers(_):
    policies = module(create_bucket_policy=True, bucket_policy_reader_arns=["arn:aws:iam::123456789012:role/ci"]).resources()
    policy = json.loads(policies['aws_s3_bucket_policy.this["config"]']["policy"])
    made = stack(BucketPolicy="true", BucketReaderArns="arn:aws:iam::123456789012:role/ci")["ConfigBucketPolicy"]
    equal(made["Bucket"], "config", "the stack's bucket")
    for policy, role in ((policy, "<aws_iam_role.this[0].arn>"), (made["PolicyDocument"], "<Role.Arn>")):
        tls = json.dumps({"Condition": {"Bool": {"aws:SecureTransport": "false"}}, "Effect": "Deny", "Principal": "*", "Sid": "TlsOnly"})
        readers = {"ArnNotLike": {"aws:PrincipalArn": [role, "arn:aws:iam::123456789012:role/ci"]}}
        readers = json.dumps({"Condition": readers, "Effect": "Deny", "Principal": "*", "Sid": "ReadersOnly"})
        wanted = {("s3:*", f"arn:aws:s3:::config{all_}", tls) for all_ in ("", "/*")}
        wanted |= {(f"s3:{action}", ONE.replace("s3://", "arn:aws:s3:::"), readers) for action in ("GetObject", "GetObjectVersion")}
        equal(statements(policy), wanted, "the bucket policy")


@case
def each_bucket_has_a_policy_of_its_own(_):
    made = module(create_bucket_policy=True, config=[ONE, "s3://other/k?versionId=7"])
    policies = {address: one for address, one in made.resources().items() if address.startswith("aws_s3_bucket_policy.")}
    equal({one["bucket"] for one in policies.values()}, {"config", "other"}, "the buckets")
    for one in policies.values():
        buckets = {re.match("arn:aws:s3:::([^/]+)", resource)[1] for _, resource, _ in statements(json.loads(one["policy"]))}
        equal(buckets, {one["bucket"]}, "the buckets in a policy")
    equal(made.outputs()["bucket_policies"], {one["bucket"]: one["policy"] for one in policies.values()}, "the output")


@case
def every_part_can_be_left_out(_):
    equal(module(create=False).resources(), {}, "what is made without create")
    module(create=False).outputs()
    kinds = lambda **variables: {address.split(".")[0] for address in module(**variables).resources()}
    everything = kinds(create_bucket_policy=True, create_refresh_association=True)
    for name, gone in {
        "create_iam_instance_profile": {"aws_iam_role", "aws_iam_instance_profile", "aws_iam_role_policy", "aws_iam_role_policy_attachment"},
        "create_bucket_policy": {"aws_s3_bucket_policy"},
        "create_autoscaling_group": {"aws_autoscaling_group", "aws_ecs_capacity_provider", "aws_ssm_document", "aws_ssm_association"},
        "create_capacity_provider": {"aws_ecs_capacity_provider"},
        "create_refresh_association": {"aws_ssm_document", "aws_ssm_association"},
    }.items():
        given = {"create_bucket_policy": True, "create_refresh_association": True, "bucket_policy_reader_arns": ["arn:x"], "iam_instance_profile_arn": "arn:x"}
        equal(everything - kinds(**given | {name: False}), gone, f"what goes with {name}")


@case(
    each=[
        {"config": ["s3://config/a%20b"]},
        {"config": ["s3://config/${key}"]},
        {"config": ["s3://config"]},
        {"config": ["https://config.example/ecs.config"]},
        {"config": ["s3://config/k?version=1"]},
        {"config": ["s3://config/" + "k" * 250]},
        {"config": ["ssm://fleet/ecs.config"]},
        {"config": ["ssm:///fleet//ecs.config"]},
        {"config": [f"{LAYER}?versionId=1"]},
        {"config": ["secretsmanager://arn:aws:s3:us-west-2:123456789012:secret:fleet"]},
        {"secrets": [ONE]},
        {"secrets": [f"{SECRET}?versionStage=AWSPREVIOUS"]},
        {"settings": {"from_tags": "true"}},
        {"kms_key_arns": ["arn:aws:kms:us-west-2:123456789012:alias/config"]},
        {"tags": {"cost center": "1"}},
        {"tags": {"app/owner": "me"}},
        {"create_iam_instance_profile": False},
        {"create_bucket_policy": True, "create_iam_instance_profile": False, "iam_instance_profile_arn": "arn:x"},
        {"metadata_hop_limit": 0},
        {"lifecycle_hook_heartbeat_timeout": 10},
        {"lifecycle_hook_default_result": "WAIT"},
        {"capacity_provider_name": "ECS-hosts"},
        {"name": "a b"},
    ]
)
def the_module_refuses(_, variables):
    try:
        module(**variables).resources()
    except hcl.Invalid as error:
        true(re.match(r"^[A-Z].*\.$", str(error), re.S), f"no sentence: {error}")
    else:
        raise AssertionError("it was accepted")


@case(
    each=[
        {"Config": "s3://config/a%20b"},
        {"Config": "ssm://fleet/ecs.config"},
        {"ConfigOverlay": "https://config.example/ecs.config"},
        {"ConfigOverlay": "secretsmanager://arn:aws:s3:us-west-2:123456789012:secret:fleet"},
        {"ParameterArns": "arn:aws:ssm:us-west-2:123456789012:parameter/*"},
        {"SecretArns": "arn:aws:secretsmanager:us-west-2:123456789012:secret:a,"},
    ]
)
def the_stack_refuses(_, parameters):
    [(name, value)] = parameters.items()
    pattern = intrinsics.load(STACK)["Parameters"][name]["AllowedPattern"]
    true(not re.search(pattern, value), "it was accepted")


# --- the form of the module -------------------------------------------------------------------------------------------


@case(each=[str(path) for path in sorted(MODULE.rglob("*.tf"))])
def the_file_is_formatted(_, path):
    equal(hcl_format.faults(Path(path).read_text()), [], "faults")
    if shutil.which("terraform"):
        command = ["terraform", "fmt", "-check", "-diff", path]
        environment = {"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        true(done.returncode == 0, done.stdout + done.stderr)


@case
def resources_use_only_arguments_of_the_provider(_):
    known = json.loads(Path("tests/packaging/aws-provider.json").read_text())["resources"]
    for folder in (MODULE, EXAMPLE):
        for kind in ("resource", "data"):
            for labels, body in hcl.parse(folder).of(kind):
                name = labels[0] if kind == "resource" else f"data.{labels[0]}"
                arguments(known[name], body, f"{folder} {'.'.join(labels)}", {"count", "for_each", "depends_on"})


def arguments(known, body, where, more=frozenset()):
    blocks = [(labels[0], inner.of("content")[0][1]) if kind == "dynamic" else (kind, inner) for kind, labels, inner in body.blocks]
    blocks = [(kind, inner) for kind, inner in blocks if kind != "lifecycle"]
    given = set(body.attributes) | {kind for kind, _ in blocks}
    equal(set(body.attributes) - set(known["arguments"]) - more, set(), f"unknown arguments of {where}")
    equal(set(known["required"]) - given, set(), f"missing arguments of {where}")
    for kind, inner in blocks:
        true(kind in known.get("blocks", {}), f"{where} has a block {kind}")
        arguments(known["blocks"][kind], inner, f"{where} {kind}")


@case
def every_taggable_resource_has_tags(_):
    known = json.loads(Path("tests/packaging/aws-provider.json").read_text())["resources"]
    for labels, body in hcl.parse(MODULE).of("resource"):
        if "tags" in known[labels[0]]["arguments"] and labels[0] != "aws_ssm_association":
            true("tags" in body.attributes, f"{'.'.join(labels)} has no tags")


@case
def every_input_is_described_typed_and_used(_):
    text = "".join(file.read_text() for file in MODULE.glob("*.tf") if file.name != "variables.tf")
    for labels, body in hcl.parse(MODULE).of("variable"):
        true({"description", "type"} <= set(body.attributes), f"{labels[0]} has no description or type")
        true(re.search(rf"\bvar\.{labels[0]}\b", text), f"{labels[0]} is used nowhere")
    for _, body in hcl.parse(MODULE).of("locals"):
        for name in body.attributes:
            true(re.search(rf"\blocal\.{name}\b", text), f"local.{name} is used nowhere")


@case
def the_example_names_every_input_and_output(_):
    [call] = [body for _, body in hcl.parse(EXAMPLE).of("module")]
    inputs = {labels[0] for labels, _ in hcl.parse(MODULE).of("variable")}
    equal(set(call.attributes), inputs | {"source"}, "the inputs in the example")
    names = lambda folder: {labels[0] for labels, _ in hcl.parse(folder).of("output")}
    equal(names(EXAMPLE), names(MODULE), "the outputs of the example")


@case
def the_readme_lists_requirements_inputs_and_outputs(_):
    equal(between_marks(), tables(), "the tables (`infrastructure.py --write-tables` writes them)")


MARKS = ("<!-- BEGIN_TF_DOCS -->\n", "<!-- END_TF_DOCS -->\n")


def between_marks():
    return (MODULE / "README.md").read_text().split(MARKS[0])[1].split(MARKS[1])[0]


def tables():
    """As terraform-docs makes them, of what is written in the files."""
    text = (MODULE / "variables.tf").read_text()
    inputs = ["## Inputs", "", "| name | description | type | default | required |", "|---|---|---|---|---|"]
    for name, body in re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.M | re.S):
        default = argument(body, "default")
        shown = f"`{default}`" if default else ""
        description = json.loads(argument(body, "description"))
        inputs.append(f"| `{name}` | {description} | `{argument(body, 'type')}` | {shown} | {'no' if default else 'yes'} |")
    outputs = ["## Outputs", "", "| name | description |", "|---|---|"]
    for name, description in re.findall(r'^output "(\w+)" \{\n  description = "(.*)"$', (MODULE / "outputs.tf").read_text(), re.M):
        outputs.append(f"| `{name}` | {description} |")
    versions = re.findall(r'^ *(?:required_)?version *= "(.*)"$', (MODULE / "versions.tf").read_text(), re.M)
    needs = ["## Requirements", "", "| name | version |", "|---|---|", *(f"| {name} | {version} |" for name, version in zip(("Terraform", "hashicorp/aws"), versions))]
    return "\n".join([*needs, "", *inputs, "", *outputs, ""])


def argument(body, name):
    """An argument's text, on one line."""
    found = re.search(rf"^  {name} += (.*?)(?=\n  \w|\n\n|\n\Z)", body, re.M | re.S)
    text = re.sub(r"\n +(?=\w+ += )", ", ", found[1]) if found else None
    return text and re.sub(r"\s+", " ", text).replace("({,", "({").replace("( {", "({")


# --- refresh ----------------------------------------------------------------------------------------------------------


def refresh_script():
    [step] = yaml.safe_load(DOCUMENT.read_text())["mainSteps"]
    [script] = step["inputs"]["runCommand"]
    return script


def stub(folder, name, script):
    Path(folder, name).write_text(f"#!/bin/sh\n{script}\n")
    Path(folder, name).chmod(0o755)


@case(each=[("false", 0, 0), ("false", 1, 1), ("true", 1, 0)])
def the_step_fails_if_the_refresh_does(_, how):
    dry_run, refresh, wanted = how
    with tempfile.TemporaryDirectory() as folder:
        stub(folder, "systemctl", f'echo "systemctl $*" >>{folder}/told; exit {refresh}')
        stub(folder, "ecs-bootstrap", f'echo "ecs-bootstrap $*" >>{folder}/told')
        script = refresh_script().replace("{{ DryRun }}", dry_run)
        done = subprocess.run(["/bin/sh", "-c", script], env={"PATH": f"{folder}:/usr/bin:/bin"}, timeout=30)
        told = Path(folder, "told").read_text().splitlines()
    equal(done.returncode, wanted, "the exit status")
    usual = ["systemctl start ecs-bootstrap-refresh", "ecs-bootstrap status"]
    equal(told, ["ecs-bootstrap run --dry-run"] if dry_run == "true" else usual, "what was run")


@case
def module_and_stack_have_the_document_of_packaging_ssm(_):
    resources = module(create_refresh_association=True).resources()
    equal(resources["aws_ssm_document.refresh[0]"]["content"], DOCUMENT.read_text(), "the module's document")
    equal(stack(Refresh="true")["RefreshDocument"]["Content"], yaml.safe_load(DOCUMENT.read_text()), "the stack's document")


@case
def the_association_matches_the_api_model(_):
    """As botocore's model of the API has it, patterns included."""
    association = yaml.safe_load(ASSOCIATION.read_text())
    service = botocore.session.get_session().get_service_model("ssm")
    shape = service.operation_model("CreateAssociation").input_shape
    report = botocore.validate.ParamValidator().validate(association, shape)
    true(not report.has_errors(), report.generate_report())
    for name in ("MaxConcurrency", "MaxErrors", "AssociationName"):
        true(re.search(shape.members[name].metadata["pattern"], association[name]), f"{name} may not be {association[name]}")
    true(association["ComplianceSeverity"] in shape.members["ComplianceSeverity"].enum, association["ComplianceSeverity"])


@case
def all_associations_have_the_same_rate_control(_):
    association = yaml.safe_load(ASSOCIATION.read_text())
    names = ("ScheduleExpression", "MaxConcurrency", "MaxErrors", "ComplianceSeverity")
    wanted = [association[name] for name in names]
    made = stack(Refresh="true")["RefreshAssociation"]
    equal([made[name] for name in names], wanted, "the stack's")
    equal(made["Targets"], [{"Key": "tag:aws:autoscaling:groupName", "Values": ["<AutoScalingGroup>"]}], "the stack's targets")
    made = module(create_refresh_association=True).resources()["aws_ssm_association.refresh[0]"]
    snake = [re.sub("(?<=.)([A-Z])", r"_\1", name).lower() for name in names]
    equal([made[name] for name in snake], wanted, "the module's")
    equal(made["targets"], [{"key": "tag:aws:autoscaling:groupName", "values": ["<aws_autoscaling_group.this[0].name>"]}], "the module's targets")


def main():
    if sys.argv[1] == "--write-tables":
        readme = MODULE / "README.md"
        readme.write_text(readme.read_text().replace(between_marks().join(MARKS), tables().join(MARKS)))
        return 0
    passed, failed = case.run("infrastructure", sys.argv[1])
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
