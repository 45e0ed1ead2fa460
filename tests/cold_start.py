"""The start of the Lambda binary on this machine: until its first poll, and the first request, plain and over TLS.

    cold_start.py ROLLCALL HELLO FLOOR BOOTSTRAP [BOOTSTRAP]

HELLO is the smallest function of the same runtime, and FLOOR the smallest one that connects to DynamoDB at its start. All
start in turn, so that whatever else the machine does slows all. A Runtime API, an engine and a TLS server of its own stand
around them, on 127.0.0.1. Exits with 1 if BOOTSTRAP takes over 1.5 times as long to its first poll as HELLO where it opens
no connection (the function for unknown addresses), or as FLOOR where both open two.
"""

import contextlib
import http.server
import json
import os
import pathlib
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

STARTS = 25
BOUND = 1.5
POLL = "start to first poll, ms"


class Runtime(http.server.ThreadingHTTPServer):
    """A Lambda Runtime API that hands out one event and notes when it was asked and answered."""

    daemon_threads = True

    def handle_error(self, *_):
        """The process under test is killed in the middle of its next poll."""

    def __init__(self, event):
        super().__init__(("127.0.0.1", 0), RuntimeHandler)
        self.event, self.polled, self.answered = event, threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class RuntimeHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        if server.polled.is_set():
            server.answered.wait()
            time.sleep(3600)
        server.polled_at, server.cpu_at_poll = time.perf_counter(), cpu(server.pid())
        server.polled.set()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4()))
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 15_000))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:f")
        self.send_header("Content-Length", str(len(server.event)))
        self.end_headers()
        self.wfile.write(server.event)

    def do_POST(self):
        server = self.server
        server.answer = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
        server.answered_at, server.cpu_at_answer = time.perf_counter(), cpu(server.pid())
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        server.answered.set()

    def log_message(self, *_):
        pass


def cpu(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def start_once(bootstrap, event, environment, statuses):
    runtime = Runtime(event)
    # A small function asks before Popen has returned.
    child = queue.Queue(1)

    def pid():
        child.put(process := child.get(timeout=20))
        return process.pid
    runtime.pid = pid
    started = time.perf_counter()
    process = subprocess.Popen(
        [bootstrap], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime.server_address[1]}"})
    child.put(process)
    try:
        assert runtime.answered.wait(20), f"{bootstrap} does not answer"
        assert runtime.answer["statusCode"] in statuses, runtime.answer
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
        return {
            POLL: (runtime.polled_at - started) * 1000,
            "CPU until then, ms": runtime.cpu_at_poll,
            "first request, ms": (runtime.answered_at - runtime.polled_at) * 1000,
            "CPU of the first request, ms": runtime.cpu_at_answer - runtime.cpu_at_poll,
            "peak memory, MB": peak,
        }
    finally:
        process.kill()
        process.wait()
        runtime.shutdown()


def tls(folder, target):
    """A TLS server in front of the engine, with a chain of its own; it is told apart by its authority's file."""
    import ssl
    name = "/CN=localhost"
    run = lambda *words: subprocess.run(words, cwd=folder, check=True, capture_output=True)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca",
        "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE")
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "tls.key", "-out", "tls.csr", "-subj", name)
    (pathlib.Path(folder) / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    run("openssl", "x509", "-req", "-in", "tls.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tls.pem",
        "-days", "2", "-extfile", "ext")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pathlib.Path(folder) / "tls.pem", pathlib.Path(folder) / "tls.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept():
        while True:
            plain, _ = listener.accept()

            def carry(plain=plain):
                with contextlib.suppress(OSError):
                    client = context.wrap_socket(plain, server_side=True)
                    server = socket.create_connection(("127.0.0.1", target))
                    for end in (client, server):
                        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=pump, args=(server, client), daemon=True).start()
                    pump(client, server)

            threading.Thread(target=carry, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def starts(rollcall, *bootstraps):
    with tempfile.TemporaryDirectory() as folder:
        run = lambda *words: subprocess.run(
            [rollcall, *words, "--data", folder], check=True, capture_output=True, text=True).stdout.strip()
        run("tenant", "create", "acme")
        token = run("key", "create", "acme", "--description", "bench")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        engine = subprocess.Popen([rollcall, "engine", "--listen", f"127.0.0.1:{port}", "--data", folder], stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            secure = tls(folder, port)
            event = json.loads((pathlib.Path(__file__).parent.parent / "events/users.list.json").read_text())
            event["headers"]["authorization"] = f"Bearer {token}"
            environment = {
                "PATH": os.environ["PATH"], "_HANDLER": "users.list", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x", "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "1",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
                **{f"{table.upper()}_TABLE": f"rollcall-{table}" for table in ("keys", "tokens", "users", "groups", "links", "changes")},
            }
            plain = {**environment, "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}"}
            ssl = {**environment, "AWS_ENDPOINT_URL_DYNAMODB": f"https://localhost:{secure}", "ROLLCALL_CA_FILE": f"{folder}/ca.pem"}
            alone = {**plain, "_HANDLER": "fallback"}
            ratios = []
            for name, environment, statuses, reference in (
                    ("no connection", alone, (200, 404), 0), ("plain", plain, (200,), 1), ("TLS", ssl, (200,), 1)):
                runs = {bootstrap: [] for bootstrap in bootstraps}
                for _ in range(STARTS):
                    for bootstrap in bootstraps:
                        runs[bootstrap].append(start_once(bootstrap, json.dumps(event).encode(), environment, statuses))
                print(f"{name}, medians of {STARTS}")
                for bootstrap, all_ in runs.items():
                    medians = {key: statistics.median(run[key] for run in all_) for key in all_[0]}
                    print(f"  {bootstrap}, {os.path.getsize(bootstrap) / 1e6:.2f} MB: " +
                          "; ".join(f"{key} {median:.1f}" for key, median in medians.items()))
                polls = [statistics.median(run[POLL] for run in runs[bootstrap]) for bootstrap in bootstraps[:3]]
                ratios.append(polls[2] / polls[reference])
                print(f"  start to first poll: {ratios[-1]:.2f} times that of {bootstraps[reference]}; the bound is {BOUND}")
            return 0 if max(ratios) <= BOUND else 1
        finally:
            engine.kill()
            engine.wait()


if __name__ == "__main__":
    sys.exit(starts(*sys.argv[1:]))
