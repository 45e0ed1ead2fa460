"""A tenant's data from verify to deletion, by the command line, while `rollcall serve` runs on the same folder.

    tenant_data.py target/debug/rollcall [USERS]

Creates users and groups, exports them, imports the file into another tenant and another folder, verifies both, compares
the exports, and deletes a tenant. Prints how long each step took.
"""

import itertools
import json
import os
import resource
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROLLCALL = sys.argv[1]
USERS = int(sys.argv[2]) if len(sys.argv) > 2 else 500


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*args, data, expected=0, output=None):
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen([ROLLCALL, *args, "--data", data], stdout=output or out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        took, status = time.monotonic() - began, os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        out, err = out.read(), err.read()
    last = ((err or out).strip().splitlines() or [""])[-1]
    print(f"{took:7.1f} s {usage.ru_maxrss // 1024:4} MB  rollcall {' '.join(args)}: {last}", flush=True)
    assert status == expected, (args, status, out, err)
    return out


class Server:
    def __init__(self, data):
        self.port = free_port()
        self.process = subprocess.Popen([ROLLCALL, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", data],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        for _ in range(300):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise SystemExit("rollcall serve does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def send(self, path, token, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {
            "authorization": f"Bearer {token}", "content-type": "application/scim+json"})
        return json.load(urllib.request.urlopen(request))

    def latencies(self, path, token):
        """Milliseconds of 200 reads, at the pace of a provider."""
        times = []
        for _ in range(200):
            began = time.monotonic()
            self.send(path, token)
            times.append((time.monotonic() - began) * 1000)
            time.sleep(0.02)
        return times


def fill(data):
    """A file of so many users, a hundredth of it groups, each user in two."""
    time_ = "2026-01-31T12:00:00.000Z"
    path = os.path.join(data, "made-up.ndjson")
    with open(path, "w") as file:
        def line(record):
            file.write(json.dumps(record) + "\n")
        line({"type": "tenant", "format": 1, "name": "acme", "created": time_, "profile": "default", "settings": {}})
        user = "{:02x}000000-0000-4000-8000-{:012x}".format
        group = "00000000-0000-4000-9000-{:012x}".format
        groups = max(USERS // 100, 2)
        resource_ = {"version": 1, "created": time_, "modified": time_}
        for n in range(USERS):
            emails = [{"value": f"a{n}@example.com", "primary": True}] + ([{"value": f"b{n}@x"}] if n % 10 == 0 else [])
            line({"type": "user", "id": user(n % 256, n), **resource_, "document": {
                "userName": f"user{n}@example.com", "externalId": f"e{n}", "emails": emails, "title": "t" * 300}})
        for n in range(groups):
            line({"type": "group", "id": group(n), **resource_, "document": {"displayName": f"Group {n}"}})
        for n in range(groups):
            for u in [*range(n, USERS, groups), *range((n + 1) % groups, USERS, groups)]:
                line({"type": "member", "group": group(n), "member": user(u % 256, u), "created": time_})
        line({"type": "end"})
    return path


def left_of(tenant, data):
    """How many items of a tenant the tables still hold, and the keys of the first."""
    engine = sqlite3.connect(f"file:{os.path.join(data, 'rollcall.db')}?mode=ro", uri=True)
    tables = [name for name, in engine.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
              if name.startswith("rollcall-") and "::" not in name]
    items = [(name, *key) for name in tables for key in engine.execute(
        f'SELECT pk, sk FROM "{name}" WHERE instr(pk, ?) OR instr(item_json, ?)', (tenant, tenant))]
    engine.close()
    return items


def watch_deletion(server, data, path, token, undisturbed):
    """Waits until nothing of the tenant is left but its name, and times another tenant's reads meanwhile."""
    began, during = time.monotonic(), []
    while len(left := left_of("acme-copy", data)) > 1:
        if time.monotonic() - began > 180 + USERS / 20:
            raise SystemExit(f"{len(left)} items are left: {left[:5]}")
        during += server.latencies(path, token)
    took = time.monotonic() - began
    assert [item[0] for item in left] == ["rollcall-keys"], left
    during = during or undisturbed
    p50, p99 = (lambda times: statistics.median(times)), (lambda times: statistics.quantiles(times, n=100)[98])
    print(f"{took:7.1f} s  the worker deletes acme-copy; left: {left[0][2]}. A read of another tenant: p50 {p50(undisturbed):.1f}, "
          f"p99 {p99(undisturbed):.1f} ms before, p50 {p50(during):.1f}, p99 {p99(during):.1f} ms during", flush=True)


def equal(one, other):
    """Whether two exports are the same but for their first lines, which name the tenant. Neither is read whole: a command
    that starts would be counted with this program's memory."""
    with open(one) as a, open(other) as b:
        next(a), next(b)
        return all(x == y for x, y in itertools.zip_longest(a, b))


def main():
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        file, copy, again = (os.path.join(here, name) for name in ("a.ndjson", "b.ndjson", "c.ndjson"))
        with Server(here) as server:
            run("import", "acme", fill(here), data=here)
            token = run("key", "create", "acme", "--description", "test", data=here).split()[-1]
            bob = server.send("/acme/scim/v2/Users", token, {"userName": "bob", "emails": [{"value": "b@x"}, {"value": "c@x"}]})
            server.send("/acme/scim/v2/Groups", token, {"displayName": "Team", "members": [{"value": bob["id"]}]})
            time.sleep(3)
            run("count", "acme", data=here)
            run("verify", "acme", data=here)
            report = json.loads(run("verify", "acme", "--json", data=here))
            assert report["sound"] and report["examined"]["users"] == USERS + 1, report
            with open(file, "w") as out:
                run("export", "acme", data=here, output=out)
            run("import", "acme-copy", file, data=here)
            time.sleep(3)
            run("verify", "acme-copy", data=here)
            with open(copy, "w") as out:
                run("export", "acme-copy", data=here, output=out)
            assert equal(file, copy), "equal by content"
            run("tenant", "upgrade", "acme", data=here)
            run("tenant", "delete", "acme-copy", "--after", "30m", data=here)
            run("tenant", "reopen", "acme-copy", data=here)
            bob_path = f"/acme/scim/v2/Users/{bob['id']}"
            undisturbed = server.latencies(bob_path, token)
            run("tenant", "delete", "acme-copy", "--after", "0s", data=here)
            run("tenant", "create", "acme-copy", data=here, expected=1)
            run("verify", "nobody", data=here, expected=2)
            watch_deletion(server, here, bob_path, token, undisturbed)
        run("import", "acme", file, data=there)
        run("import", "acme", file, data=there)
        run("verify", "acme", "--repair", data=there, expected=1)
        run("verify", "acme", data=there)
        with open(again, "w") as out:
            run("export", "acme", data=there, output=out)
        assert equal(file, again), "equal by content"
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        print(f"ok: {USERS + 1} users; the largest command took {peak} MB")


main()
