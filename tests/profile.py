"""Where `rollcall serve` spends its time: a flame graph for each of some requests, by perf and inferno, and a table of parts.

    profile.py ROLLCALL INFERNO OUT

ROLLCALL is a build of the profile `profile`. INFERNO is the folder of `inferno-collapse-perf` and `inferno-flamegraph`. The
graphs go to OUT, and the table of docs/src/benchmarks.md to `parts.md` there. Everything is on 127.0.0.1; the loops are bounded.
"""

import collections
import itertools
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from bench import Client, fill, server, user

USERS, CLIENTS, SECONDS = 8_000, 4, 8
# Who a stack belongs to: the first of these whose name is in the frame that is nearest to its end. The time that the
# kernel takes for a part, such as writing the log, is that part's.
PARTS = {
    "SQLite": ("sqlite3",),
    "embedded engine": ("dynoxide",),
    "AWS SDK": ("aws_smithy", "aws_sdk", "aws_runtime", "aws_types", "aws_credential"),
    "HTTP": ("hyper", "axum", "tower", "lambda_http"),
    "Rollcall": ("rollcall",),
}
OTHER = "threads, timers, allocation"


def rows(ids):
    """What is asked for, by the name of its graph."""
    one, deleted = itertools.count(), iter(ids)
    path = lambda: f"/Users/{ids[next(one) * 37 % len(ids)]}"
    name = lambda: urllib.parse.quote(f'userName eq "{user(next(one) * 37 % len(ids))["userName"]}"')
    patch = lambda: {"Operations": [{"op": "replace", "path": "nickName", "value": f"n{next(one)}"}]}
    return {
        "get": lambda: ("GET", path()),
        "find": lambda: ("GET", f"/Users?filter={name()}"),
        "page": lambda: ("GET", "/Users?startIndex=1&count=100"),
        "patch": lambda: ("PATCH", path(), patch()),
        "create": lambda: ("POST", "/Users", user(f"x{next(one)}")),
        "delete": lambda: ("DELETE", f"/Users/{next(deleted)}"),
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
    """Records the process for less time than the load lasts, and draws what was recorded. The share of each part."""
    data = out / f"{name}.data"
    subprocess.run(["perf", "record", "--quiet", "--freq", "499", "--call-graph", "fp", "--output", data, "--pid", str(process.pid),
                    "sleep", str(SECONDS - 2)], check=True)
    script = subprocess.run(["perf", "script", "--input", data], check=True, capture_output=True).stdout
    stacks = subprocess.run([inferno / "inferno-collapse-perf"], input=script, check=True, capture_output=True).stdout
    drawn = subprocess.run([inferno / "inferno-flamegraph", "--title", f"rollcall serve: {name}"], input=stacks, check=True,
                           capture_output=True).stdout
    (out / f"{name}.svg").write_bytes(drawn)
    data.unlink()
    return parts(stacks.decode())


def parts(stacks):
    """The share of each part, of lines such as `thread;frame;frame 12`."""
    shares = collections.Counter()
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        shares[part(stack.split(";")[1:])] += int(samples)
    return {name: samples / shares.total() for name, samples in shares.items()}


def part(frames):
    for frame in reversed(frames):
        for name, words in PARTS.items():
            if any(word in frame for word in words):
                return name
    return OTHER


def table(shares):
    """Markdown: a row for each part, a column for each request."""
    yield "| % of the processor time | " + " | ".join(shares) + " |"
    yield "|---" * (len(shares) + 1) + "|"
    for name in [*PARTS, OTHER]:
        yield f"| {name} | " + " | ".join(f"{100 * of.get(name, 0):.0f}" for of in shares.values()) + " |"


def main(rollcall, inferno, out):
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, server(rollcall, folder) as (url, token, process):
        client = Client(url, token)
        ids, shares = fill(client, 0, USERS), {}
        for name, request in rows(ids).items():
            threads = load(client, request)
            shares[name] = graph(process, name, inferno, out)
            for thread in threads:
                thread.join()
            print(out / f"{name}.svg")
    text = "\n".join(table(shares))
    (out / "parts.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
