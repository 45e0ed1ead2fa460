"""Clients generated from openapi.json, against `rollcall serve` on a store of its own. Exits 1 on any error.

    python clients.py ROLLCALL [OPENAPI_JSON]

openapi-typescript and openapi-python-client generate them below `build/clients`, the TypeScript compiler and Python
compile them, and `client.ts` and `client.py` beside this file create, get, patch and list a user with them.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
NODE = HERE.parent.parent / ".tools/node/node_modules"
BUILD = HERE.parent.parent / "build/clients"
TSC = ["--strict", "--noUncheckedIndexedAccess", "--module", "nodenext", "--target", "es2022", "--types", "node"]


@contextlib.contextmanager
def serve(rollcall):
    """A running endpoint: its Tenant URL and secret token."""
    with tempfile.TemporaryDirectory() as folder:
        command = [rollcall, "serve", "--listen", "127.0.0.1:0", "--data", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                words = {}
                while "Secret token" not in words:
                    line = process.stdout.readline()
                    if not line:
                        sys.exit("rollcall serve ended before it printed a secret token")
                    name, _, value = line.strip().partition(": ")
                    words[name] = value
                yield words["Tenant URL"], words["Secret token"]
            finally:
                process.terminate()


def run(*command, folder=BUILD, **environment):
    """Runs a command; raises if it fails."""
    command = [str(word) for word in command]
    subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=True)


def generate(openapi):
    """Both clients, compiled."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    (BUILD / "node_modules").symlink_to(NODE)
    (BUILD / "package.json").write_text('{"type": "module"}\n')
    (BUILD / "python.yaml").write_text("post_hooks: []\n")
    for name in ["client.ts", "client.py"]:
        shutil.copy(HERE / name, BUILD)
    run(NODE / ".bin/openapi-typescript", openapi, "-o", "scim.d.ts")
    run(NODE / ".bin/tsc", *TSC, "client.ts")
    generator = pathlib.Path(sys.executable).parent / "openapi-python-client"
    run(generator, "generate", "--path", openapi, "--meta", "none", "--output-path", "scim", "--config", "python.yaml",
        "--fail-on-warning")
    run(sys.executable, "-m", "compileall", "-q", "scim")


def main():
    rollcall = pathlib.Path(sys.argv[1]).resolve()
    openapi = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "openapi.json").resolve()
    generate(openapi)
    with serve(rollcall) as (url, token):
        run("node", "client.js", TENANT_URL=url, SECRET_TOKEN=token)
        run(sys.executable, "client.py", TENANT_URL=url, SECRET_TOKEN=token)


if __name__ == "__main__":
    main()
