"""Rollcall and its peers under the same load in one run, for docs/src/benchmarks.md.

    bench_peers.py ROLLCALL LOAD [--users 5000] [--other NAME=KIND:PROGRAM …] [--out build/peers] [--page PAGE]

KIND is rollcall (another build of it) or scim-server (github.com/wadahiro/scim-server). LOAD is the example `load` of
this crate: it checks status and content of each answer. Everything is on 127.0.0.1; the loops are bounded. A server that
refuses a row or answers wrongly has no figure there, and the page says why. Each row waits for the server
to come to rest, for at most a minute.
"""

import argparse
import contextlib
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

from peers import plot, servers

REQUESTS, GROUPS, PAGE = 400, 5, 100
CLIENTS = (1, 16)
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
# Of one row of one server; a slow one gets fewer requests instead.
ROW_SECONDS, PROBES = 10, 3
# How long a server may go on after its answers, and the processor time by which it counts as idle in half a second.
SETTLE_SECONDS, IDLE_SECONDS = 60, 0.02


class Refused(Exception):
    pass


class Bench:
    def __init__(self, load, server, users):
        self.load, self.server, self.users = load, server, users
        self.fresh, self.results, self.why = 0, {}, {}

    def run(self, clients, requests):
        """The times in milliseconds, the seconds of all, and the server's CPU in milliseconds for each request, with what
        goes on after the answers."""
        plan = {"address": self.server.address, "headers": self.server.headers | {"Host": self.server.address},
                "clients": clients, "requests": requests}
        before = self.server.cpu_seconds()
        done = subprocess.run([self.load], input=json.dumps(plan), capture_output=True, text=True)
        if done.returncode:
            raise Refused(done.stderr.strip()[:300])
        result = json.loads(done.stdout)
        self.settle()
        cpu = (self.server.cpu_seconds() - before) * 1000 / len(requests)
        return [time / 1000 for time in result["microseconds"]], result["seconds"], cpu

    def settle(self):
        """Waits until the server is idle, for at most a minute, so that a row pays for its own work alone."""
        used = self.server.cpu_seconds()
        for _ in range(2 * SETTLE_SECONDS):
            time.sleep(0.5)
            before, used = used, self.server.cpu_seconds()
            if used - before <= IDLE_SECONDS:
                return

    def request(self, method, path, body=None, status=200, holds=()):
        body = None if body is None else json.dumps(body)
        return {"method": method, "path": self.server.base + path, "body": body, "status": status, "holds": list(holds)}

    def get_all(self):
        """The ids of all users by name, page by page."""
        ids, start = {}, 1
        connection = http.client.HTTPConnection(self.server.address)
        while True:
            path = f"{self.server.base}/Users?startIndex={start}&count={PAGE}"
            connection.request("GET", path, headers=self.server.headers)
            page = json.loads(connection.getresponse().read())
            found = page.get("Resources", [])
            ids |= {user["userName"]: user["id"] for user in found}
            start += len(found)
            if not found or start > page["totalResults"]:
                return ids

    def row(self, name, make, clients=CLIENTS, most=REQUESTS):
        """One row: `make(i)` is the i-th request, each another one."""
        for count in clients:
            key = f"{name}, {count}"
            try:
                probes, _, _ = self.run(1, self.requests(make, PROBES))
                fits = int(ROW_SECONDS * 1000 / max(probes) / 2)
                requests = self.requests(make, max(PROBES, min(most, fits)))
                times, seconds, cpu = self.run(count, requests)
                times.sort()
                self.results[key] = {"ms": statistics.median(times), "p99": times[int(len(times) * 0.99)], "cpu": cpu,
                                     "per_second": len(times) / seconds, "requests": len(times)}
            except Refused as why:
                self.why[key] = str(why)
            print(f"    {key}: {self.results.get(key, self.why.get(key))}", flush=True)

    def either(self, name, ways, **options):
        """A row whose requests may be answered with or without a body."""
        for make in ways:
            self.row(name, make, **options)
            if any(key.startswith(name) for key in self.results):
                self.why = {key: why for key, why in self.why.items() if key not in self.results}
                return

    def requests(self, make, count):
        """So many requests, or as many as there is something for."""
        made = []
        with contextlib.suppress(StopIteration):
            for self.fresh in range(self.fresh + 1, self.fresh + count + 1):
                made.append(make(self.fresh))
        if not made:
            raise Refused("nothing is left for it")
        return made


def user(name):
    return {"schemas": [USER], "userName": name, "externalId": f"x-{name}", "displayName": name, "title": "x" * 800,
            "name": {"givenName": "A", "familyName": name}, "active": True,
            "emails": [{"value": f"{name}@example.com", "type": "work", "primary": True}]}


def measure(bench, size):
    spare = REQUESTS * len(CLIENTS) + 100
    names = [f"user{i:06}" for i in range(size + spare)]
    print(f"  {len(names)} users", flush=True)
    bench.run(4, [bench.request("POST", "/Users", user(name), 201, [name]) for name in names])
    ids = bench.get_all()
    assert len(ids) == len(names), (len(ids), len(names))
    pick = lambda i: names[i * 37 % size]
    get = lambda i: bench.request("GET", f"/Users/{ids[pick(i)]}", holds=[pick(i)])
    bench.row("GET by id", get)
    query = lambda i: urllib.parse.urlencode({"filter": f'userName eq "{pick(i)}"'})
    bench.row("userName eq", lambda i: bench.request("GET", f"/Users?{query(i)}", holds=[ids[pick(i)]]))
    page = lambda start: lambda _: bench.request("GET", f"/Users?startIndex={start}&count={PAGE}", holds=[f"{len(names)}"])
    bench.row("list of 100, first page", page(1), most=150)
    bench.row("list of 100, deep page", page(size - PAGE), most=150)
    writes(bench, names, ids, pick)
    groups(bench, size, names, ids)


def writes(bench, names, ids, pick):
    value = lambda i: {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "displayName", "value": f"n{i}"}]}
    patched = lambda i: bench.request("PATCH", f"/Users/{ids[pick(i)]}", value(i), holds=[f'"n{i}"'])
    without_body = lambda i: bench.request("PATCH", f"/Users/{ids[pick(i)]}", value(i), 204)
    bench.either("PATCH of a user", (patched, without_body))
    created = lambda i: f"new{i:06}"
    bench.row("POST of a user", lambda i: bench.request("POST", "/Users", user(created(i)), 201, [created(i)]))
    after = {name: one for name, one in bench.get_all().items() if name.startswith("new")}
    # Of those that no other row asks for.
    gone = iter(list(after.values()) + [ids[name] for name in reversed(names[-REQUESTS:])])
    bench.row("DELETE of a user", lambda _: bench.request("DELETE", f"/Users/{next(gone)}", status=204), most=REQUESTS - PROBES)


def groups(bench, size, names, ids):
    members = [{"value": ids[name]} for name in names[:size]]
    group = lambda i: {"schemas": [GROUP], "displayName": f"group{i}", "members": members}
    bench.row(f"POST of a group of {size}", lambda i: bench.request("POST", "/Groups", group(i), 201), (1,), GROUPS)
    connection = http.client.HTTPConnection(bench.server.address)
    connection.request("POST", f"{bench.server.base}/Groups", json.dumps(group(0)), bench.server.headers)
    answer = json.loads(connection.getresponse().read())
    bench.settle()
    if "id" not in answer:
        bench.why[f"group of {size}"] = str(answer)[:300]
        return
    path = f"/Groups/{answer['id']}"
    bench.row(f"group of {size} with its members", lambda _: bench.request("GET", path, holds=[ids[names[0]], ids[names[size - 1]]]),
              most=40)
    bench.row(f"group of {size} without them", lambda _: bench.request("GET", f"{path}?excludedAttributes=members", holds=["group0"]),
              most=150)
    others = iter(names[size:])
    add = lambda _: {"schemas": [PATCH], "Operations": [{"op": "add", "path": "members", "value": [{"value": ids[next(others)]}]}]}
    without_body = lambda i: bench.request("PATCH", path, add(i), 204)
    bench.either(f"add one member to {size}", (without_body, lambda i: bench.request("PATCH", path, add(i))), most=100)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("rollcall")
    arguments.add_argument("load")
    arguments.add_argument("--users", type=int, default=5_000)
    arguments.add_argument("--other", action="append", default=[])
    arguments.add_argument("--only-rollcall", action="store_true")
    arguments.add_argument("--out", default="build/peers")
    arguments.add_argument("--page")
    options = arguments.parse_args()
    kinds = {"rollcall": servers.rollcall, "scim-server": servers.scim_server}
    entries = [("Rollcall", servers.rollcall, str(pathlib.Path(options.rollcall).resolve()))]
    for other in options.other:
        name, rest = other.split("=", 1)
        kind, program = rest.split(":", 1)
        entries.append((name, kinds[kind], str(pathlib.Path(program).resolve())))
    if not options.only_rollcall:
        entries += [("scim2-server 0.8.3 (memory)", servers.scim2_server, sys.executable),
                    ("django-scim2-server 1.1.0 (SQLite)", servers.django_scim2_server, sys.executable)]
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, start, program in entries:
        print(f"{name}", flush=True)
        with tempfile.TemporaryDirectory() as folder, start(program, folder) as server:
            bench = Bench(str(pathlib.Path(options.load).resolve()), server, options.users)
            try:
                measure(bench, options.users)
            except Refused as why:
                bench.why["filling"] = str(why)
                print(f"    not measured further: {why}")
            results[name] = {"rows": bench.results, "not measured": bench.why}
    (out / "results.json").write_text(json.dumps(results, indent=1))
    (out / "tables.md").write_text(plot.tables(results))
    print(plot.tables(results))
    if options.page:
        plot.write(results, pathlib.Path(options.page))


if __name__ == "__main__":
    main()
