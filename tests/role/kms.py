"""moto that decrypts only for roles that may: by itself it stores an object's KMS key and never asks whether the role may use it."""

from front import front, xml
from imds import REGION

REFUSAL = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>User: {user} is not authorized to perform: kms:Decrypt on resource: {key} because no identity-based policy allows the kms:Decrypt action</Message><RequestId>KMS</RequestId><HostId>kms</HostId></Error>"""
KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"


def decrypting(account, role, user):
    """The endpoint of a moto whose S3 asks KMS, by way of S3, whether this role may decrypt, and answers as KMS would."""

    def answer(request, upstream):
        answered = upstream()
        key = {name.lower(): value for name, value in answered.headers.items()}.get(KEY_HEADER)
        if answered.status == 200 and request.method == "GET" and key and not may_decrypt(account.iam, role, key):
            return xml(403, REFUSAL.format(user=user, key=key))
        return answered

    return front(account.moto.endpoint, answer)


def may_decrypt(iam, role, key):
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policies = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
    return any(allows(statement, key) for policy in policies for statement in policy["Statement"])


def allows(statement, key):
    wanted = statement.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", f"s3.{REGION}.amazonaws.com")
    granted = statement["Effect"] == "Allow" and listed(statement["Action"], "kms:Decrypt") and listed(statement["Resource"], key)
    return granted and listed(wanted, f"s3.{REGION}.amazonaws.com")


def listed(one_or_many, value):
    return value in (one_or_many if isinstance(one_or_many, list) else [one_or_many])
