"""Schemathesis with openapi.json against `rollcall serve` on a store of its own. Exits 1 on any failure."""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).parent


@contextlib.contextmanager
def rollcall():
    """A running endpoint: its Tenant URL and secret token."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["target/debug/rollcall", "serve", "--listen", "127.0.0.1:0", "--data", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                words = {}
                while "Secret token" not in words:
                    line = process.stdout.readline()
                    if not line:
                        sys.exit("rollcall serve ended before it printed its secret token")
                    name, _, value = line.strip().partition(": ")
                    words[name] = value
                yield words["Tenant URL"], words["Secret token"]
            finally:
                process.terminate()


def main():
    schemathesis = pathlib.Path(sys.executable).parent / "schemathesis"
    config = FOLDER / "schemathesis.toml"
    command = [schemathesis, "--config-file", config, "run", "openapi.json", *sys.argv[1:]]
    with rollcall() as (url, token):
        return subprocess.run(command, env={**os.environ, "ROLLCALL_URL": url, "ROLLCALL_TOKEN": token}).returncode


if __name__ == "__main__":
    sys.exit(main())
