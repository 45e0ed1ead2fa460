"""Times on this machine, for docs/src/benchmarks.md: a store of 1,000 users against one of 100,000.

    bench.py ROLLCALL

Everything is on 127.0.0.1; the loops are bounded.
"""

import concurrent.futures
import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

SAMPLES = 300


@contextlib.contextmanager
def server(rollcall, folder, stderr=None, options=()):
    """A running server on a store of its own: Tenant URL, secret token, process."""
    command = [rollcall, "serve", "--listen", "127.0.0.1:0", "--data", folder, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            words = {}
            while "Secret token" not in words:
                name, _, value = process.stdout.readline().strip().partition(": ")
                words[name] = value
            yield words["Tenant URL"], words["Secret token"], process
        finally:
            process.terminate()


@contextlib.contextmanager
def serve(rollcall):
    with tempfile.TemporaryDirectory() as folder, server(rollcall, folder) as (url, token, _):
        yield Client(url, token), folder


class Client:
    def __init__(self, url, token):
        parts = urllib.parse.urlsplit(url)
        self.netloc, self.base = parts.netloc, parts.path
        self.headers = {"Authorization": f"Bearer {token}"}
        self.local = threading.local()

    def send(self, method, path, body=None):
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection(self.netloc)
        data = None if body is None else json.dumps(body)
        self.local.connection.request(method, self.base + path, data, self.headers)
        response = self.local.connection.getresponse()
        text = response.read()
        assert response.status < 300, (response.status, text)
        return json.loads(text) if text else None


def user(i):
    return {
        "userName": f"user{i}@example.com", "externalId": f"e{i}", "displayName": f"User {i}", "title": "x" * 800,
        "emails": [{"value": f"user{i}@example.com", "type": "work", "primary": True}], "active": True,
    }


def fill(client, first, last):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda i: client.send("POST", "/Users", user(i))["id"], range(first, last)))


def timed(action):
    times = []
    for i in range(SAMPLES):
        start = time.perf_counter()
        action(i)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def operations(client, ids, size):
    quoted = lambda attribute, value: f"/Users?filter={attribute}+eq+%22{value}%22"
    step = max(1, len(ids) // SAMPLES)
    pick = lambda i: (i * step) % len(ids)
    change = lambda i: {"Operations": [{"op": "replace", "path": "nickName", "value": f"n{i}{uuid.uuid4()}"}]}
    return {
        "GET by id": timed(lambda i: client.send("GET", f"/Users/{ids[pick(i)]}")),
        "userName eq": timed(lambda i: client.send("GET", quoted("userName", f"user{pick(i)}%40example.com"))),
        "externalId eq": timed(lambda i: client.send("GET", quoted("externalId", f"e{pick(i)}"))),
        "create": timed(lambda i: client.send("POST", "/Users", user(f"-{size}-{i}"))),
        "PATCH": timed(lambda i: client.send("PATCH", f"/Users/{ids[pick(i)]}", change(i))),
    }


def pages(client, size):
    """The first page of a list against its last one, by index and by cursor."""
    time.sleep(15)  # until the users are counted
    by_index = lambda start: timed(lambda i: client.send("GET", f"/Users?startIndex={start}&count=100"))
    first, last = by_index(1), by_index(size - 99)
    cursor, cursors = "", [""]
    while cursor is not None:
        cursor = client.send("GET", f"/Users?count=100&cursor={cursor}").get("nextCursor")
        cursors.append(cursor)
    by_cursor = lambda cursor: timed(lambda i: client.send("GET", f"/Users?count=100&cursor={cursor}"))
    return {"page by index": (first, last), "page by cursor": (by_cursor(""), by_cursor(cursors[-3]))}


def scale(rollcall):
    with serve(rollcall) as (client, _):
        ids = fill(client, 0, 1_000)
        small = operations(client, ids, 1_000)
        start = time.perf_counter()
        client.local.connection.close()  # an idle connection is closed by the server
        ids += fill(client, 1_000, 100_000)
        print(f"filling to 100,000 users: {time.perf_counter() - start:.0f} s")
        of_list = pages(client, 100_000)
        large = operations(client, ids, 100_000)
    print(f"{'median of ' + str(SAMPLES) + ', ms':24}{'1,000':>10}{'100,000':>10}{'ratio':>8}")
    for name, before in small.items():
        print(f"{name:24}{before:10.2f}{large[name]:10.2f}{large[name] / before:8.2f}")
    print(f"{'of 100 of 100,000, ms':24}{'first':>10}{'last':>10}{'ratio':>8}")
    for name, (first, last) in of_list.items():
        print(f"{name:24}{first:10.2f}{last:10.2f}{last / first:8.2f}")


if __name__ == "__main__":
    scale(sys.argv[1])
