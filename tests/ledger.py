"""A ledger of the feed: python3 tests/ledger.py BINARY [SECONDS [CLIENTS]]

Clients write users, renames, memberships, large batches, deletions and Bulks into a served store. Two readers follow the feed, one
from the start and one that starts in the middle; the server is killed (SIGKILL) once, and started again. In the end the state that
each reader has made of events alone must be the state that SCIM shows, and no event came twice. Prints figures; exits 1 on a
difference.
"""

import contextlib
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HIDDEN = ("schemas", "id", "meta", "groups", "members")


class Server:
    def __init__(self, binary, folder):
        self.binary, self.folder, self.words = binary, folder, {}
        self.start("127.0.0.1:0")
        self.listen = urllib.parse.urlsplit(self.words["Tenant URL"]).netloc
        self.token = self.words["Secret token"]

    def start(self, listen):
        command = [self.binary, "serve", "--listen", listen, "--data", f"{self.folder}/store"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(f"{self.folder}/log", "a"), text=True)
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(open(f"{self.folder}/log").read())
            name, _, value = line.strip().partition(": ")
            self.words[name] = value
            if name.startswith(("Try it", "Rollcall prints a secret token")):
                return

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.start(self.listen)

    def ask(self, method, path, body=None, key=None):
        headers = {"Authorization": f"Bearer {key or self.token}", "Content-Type": "application/scim+json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.listen}/demo{path}", data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def scim(self, method, path, body=None):
        with contextlib.suppress(OSError):  # killed meanwhile
            return self.ask(method, f"/scim/v2{path}", body)
        return 0, None


class State:
    def __init__(self):
        self.documents = {"User": {}, "Group": {}}
        self.members, self.ids, self.types, self.lags, self.faults = set(), set(), {}, [], []

    def apply(self, event, is_live):
        kind, resource = event["type"], event["resource"]
        if event["id"] in self.ids:
            self.faults.append(f"twice: {event['id']}")
        self.ids.add(event["id"])
        self.types[kind] = self.types.get(kind, 0) + 1
        # What a deleted group leaves is removed a minute later, and told with the time of the deletion.
        if is_live and "cause" not in event:
            seconds = time.mktime(time.strptime(event["timestamp"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
            self.lags.append(time.time() - seconds - float(f"0{event['timestamp'][19:23]}"))
        documents = self.documents.get(resource["type"])
        if kind.startswith("group.member_"):
            pair = (event["group"]["id"], (event.get("user") or event["memberGroup"])["id"])
            (self.members.add if kind.endswith("added") else self.members.discard)(pair)
        elif kind.endswith(".created"):
            documents[resource["id"]] = event["data"]
        elif kind.endswith(".deleted"):
            if documents.pop(resource["id"], None) is None:
                self.faults.append(f"deleted and not there: {event['id']}")
            self.members = {pair for pair in self.members if resource["id"] not in pair}
        else:
            document = documents.get(resource["id"])
            if document is None:
                self.faults.append(f"changed and not there: {event['id']}")
                return
            for name, value in event["before"].items():
                if document.get(name) != value:
                    self.faults.append(f"not as it was: {event['id']}")
            document.update(event["data"])
            for name in [name for name, value in document.items() if value is None]:
                del document[name]


class Reader(threading.Thread):
    def __init__(self, server, key, delay, until):
        super().__init__(daemon=True)
        self.server, self.key, self.delay, self.until, self.state = server, key, delay, until, State()

    def run(self):
        time.sleep(self.delay)
        cursor, is_live = "", self.delay == 0
        while True:
            is_last = self.until.is_set()
            try:
                status, page = self.server.ask("GET", f"/events?limit=500&wait=5&cursor={cursor}", key=self.key)
            except OSError:
                time.sleep(0.2)
                continue
            if status != 200:
                self.state.faults.append(f"status {status}: {page}")
                return
            for event in page["events"]:
                self.state.apply(event, is_live)
            cursor = page["nextCursor"]
            if page["caughtUp"] and not page["events"] and is_last:
                return


def values(ids):
    return [{"value": some} for some in ids]


def operation(op, path, value=None):
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"op": op, "path": path} | ({} if value is None else {"value": value})]}


def write(server, number, until, counts):
    chance, users, groups = random.Random(number), [], []
    turn = 0
    while not until.is_set():
        turn += 1
        name = f"c{number}-{turn}"
        what = chance.randrange(14) if users and groups else turn % 2
        if what in (0, 2):
            status, made = server.scim("POST", "/Users", {"userName": name, "title": "new", "emails": [{"value": f"{name}@x.y", "primary": True}]})
            users += [made["id"]] if status == 201 else []
        elif what == 1:
            status, made = server.scim("POST", "/Groups", {"displayName": name, "members": values(users[-3:])})
            groups += [made["id"]] if status == 201 else []
        elif what == 3:
            status, _ = server.scim("PATCH", f"/Users/{chance.choice(users)}", operation("replace", "title", f"t{turn}"))
        elif what == 4:
            status, _ = server.scim("PATCH", f"/Users/{chance.choice(users)}", operation("replace", "active", chance.random() < 0.5))
        elif what == 5:
            status, _ = server.scim("PUT", f"/Users/{chance.choice(users)}", {"userName": name, "nickName": "n"})
        elif what in (6, 7, 8):
            status, _ = server.scim("PATCH", f"/Groups/{chance.choice(groups)}", operation("add", "members", values([chance.choice(users)])))
        elif what == 9:
            status, _ = server.scim("PATCH", f"/Groups/{chance.choice(groups)}", operation("remove", f'members[value eq "{chance.choice(users)}"]'))
        elif what == 10 and turn % 5 == 0:
            status, _ = server.scim("PATCH", f"/Groups/{chance.choice(groups)}", operation("replace", "members", values(users)))
        elif what == 11 and len(users) > 5:
            status, _ = server.scim("DELETE", f"/Users/{users.pop(chance.randrange(len(users)))}")
        elif what == 12 and len(groups) > 3:
            status, _ = server.scim("DELETE", f"/Groups/{groups.pop(chance.randrange(len(groups)))}")
        else:
            operations = [{"method": "POST", "path": "/Users", "bulkId": str(i), "data": {"userName": f"{name}-{i}"}} for i in range(5)]
            status, _ = server.scim("POST", "/Bulk", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations})
        counts[status] = counts.get(status, 0) + 1


def shown(server):
    state = State()
    for path, kind in (("/Users", "User"), ("/Groups", "Group")):
        for resource in pages(server, f"{path}?excludedAttributes=members,groups"):
            state.documents[kind][resource["id"]] = {name: value for name, value in resource.items() if name not in HIDDEN}
    state.members = {(row["group"]["value"], row["member"]["value"]) for row in pages(server, "/GroupMembers?")}
    return state


def pages(server, path):
    cursor = ""
    while cursor is not None:
        _, page = server.scim("GET", f"{path}&count=200&cursor={cursor}")
        yield from page.get("Resources", [])
        cursor = page.get("nextCursor")


def main(binary, seconds=60, clients=16):
    with tempfile.TemporaryDirectory() as folder:
        server = Server(binary, folder)
        command = [binary, "key", "add", "demo", "--description", "ledger", "--scope", "events", "--data", f"{folder}/store"]
        key = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        stopped, settled, counts = threading.Event(), threading.Event(), {}
        readers = [Reader(server, key, delay, settled) for delay in (0, seconds / 2)]
        writers = [threading.Thread(target=write, args=(server, number, stopped, counts)) for number in range(clients)]
        for thread in readers + writers:
            thread.start()
        time.sleep(seconds * 0.7)
        server.kill()
        time.sleep(seconds * 0.3)
        stopped.set()
        for thread in writers:
            thread.join()
        time.sleep(80)  # what large changes and deletions have left is swept a minute later
        settled.set()
        for thread in readers:
            thread.join(120)
        truth = shown(server)
        server.process.terminate()
        lags = sorted(readers[0].state.lags)
        print(f"{sum(counts.values())} requests {dict(sorted(counts.items()))}, {len(readers[0].state.ids)} events {readers[0].state.types}")
        print(f"lag p50 {lags[len(lags) // 2]:.2f} s, p99 {lags[len(lags) * 99 // 100]:.2f} s, longest {lags[-1]:.2f} s")
        is_same = True
        for number, reader in enumerate(readers):
            same = [reader.state.documents == truth.documents, reader.state.members == truth.members, not reader.state.faults]
            print(f"reader {number}: users and groups {same[0]}, memberships {same[1]}, once and as it was {same[2]} {reader.state.faults[:3]}")
            is_same = is_same and all(same)
        return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
