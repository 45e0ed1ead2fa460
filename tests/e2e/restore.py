"""A restore as docs/src/operate/backup-restore.md has it, rehearsed on an emulated AWS (ministack) and `rollcall serve`.

    restore.py ROLLCALL

Tables in a stack; users, groups and memberships that change while each table is copied, one after the other: no two
copies are of one instant, as after a restore to a point in time. Then the commands of the page: settings that a restore
leaves out, the import into a stack, the full template, `verify --repair`, `work`, `verify`, and a server on the new
prefix. Prints each command and what came of it.

Where the emulator falls short: it has no `restore-table-to-point-in-time`, so `copy` creates the tables as that command
does, without stream, time to live and recovery, and copies the items. The Lambda functions are not deployed:
`rollcall serve` stands in for them. Everything listens on 127.0.0.1; the loops are bounded.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from e2e import CREDENTIALS, HOST, ROOT, Cloud, check, free_port, wait_for

ROLLCALL = sys.argv[1]
OLD, NEW = "rollcall", "rollcall-r1"
TABLES = ["keys", "tokens", "users", "groups", "links", "changes"]
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USERS, GROUPS, MEMBERS_OF_A_CHANGE = 60, 6, 4
# Between the copies of two tables: long enough that memberships change in it.
PAUSE_SECONDS = 1.5


def run(cloud, *words, expected=(0,), quiet=False):
    done = subprocess.run(words, cwd=ROOT, env=cloud.environment, capture_output=True, text=True)
    output = (done.stdout + done.stderr).strip()
    if not quiet:
        print("$ " + " ".join(str(word) for word in words).replace(ROLLCALL, "rollcall"), flush=True)
        lines = output.splitlines()
        for line in lines if len(lines) <= 8 else [*lines[:5], f"… {len(lines) - 7} lines more", *lines[-2:]]:
            print("  " + line, flush=True)
    if done.returncode not in expected:
        raise SystemExit(f"{words}: {done.returncode}\n{output}")
    return done


class Server:
    """`rollcall serve` on the tables of a prefix."""

    def __init__(self, cloud, prefix, stack):
        self.port = free_port()
        self.process = subprocess.Popen(
            [ROLLCALL, "serve", "--listen", f"{HOST}:{self.port}", "--endpoint-url", cloud.bridge.url(), "--table-prefix", prefix],
            env=cloud.environment, stdout=subprocess.DEVNULL, stderr=cloud.log)
        stack.callback(self.process.wait)
        stack.callback(self.process.terminate)
        wait_for(self.port)

    def send(self, token, method, path, body=None):
        request = urllib.request.Request(f"http://{HOST}:{self.port}/acme/scim/v2{path}", None if body is None else json.dumps(body).encode(),
                                         {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")


class Traffic(threading.Thread):
    """Memberships, names and users that change, until it is stopped."""

    def __init__(self, server, token, users, groups):
        super().__init__(daemon=True)
        self.server, self.token, self.users, self.groups = server, token, users, groups
        self.stopped, self.changes, self.faults = threading.Event(), 0, []

    def run(self):
        chance = random.Random(7)
        for number in range(100_000):
            if self.stopped.is_set():
                return
            group, members = chance.choice(self.groups), chance.sample(self.users, MEMBERS_OF_A_CHANGE)
            value = [{"value": id} for id in members]
            operation = {"op": chance.choice(["add", "remove"]), "path": "members", "value": value}
            requests = [("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": [operation]})]
            if number % 5 == 0:
                name = {"op": "replace", "path": "displayName", "value": f"Group {group[:8]} {number}"}
                requests.append(("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": [name]}))
                requests.append(("POST", "/Users", {"userName": f"late{number}", "emails": [{"value": f"a{number}@x"}, {"value": f"b{number}@x"}]}))
            for request in requests:
                status, body = self.server.send(self.token, *request)
                self.changes += 1
                if status >= 300:
                    self.faults.append((request, status, body))

    def stop(self):
        self.stopped.set()
        self.join()


def copy(cloud, table):
    """What `restore-table-to-point-in-time` leaves: keys, local indexes and items; no stream, no time to live, no recovery."""
    client = cloud.client("dynamodb")
    old = client.describe_table(TableName=f"{OLD}-{table}")["Table"]
    indexes = [{name: index[name] for name in ("IndexName", "KeySchema", "Projection")} for index in old.get("LocalSecondaryIndexes", [])]
    client.create_table(TableName=f"{NEW}-{table}", BillingMode="PAY_PER_REQUEST", KeySchema=old["KeySchema"],
                        AttributeDefinitions=old["AttributeDefinitions"], **({"LocalSecondaryIndexes": indexes} if indexes else {}))
    count = 0
    for page in client.get_paginator("scan").paginate(TableName=f"{OLD}-{table}", ConsistentRead=True):
        for item in page["Items"]:
            client.put_item(TableName=f"{NEW}-{table}", Item=item)
            count += 1
    print(f"  {NEW}-{table}: {count} items", flush=True)


def settings(cloud):
    """What a restore leaves out."""
    aws = ["aws", "dynamodb"]
    for table in ("users", "groups"):
        run(cloud, *aws, "update-table", "--table-name", f"{NEW}-{table}", "--stream-specification",
            "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES", "--query", "TableDescription.StreamSpecification")
    for table in ("tokens", "links", "changes"):
        run(cloud, *aws, "update-time-to-live", "--table-name", f"{NEW}-{table}", "--time-to-live-specification",
            "Enabled=true,AttributeName=ttl", "--query", "TimeToLiveSpecification")
    for table in TABLES:
        run(cloud, *aws, "update-continuous-backups", "--table-name", f"{NEW}-{table}",
            "--point-in-time-recovery-specification", "PointInTimeRecoveryEnabled=true",
            "--query", "ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus", quiet=table != "keys")
        run(cloud, *aws, "update-table", "--table-name", f"{NEW}-{table}", "--deletion-protection-enabled",
            "--query", "TableDescription.DeletionProtectionEnabled", quiet=table != "keys")


def adopt(cloud, folder):
    """The tables come into a stack, which then gets what else the template has."""
    for name, words in [("tables.yaml", ["template"]), ("tables.json", ["resources", NEW])]:
        done = run(cloud, sys.executable, "infra/restore.py", *words, quiet=True)
        with open(f"{folder}/{name}", "w") as file:
            file.write(done.stdout)
    stack, aws = f"{NEW}-data", ["aws", "cloudformation"]
    run(cloud, *aws, "create-change-set", "--stack-name", stack, "--change-set-name", "adopt", "--change-set-type", "IMPORT",
        "--template-body", f"file://{folder}/tables.yaml", "--resources-to-import", f"file://{folder}/tables.json",
        "--parameters", f"ParameterKey=TablePrefix,ParameterValue={NEW}")
    run(cloud, *aws, "wait", "change-set-create-complete", "--stack-name", stack, "--change-set-name", "adopt")
    run(cloud, *aws, "execute-change-set", "--stack-name", stack, "--change-set-name", "adopt")
    run(cloud, *aws, "wait", "stack-import-complete", "--stack-name", stack)
    run(cloud, *aws, "deploy", "--stack-name", stack, "--template-file", "infra/data.yaml", "--parameter-overrides", f"TablePrefix={NEW}")
    run(cloud, *aws, "describe-stacks", "--stack-name", stack, "--query", "Stacks[0].[StackStatus,Outputs[].OutputKey]", "--output", "json")


def state_of(cloud, table):
    client = cloud.client("dynamodb")
    described = client.describe_table(TableName=f"{NEW}-{table}")["Table"]
    ttl = client.describe_time_to_live(TableName=f"{NEW}-{table}")["TimeToLiveDescription"]["TimeToLiveStatus"]
    backups = client.describe_continuous_backups(TableName=f"{NEW}-{table}")["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    return bool(described.get("LatestStreamArn")), ttl == "ENABLED", recovery == "ENABLED", described.get("DeletionProtectionEnabled", False)


def main():
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        os.environ.update(CREDENTIALS)
        cloud = Cloud(stack)
        store = ["--endpoint-url", cloud.bridge.url(), "--table-prefix"]
        run(cloud, "aws", "cloudformation", "deploy", "--stack-name", f"{OLD}-data", "--template-file", "infra/data.yaml", quiet=True)
        run(cloud, ROLLCALL, "tenant", "create", "acme", *store, OLD, quiet=True)
        token = run(cloud, ROLLCALL, "key", "create", "acme", "--description", "rehearsal", *store, OLD, quiet=True).stdout.split()[-1]
        server = Server(cloud, OLD, stack)
        users = [server.send(token, "POST", "/Users", {"userName": f"user{i}", "emails": [{"value": f"x{i}@x"}, {"value": f"y{i}@x"}]})[1]["id"] for i in range(USERS)]
        groups = [server.send(token, "POST", "/Groups", {"displayName": f"Group {i}"})[1]["id"] for i in range(GROUPS)]
        traffic = Traffic(server, token, users, groups)
        traffic.start()
        print("# the tables, one after the other, while requests change them (stands in for restore-table-to-point-in-time)", flush=True)
        for table in ["links", "keys", "groups", "users", "tokens", "changes"]:
            copy(cloud, table)
            time.sleep(PAUSE_SECONDS)
        traffic.stop()
        fine = check(f"{traffic.changes} changes meanwhile, {len(traffic.faults)} refused", traffic.changes > 10 and not traffic.faults)
        settings(cloud)
        adopt(cloud, folder)
        wanted = {table: (table in ("users", "groups"), table in ("tokens", "links", "changes"), True, True) for table in TABLES}
        found = {table: state_of(cloud, table) for table in TABLES}
        fine &= check(f"streams, time to live, recovery and protection are on: {found}", found == wanted)
        torn = run(cloud, ROLLCALL, "verify", "acme", "--repair", *store, NEW, expected=(0, 1))
        fine &= check("the copies contradicted each other, and are mended", torn.returncode == 1)
        run(cloud, ROLLCALL, "work", *store, NEW)
        sound = run(cloud, ROLLCALL, "verify", "acme", *store, NEW, expected=(0, 1))
        fine &= check("the tenant is sound", sound.returncode == 0)
        run(cloud, ROLLCALL, "count", "acme", *store, NEW)
        restored = Server(cloud, NEW, stack)
        read = [restored.send(token, "GET", path)[0] for path in (f"/Users/{users[0]}", f"/Groups/{groups[0]}", "/Users", "/Groups")]
        fine &= check(f"the new prefix serves: {read}", read == [200] * 4)
        status, body = restored.send(token, "POST", "/Users", {"userName": "after"})
        fine &= check("and takes writes", status == 201)
        return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
