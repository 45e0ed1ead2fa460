"""Large changes of members whose process is killed: python3 tests/takeover.py BINARY [--kills 20] [--members 10000]

One engine over HTTP, and `rollcall serve --endpoint-url` processes that use it. Each round sends a PUT or a PATCH of many members to a
process, kills that process (SIGKILL) at a random moment of the change, and has another one finish it: by the next write of the group,
which waits until the lease lapses. Then the list must be the old one or the new one as a whole, the new one if the change was
acknowledged; /GroupMembers must have each row once; one ETag must name one list; and in the end users and group agree. Over HTTP the
engine has no streams, so the feed is not looked at: tests/ledger.py does. Everything is on 127.0.0.1; the loops are bounded.
"""

import argparse
import contextlib
import http.client
import json
import random
import socket
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
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "us-east-1"}
faults = []


def fault(text):
    faults.append(text)
    print(f"FAULT {text}", flush=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def start(log, *command):
    process = subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT)
    port = int(next(word for word in command if word.startswith("127.0.0.1:")).rsplit(":", 1)[1])
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return process, port
        time.sleep(0.05)
    raise SystemExit(f"{command} does not listen")


class Deployment:
    """An engine, and the processes that serve it."""

    def __init__(self, binary, folder):
        self.binary, self.log = binary, open(f"{folder}/log", "a")
        self.engine, port = start(self.log, binary, "engine", "--listen", f"127.0.0.1:{free_port()}", "--data", f"{folder}/store")
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
        return start(self.log, self.binary, "serve", "--listen", f"127.0.0.1:{free_port()}", *self.url)

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
    # The next writer takes the change over, and is a change of its own.
    extra = users[turn % len(users)]
    expected = seen ^ {extra}
    body = patch("remove" if extra in seen else "add", [extra])
    status = 503
    while status == 503 and time.monotonic() < begun + TAKEOVER_SECONDS:
        status = deployment.send(port, "PATCH", f"/Groups/{group}", body)[0]
    took = time.monotonic() - begun
    now, etag = members(deployment, port, group)
    tags.see(etag, now)
    rows = by_rows(deployment, port, group)
    if status != 204 or now != expected:
        fault(f"round {turn}, {kind}: the next writer is answered {status}; {len(now ^ expected)} members are wrong")
    if len(rows) != len(set(rows)) or set(rows) != now:
        fault(f"round {turn}, {kind}: {len(set(rows) ^ now)} rows are wrong, {len(rows) - len(set(rows))} twice")
    print(f"round {turn}: {kind} killed after {delay:.2f} s, answered {answer}, {'new' if seen == new else 'old'} list of {len(seen)}, taken over in {took:.1f} s", flush=True)
    return successor, port


def half_done(deployment, port, group, users, now):
    """The groups of the users themselves, of a sample: both sides of each membership."""
    for id in users:
        groups = {each["value"] for each in deployment.expect(200, port, "GET", f"/Users/{id}")[1].get("groups", [])}
        if (group in groups) != (id in now):
            fault(f"the user {id} and the group differ")


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
            now, _ = members(deployment, port, group)
            half_done(deployment, port, group, chance.sample(users, min(200, len(users))), now)
        finally:
            for each in (process, deployment.engine):
                each.kill()
                each.wait()
    print(f"{options.kills} kills, {options.members:,} members, {len(tags.lists)} ETags, {time.monotonic() - started:.0f} s: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
