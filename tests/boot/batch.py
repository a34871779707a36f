"""AWS Batch's part of user data, as it is found on its instances (aws/aws-cdk#9900), merged into one message with ours."""

import email
import email.policy
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

CLUSTER = "Environment-ed59a8d07adb417_Batch_3ef677e8-a1c6-3936-9345-e383995e7827"
KEYS = {
    "ECS_CLUSTER": CLUSTER,
    "ECS_DISABLE_IMAGE_CLEANUP": "false",
    "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": "2m",
    "ECS_IMAGE_CLEANUP_INTERVAL": "10m",
    "ECS_IMAGE_MINIMUM_CLEANUP_AGE": "10m",
    "ECS_NUM_IMAGES_DELETE_PER_CYCLE": "5",
    "ECS_RESERVED_MEMORY": "32",
    "ECS_INSTANCE_ATTRIBUTES": '{"com.amazonaws.batch.compute-environment-revision":"2"}',
    "ECS_AVAILABLE_LOGGING_DRIVERS": '["json-file","awslogs"]',
}
BOUNDARY = "==BOUNDARY=="


def part():
    """Its shell script: one `echo` a key, quoted only where the shell would change it."""
    lines = [f"echo {name}={value if value.isalnum() or name == 'ECS_CLUSTER' else quoted(value)}>>/etc/ecs/ecs.config" for name, value in KEYS.items()]
    return "\n".join(["#!/bin/bash", *lines, ""])


def quoted(value):
    return f"'{value}'"


def message(*parts, boundary):
    """User data of shell scripts, as a MIME library writes it."""
    whole = MIMEMultipart("mixed", boundary, [MIMEText(script, "x-shellscript", "us-ascii") for script in parts])
    return whole.as_string(policy=email.policy.default)


def scripts(user_data):
    """The parts of user data that are shell scripts; anything else about it is a mistake."""
    whole = email.message_from_string(user_data, policy=email.policy.default)
    parts = whole.get_payload()
    assert whole.get_content_type() == "multipart/mixed", whole.get_content_type()
    assert not any(message.defects for message in [whole, *parts]), [message.defects for message in [whole, *parts]]
    assert {part.get_content_type() for part in parts} == {"text/x-shellscript"}, parts
    return [part.get_content() for part in parts]


def merged(user_data, batch_first=True):
    """What reaches the instance: Batch's part and those of the launch template under Batch's own boundary."""
    parts = [part(), *scripts(user_data)] if batch_first else [*scripts(user_data), part()]
    return message(*parts, boundary=BOUNDARY)
