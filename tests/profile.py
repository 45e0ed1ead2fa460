"""Where `rollcall serve` spends its time: a flame graph for each of some requests, by perf and inferno.

    profile.py ROLLCALL INFERNO OUT

ROLLCALL is a build of the profile `profile`. INFERNO is the folder of `inferno-collapse-perf` and `inferno-flamegraph`. The
graphs go to OUT. Everything is on 127.0.0.1; the loops are bounded.
"""

import itertools
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from bench import Client, server, user

USERS, CLIENTS, SECONDS = 2_000, 4, 8


def rows(ids):
    """What is asked for, by the name of its graph."""
    one = itertools.count()
    path = lambda: f"/Users/{ids[next(one) * 37 % len(ids)]}"
    name = lambda: urllib.parse.quote(f'userName eq "{user(next(one) * 37 % len(ids))["userName"]}"')
    patch = lambda: {"Operations": [{"op": "replace", "path": "nickName", "value": f"n{next(one)}"}]}
    return {
        "get": lambda: ("GET", path()),
        "find": lambda: ("GET", f"/Users?filter={name()}"),
        "page": lambda: ("GET", "/Users?startIndex=1&count=100"),
        "patch": lambda: ("PATCH", path(), patch()),
        "create": lambda: ("POST", "/Users", user(f"x{next(one)}")),
    }


def load(client, request):
    """Clients that send one request after the other, for a while."""
    end = time.monotonic() + SECONDS

    def run():
        while time.monotonic() < end:
            client.send(*request())
    threads = [threading.Thread(target=run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    return threads


def graph(process, name, inferno, out):
    """Records the process for less time than the load lasts, and draws what was recorded."""
    data = out / f"{name}.data"
    subprocess.run(["perf", "record", "--quiet", "--freq", "499", "--call-graph", "fp", "--output", data, "--pid", str(process.pid),
                    "sleep", str(SECONDS - 2)], check=True)
    script = subprocess.run(["perf", "script", "--input", data], check=True, capture_output=True).stdout
    stacks = subprocess.run([inferno / "inferno-collapse-perf"], input=script, check=True, capture_output=True).stdout
    drawn = subprocess.run([inferno / "inferno-flamegraph", "--title", f"rollcall serve: {name}"], input=stacks, check=True,
                           capture_output=True).stdout
    (out / f"{name}.svg").write_bytes(drawn)
    data.unlink()


def main(rollcall, inferno, out):
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, server(rollcall, folder) as (url, token, process):
        client = Client(url, token)
        ids = [client.send("POST", "/Users", user(number))["id"] for number in range(USERS)]
        for name, request in rows(ids).items():
            threads = load(client, request)
            graph(process, name, inferno, out)
            for thread in threads:
                thread.join()
            print(out / f"{name}.svg")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
