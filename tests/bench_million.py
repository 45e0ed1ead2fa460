"""A tenant of a million users, all of them members of one group, against a tenant of a thousand.

    bench_million.py ROLLCALL [--users 1000000] [--verify]

A million requests would take an hour. One user and its membership come by requests; the others are copies of their rows,
with names and ids of their own, written into the embedded engine's file while no server runs. Round trips and capacity units
are what the server's own metrics add up to. `--verify` has `rollcall verify` examine both. Everything is on 127.0.0.1; the loops are bounded.
"""

import argparse
import contextlib
import os
import pathlib
import re
import sqlite3
import statistics
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

from bench import Client, server, user

SAMPLES, SINGLE = 200, 250
NAME = "seed0000000@example.com"
SMALL = 1_000
CACHE_KIB = 8 << 20
# Ids are spread as random ones are: a bucket, and multiples of an odd number.
SPREAD = 2_654_435_761
TICKS = os.sysconf("SC_CLK_TCK")
SETTLED_SECONDS, SETTLED_SHARE = 2, 0.02


def seed(rollcall, folder):
    """A user, a group of that user alone, and users of no group; what the copies are of, and whom to work with."""
    with server(rollcall, folder) as (url, token, _):
        client = Client(url, token)
        one = client.send("POST", "/Users", user(0) | {"userName": NAME, "externalId": "seed0000000", "emails": [
            {"value": NAME, "type": "work", "primary": True}]})
        group = client.send("POST", "/Groups", {"displayName": "Everybody", "members": [{"value": one["id"]}]})
        single = [client.send("POST", "/Users", user(number))["id"] for number in range(SINGLE)]
        return url, token, one["id"], group["id"], single


def multiply(folder, one, users):
    """Copies of the rows of one user, in each table that has some."""
    engine = sqlite3.connect(pathlib.Path(folder) / "rollcall.db")
    # The file is made for this run: it need not outlive a crash, and its pages stay in memory while they are written.
    for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", f"cache_size = -{CACHE_KIB}"):
        engine.execute(f"PRAGMA {setting}")
    own = "(pk LIKE 'S:demo%' AND (instr(sk, :name) OR instr(sk, :id) OR instr(item_json, :id) OR instr(item_json, :name)))"
    tables = [name for name, in engine.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
              if name.startswith(("rollcall-users", "rollcall-links"))]
    new = lambda column: (f"replace(replace({column}, 'seed0000000', printf('seed%07d', i)), :id, "
                          f"printf('%02x%06x-0000-4000-8000-%012x', i % 256, i * {SPREAD} % {1 << 24}, i))")
    for table in tables:
        columns = [row[1] for row in engine.execute(f'PRAGMA table_info("{table}")')]
        copied = ", ".join(new(column) if column in ("sk", "base_sk", "item_json") else column for column in columns)
        engine.execute("DROP TABLE IF EXISTS temp.own")
        engine.execute(f'CREATE TEMP TABLE own AS SELECT * FROM "{table}" WHERE {own}', {"name": NAME, "id": one})
        engine.execute(f"""
            INSERT INTO "{table}" ({", ".join(columns)})
            WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < :users)
            SELECT {copied} FROM number CROSS JOIN own""", {"id": one, "users": users})
    engine.commit()
    engine.close()


def totals(metrics):
    """Round trips and units since the server began, its own counting of users included."""
    text = urllib.request.urlopen(metrics).read().decode()
    return [float(re.search(rf"^rollcall_dynamodb_{name}_total (\S+)$", text, re.M)[1])
            for name in ("round_trips", "capacity_units")]


def settle(process):
    """Waits until the server has counted its users, as it does when it starts: until it takes no processor time."""
    seconds = lambda: sum(map(int, pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13])) / TICKS
    before = seconds()
    for _ in range(300):
        time.sleep(SETTLED_SECONDS)
        before, last = seconds(), before
        if before - last < SETTLED_SHARE * SETTLED_SECONDS:
            return
    raise SystemExit("the server goes on counting")


def timed(metrics, action):
    """Milliseconds in the median, and round trips and units of one request."""
    times, before = [], totals(metrics)
    for number in range(SAMPLES):
        start = time.perf_counter()
        action(number)
        times.append((time.perf_counter() - start) * 1000)
    costs = [(after - first) / SAMPLES for first, after in zip(before, totals(metrics))]
    return statistics.median(times), *costs


def rows(client, users, group, single):
    quoted = lambda attribute, value: f"/Users?filter={attribute}+eq+%22{urllib.parse.quote(value)}%22"
    name = lambda number: f"seed{1 + number * 37 % users:07}@example.com"
    id_of = lambda number: f"{number % 256:02x}{number * SPREAD % (1 << 24):06x}-0000-4000-8000-{number:012x}"
    path = lambda number: f"/Users/{id_of(1 + number * 37 % users)}"
    change = lambda operation: {"Operations": [operation]}
    created = []
    page = client.send("GET", "/Users?cursor&count=100")
    for _ in range(5):
        page = client.send("GET", f"/Users?cursor={page['nextCursor']}&count=100")
    last = max(1, users - 100)
    add = lambda number: {"op": "add", "path": "members", "value": [{"value": single[number]}]}
    remove = lambda number: {"op": "remove", "path": f'members[value eq "{single[number]}"]'}
    return {
        "GET by id": lambda number: client.send("GET", path(number)),
        "userName eq": lambda number: client.send("GET", quoted("userName", name(number))),
        "externalId eq": lambda number: client.send("GET", quoted("externalId", name(number).split("@")[0])),
        "first page of 100": lambda _: client.send("GET", "/Users?count=100"),
        "page of 100 by cursor": lambda _: client.send("GET", f"/Users?cursor={page['nextCursor']}&count=100"),
        "last page of 100 by index": lambda _: client.send("GET", f"/Users?startIndex={last}&count=100"),
        "PATCH of a user": lambda number: client.send("PATCH", path(number), change(
            {"op": "replace", "path": "nickName", "value": f"n{number}"})),
        "POST of a user": lambda number: created.append(client.send("POST", "/Users", user(f"new{number}"))["id"]),
        "DELETE of a user": lambda number: client.send("DELETE", f"/Users/{created[number]}"),
        "group without members": lambda _: client.send("GET", f"/Groups/{group}?excludedAttributes=members"),
        "add one member": lambda number: client.send("PATCH", f"/Groups/{group}", change(add(number))),
        "remove one member": lambda number: client.send("PATCH", f"/Groups/{group}", change(remove(number))),
    }


def measure(rollcall, users, is_verified):
    with tempfile.TemporaryDirectory() as folder:
        _, token, one, group, single = seed(rollcall, folder)
        began = time.monotonic()
        multiply(folder, one, users)
        run = lambda *words: subprocess.run([rollcall, *words, "--data", folder], check=True, capture_output=True, text=True)
        counted = run("count", "demo").stdout.strip()
        print(f"{users:,} copies and a count of {counted} in {time.monotonic() - began:.0f} s", flush=True)
        if is_verified:
            print(run("verify", "demo").stdout.strip().splitlines()[-1], flush=True)
        with contextlib.ExitStack() as stack:
            command = [rollcall, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--data", folder]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.terminate)
            words = {}
            while not {"Tenant URL", "Metrics"} <= set(words):
                name, _, value = process.stdout.readline().strip().partition(": ")
                words[name] = value
            client, metrics = Client(words["Tenant URL"], token), words["Metrics"]
            settle(process)
            figures = {name: timed(metrics, action) for name, action in rows(client, users, group, single).items()}
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
            figures["peak memory, MB"] = memory, 0, 0
            return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rollcall")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--verify", action="store_true")
    options = parser.parse_args()
    small, large = (measure(options.rollcall, users, options.verify) for users in (SMALL, options.users))
    print(f"{'ms, medians of ' + str(SAMPLES):28}{SMALL:>12,}{options.users:>12,}{'ratio':>8}   round trips and units of a request")
    for name, (figure, *costs) in large.items():
        before, *costs_before = small[name]
        trips = " and ".join(f"{one:.1f}, {other:.1f}" for one, other in (costs_before, costs))
        print(f"{name:28}{before:12.2f}{figure:12.2f}{figure / before:8.2f}   {trips}")


if __name__ == "__main__":
    main()
