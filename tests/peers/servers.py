"""The servers that bench_peers.py compares: each listens on 127.0.0.1 on a free port, on a new folder."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent


class Server:
    """A running server: where it listens, what a request needs, and the CPU that it has used."""

    def __init__(self, process, address, base, headers):
        self.process, self.address, self.base = process, address, base
        self.headers = headers | {"Content-Type": "application/scim+json"}

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def running(command, folder, **options):
    with subprocess.Popen(command, cwd=folder, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


def wait_for(port):
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


@contextlib.contextmanager
def rollcall(binary, folder):
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", folder]
    with running(command, folder, stdout=subprocess.PIPE, text=True) as process:
        words = {}
        while "Secret token" not in words:
            name, _, value = process.stdout.readline().strip().partition(": ")
            words[name] = value
        _, _, address, base = words["Tenant URL"].split("/", 3)
        yield Server(process, address, f"/{base}", {"Authorization": f"Bearer {words['Secret token']}"})


@contextlib.contextmanager
def scim2_server(python, folder):
    """In memory: a restart loses all."""
    port = free_port()
    command = [pathlib.Path(python).parent / "scim2-server", "--port", str(port), "--bearer-token", "secret"]
    with running(command, folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(port)
        yield Server(process, f"127.0.0.1:{port}", "/v2", {"Authorization": "Bearer secret"})


@contextlib.contextmanager
def django_scim2_server(python, folder):
    """On SQLite, behind waitress with four threads."""
    port = free_port()
    environment = os.environ | {"PEER_FOLDER": folder}
    program = HERE / "django_peer.py"
    subprocess.run([python, program, "migrate"], check=True, env=environment, stdout=subprocess.DEVNULL)
    with running([python, program, str(port)], folder, env=environment, stderr=subprocess.DEVNULL) as process:
        wait_for(port)
        yield Server(process, f"127.0.0.1:{port}", "/scim/v2", {"Authorization": "Bearer secret"})


@contextlib.contextmanager
def scim_server(binary, folder):
    """github.com/wadahiro/scim-server, which no registry has: built by whoever wants it in the table."""
    port = free_port()
    config = pathlib.Path(folder) / "config.yaml"
    config.write_text(f"""
server: {{host: "127.0.0.1", port: {port}}}
backend: {{type: "database", database: {{type: "sqlite", url: "sqlite:{folder}/scim.db"}}}}
tenants: [{{id: 1, path: "/scim/v2", auth: {{type: "bearer", token: "secret"}}}}]
""")
    with running([binary, "-c", str(config)], folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(port)
        yield Server(process, f"127.0.0.1:{port}", "/scim/v2", {"Authorization": "Bearer secret"})


if __name__ == "__main__":
    sys.exit("run tests/bench_peers.py")
