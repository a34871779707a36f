"""What the buckets hold, and how a key is written as a source."""

import urllib.parse

KEY = "prod/ecs.config"
MARKER = "planted-registry-password"
CONFIG = f"""ECS_CLUSTER=prod
ECS_AVAILABLE_LOGGING_DRIVERS=["json-file","awslogs"]
ECS_ENGINE_AUTH_TYPE=docker
ECS_ENGINE_AUTH_DATA={{"https://registry.example.com":{{"username":"fleet","password":"{MARKER}","email":"fleet@example.com"}}}}
""".encode()

# Keys as a console shows them: `a%20b` has a percent sign in it, not a space.
AWKWARD_KEYS = ["with space/ecs config", "a#b", "/leading/slash", "//two", "a//b"]

# HTTP clients remove these segments before S3 sees them, so ecs-bootstrap refuses them at once. (`aws s3 cp` can fetch such a key.)
NORMALISED_KEY = "a/./b/../c"

# moto recomputes the signature from the decoded path, so it refuses these from any client, the aws CLI included.
KEYS_MOTO_CANNOT_VERIFY = ["a+b", "a%20b", "100%", "a?b=c&d", "ünïcode/設定/ecs.config", "'\"(!*)$;:@,=~[]{}"]


def body(key):
    """A configuration that no other key has."""
    return f"# {key.encode().hex()}\nECS_CLUSTER=awkward\n".encode()


def source(bucket, key, options=""):
    """A key as a source: all but letters, digits and slashes as %XX, which is always right."""
    return f"s3://{bucket}/{urllib.parse.quote(key)}{options}"
