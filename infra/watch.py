"""`make watch`: builds and serves, and again after each change of the source. The data of `make run` stays.

    python3 infra/watch.py [ARGUMENT…]

The arguments are those of `rollcall serve`. A build that fails leaves the server of the last good one running.
"""

import pathlib
import subprocess
import sys
import time

BUILD = ["cargo", "build", "--locked", "--features", "local", "--bin", "rollcall"]
PAUSE_SECONDS = 1


def state():
    """When each file that a build reads was written."""
    files = [*pathlib.Path("src").rglob("*"), *map(pathlib.Path, ["Cargo.toml", "Cargo.lock", "build.rs"])]
    return {file: file.stat().st_mtime_ns for file in files if file.is_file()}


def stop(server):
    if server:
        server.terminate()
        server.wait()


def main():
    server, before = None, None
    try:
        while True:
            now = state()
            if now != before:
                before = now
                if subprocess.run(BUILD).returncode == 0:
                    stop(server)
                    server = subprocess.Popen(["target/debug/rollcall", "serve", *sys.argv[1:]])
            time.sleep(PAUSE_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        stop(server)


main()
