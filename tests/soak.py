"""Mixed load on `rollcall serve` for minutes, held against a ledger of its own. Exits 1 on a 5xx, a lost write, or growth.

    soak.py ROLLCALL [--seconds 600] [--clients 16]

Each client is a process with users of its own, as many deleted as made, and memberships of these in groups that all share;
so each knows exactly what its acknowledged writes must have left. Everything is on 127.0.0.1; the loops are bounded.
"""

import argparse
import collections
import concurrent.futures
import http.client
import json
import pathlib
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse

from bench import server

GROUPS = 8
# Held from the first seconds on, within the slack, so that what grows is a leak.
USERS_OF_A_CLIENT, SLACK = 60, 10
# Deleted users that a client asks for at the end; that no other came back, the list of all users tells.
DELETED_ASKED_FOR = 200
# What one client may do at most: no loop is without an end.
MAX_STEPS = 1_000_000
# After so many faults a client gives up: what follows would only repeat them.
MAX_FAULTS = 10
MEMORY_SAMPLES = 200
# Memory is flat if its median of the last tenth of the time is within this of that of the second tenth.
GROWTH_RATIO, GROWTH_MB = 1.10, 4
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("rollcall")
    arguments.add_argument("--seconds", type=int, default=600)
    arguments.add_argument("--clients", type=int, default=16)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(options.rollcall, folder) as (url, token, process):
        groups = make_groups(url, token)
        with concurrent.futures.ProcessPoolExecutor(options.clients) as pool, Memory(process.pid, options.seconds / MEMORY_SAMPLES) as memory:
            clients = [pool.submit(soak, i, url, token, groups, options.seconds) for i in range(options.clients)]
            ledgers = [client.result() for client in clients]
        lost = lost_writes(Connection(url, token), ledgers, groups)
        size = sum(file.stat().st_size for file in pathlib.Path(folder).iterdir()) / 1e6
    return report(options, ledgers, lost, memory, size)


def make_groups(url, token):
    connection = Connection(url, token)
    post = lambda i: connection.send("POST", "/Groups", {"schemas": [GROUP], "displayName": f"Group {i}"}, expect=201)
    return [post(i)["id"] for i in range(GROUPS)]


def soak(number, url, token, groups, seconds):
    """One client until the time is over; what it knows and has met."""
    client = Client(number, Connection(url, token), groups)
    end = time.monotonic() + seconds
    for _ in range(MAX_STEPS):
        if time.monotonic() > end or len(client.faults) >= MAX_FAULTS:
            break
        client.step()
    client.connection = client.mix = None
    return client


class Fault(Exception):
    """An answer that should not have come."""


class Connection:
    """HTTP with keep-alive, and how long each kind of request took."""

    def __init__(self, url, token):
        parts = urllib.parse.urlsplit(url)
        self.base, self.http = parts.path, http.client.HTTPConnection(parts.netloc, timeout=60)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json; charset=utf-8"}
        self.times = collections.defaultdict(list)

    def send(self, method, path, body=None, expect=200, kind="other"):
        started = time.perf_counter()
        try:
            self.http.request(method, self.base + path, None if body is None else json.dumps(body), self.headers)
            response = self.http.getresponse()
            text = response.read()
        except OSError as error:
            self.http.close()
            raise Fault(f"{method} {path} {json.dumps(body)}: {error!r}") from error
        self.times[kind].append((time.perf_counter() - started) * 1000)
        if response.status != expect:
            raise Fault(f"{method} {path} {json.dumps(body)}: {response.status} {text[:2000].decode(errors='replace')}")
        return json.loads(text) if text else None

    def find(self, expression, kind="filter"):
        return self.send("GET", "/Users?filter=" + urllib.parse.quote_plus(expression), kind=kind)["Resources"]

    def patch(self, path, *operations, expect=200, kind):
        return self.send("PATCH", path, {"schemas": [PATCH], "Operations": operations}, expect, kind)


class Client:
    """Its users as they must be: the ledger."""

    def __init__(self, number, connection, groups):
        self.number, self.connection, self.groups = number, connection, groups
        self.random, self.made = random.Random(number), 0
        self.users, self.deleted, self.doubtful = {}, collections.deque(maxlen=DELETED_ASKED_FOR), set()
        self.gone_names = collections.deque(maxlen=DELETED_ASKED_FOR)
        self.names = {group: f"Group {i}" for i, group in enumerate(groups) if i == number}
        self.times, self.faults = connection.times, []
        self.mix = [
            (self.come_or_go, 16), (self.find, 22), (self.find_nobody, 6), (self.patch_as_entra, 12), (self.patch_as_entra_flag, 6),
            (self.patch_as_okta, 8), (self.put_as_okta, 4), (self.rename, 4), (self.join, 10), (self.leave, 8), (self.rename_group, 1),
            (self.list_by_index, 2), (self.list_by_cursor, 1), (self.read_group, 1),
        ]

    def step(self):
        (action,) = self.random.choices([action for action, _ in self.mix], [weight for _, weight in self.mix])
        id = self.random.choice(list(self.users)) if self.users else None
        if len(self.users) < USERS_OF_A_CLIENT - SLACK:
            action, id = self.create, None
        try:
            action(id)
        except Fault as fault:
            self.faults.append(str(fault))
            # Whether it has been done is not known.
            self.doubtful.add(id)

    def word(self, kind):
        self.made += 1
        return f"{kind}-{self.number}-{self.made}"

    def come_or_go(self, id):
        more = len(self.users) < USERS_OF_A_CLIENT
        self.create(None) if more and self.random.random() < 0.5 else self.delete(id)
        if not more:
            self.create(None)

    def create(self, _):
        name = self.word("user") + "@Example.com"
        user = {
            "userName": name, "externalId": self.word("external"), "active": True, "displayName": self.word("Display"),
            "title": "x" * self.random.randrange(10, 800), "familyName": self.word("Family"), "email": self.word("mail") + "@example.com",
            "department": self.word("Department"), "groups": set(),
        }
        self.users[self.connection.send("POST", "/Users", resource(user), 201, "create")["id"]] = user

    def delete(self, id):
        self.connection.send("DELETE", f"/Users/{id}", None, 204, "delete")
        self.gone_names.append(self.users.pop(id)["userName"])
        self.deleted.append(id)

    def find(self, id):
        user = self.users[id]
        attribute, value = self.random.choice([("userName", user["userName"].upper()), ("externalId", user["externalId"])])
        self.same(id, self.connection.find(f'{attribute} eq "{value}"'))

    def find_nobody(self, _):
        found = self.connection.find(f'userName eq "{self.word("nobody")}"')
        if found:
            raise Fault(f"found who is not there: {found}")

    def same(self, id, found):
        """The answer to a filter is the user as the ledger has it."""
        if [user["id"] for user in found] != [id] or shown(found[0]) != self.users[id]:
            raise Fault(f"lost: {id} should be {self.users[id]}, and a filter gives {[shown(user) for user in found]}")

    def patch_as_entra(self, id):
        new = {"active": self.random.random() < 0.5, "email": self.word("mail") + "@example.com", "department": self.word("Department")}
        self.connection.patch(
            f"/Users/{id}",
            {"op": "Replace", "path": "active", "value": str(new["active"])},
            {"op": "Replace", "path": 'emails[type eq "work"].value', "value": new["email"]},
            {"op": "Add", "path": f"{ENTERPRISE}:department", "value": new["department"]},
            kind="PATCH",
        )
        self.users[id].update(new)

    def patch_as_entra_flag(self, id):
        new = {"displayName": self.word("Display"), "familyName": self.word("Family"), "department": self.word("Department")}
        keys = {"displayName": "displayName", "familyName": "name.familyName", "department": f"{ENTERPRISE}:department"}
        operation = {"op": "replace", "value": {keys[key]: value for key, value in new.items()}}
        self.connection.patch(f"/Users/{id}", operation, kind="PATCH")
        self.users[id].update(new)

    def patch_as_okta(self, id):
        active = not self.users[id]["active"]
        self.connection.patch(f"/Users/{id}", {"op": "replace", "value": {"active": active}}, kind="PATCH")
        self.users[id]["active"] = active

    def put_as_okta(self, id):
        """Okta reads the user and puts the whole of it with what has changed."""
        whole = self.connection.send("GET", f"/Users/{id}", kind="GET by id")
        whole["title"] = self.word("Title")
        self.connection.send("PUT", f"/Users/{id}", whole, kind="PUT")
        self.users[id]["title"] = whole["title"]

    def rename(self, id):
        name = self.word("renamed") + "@example.com"
        self.connection.patch(f"/Users/{id}", {"op": "Replace", "path": "userName", "value": name}, kind="rename")
        self.gone_names.append(self.users[id]["userName"])
        self.users[id]["userName"] = name

    def join(self, id):
        group, joining = self.random.choice(self.groups), {id, self.random.choice(list(self.users))}
        value = [{"$ref": None, "value": member} for member in joining]
        operation = {"op": "Add", "path": "members", "value": value}
        self.connection.patch(f"/Groups/{group}", operation, expect=204, kind="add member")
        for member in joining:
            self.users[member]["groups"].add(group)

    def leave(self, id):
        group = self.random.choice(sorted(self.users[id]["groups"]) or self.groups)
        as_entra = {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": id}]}
        as_okta = {"op": "remove", "path": f'members[value eq "{id}"]'}
        operation = self.random.choice([as_entra, as_okta])
        self.connection.patch(f"/Groups/{group}", operation, expect=204, kind="remove member")
        self.users[id]["groups"].discard(group)

    def rename_group(self, _):
        """Of the client's own groups, that there is one name that must be left."""
        if not self.names:
            return
        group, name = self.random.choice(list(self.names)), self.word("Group")
        operation = {"op": "Replace", "path": "displayName", "value": name}
        self.connection.patch(f"/Groups/{group}", operation, expect=204, kind="rename group")
        self.names[group] = name

    def list_by_index(self, _):
        start = self.random.randrange(1, 500)
        page = self.connection.send("GET", f"/Users?startIndex={start}&count=50", kind="page by index")
        if len(page["Resources"]) != page["itemsPerPage"] or page["startIndex"] != start:
            raise Fault(f"a page by index does not say what it has: {start}, {page['itemsPerPage']}, {page['startIndex']}")

    def list_by_cursor(self, _):
        """All users by cursor: those of this client are there, each once."""
        listed = [id for id in walk(self.connection) if id in self.users]
        if sorted(listed) != sorted(self.users):
            raise Fault(f"a walk by cursor misses or repeats: {set(self.users) ^ set(listed)}, {len(listed)}")

    def read_group(self, _):
        group = self.random.choice(self.groups)
        members = members_of(self.connection, group) & set(self.users)
        expected = {id for id, user in self.users.items() if group in user["groups"]}
        wrong = (members ^ expected) - self.doubtful
        if wrong:
            raise Fault(f"lost: the group {group} and the ledger differ in {wrong}")


def resource(user):
    return {
        "schemas": [CORE, ENTERPRISE], "userName": user["userName"], "externalId": user["externalId"], "active": user["active"],
        "displayName": user["displayName"], "title": user["title"], "name": {"familyName": user["familyName"]},
        "emails": [{"primary": True, "type": "work", "value": user["email"]}], ENTERPRISE: {"department": user["department"]},
    }


def shown(user):
    """A resource in the form of the ledger."""
    plain = {key: user.get(key) for key in ("userName", "externalId", "active", "displayName", "title")}
    return plain | {
        "familyName": user["name"]["familyName"], "email": ", ".join(email["value"] for email in user["emails"]),
        "department": user[ENTERPRISE]["department"], "groups": {group["value"] for group in user.get("groups", [])},
    }


def walk(connection):
    """The ids of all users, page by page."""
    cursor, ids = "", []
    for _ in range(1_000):
        page = connection.send("GET", f"/Users?attributes=id&count=200&cursor={cursor}", kind="page by cursor")
        ids += [user["id"] for user in page["Resources"]]
        if not (cursor := page.get("nextCursor")):
            return ids
    raise Fault("a walk by cursor does not end")


def members_of(connection, group):
    return {member["value"] for member in connection.send("GET", f"/Groups/{group}", kind="GET group").get("members", [])}


def lost_writes(connection, ledgers, groups):
    """What is not as acknowledged writes must have left it."""
    lost, users = [], {id: user for client in ledgers for id, user in client.users.items()}
    doubtful = set().union(*(client.doubtful for client in ledgers))
    for id, user in users.items():
        if id not in doubtful and (now := shown(connection.send("GET", f"/Users/{id}"))) != user:
            lost.append(f"{id} should be {user} and is {now}")
    for client in ledgers:
        for id in set(client.deleted) - doubtful:
            connection.send("GET", f"/Users/{id}", expect=404)
        lost += [f"{name} is still found" for name in client.gone_names if connection.find(f'userName eq "{name}"') and not client.faults]
        for group, name in client.names.items():
            if (now := connection.send("GET", f"/Groups/{group}?excludedAttributes=members")["displayName"]) != name:
                lost.append(f"the group {group} should be called {name} and is {now}")
    for group in groups:
        expected = {id for id, user in users.items() if group in user["groups"]}
        if wrong := (members_of(connection, group) ^ expected) - doubtful:
            lost.append(f"the group {group} and the ledger differ in {wrong}")
    if wrong := set(listed := walk(connection)) ^ set(users):
        lost.append(f"the list of all users and the ledger differ in {wrong}")
    if len(listed) != len(set(listed)):
        lost.append("the list of all users repeats some")
    return lost


class Memory(threading.Thread):
    """Resident memory of the server while it is used, in MB."""

    def __init__(self, pid, pause):
        super().__init__(daemon=True)
        self.pause = pause
        self.status, self.ended, self.samples = pathlib.Path(f"/proc/{pid}/status"), threading.Event(), []

    def run(self):
        while not self.ended.wait(self.pause):
            words = dict(line.split(":", 1) for line in self.status.read_text().splitlines())
            self.samples.append(int(words["VmRSS"].split()[0]) / 1000)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def tenth(self, which):
        """The median of one tenth of the time; the first is warming up."""
        size = max(1, len(self.samples) // 10)
        return statistics.median(self.samples[which * size : (which + 1) * size])


def report(options, ledgers, lost, memory, size):
    times = collections.defaultdict(list)
    for client in ledgers:
        for kind, some in client.times.items():
            times[kind] += some
    total = sum(map(len, times.values()))
    print(f"{options.clients} clients, {options.seconds} s, {total:,} requests, {total / options.seconds:.0f} a second; store {size:.0f} MB")
    print(f"{'ms':16}{'requests':>10}{'median':>10}{'99 %':>10}{'longest':>10}")
    for kind, some in sorted(times.items()):
        some.sort()
        print(f"{kind:16}{len(some):10,}{statistics.median(some):10.2f}{some[len(some) * 99 // 100]:10.2f}{some[-1]:10.2f}")
    users = sum(len(client.users) for client in ledgers)
    members = sum(len(user["groups"]) for client in ledgers for user in client.users.values())
    faults = [fault for client in ledgers for fault in client.faults]
    print(f"ledger: {users:,} users, {members:,} memberships of {GROUPS} groups; {len(faults)} faults, {len(lost)} lost writes")
    start, middle, end = memory.tenth(1), memory.tenth(5), memory.tenth(9)
    flat = end <= start * GROWTH_RATIO + GROWTH_MB
    print(f"memory, MB: {start:.1f} after a tenth of the time, {middle:.1f} in the middle, {end:.1f} at the end, {max(memory.samples):.1f} at most")
    print(f"memory is {'flat' if flat else 'NOT flat'}: the end may be {GROWTH_RATIO} times the start and {GROWTH_MB} MB")
    for wrong in faults + lost:
        print(f"FAULT {wrong}")
    return 1 if faults or lost or not flat else 0


if __name__ == "__main__":
    sys.exit(main())
