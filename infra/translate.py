"""What CloudFormation makes of a SAM template: translate.py TEMPLATE > JSON. The rules of `make rules` then see every
role, those that SAM adds included."""

import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402


class NoManagedPolicies:
    """The template names those by their ARNs."""

    def load(self):
        return {}


def main(path):
    with open(path) as file:
        template = yaml_parse(file.read())
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code"
    print(json.dumps(transform(template, {}, NoManagedPolicies()), indent=1))


main(*sys.argv[1:])
