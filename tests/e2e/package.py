"""The folder that deploys without Rust, unpacked and deployed onto an emulated AWS, as its README has it.

    package.py ROLLCALL BUILD/RELEASE/rollcall-aws-ARCHITECTURE.zip

Prints how long each command takes: `deploy.sh` without Rust on the path, a tenant and a key by the command line, a user by
SCIM, and a second deployment with another parameter. Then the other way, in a second stack: the code is uploaded and
`template-s3.yaml` names it, as Terraform and CDK do. Where the emulator falls short, e2e.py stands in. It gives SAM no
parameters, so tests/release.py checks that another parameter publishes versions.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import zipfile

import e2e
from e2e import STACK, Cloud, check, send, simplify, timed


def unpacked(archive, folder):
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return next(pathlib.Path(folder).iterdir())


def deploy(cloud, folder, *words):
    """The command of the README, with SAM on the path and without Rust."""
    path = [f"{e2e.ROOT}/.tools/venv/bin", *(part for part in os.environ["PATH"].split(":") if not part.endswith("/.cargo/bin"))]
    done = subprocess.run(["sh", "deploy.sh", *words], cwd=folder, text=True, capture_output=True,
                          env={**cloud.environment, "PATH": ":".join(path)})
    if done.returncode:
        raise SystemExit(f"deploy.sh {' '.join(words)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")


def by_upload(cloud, folder):
    """A stack of `template-s3.yaml`, created by CloudFormation's own calls from files in a bucket."""
    s3, formation = cloud.client("s3"), cloud.client("cloudformation")
    s3.create_bucket(Bucket="uploads")
    for name in ["bootstrap.zip", "template-s3.yaml"]:
        s3.upload_file(str(folder / name), "uploads", name)
    values = {"TablePrefix": STACK, "ReservedConcurrency": "0", "CodeBucket": "uploads", "CodeKey": "bootstrap.zip",
              "DynamoDbEndpoint": cloud.bridge.url()}
    formation.create_stack(
        StackName=f"{STACK}-by-upload", TemplateURL=f"{cloud.url}/uploads/template-s3.yaml",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()])
    for _ in range(120):
        status = formation.describe_stacks(StackName=f"{STACK}-by-upload")["Stacks"][0]["StackStatus"]
        if not status.endswith("IN_PROGRESS"):
            return status
        time.sleep(1)
    return status


def main():
    rollcall, archive = (pathlib.Path(word).resolve() for word in sys.argv[1:])
    with contextlib.ExitStack() as stack:
        cloud = timed("emulated AWS", lambda: Cloud(stack))
        started = time.perf_counter()
        folder = timed("unpacked", lambda: unpacked(archive, stack.enter_context(tempfile.TemporaryDirectory())))
        for template in ["template.yaml", "template-s3.yaml"]:
            simplify(folder / template)
        # The emulator's endpoint, and no reservations: it counts none.
        words = [STACK, "ReservedConcurrency=0", f"DynamoDbEndpoint={cloud.bridge.url()}"]
        timed("deploy.sh", lambda: deploy(cloud, folder, *words))
        cloud.connect_routes()
        at_tables = ["--endpoint-url", cloud.url, "--table-prefix", STACK]
        cloud.run(rollcall, "tenant", "create", "acme", *at_tables)
        token = cloud.run(rollcall, "key", "create", "acme", "--description", "package", *at_tables).strip()
        status, _ = send(f"{cloud.front.url()}/acme/scim/v2", token, "POST", "/Users", {"userName": "bob"})
        fine = check(f"the first user by SCIM: {status}", status == 201)
        print(f"from unpacking to the first user: {time.perf_counter() - started:.0f} s, 4 commands and a request")
        timed("deploy.sh with another parameter", lambda: deploy(cloud, folder, *words, "LogLevel=debug"))
        values = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in
                cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["Parameters"]}
        fine &= check("the stack has the other parameter", values["LogLevel"] == "debug")
        status = timed("template-s3.yaml", lambda: by_upload(cloud, folder))
        fine &= check(f"a stack of template-s3.yaml and uploaded code: {status}", status == "CREATE_COMPLETE")
        return 0 if fine else 1


sys.exit(main())
