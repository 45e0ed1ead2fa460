"""Rollcall deployed, end to end, onto an emulated AWS that enforces IAM (ministack), without an account and without Docker.

    e2e.py [--hold] [--policies] [--built]

`sam deploy` of the stack of the tables and of the application; a key of the operators, and by the admin API a tenant and
a credential of each form; recorded client traffic through the HTTP API; the application's stack deleted, the data still
there, deployed again and served. With --policies, each function then loses one action of its policy in turn: that
function fails, and no other; without being let tell the use of a key, none fails. With --hold it prints Tenant URL and
token, and serves until its input ends.

Where the emulator falls short of AWS, this harness stands in, never the product:
- it ignores the routes in the OpenAPI body that SAM makes of an HTTP API: `connect_routes` adds them;
- it has no CodeDeploy and no alarms on expressions: `simplify` takes the gradual rollout, and those alarms, out of the
  built template;
- it does not fetch attributes that an index does not project: `Bridge`, between the functions and its DynamoDB, does;
- it takes no notice of the attributes that an update names, to which conditions of the policies bind some: the tests in
  Rust hold each route to them (tests/support/access.rs).

Everything listens on 127.0.0.1.
"""

import base64
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import boto3

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from replay import replay, send  # noqa: E402

HOST = "127.0.0.1"
ARCHITECTURE = "Architecture=" + ("arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64")
STACK = "rollcall"
# In whose name the keys act.
BOT = "e2e-bot"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
               "AWS_DEFAULT_REGION": "us-east-1"}


def free_port():
    with socket.create_server((HOST, 0)) as listening:
        return listening.getsockname()[1]


def wait_for(port, seconds=30):
    for _ in range(seconds * 20):
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


class Forward(http.server.BaseHTTPRequestHandler):
    """Hands a request on to the emulator."""

    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, headers, data = self.server.answer(self.command, self.path, dict(self.headers), body)
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        # Who is refused drops the read that went out beside the check of the key.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.end_headers()
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, *_):
        pass


class Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port):
        super().__init__((HOST, 0), Forward)
        self.emulator = port
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self):
        return f"http://{HOST}:{self.server_address[1]}"

    def forward(self, method, path, headers, body):
        connection = http.client.HTTPConnection(HOST, self.emulator, timeout=60)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.status, response.getheaders(), response.read()
        connection.close()
        return answer


class Front(Proxy):
    """The address of the HTTP API, as its host name would lead there."""

    api = None

    def answer(self, method, path, headers, body):
        headers = {name: value for name, value in headers.items() if name.lower() != "host"}
        headers["Host"] = f"{self.api}.execute-api.localhost:{self.emulator}"
        return self.forward(method, path, headers, body)


class Bridge(Proxy):
    """DynamoDB for the functions: fetches what an index does not project, as DynamoDB does. The function's own
    credentials make the query, and are checked for it."""

    client = None

    def answer(self, method, path, headers, body):
        request = json.loads(body or b"{}")
        is_query = headers.get("X-Amz-Target", headers.get("x-amz-target", "")).endswith(".Query")
        if not (is_query and request.get("IndexName") and request.get("Select") == "ALL_ATTRIBUTES"):
            return self.forward(method, path, headers, body)
        status, head, data = self.forward(method, path, headers, body)
        if status != 200:
            return status, head, data
        answer = json.loads(data)
        items = [self.fetch(request["TableName"], item) for item in answer["Items"]]
        answer["Items"] = [item for item in items if item]
        return status, head, json.dumps(answer).encode()

    def fetch(self, table, item):
        sort = "userName" if table.endswith("users") else "id"
        key = {name: item[name] for name in ("tenant", sort)}
        body = json.dumps({"TableName": table, "Key": key, "ConsistentRead": True}).encode()
        headers = {"X-Amz-Target": "DynamoDB_20120810.GetItem", "Content-Type": "application/x-amz-json-1.0",
                   "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, "
                                    "SignedHeaders=host, Signature=0"}
        return json.loads(self.forward("POST", "/", headers, body)[2]).get("Item")


class Cloud:
    """The emulated AWS, with what is deployed on it."""

    def __init__(self, stack):
        self.folder = stack.enter_context(tempfile.TemporaryDirectory())
        self.port = free_port()
        self.log = open(pathlib.Path(self.folder) / "ministack.log", "w+")
        environment = {**os.environ, **CREDENTIALS, "AUTH": "true", "BIND_HOST": HOST, "GATEWAY_PORT": str(self.port),
                       "IOT_MTLS_ENABLED": "0", "TMPDIR": self.folder, "LOG_LEVEL": "INFO"}
        process = subprocess.Popen([pathlib.Path(sys.executable).with_name("ministack")], env=environment, cwd=self.folder,
                                   stdout=self.log, stderr=self.log, start_new_session=True)
        stack.callback(process.wait)
        stack.callback(lambda: os.killpg(process.pid, 15))
        wait_for(self.port)
        self.url = f"http://{HOST}:{self.port}"
        self.front, self.bridge = Front(self.port), Bridge(self.port)
        self.environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": self.url, "SAM_CLI_TELEMETRY": "0"}

    def client(self, service, **credentials):
        credentials = credentials or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, region_name="us-east-1", endpoint_url=self.url, **credentials)

    def run(self, *words):
        done = subprocess.run([str(word) for word in words], cwd=ROOT, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{words[0]} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def deploy(self):
        common = ["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--resolve-s3", "--no-progressbar"]
        sam = ROOT / ".tools/venv/bin/sam"
        self.run(sam, "deploy", "--template", "infra/data.yaml", "--stack-name", f"{STACK}-data", *common,
                 "--parameter-overrides", f"TablePrefix={STACK}")
        self.run(sam, "deploy", "--template", ".aws-sam/e2e/template.yaml", "--stack-name", STACK, *common,
                 "--capabilities", "CAPABILITY_IAM", "--parameter-overrides", f"TablePrefix={STACK}", "ReservedConcurrency=0",
                 ARCHITECTURE, "Release=e2e", f"DynamoDbEndpoint={self.bridge.url()}")
        self.connect_routes()

    def resources(self):
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        return {r["LogicalResourceId"]: r for page in pages for r in page["StackResourceSummaries"]}

    def connect_routes(self):
        body = self.client("cloudformation").get_template(StackName=STACK, TemplateStage="Processed")["TemplateBody"]
        template = body if isinstance(body, dict) else json.loads(body)
        gateway, resources = self.client("apigatewayv2"), self.resources()
        api = resources["Api"]["PhysicalResourceId"]
        for path, methods in template["Resources"]["Api"]["Properties"]["Body"]["paths"].items():
            for method, operation in methods.items():
                uri = json.dumps(operation["x-amazon-apigateway-integration"]["uri"])
                function = next(name for name in resources if "${%s.Arn}" % name in uri or "${%sAliaslive}" % name in uri)
                arn = f"arn:aws:lambda:us-east-1:000000000000:function:{resources[function]['PhysicalResourceId']}"
                integration = gateway.create_integration(
                    ApiId=api, IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0", IntegrationUri=arn)
                verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                gateway.create_route(ApiId=api, RouteKey="$default" if path.endswith("$default") else f"{verb} {path}",
                                     Target=f"integrations/{integration['IntegrationId']}")
        self.front.api = api

    def rollcall(self, *words):
        return self.run(ROOT / "target/debug/rollcall", *words).strip()

    def operator(self):
        """The first key of the operators: made on the tables, as no key opens the admin API yet."""
        return self.rollcall("key", "create", "admin", "--scope", "admin", "--description", "e2e",
                             "--endpoint-url", self.url, "--table-prefix", STACK)


class Operator:
    """The command line, by the admin API of what is deployed."""

    def __init__(self, cloud):
        self.cloud, self.key = cloud, cloud.operator()

    def run(self, *words):
        return self.cloud.rollcall(*words, "--url", self.cloud.front.url(), "--admin-key", self.key)

    def tenant(self, name):
        self.run("tenant", "create", name)
        self.run("automation", "activate", name, BOT)
        return self.credential(name, "bearer")

    def credential(self, tenant, form):
        return self.run("key", "create", tenant, "--type", form, "--description", f"e2e {form}", "--automation", BOT)


def build():
    environment = {**os.environ, "SAM_CLI_TELEMETRY": "0",
                   "PATH": f"{ROOT}/.tools/bin:{ROOT}/.tools/venv/bin:{os.environ['PATH']}"}
    subprocess.run([ROOT / ".tools/venv/bin/sam", "build", "--build-dir", ".aws-sam/e2e", "--parameter-overrides",
                    ARCHITECTURE], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    simplify(ROOT / ".aws-sam/e2e/template.yaml")


def simplify(template):
    """Takes `DeploymentPreference` and `FunctionErrors…`, and what is indented below them, out of the template's text."""
    kept, depth = [], None
    for line in template.read_text().splitlines(keepends=True):
        indent = len(line) - len(line.lstrip())
        if depth is not None and indent > depth:
            continue
        depth = indent if re.fullmatch(r"DeploymentPreference:|FunctionErrors\d+:", line.strip()) else None
        if depth is None:
            kept.append(line)
    template.write_text("".join(kept))


def timed(what, action):
    started = time.perf_counter()
    result = action()
    print(f"{what}: {time.perf_counter() - started:.0f} s", flush=True)
    return result


def check(what, holds):
    print(("ok: " if holds else "FAILED: ") + what, flush=True)
    return bool(holds)


def every_credential_reads(operator, origin, tenant):
    """A JWT, HTTP Basic and an OAuth client's token read what is deployed; a client's token ends with the client."""
    read = lambda credential: send(f"{origin}/{tenant}/scim/v2", credential, "GET", "/Users?count=1", None)[0]
    jwt, password, secret = (operator.credential(tenant, form) for form in ("jwt", "basic", "client"))
    basic = "Basic " + base64.b64encode(f"{BOT}:{password}".encode()).decode()
    client = secret.split("_")[2]
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    status, metadata = send(origin, None, "GET", f"/.well-known/oauth-authorization-server/{tenant}", None)
    endpoint = urllib.parse.urlsplit(metadata["token_endpoint"]).path
    given, answer = send(origin, None, "POST", endpoint, urllib.parse.urlencode(form).encode())
    token = answer["access_token"]
    fine = check("the token endpoint is told, and gives a token", (status, given) == (200, 200))
    fine &= check("a JWT, HTTP Basic and a client's token read", [read(it) for it in (jwt, basic, token)] == [200] * 3)
    _, listed = send(f"{origin}/admin/v1", operator.key, "GET", f"/tenants/{tenant}/keys", None)
    used = {key["type"] for key in listed["keys"] if key.get("used")}
    fine &= check("their uses are told", {"jwt", "basic", "client"} <= used)
    operator.run("key", "revoke", tenant, client)
    return fine & check("the token of a revoked client is refused", read(token) == 401)


def data_outlives_the_stack(cloud, url, token):
    """The application's stack goes; tables and users stay, and are served once it is there again."""
    status, user = send(url, token, "POST", "/Users", {"userName": "stays"})
    assert status == 201, user
    cloud.run(ROOT / ".tools/venv/bin/sam", "delete", "--stack-name", STACK, "--no-prompts", "--region", "us-east-1")
    tables = cloud.client("dynamodb").list_tables()["TableNames"]
    items = cloud.client("dynamodb").scan(TableName=f"{STACK}-users")["Count"]
    kept = check("deleting the application leaves the tables and their items",
                 {f"{STACK}-{name}" for name in ("keys", "tokens", "users", "groups", "links")} <= set(tables) and items >= 1)
    timed("deployed again", cloud.deploy)
    status, found = send(url, token, "GET", f"/Users/{user['id']}", None)
    return kept and check("deployed again, it serves them", status == 200 and found["userName"] == "stays")


def main():
    with contextlib.ExitStack() as stack:
        if "--built" not in sys.argv:
            timed("sam build", build)
        cloud = timed("emulated AWS", lambda: Cloud(stack))
        try:
            timed("deployed", cloud.deploy)
            operator = Operator(cloud)
            token = timed("a tenant and a key by the admin API", lambda: operator.tenant("acme"))
            url = f"{cloud.front.url()}/acme/scim/v2"
            if "--hold" in sys.argv:
                print(f"Tenant URL: {url}\nSecret token: {token}", flush=True)
                sys.stdin.read()
                return 0
            passed, failed = timed("recorded exchanges", lambda: replay(url, token))
            fine = check(f"{passed} recorded exchanges through the HTTP API, {failed} failed", passed > 100 and not failed)
            status, body = send(url, token, "GET", "/Nothing", None)
            fine &= check("an unknown path has a SCIM error", status == 404 and body["status"] == "404")
            fine &= every_credential_reads(operator, cloud.front.url(), "acme")
            if "--policies" in sys.argv:
                from policies import policies_are_minimal
                fine &= timed("policies", lambda: policies_are_minimal(cloud, token, operator.key))
            fine &= data_outlives_the_stack(cloud, url, token)
            return 0 if fine else 1
        except BaseException:
            (ROOT / "build").mkdir(exist_ok=True)
            cloud.log.seek(0)
            with open(ROOT / "build/e2e.log", "w") as kept:
                shutil.copyfileobj(cloud.log, kept)
            raise


if __name__ == "__main__":
    sys.exit(main())
