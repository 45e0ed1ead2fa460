"""A ledger of one group's members under concurrent changes: membership.py BINARY [--seconds 60] [--clients 8] [--many 300]

Each client owns some users, and adds and removes them one at a time; one adds and removes many of its own in one PATCH; one reads the
list and PUTs it with another user of its own, on `If-Match`. So whatever order the changes take, each user must be where its owner's
last acknowledged change left it. Readers note which list each ETag names: never two. Exits 1 on a difference or a 5xx other than 503.
"""

import argparse
import collections
import http.client
import json
import random
import sys
import tempfile
import threading
import time
import urllib.parse

from bench import server

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USERS_OF_A_CLIENT = 10
faults, counts, lists = [], collections.Counter(), {}
lock = threading.Lock()


class Client:
    def __init__(self, url, token):
        parts = urllib.parse.urlsplit(url)
        self.base, self.http = parts.path, http.client.HTTPConnection(parts.netloc, timeout=60)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}

    def send(self, method, path, body=None, **headers):
        self.http.request(method, self.base + path, None if body is None else json.dumps(body), self.headers | headers)
        answer = self.http.getresponse()
        text = answer.read()
        with lock:
            counts[f"{method} {answer.status}"] += 1
            if answer.status >= 500 and answer.status != 503:
                faults.append(f"{method} {path}: {answer.status} {text[:200]}")
        return answer.status, json.loads(text) if text else None, answer.headers.get("ETag")

    def user(self, name):
        return self.send("POST", "/Users", {"userName": name})[1]["id"]

    def change(self, group, op, ids):
        """Whether the change is acknowledged: one that is answered 503 is tried again until it is."""
        operation = {"op": op, "path": "members", "value": [{"value": id} for id in ids]}
        for _ in range(100):
            status = self.send("PATCH", group, {"schemas": [PATCH], "Operations": [operation]})[0]
            if status not in (429, 503):
                break
            time.sleep(0.1)
        if status != 204:
            raise AssertionError(f"{op} of {len(ids)} is answered {status}")

    def read(self, group):
        _, body, etag = self.send("GET", group)
        members = frozenset(member["value"] for member in body.get("members", []))
        with lock:
            if lists.setdefault(etag, members) != members:
                faults.append(f"the ETag {etag} names two lists: {len(lists[etag] ^ members)} users differ")
        return body, members, etag


def singles(client, group, users, state, until):
    while time.monotonic() < until:
        id = random.choice(users)
        client.change(group, "remove" if state[id] else "add", [id])
        state[id] = not state[id]


def many(client, group, users, state, until):
    while time.monotonic() < until:
        is_member = not state[users[0]]
        client.change(group, "add" if is_member else "remove", users)
        state.update(dict.fromkeys(users, is_member))


def whole(client, group, users, state, until):
    """Reads the list, and puts it with one user more or less, if nothing has changed."""
    while time.monotonic() < until:
        id = random.choice(users)
        body, members, etag = client.read(group)
        new = members ^ {id}
        body = {"displayName": body["displayName"], "members": [{"value": each} for each in sorted(new)]}
        if client.send("PUT", group, body, **{"If-Match": etag})[0] == 200:
            state[id] = id in new
            counts["PUT that won"] += 1


def readers(client, group, users, state, until):
    while time.monotonic() < until:
        client.read(group)


def checked(work, *arguments):
    try:
        work(*arguments)
    except Exception as error:  # noqa: BLE001
        faults.append(f"{work.__name__}: {error!r}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("binary")
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--many", type=int, default=300)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(options.binary, folder) as (url, token, _):
        first = Client(url, token)
        group = "/Groups/" + first.send("POST", "/Groups", {"displayName": "Ledger"})[1]["id"]
        state, threads = {}, []
        works = [(singles, USERS_OF_A_CLIENT)] * options.clients + [(many, options.many), (whole, USERS_OF_A_CLIENT)] + [(readers, 0)] * 2
        owned = [[first.user(f"user-{number}-{i}") for i in range(count)] for number, (_, count) in enumerate(works)]
        until = time.monotonic() + options.seconds
        for (work, _), users in zip(works, owned):
            state.update(dict.fromkeys(users, False))
            threads.append(threading.Thread(target=checked, args=(work, Client(url, token), group, users, state, until)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        first.http.close()
        _, members, _ = first.read(group)
        wrong = [id for id, is_member in state.items() if is_member != (id in members)]
        if wrong:
            faults.append(f"{len(wrong)} users are not where the last acknowledged change left them")
    print(f"{options.seconds} s, {sum(counts.values())} requests {dict(sorted(counts.items()))}; {len(lists)} ETags")
    print(f"ledger: {len(state)} users, {len(members)} members; {len(faults)} faults")
    for fault in faults[:20]:
        print(f"FAULT {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
