"""Large changes of members whose process is killed: python3 tests/takeover.py BINARY [--kills 20] [--members 10000]

One engine over HTTP, and `rollcall serve --endpoint-url` processes that use it. Each round sends a PUT or a PATCH of many members to a
process, kills that process (SIGKILL) at a random moment of the change, and has another one finish it: a change of one member goes through
at once, and a large one waits until the lease lapses and finishes what it finds. Then the list must be the old one or the new one as a
whole, the new one if the change was acknowledged; /GroupMembers must have each row once; one ETag must name one list; users and group
must agree. Over HTTP the engine has no streams, so the feed is not looked at: tests/ledger.py does. Everything is on 127.0.0.1; the loops
are bounded.
"""

import argparse
import contextlib
import http.client
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
# A killed change is taken over within the lease and the time that the change itself takes.
TAKEOVER_SECONDS = 300
# More members than one transaction changes.
LARGE = 49
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "us-east-1"}
faults = []


def fault(text):
    faults.append(text)
    print(f"FAULT {text}", flush=True)


def start(log, *command):
    """A process on a free port of its own choice, which it prints."""
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=log, env=ENVIRONMENT, text=True
    )
    for line in process.stdout:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            threading.Thread(target=log.writelines, args=(process.stdout,), daemon=True).start()
            return process, int(found[1])
    raise SystemExit(f"{command} does not listen")


class Deployment:
    """An engine, and the processes that serve it."""

    def __init__(self, binary, folder):
        self.binary, self.log = binary, open(f"{folder}/log", "a")
        self.engine, port = start(self.log, binary, "engine", "--data", f"{folder}/store")
        self.url = ["--endpoint-url", f"http://127.0.0.1:{port}"]
        self.run("tables")
        self.run("tenant", "create", "demo")
        self.token = self.run("key", "create", "demo", "--description", "takeover", "--scope", "read", "--scope", "write").split()[-1]

    def run(self, *words):
        done = subprocess.run([self.binary, *words, *self.url], env=ENVIRONMENT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{words}: {done.stderr}")
        return done.stdout

    def serve(self):
        return start(self.log, self.binary, "serve", *self.url)

    def send(self, port, method, path, body=None, headers=None, timeout=TAKEOVER_SECONDS):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        head = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"} | (headers or {})
        with contextlib.closing(connection):
            connection.request(method, "/demo/scim/v2" + path, None if body is None else json.dumps(body), head)
            answer = connection.getresponse()
            text = answer.read()
        return answer.status, json.loads(text) if text else None, answer.headers.get("ETag")

    def expect(self, status, port, *request):
        answer = self.send(port, *request)
        if answer[0] != status:
            raise SystemExit(f"{request[:2]}: {answer[0]} {str(answer[1])[:300]}")
        return answer


def values(ids):
    return [{"value": id} for id in sorted(ids)]


def patch(op, ids):
    return {"schemas": [PATCH], "Operations": [{"op": op, "path": "members", "value": values(ids)}]}


def make_users(deployment, port, count):
    ids = []
    while len(ids) < count:
        some = range(len(ids), min(len(ids) + 500, count))
        operations = [{"method": "POST", "path": "/Users", "bulkId": str(i), "data": {"userName": f"user{i}"}} for i in some]
        answer = deployment.expect(200, port, "POST", "/Bulk", {"schemas": [BULK], "Operations": operations})[1]
        ids += [each["location"].rsplit("/", 1)[1] for each in answer["Operations"]]
    return ids


def members(deployment, port, group):
    _, body, etag = deployment.expect(200, port, "GET", f"/Groups/{group}")
    return {member["value"] for member in body.get("members", [])}, etag


def by_rows(deployment, port, group):
    cursor, found = "", []
    for _ in range(1_000):
        path = f"/GroupMembers?filter=group.value+eq+%22{group}%22&count=1000&cursor={urllib.parse.quote(cursor)}"
        body = deployment.expect(200, port, "GET", path)[1]
        found += [row["member"]["value"] for row in body.get("Resources", [])]
        cursor = body.get("nextCursor")
        if not cursor:
            return found
    raise SystemExit("a walk does not end")


class Tags:
    """Which list each ETag named."""

    def __init__(self):
        self.lists = {}

    def see(self, etag, list_of):
        if self.lists.setdefault(etag, frozenset(list_of)) != list_of:
            fault(f"the ETag {etag} named two lists")


def change_of(turn, users, chance):
    """The request of a round: how, and from the list of before, what becomes of it."""
    half = set(chance.sample(users, len(users) // 2))
    if turn % 3 == 0:
        return "PUT", lambda old: half, lambda group, new: ("PUT", f"/Groups/{group}", {"displayName": "Large", "members": values(new)})
    op = "add" if turn % 3 == 1 else "remove"
    whole = set(users) if op == "add" else half
    after = (lambda old: old | whole) if op == "add" else (lambda old: old - whole)
    return op, after, lambda group, new: ("PATCH", f"/Groups/{group}", patch(op, whole))


def half_done(deployment, port, group, users, now):
    """How many of a sample of users do not show the group as it shows them: both sides of each membership."""
    return sum(
        (id in now) != any(each["value"] == group for each in deployment.expect(200, port, "GET", f"/Users/{id}")[1].get("groups", []))
        for id in users
    )


def round_of(deployment, turn, group, users, chance, tags, seconds, serving):
    process, port = serving
    old, etag = members(deployment, port, group)
    tags.see(etag, old)
    kind, after, request = change_of(turn, users, chance)
    new, answer = after(old), []

    def change():
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer.append(deployment.send(port, *request(group, new))[0])

    thread = threading.Thread(target=change)
    thread.start()
    # Four of five are killed once the change is committed, and so in the middle of it; the others at any moment.
    begun = time.monotonic()
    while turn % 5 and thread.is_alive() and etag == deployment.send(port, "GET", f"/Groups/{group}?excludedAttributes=members")[2]:
        time.sleep(0.02)
    thread.join(chance.uniform(0, 0.7 if turn % 5 else 1) * max(seconds - (time.monotonic() - begun), 0))
    delay = time.monotonic() - begun
    process.kill()
    process.wait()
    thread.join()
    successor, port = deployment.serve()
    begun = time.monotonic()
    seen, etag = members(deployment, port, group)
    tags.see(etag, seen)
    if seen not in (old, new) or (answer and answer[0] < 300 and seen != new):
        fault(f"round {turn}, {kind}: {len(seen)} members, neither the {len(old)} before nor the {len(new)} after; answered {answer}")
    extra = users[turn % len(users)]
    expected = seen ^ {extra}
    single = patch("remove" if extra in seen else "add", [extra])
    status = deployment.send(port, "PATCH", f"/Groups/{group}", single)[0]
    # A large change waits until the one before it is finished, or finishes it.
    op, of = ("remove", expected) if len(expected) >= LARGE else ("add", set(users) - expected)
    some = set(sorted(of)[:LARGE])
    expected = expected ^ some
    large = patch(op, some)
    while status in (204, 503) and time.monotonic() < begun + TAKEOVER_SECONDS:
        status = deployment.send(port, "PATCH", f"/Groups/{group}", large)[0]
        if status != 503:
            break
    took = time.monotonic() - begun
    now, etag = members(deployment, port, group)
    tags.see(etag, now)
    rows = by_rows(deployment, port, group)
    if half := half_done(deployment, port, group, chance.sample(users, min(100, len(users))), now):
        fault(f"round {turn}, {kind}: {half} users differ from the group")
    if status != 204 or now != expected:
        fault(f"round {turn}, {kind}: the next writers are answered {status}; {len(now ^ expected)} members are wrong")
    if len(rows) != len(set(rows)) or set(rows) != now:
        fault(f"round {turn}, {kind}: {len(set(rows) ^ now)} rows are wrong, {len(rows) - len(set(rows))} twice")
    print(f"round {turn}: {kind} killed after {delay:.2f} s, answered {answer}, {'new' if seen == new else 'old'} list of {len(seen)}, taken over in {took:.1f} s", flush=True)
    return successor, port


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("binary")
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--members", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = arguments.parse_args()
    chance, tags = random.Random(options.seed), Tags()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(options.binary, folder)
        process, port = deployment.serve()
        try:
            users = make_users(deployment, port, options.members)
            group = deployment.expect(201, port, "POST", "/Groups", {"displayName": "Large"})[1]["id"]
            begun = time.monotonic()
            deployment.expect(204, port, "PATCH", f"/Groups/{group}", patch("add", users))
            seconds = time.monotonic() - begun
            print(f"seed {options.seed}; a change of {options.members:,} members is answered after {seconds:.1f} s", flush=True)
            for turn in range(options.kills):
                process, port = round_of(deployment, turn, group, users, chance, tags, min(seconds, 18), (process, port))
        finally:
            for each in (process, deployment.engine):
                each.kill()
                each.wait()
    print(f"{options.kills} kills, {options.members:,} members, {len(tags.lists)} ETags, {time.monotonic() - started:.0f} s: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
