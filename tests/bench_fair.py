"""Two tenants of one `rollcall serve`, one at full speed with 32 clients: what the other one waits, for docs/src/benchmarks.md.

    bench_fair.py ROLLCALL [RATE]

The tenant that is measured sends one request after the other from this process. The clients of the other one are in
processes of their own, of low priority: they stand for other machines. Undisturbed and disturbed turns alternate, so that
what else this machine does is in both. RATE is the fair share of the other tenant, by default that of the template; off
gives it none. Everything is on 127.0.0.1; the loops are bounded. Exits with 1 if the 99th
percentile with the other tenant is more than 1.5 times that without.
"""

import contextlib
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from bench import Client, server, user

TURNS = 10
SECONDS = 8
CLIENTS = 32
PROCESSES = 4
BOUND = 1.5


def other_tenant(rollcall, folder, url, rate):
    """A second tenant of the server, by the command line: its URL and its key."""
    def run(*arguments):
        return subprocess.run([rollcall, *arguments, "--data", folder], check=True, capture_output=True, text=True).stdout
    run("tenant", "create", "flood")
    run("tenant", "set", "flood", "--rate", rate)
    return url.replace("/demo/", "/flood/"), run("key", "create", "flood", "--description", "flood").strip()


def flood(url, token, begin, end, answered):
    """Requests of some clients without a pause, while `begin` is set. They do not read Retry-After."""
    os.nice(15)
    client = Client(url, token)
    ids = [client.send("POST", "/Users", user(f"{os.getpid()}-{n}"))["id"] for n in range(40)]

    def send(*request):
        with contextlib.suppress(AssertionError):
            client.send(*request)

    def one(number):
        while not end.is_set():
            if not begin.wait(0.2):
                continue
            number += 1
            if number % 4:
                send("GET", f"/Users/{ids[number % len(ids)]}")
            else:
                change = {"Operations": [{"op": "replace", "path": "nickName", "value": f"n{number}"}]}
                send("PATCH", f"/Users/{ids[number % len(ids)]}", change)
            with answered.get_lock():
                answered.value += 1

    threads = [threading.Thread(target=one, args=(n,)) for n in range(CLIENTS // PROCESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measured(client, ids):
    """Times in milliseconds of what an identity provider sends: three reads, then a change."""
    times, until, number = [], time.perf_counter() + SECONDS, 0
    while time.perf_counter() < until:
        number += 1
        path = f"/Users/{ids[number % len(ids)]}"
        start = time.perf_counter()
        if number % 4:
            client.send("GET", path)
        else:
            client.send("PATCH", path, {"Operations": [{"op": "replace", "path": "nickName", "value": f"n{number}"}]})
        times.append((time.perf_counter() - start) * 1000)
        # As fast as a provider of 50 requests a second.
        time.sleep(0.02)
    return times


def percentiles(times):
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[98]


def main(rollcall, rate="50/200"):
    with tempfile.TemporaryDirectory() as folder, server(rollcall, folder) as (url, token, _):
        client = Client(url, token)
        ids = [client.send("POST", "/Users", user(n))["id"] for n in range(200)]
        begin, end, answered = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Value("l", 0)
        other = other_tenant(rollcall, folder, url, rate)
        processes = [multiprocessing.Process(target=flood, args=(*other, begin, end, answered)) for _ in range(PROCESSES)]
        for process in processes:
            process.start()
        time.sleep(8)  # until the other tenant's users are there, and it is forgotten again
        alone, together = [], []
        try:
            for _ in range(TURNS):
                begin.clear()
                time.sleep(1)
                alone += measured(client, ids)
                begin.set()
                time.sleep(1)
                together += measured(client, ids)
        finally:
            begin.set()
            end.set()
            for process in processes:
                process.join(10)
                process.kill()
    rows = [("alone", *percentiles(alone)), ("next to 32 clients", *percentiles(together))]
    print(f"{'one tenant, ms':24}{'median':>10}{'p99':>10}{'requests':>10}")
    for (name, median, last), times in zip(rows, (alone, together)):
        print(f"{name:24}{median:10.2f}{last:10.2f}{len(times):10}")
    ratio = rows[1][2] / rows[0][2]
    rate = answered.value / (TURNS * (SECONDS + 1))
    print(f"p99 next to the other tenant is {ratio:.2f} times that without; the other one sent {rate:.0f} requests a second")
    return 0 if ratio <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
