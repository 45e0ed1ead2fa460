"""Two builds of Rollcall on one table, as during a gradual rollout: the load of tests/soak.py, each request to either of
them, then `rollcall verify` by both.

    canary.py NEW OLD [--seconds 60] [--clients 6]
    canary.py --build COMMIT FOLDER

NEW and OLD are binaries; --build builds the one of a commit into a folder, unless it is there, and prints its path. One
engine (`rollcall engine`), a `rollcall serve --endpoint-url` of each build, and clients that keep a ledger of what was
acknowledged. Exits 1 on an answer that should not have come, a lost write, or damage. Everything is on 127.0.0.1; the
loops are bounded.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from soak import MAX_FAULTS, MAX_STEPS, Client, Connection, lost_writes, make_groups
from takeover import ENVIRONMENT, Deployment, start

ROOT = pathlib.Path(__file__).resolve().parent.parent
# `rollcall serve` on an endpoint without streams counts every ten seconds.
COUNTED_SECONDS = 12


def build(commit, folder):
    """The binary of a commit. The dependencies are those that are built already, where the lock names the same."""
    commit = subprocess.check_output(["git", "rev-parse", f"{commit}^{{commit}}"], cwd=ROOT, text=True).strip()
    binary = pathlib.Path(folder).resolve() / f"rollcall-{commit[:12]}"
    if not binary.exists():
        with tempfile.TemporaryDirectory() as source:
            archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
            subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)
            target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
            subprocess.run(["cargo", "build", "--quiet", "--locked", "--features", "local", "--bin", "rollcall",
                            "--target-dir", target], cwd=source, check=True)
            binary.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(target / "debug/rollcall", binary)
    return binary


class Either(Connection):
    """Each request goes to one of the two, as it happens."""

    def __init__(self, urls, token, seed):
        super().__init__(urls[0], token)
        self.all, self.random = [Connection(url, token) for url in urls], random.Random(seed)
        self.asked = collections.Counter()

    def send(self, method, path, body=None, expect=200, kind="other"):
        which = self.random.randrange(len(self.all))
        self.asked[which] += 1
        one = self.all[which]
        one.times = self.times
        return one.send(method, path, body, expect, kind)


def load(number, urls, token, groups, seconds):
    """One client until the time is over: what it knows and has met."""
    connection = Either(urls, token, number)
    client = Client(number, connection, groups)
    end = time.monotonic() + seconds
    for _ in range(MAX_STEPS):
        if time.monotonic() > end or len(client.faults) >= MAX_FAULTS:
            break
        client.step()
    client.asked = connection.asked
    client.connection = client.mix = None
    return client


def verify(binary, deployment, words=()):
    command = [binary, "verify", "demo", "--json", *words, *deployment.url]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout.startswith("{") else {"sound": False, "error": done.stderr.strip()}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("new")
    arguments.add_argument("old")
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--clients", type=int, default=6)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(options.new, folder)
        processes = [deployment.engine]
        try:
            urls = []
            for binary in (options.new, options.old):
                process, port = start(deployment.log, binary, "serve", *deployment.url)
                processes.append(process)
                urls.append(f"http://127.0.0.1:{port}/demo/scim/v2")
            groups = make_groups(urls[1], deployment.token)
            with concurrent.futures.ProcessPoolExecutor(options.clients) as pool:
                clients = [pool.submit(load, i, urls, deployment.token, groups, options.seconds) for i in range(options.clients)]
                ledgers = [client.result() for client in clients]
            time.sleep(COUNTED_SECONDS)
            lost = [f"{name}: {fault}" for name, url in zip(("new", "old"), urls, strict=True)
                    for fault in lost_writes(Connection(url, deployment.token), ledgers, groups)]
            reports = [verify(binary, deployment) for binary in (options.new, options.old)]
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()
    times = collections.defaultdict(list)
    for client in ledgers:
        for kind, some in client.times.items():
            times[kind] += some
    faults = [fault for client in ledgers for fault in client.faults] + lost
    asked = sum((client.asked for client in ledgers), collections.Counter())
    print(f"{options.clients} clients, {options.seconds} s: {asked[0]:,} requests to the new build, {asked[1]:,} to the old one")
    print(f"{'ms':16}{'requests':>10}{'median':>10}")
    for kind, some in sorted(times.items()):
        print(f"{kind:16}{len(some):10,}{statistics.median(some):10.2f}")
    for name, report in zip(("new", "old"), reports, strict=True):
        print(f"verify by the {name} build: {json.dumps(report)[:2000]}")
    print(f"{len(faults)} faults and lost writes")
    for fault in faults:
        print(f"FAULT {fault}")
    return 0 if not faults and all(report.get("sound") for report in reports) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--build"]:
        print(build(*sys.argv[2:4]))
        sys.exit()
    sys.exit(main())
