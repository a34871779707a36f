"""What is printed for CloudFormation and Terraform, checked with their own tools."""

import json
import os
import shutil
import subprocess

import hcl2

from account import BIN
from harness import Cases, equal, true

case = Cases()

KEY = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
AWKWARD = "s3://config/it's%20a%20${key}%20%25{x}%20%2A%3F%22.config"
REQUESTS = {
    "ec2": ["--for", "ec2", "--config", "s3://config/ecs.config", "--config", "s3://other/k?versionId=7&owner=123456789012", "--kms-key", KEY],
    "batch": ["--for", "batch", "--custom", "--with-task-execution", "--create-cluster", "--config", AWKWARD],
    "external": ["--for", "external", "--custom", "--tag-authorization", "--account", "123456789012", "--name", "Anywhere_+=,.@-1"],
    "china": ["--for", "ec2", "--region", "cn-north-1", "--config", "s3://config/ecs.config"],
    "bare": ["--for", "ec2"],
}


@case(each=list(REQUESTS))
def cloudformation_template_passes_cfn_lint(account, request):
    template = account.scratch / f"{request}.yaml"
    template.write_text(account.print(*REQUESTS[request], "--format", "cloudformation"))
    done = subprocess.run([BIN / "cfn-lint", "--non-zero-exit-code", "informational", template], capture_output=True, text=True, timeout=120)
    true(done.returncode == 0, done.stdout + done.stderr)


@case(each=list(REQUESTS))
def terraform_configuration_parses_and_is_formatted(account, request):
    text = account.print(*REQUESTS[request], "--format", "terraform")
    true("aws_iam_role" in str(hcl2.loads(text)), "no role in it")
    if not shutil.which("terraform"):
        return  # its formatter is not everywhere; the parser is
    done = subprocess.run(["terraform", "fmt", "-check", "-diff", "-"], input=text, capture_output=True, text=True, timeout=60)
    true(done.returncode == 0, done.stdout + done.stderr)


@case(each=list(REQUESTS))
def every_format_contains_the_documents_of_json(account, request):
    """Each document is found, word for word, in what the other formats hold."""
    wanted = json.loads(account.print(*REQUESTS[request], "--format", "json"))
    documents = [wanted["trust_policy"], *wanted["inline_policies"].values()]
    cli, template = account.print(*REQUESTS[request]), _template(account.print(*REQUESTS[request], "--format", "cloudformation"))
    for document in documents:
        compact = json.dumps(document, separators=(",", ":"), ensure_ascii=False).replace("'", r"'\''")
        true(f"'{compact}'" in cli, f"{compact} is not in the CLI's commands")
    role = template["Resources"]["Role"]["Properties"]
    equal([role["AssumeRolePolicyDocument"], *(policy["PolicyDocument"] for policy in role.get("Policies", []))], documents, "the template's documents")
    equal(role.get("ManagedPolicyArns", []), wanted["managed_policies"], "the template's managed policies")
    if shutil.which("terraform"):
        equal(_terraform(account, request), documents, "Terraform's documents")


def _template(text):
    import yaml

    return yaml.safe_load(text)


def _terraform(account, request):
    """The documents as Terraform evaluates them; `console` needs no provider."""
    text = account.print(*REQUESTS[request], "--format", "terraform")
    expressions = ["jsonencode(" + part.split("\n  })\n")[0] + "\n  })" for part in text.split("jsonencode(")[1:]]
    folder = account.scratch / f"terraform-{request}"
    folder.mkdir(exist_ok=True)
    values = []
    for expression in expressions:
        (folder / "main.tf").write_text(f"locals {{\n  x = {expression}\n}}\n")
        env = {"PATH": os.environ["PATH"], "HOME": str(account.scratch), "CHECKPOINT_DISABLE": "1"}
        done = subprocess.run(["terraform", "console"], input="local.x\n", cwd=folder, env=env, capture_output=True, text=True, timeout=60)
        true(done.returncode == 0, done.stderr)
        values.append(json.loads(json.loads(done.stdout)))
    return values
