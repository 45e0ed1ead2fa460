"""Functions in containers by `sam local`, on an engine with a tenant, keys, a user and a group (needs Docker).

    local_invoke.py TEMPLATE ROUTE     one function, with its event of events/
    local_invoke.py TEMPLATE all       every function; the status is 1 if one answers otherwise than it should
    local_invoke.py TEMPLATE api       all functions behind http://127.0.0.1:3001, until interrupted
    local_invoke.py - ROUTE            print the event that would be sent; needs no Docker

TEMPLATE is a built one, such as .aws-sam/build/template.yaml. Tenant, tokens and ids are put into a copy of the event:
no file of the repository is edited. The engine listens on Docker's bridge, which is how containers reach this machine;
DOCKER_BRIDGE names another address.
"""

import contextlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROLLCALL = ROOT / "target/debug/rollcall"
BRIDGE = os.environ.get("DOCKER_BRIDGE", "172.17.0.1")
PORT = 8000
# The ids that the events have.
USER, GROUP = "2819c223-7f76-453a-919d-413861904646", "e9e30dba-f08f-4109-8486-d5c6a331660a"


class Fixture:
    """A store with a tenant, and what an event lacks of it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.run("tenant", "create", "acme")
        self.token = self.key("acme")
        self.operator = self.key("admin", "--scope", "admin")
        self.client = self.key("acme", "--type", "client")
        self.user, self.group = self.resources()

    def run(self, *words):
        command = [ROLLCALL, *words, "--data", self.folder / "store"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def key(self, tenant, *words):
        return self.run("key", "create", tenant, *words, "--description", "local invoke")

    def resources(self):
        """The ids of a user and of a group with that user, created over HTTP."""
        command = [ROLLCALL, "serve", "--listen", "127.0.0.1:0", "--data", self.folder / "store"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            line = next(line for line in server.stdout if line.startswith("Tenant URL: "))
            base = line.split()[-1].replace("/demo/", "/acme/")
            user = self.post(f"{base}/Users", {"userName": "local@example.com"})
            group = self.post(f"{base}/Groups", {"displayName": "Local", "members": [{"value": user}]})
            server.terminate()
        return user, group

    def post(self, url, body):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(request) as response:
            return json.load(response)["id"]

    def event(self, name):
        text = (ROOT / f"events/{name}.json").read_text().replace(USER, self.group if "groups." in name else self.user)
        event = json.loads(text.replace(GROUP, self.group))
        if name.startswith("oauth."):
            id_and_secret = ("PASTE-A-KEY-ID", self.client.split("_")[2]), ("PASTE-ITS-SECRET", self.client)
            for place, value in id_and_secret:
                event["body"] = event.get("body", "").replace(place, value)
        else:
            event["headers"]["authorization"] = f"Bearer {self.operator if name.startswith('admin.') else self.token}"
        return event

    @contextlib.contextmanager
    def engine(self):
        """The store as DynamoDB, and the file of the environment that leads to it."""
        command = [ROLLCALL, "engine", "--listen", f"{BRIDGE}:{PORT}", "--data", self.folder / "store"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as engine:
            time.sleep(1)
            environment = json.loads((ROOT / "events/env.json").read_text())
            environment["Parameters"]["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://{BRIDGE}:{PORT}"
            (self.folder / "env.json").write_text(json.dumps(environment))
            try:
                yield str(self.folder / "env.json")
            finally:
                engine.terminate()


def sam(command, template, environment, *words, **options):
    """`sam local`, for containers of this machine's own kind."""
    architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    line = [ROOT / ".tools/venv/bin/sam", "local", command, *words, "--template", template, "--env-vars", environment,
            "--parameter-overrides", f"Architecture={architecture} DynamoDbEndpoint=set"]
    return subprocess.run(line, cwd=ROOT, env={**os.environ, "SAM_CLI_TELEMETRY": "0"}, check=False, **options)


def invoke(fixture, template, environment, name, **options):
    (fixture.folder / "event.json").write_text(json.dumps(fixture.event(name)))
    function = "".join(word.capitalize() for word in name.split("."))
    return sam("invoke", template, environment, function, "--event", str(fixture.folder / "event.json"), **options)


def expected(name):
    """The status of a route with its event on this store; none where it depends on what ran before."""
    if name == "fallback":
        return {404}
    if name.startswith("me."):
        return {404}  # the key has no automation user
    return {200, 201, 204, 404, 409} if "." in name else {200}


def every(fixture, template, environment):
    names = sorted(file.stem for file in (ROOT / "events").glob("*.json") if file.stem not in ("env", "stream"))
    failed = 0
    for name in names:
        done = invoke(fixture, template, environment, name, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{") and "statusCode" in line]
        status = json.loads(lines[-1])["statusCode"] if lines else done.stderr[-600:]
        good = status in expected(name)
        failed += not good
        print(f"{'ok' if good else 'FAILED'}: {name}: {status}", flush=True)
    print(f"{len(names) - failed} of {len(names)} functions answered as they should")
    return 1 if failed else 0


def main(template, route):
    with tempfile.TemporaryDirectory() as folder:
        fixture = Fixture(folder)
        if template == "-":
            print(json.dumps(fixture.event(route), indent=2))
            return 0
        with fixture.engine() as environment:
            if route == "all":
                return every(fixture, template, environment)
            if route == "api":
                print(f"Tenant URL: http://127.0.0.1:3001/acme/scim/v2\nSecret token: {fixture.token}", flush=True)
                return sam("start-api", template, environment, "--host", "127.0.0.1", "--port", "3001").returncode
            return invoke(fixture, template, environment, route).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
