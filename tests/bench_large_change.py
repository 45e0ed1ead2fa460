"""A change of many members next to clients that change single ones: bench_large_change.py BINARY [--seconds 60] [--clients 20] [--many 10000]

The clients add and remove users of their own at full speed, while PATCHes add or remove the many: the next one when the one before is
carried out, and all of the many know their group. Prints when each large change was first seen, when it was answered, and when it was
carried out. Exits 1 if an answer is not 204, if a large change was first seen after 5 s, or if the list at the end is not what was
acknowledged.
"""

import argparse
import collections
import random
import statistics
import sys
import tempfile
import threading
import time

from bench import server
from membership import Client, PATCH

USERS_OF_A_CLIENT, BOUND_SECONDS = 20, 5
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def users(client, count):
    ids = []
    while len(ids) < count:
        names = [f"user-{number}" for number in range(len(ids), min(len(ids) + 100, count))]
        operations = [{"method": "POST", "path": "/Users", "bulkId": name, "data": {"userName": name}} for name in names]
        _, body, _ = client.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
        ids += [operation["location"].rsplit("/", 1)[1] for operation in body["Operations"]]
    return ids


def change(client, group, op, ids):
    operation = {"op": op, "path": "members", "value": [{"value": id} for id in ids]}
    return client.send("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": [operation]})[0]


def singles(client, group, ids, state, until, statuses, times):
    while time.monotonic() < until:
        id = random.choice(ids)
        begun = time.monotonic()
        status = change(client, group, "remove" if state[id] else "add", [id])
        times.append(time.monotonic() - begun)
        statuses[status] += 1
        if status == 204:
            state[id] = not state[id]


def watch(client, group, id, is_member, begun, seen):
    while not seen and time.monotonic() < begun + 60:
        if (client.send("GET", f"/GroupMembers/{group}.{id}")[0] == 200) == is_member:
            seen.append(time.monotonic() - begun)


def wait_until_known(client, group, many, is_member, begun):
    """Until each of the many has the group, or none has it."""
    for id in many:
        while time.monotonic() < begun + 60:
            groups = client.send("GET", f"/Users/{id}?attributes=groups")[1].get("groups", [])
            if any(entry["value"] == group for entry in groups) == is_member:
                break
            time.sleep(0.2)


def members(client, group):
    found, cursor = set(), ""
    while cursor is not None:
        path = f"/GroupMembers?count=1000&cursor={cursor}&filter=group.value%20eq%20%22{group}%22"
        _, page, _ = client.send("GET", path)
        found |= {membership["member"]["value"] for membership in page["Resources"]}
        cursor = page.get("nextCursor")
    return found


def large(connect, group, many, state, until, statuses, commits):
    """One large change after the other; the last one begins early enough to be answered."""
    client, is_member = connect(), False
    last = sorted(many)[-100:]
    while time.monotonic() < until - 20:
        begun, seen = time.monotonic(), []
        watcher = threading.Thread(target=watch, args=(connect(), group, many[0], not is_member, begun, seen))
        watcher.start()
        status = change(client, group, "remove" if is_member else "add", many)
        answered = time.monotonic() - begun
        watcher.join()
        statuses[status] += 1
        commits.append(seen[0] if seen else 60)
        what = "leave" if is_member else "join"
        if status == 204:
            is_member = not is_member
            state.update(dict.fromkeys(many, is_member))
        wait_until_known(client, group, last, is_member, begun)
        time.sleep(1)
        print(f"{len(many)} {what}: {status}, seen after {commits[-1]:.1f} s, answered after {answered:.1f} s, "
              f"carried out after {time.monotonic() - begun:.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--many", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(options.binary, folder) as (url, token, _):
        connect = lambda: Client(url, token)
        client = connect()
        everyone = users(client, options.many + options.clients * USERS_OF_A_CLIENT)
        group = client.send("POST", "/Groups", {"displayName": "large"})[1]["id"]
        state, statuses, times, commits = dict.fromkeys(everyone, False), collections.Counter(), [], []
        many, until = everyone[:options.many], time.monotonic() + options.seconds
        threads = []
        for number in range(options.clients):
            first = options.many + number * USERS_OF_A_CLIENT
            of_client = everyone[first:first + USERS_OF_A_CLIENT]
            threads.append(threading.Thread(target=singles, args=(connect(), group, of_client, state, until, statuses, times)))
        threads.append(threading.Thread(target=large, args=(connect, group, many, state, until, statuses, commits)))
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        # A server closes a connection on which nothing happens.
        wrong = members(connect(), group) ^ {id for id, is_member in state.items() if is_member}
        times.sort()
        print(f"{len(times)} single changes: median {statistics.median(times) * 1000:.0f} ms, p99 {times[len(times) * 99 // 100] * 1000:.0f} ms")
        print(f"answers {dict(statuses)}, {len(wrong)} users not where the last acknowledged change left them")
        return 1 if wrong or set(statuses) != {204} or max(commits) > BOUND_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
