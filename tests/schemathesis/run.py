"""Schemathesis with openapi.json against `rollcall serve` on a store of its own: first what is below a tenant's base URL,
then OAuth and the admin API with a key of the operators, then the feed with a key for it. Exits 1 on any failure."""

import base64
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse

FOLDER = pathlib.Path(__file__).parent
ROLLCALL = "target/debug/rollcall"

# The feed is not below a tenant's base URL, and its key has a scope of its own.
FEED = "/{tenant}/events"


@contextlib.contextmanager
def rollcall():
    """A running endpoint: its Tenant URL and secret token, a key of the operators, what a client of the tenant presents,
    and a key for the feed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [ROLLCALL, "serve", "--listen", "127.0.0.1:0", "--data", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                words = {}
                while "Secret token" not in words:
                    line = process.stdout.readline()
                    if not line:
                        sys.exit("rollcall serve ended before it printed its secret token")
                    name, _, value = line.strip().partition(": ")
                    words[name] = value
                secret = key(folder, "demo", "--type", "client")
                client = base64.b64encode(f"{secret.split('_')[2]}:{secret}".encode()).decode()
                events = key(folder, "demo", "--scope", "events")
                operator = key(folder, "admin", "--scope", "admin")
                yield words["Tenant URL"], words["Secret token"], operator, f"Basic {client}", events
            finally:
                process.terminate()


def key(folder, *words):
    command = [ROLLCALL, "key", "create", *words, "--description", "schemathesis", "--data", folder]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def run(url, token, client, *tags):
    command = [pathlib.Path(sys.executable).parent / "schemathesis", "--config-file", FOLDER / "schemathesis.toml", "run",
               "openapi.json", *tags, *sys.argv[1:]]
    variables = {"ROLLCALL_URL": url, "ROLLCALL_TOKEN": token, "ROLLCALL_CLIENT": client}
    return subprocess.run(command, env={**os.environ, **variables}).returncode


def main():
    with rollcall() as (url, token, operator, client, events):
        origin = urllib.parse.urljoin(url, "/").rstrip("/")
        failed = [run(url, token, client, "--exclude-tag", "OAuth", "--exclude-tag", "Admin", "--exclude-path", FEED),
                  run(origin, operator, client, "--include-tag", "OAuth", "--include-tag", "Admin"),
                  run(origin, events, client, "--include-path", FEED, "--phases", "coverage,fuzzing")]
    return 1 if any(failed) else 0


if __name__ == "__main__":
    sys.exit(main())
