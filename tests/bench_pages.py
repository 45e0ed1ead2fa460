"""A page of 100 users by index against the same page by cursor, in tenants of several sizes.

    bench_pages.py ROLLCALL [--sizes 200,1000,5000,100000]

Users of 1.5 KB come by `rollcall import`. Exits 1 if a page by index takes over 1.3 times as long; tests/paging.rs holds
the read units to that, too. Both kinds of page are asked for in turn, so that whatever else the machine does slows both.
Everything is on 127.0.0.1; the loops are bounded.
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

from bench import Client, server, user

PAGE, PAGES, RATIO = 100, 60, 1.3
# Until the worker has counted, and the process takes its count.
COUNTED_SECONDS = 15


def fill(rollcall, folder, tenant, size):
    file = pathlib.Path(folder) / "users.ndjson"
    created = "2026-01-31T12:00:00.000Z"
    with open(file, "w") as out:
        head = {"type": "tenant", "format": 1, "name": tenant, "created": created, "profile": "default", "settings": {}}
        print(json.dumps(head), file=out)
        for i in range(size):
            record = {"type": "user", "id": f"{i % 256:02x}000000-0000-4000-8000-{i:012x}", "version": 1, "created": created,
                      "modified": created, "document": user(i) | {"title": "x" * 1_100}}
            print(json.dumps(record), file=out)
        print(json.dumps({"type": "end"}), file=out)
    run = lambda *words: subprocess.run([rollcall, *words, "--data", folder], check=True, capture_output=True, text=True).stdout
    run("import", tenant, file)
    return run("key", "create", tenant, "--description", "bench").split()[-1]


def measure(client, pairs):
    """The medians of both kinds of page."""
    times = [], []
    for pair in pairs:
        for path, taken in zip(pair, times, strict=True):
            start = time.perf_counter()
            body = client.send("GET", path)
            taken.append((time.perf_counter() - start) * 1000)
            assert len(body["Resources"]) == PAGE, path
    return [statistics.median(taken) for taken in times]


def cursors(client, size):
    cursor, found = "", [""]
    for _ in range(size // PAGE - 1):
        cursor = client.send("GET", f"/Users?count={PAGE}&attributes=id&cursor={cursor}").get("nextCursor")
        found.append(cursor)
    return found


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("rollcall")
    arguments.add_argument("--sizes", default="200,1000,5000,100000")
    options = arguments.parse_args()
    chance, worst = random.Random(3), 0.0
    print(f"{'users':>10}{'ms by index':>13}{'by cursor':>11}{'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder, server(options.rollcall, folder) as (url, _, _process):
        parts = urllib.parse.urlsplit(url)
        for size in map(int, options.sizes.split(",")):
            tenant = f"t{size}"
            token = fill(options.rollcall, folder, tenant, size)
            client = Client(f"{parts.scheme}://{parts.netloc}/{tenant}/scim/v2", token)
            time.sleep(COUNTED_SECONDS)
            assert client.send("GET", "/Users?count=0")["totalResults"] == size
            known = cursors(client, size)
            starts = [chance.randrange(len(known)) for _ in range(PAGES)]
            by_index = [f"/Users?startIndex={start * PAGE + 1}&count={PAGE}" for start in starts]
            by_cursor = [f"/Users?count={PAGE}&cursor={known[start]}" for start in starts]
            index, cursor = measure(client, zip(by_index, by_cursor, strict=True))
            worst = max(worst, index / cursor)
            print(f"{size:10,}{index:13.2f}{cursor:11.2f}{index / cursor:7.2f}", flush=True)
    return 0 if worst <= RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
