"""A change of many members next to clients that change single ones: bench_large_change.py BINARY [--seconds 60] [--clients 20] [--many 10000]

The clients add and remove users of their own at full speed, while one PATCH after the other adds or removes the many. Prints when each
large change was first seen, and when it was answered. Exits 1 if an answer is not 204, or if the list at the end is not what was
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

USERS_OF_A_CLIENT = 20
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


def members(client, group):
    found, cursor = set(), ""
    while cursor is not None:
        path = f"/GroupMembers?count=1000&cursor={cursor}&filter=group.value%20eq%20%22{group}%22"
        _, page, _ = client.send("GET", path)
        found |= {membership["member"]["value"] for membership in page["Resources"]}
        cursor = page.get("nextCursor")
    return found


def large(connect, group, many, state, until, statuses):
    """One large change after the other; the last one begins early enough to be answered."""
    client, is_member = connect(), False
    while time.monotonic() < until - 20:
        begun, seen = time.monotonic(), []
        watcher = threading.Thread(target=watch, args=(connect(), group, many[0], not is_member, begun, seen))
        watcher.start()
        status = change(client, group, "remove" if is_member else "add", many)
        answered = time.monotonic() - begun
        watcher.join()
        statuses[status] += 1
        print(f"{len(many)} {'leave' if is_member else 'join'}: {status}, seen after {seen[0]:.1f} s, answered after {answered:.1f} s")
        if status == 204:
            is_member = not is_member
            state.update(dict.fromkeys(many, is_member))


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
        state, statuses, times = dict.fromkeys(everyone, False), collections.Counter(), []
        many, until = everyone[:options.many], time.monotonic() + options.seconds
        threads = []
        for number in range(options.clients):
            first = options.many + number * USERS_OF_A_CLIENT
            of_client = everyone[first:first + USERS_OF_A_CLIENT]
            threads.append(threading.Thread(target=singles, args=(connect(), group, of_client, state, until, statuses, times)))
        threads.append(threading.Thread(target=large, args=(connect, group, many, state, until, statuses)))
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        # A server closes a connection on which nothing happens.
        wrong = members(connect(), group) ^ {id for id, is_member in state.items() if is_member}
        times.sort()
        print(f"{len(times)} single changes: median {statistics.median(times) * 1000:.0f} ms, p99 {times[len(times) * 99 // 100] * 1000:.0f} ms")
        print(f"answers {dict(statuses)}, {len(wrong)} users not where the last acknowledged change left them")
        return 1 if wrong or set(statuses) != {204} else 0


if __name__ == "__main__":
    sys.exit(main())
