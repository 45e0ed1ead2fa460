"""Times of groups on this machine: one member added, removed, the group renamed and read, in a group of 100 members and
in large ones; then how long it took to make the largest, and how large the store is.

    bench_groups.py ROLLCALL [MEMBERS ...]

Everything goes through the API of a local server on 127.0.0.1; the loops are bounded.
"""

import concurrent.futures
import pathlib
import sys
import time

from bench import SAMPLES, serve, timed

ADDED_AT_ONCE = 10_000
CLIENTS = 8


def members(ids):
    return [{"op": "add", "path": "members", "value": [{"value": id} for id in ids]}]


def make_users(client, first, last):
    post = lambda i: client.send("POST", "/Users", {"userName": f"user{i}"})["id"]
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(post, range(first, last)))


def patch(client, path, operations):
    """A change of thousands may meet the one before it under way: 503, and then again."""
    for _ in range(60):
        try:
            return client.send("PATCH", path, {"Operations": operations})
        except AssertionError as error:
            if error.args[0][0] != 503:
                raise
            time.sleep(1)
    raise RuntimeError("the group was busy for a minute")


def operations(client, path, single, size):
    remove = lambda id: [{"op": "remove", "path": f'members[value eq "{id}"]'}]
    rename = lambda i: [{"op": "replace", "path": "displayName", "value": f"Team {size} {i:06}"}]
    return {
        "add one": timed(lambda i: patch(client, path, members([single[i]]))),
        "remove one": timed(lambda i: patch(client, path, remove(single[i]))),
        "rename": timed(lambda i: patch(client, path, rename(i))),
        "GET, no members": timed(lambda i: client.send("GET", f"{path}?excludedAttributes=members")),
        "is one a member": timed(lambda i: client.send("GET", membership(path, single[i]))),
        "GroupMembers, 100": timed(lambda i: client.send("GET", group_members(path))),
    }


def membership(path, id):
    return f"/Groups?filter=id+eq+%22{path.split('/')[-1]}%22+and+members+eq+%22{id}%22"


def group_members(path):
    return f"/GroupMembers?filter=group.value+eq+%22{path.split('/')[-1]}%22"


def main(rollcall, sizes):
    with serve(rollcall) as (client, folder):
        single = make_users(client, 0, SAMPLES)
        path = f"/Groups/{client.send('POST', '/Groups', {'displayName': 'Team'})['id']}"
        results, held = {}, 0
        for size in sizes:
            started = time.perf_counter()
            ids = make_users(client, SAMPLES + held, SAMPLES + size)
            made = time.perf_counter()
            client.local.connection.close()  # an idle connection is closed by the server
            for i in range(0, len(ids), ADDED_AT_ONCE):
                patch(client, path, members(ids[i : i + ADDED_AT_ONCE]))
            added = time.perf_counter()
            print(f"{len(ids):,} users made in {made - started:.0f} s, added in {added - made:.0f} s", flush=True)
            held = size
            # What is left of the last change is carried out by the worker, 20 seconds later.
            time.sleep(35)
            client.local.connection.close()
            results[size] = operations(client, path, single, size)
            store = sum(file.stat().st_size for file in pathlib.Path(folder).iterdir())
            print(f"store: {store / 1e6:,.0f} MB", flush=True)
    print(f"{'median of ' + str(SAMPLES) + ', ms':24}" + "".join(f"{size:>12,}" for size in sizes) + f"{'ratio':>8}")
    for name in results[sizes[0]]:
        times = [results[size][name] for size in sizes]
        print(f"{name:24}" + "".join(f"{time:12.2f}" for time in times) + f"{times[-1] / times[0]:8.2f}")


if __name__ == "__main__":
    main(sys.argv[1], [int(size) for size in sys.argv[2:]] or [100, 100_000])
