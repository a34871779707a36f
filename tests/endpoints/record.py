#!/usr/bin/env python3
"""Prints the endpoints of botocore's rule sets: `record.py > botocore.tsv`, with botocore 1.44.5 from PyPI (Apache-2.0).

One line a service, region and combination of FIPS and dual stack: the host, or `-` where the rules have none. The test in
src/net/endpoint.rs compares what this program asks."""

import botocore
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader
from urllib.parse import urlsplit

REGIONS = [
    "us-east-1", "us-west-2", "eu-west-1", "ca-west-1", "cn-north-1", "cn-northwest-1", "us-gov-west-1", "us-gov-east-1",
    "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1", "eusc-de-east-1",
]
SERVICES = ["sts", "s3", "ecs", "ecr", "ssm", "secretsmanager", "autoscaling"]
loader = Loader()
partitions = loader.load_data("partitions")


def host(provider, region, fips, dual):
    parameters = {"Region": region, "UseFIPS": fips, "UseDualStack": dual, "UseGlobalEndpoint": False}
    known = provider.ruleset.parameters
    try:
        endpoint = provider.resolve_endpoint(**{name: value for name, value in parameters.items() if name in known})
    except EndpointProviderError:
        return "-"
    return urlsplit(endpoint.url).netloc


print(f"# service region fips dual-stack host, by the rules of botocore {botocore.__version__}; record.py prints it")
for service in SERVICES:
    provider = EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), partitions)
    for region in REGIONS:
        for fips in (False, True):
            for dual in (False, True):
                print(service, region, int(fips), int(dual), host(provider, region, fips, dual), sep="\t")
