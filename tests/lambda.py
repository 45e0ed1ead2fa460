"""The Lambda binary under Amazon's runtime interface emulator, behind a stand-in for the HTTP API.

    lambda.py BOOTSTRAP [--hold]

Every function of template.yaml runs as a process of its own with its own handler string; requests go to it as API
Gateway would send them (payload version 2.0, routes read from the template). The recorded exchanges of tests/idp are
replayed through it. With --hold it prints Tenant URL and token and serves until its input ends. All on 127.0.0.1.
"""

import base64
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import samcli.local
import yaml

from replay import replay, send

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
EMULATORS = []


def template():
    class Loader(yaml.SafeLoader):
        """CloudFormation's own tags are of no interest here."""

    Loader.add_multi_constructor("!", lambda loader, tag, node: str(node.value))
    return yaml.load((ROOT / "template.yaml").read_text(), Loader)


def functions():
    """Handler string -> its routes (method, pattern), the fallback with none."""
    found = {}
    for resource in template()["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            routes = []
            for event in properties["Events"].values():
                path = event["Properties"].get("Path")
                if path:
                    pattern = re.sub(r"\{[a-z]+\}", "[^/]+", path)
                    routes.append((event["Properties"]["Method"], re.compile(pattern + "$")))
            found[properties["Handler"]] = routes
    return found


def free_port():
    with socket.create_server((HOST, 0)) as listening:
        return listening.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


class Function:
    """One function under the emulator, which takes one request at a time."""

    def __init__(self, stack, emulator, bootstrap, handler, environment, log):
        self.port, self.lock = free_port(), threading.Lock()
        command = [
            emulator, "--runtime-interface-emulator-address", f"{HOST}:{self.port}",
            "--runtime-api-address", f"{HOST}:{free_port()}", bootstrap, handler,
        ]
        process = subprocess.Popen(command, env={**environment, "_HANDLER": handler}, stdout=log, stderr=log)
        EMULATORS.append(process.pid)
        stack.callback(process.wait)
        stack.callback(process.kill)
        wait_for(self.port)

    def invoke(self, event):
        with self.lock:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
            connection.request("POST", "/2015-03-31/functions/function/invocations", json.dumps(event))
            answer = json.loads(connection.getresponse().read())
            connection.close()
            return answer


def peak_memory():
    """The most memory that any function has used, in MB: those are the emulators' children."""
    peaks = [0.0]
    for emulator in EMULATORS:
        lists = pathlib.Path(f"/proc/{emulator}/task").glob("*/children")
        for child in " ".join(children.read_text() for children in lists).split():
            status = pathlib.Path(f"/proc/{child}/status").read_text()
            peaks.append(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024)
    return max(peaks)


class Gateway(http.server.ThreadingHTTPServer):
    """Routes as the HTTP API does: the function of the matching route, else the default one."""

    daemon_threads = True

    def __init__(self, routes, running):
        super().__init__((HOST, 0), Handler)
        self.routes, self.running = routes, running

    def function(self, method, path):
        for handler, routes in self.routes.items():
            if any(method == m and pattern.match(path) for m, pattern in routes):
                return self.running[handler]
        return self.running["fallback"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        event = {
            "version": "2.0", "routeKey": "$default", "rawPath": urllib.parse.unquote(path), "rawQueryString": query,
            "headers": {name.lower(): value for name, value in self.headers.items() if name.lower() != "cookie"},
            "cookies": [cookie.strip() for cookie in self.headers.get("Cookie", "").split(";") if cookie.strip()],
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "domainName": self.headers["Host"], "stage": "$default",
                "http": {"method": self.command, "path": path, "protocol": "HTTP/1.1", "sourceIp": HOST, "userAgent": ""},
                "requestId": "id", "routeKey": "$default", "time": "", "timeEpoch": 0, "domainPrefix": "api",
            },
            "isBase64Encoded": bool(body),
        }
        if body:
            event["body"] = base64.b64encode(body).decode()
        answer = self.server.function(self.command, path).invoke(event)
        data = answer.get("body", "").encode()
        if answer.get("isBase64Encoded"):
            data = base64.b64decode(data)
        self.send_response(answer.get("statusCode", 502))
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        for cookie in answer.get("cookies", []):
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def endpoint(bootstrap):
    """The functions on an engine of their own: Tenant URL and token."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        log = stack.enter_context(open(pathlib.Path(folder) / "log", "w"))
        rollcall = lambda *words: subprocess.run(
            [ROOT / "target/debug/rollcall", *words, "--data", folder], check=True, capture_output=True, text=True).stdout
        rollcall("tenant", "create", "acme")
        token = rollcall("key", "create", "acme", "--description", "lambda test").strip()
        engine_port = free_port()
        engine = subprocess.Popen(
            [ROOT / "target/debug/rollcall", "engine", "--listen", f"{HOST}:{engine_port}", "--data", folder], stdout=log)
        stack.callback(engine.wait)
        stack.callback(engine.kill)
        wait_for(engine_port)
        emulator = pathlib.Path(folder) / "aws-lambda-rie"
        shutil.copy(pathlib.Path(samcli.local.__file__).parent / "rapid/aws-lambda-rie-x86_64", emulator)
        emulator.chmod(0o755)
        environment = {
            "PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
            # Counted, and faster than the recorded traffic is sent.
            "TENANT_RATE": "10000/10000",
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://{HOST}:{engine_port}", "AWS_LAMBDA_FUNCTION_TIMEOUT": "15",
            **{f"{table.upper()}_TABLE": f"rollcall-{table}" for table in ("keys", "tokens", "users", "groups", "links", "changes")},
        }
        routes = functions()
        running = {
            handler: Function(stack, emulator, bootstrap, handler, environment, log) for handler in routes
        }
        gateway = Gateway(routes, running)
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        stack.callback(gateway.shutdown)
        yield f"http://{HOST}:{gateway.server_address[1]}/acme/scim/v2", token


def main():
    bootstrap = str(pathlib.Path(sys.argv[1]).resolve())
    with endpoint(bootstrap) as (url, token):
        if "--hold" in sys.argv:
            print(f"Tenant URL: {url}\nSecret token: {token}", flush=True)
            sys.stdin.read()
            return 0
        status, body = send(url, token, "GET", "/Nothing", None)
        assert (status, body["status"]) == (404, "404"), (status, body)
        status, _ = send(url, "junk", "GET", "/Users", None)
        assert status == 401, status
        passed, failed = replay(url, token)
        print(f"peak memory of a function: {peak_memory():.1f} MB")
        print(f"{len(functions())} functions under the runtime interface emulator: {passed} exchanges passed, {failed} failed")
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
