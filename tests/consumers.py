"""Runs the consumers of docs/src/guides/consumer/ against rollcall serve: consumers.py BINARY RUST_CONSUMER [NODE_MODULES]

Each reads the whole state first, then follows: after changes of every kind its state must be the one that SCIM shows, and it must have
ended the sessions of who was deactivated or deleted. None has more than 40 lines of code. Python always; TypeScript where Node is; exits 1 on a difference.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from ledger import Server, operation, pages, values

GUIDE = pathlib.Path(__file__).resolve().parent.parent / "docs/src/guides/consumer"
MAX_CODE_LINES = 40
TRANSPILE = "const t=require(process.argv[1]+'/typescript'),f=require('fs');f.writeFileSync(process.argv[3],t.transpileModule(" \
            "f.readFileSync(process.argv[2],'utf8'),{compilerOptions:{target:'es2022',module:'esnext'}}).outputText)"


def commands(rust, modules, folder):
    found = {"Python": [sys.executable, GUIDE / "consumer.py"], "Rust": [rust]}
    node = shutil.which("node")
    version = tuple(map(int, re.findall(r"\d+", subprocess.check_output([node, "--version"], text=True))[:2])) if node else (0, 0)
    if version >= (22, 6):
        found["TypeScript"] = [node, "--experimental-strip-types", GUIDE / "consumer.ts"]
    elif node and modules and pathlib.Path(modules, "typescript").is_dir():
        script = pathlib.Path(folder, "consumer.mjs")
        subprocess.run([node, "-e", TRANSPILE, str(pathlib.Path(modules).resolve()), GUIDE / "consumer.ts", script], check=True)
        found["TypeScript"] = [node, script]
    else:
        print("skipped: TypeScript; install Node 22.6 or later, or run make lint-openapi first")
    return found


def code_lines(file):
    """Lines with more than a comment or brackets."""
    lines = [line.strip() for line in file.read_text().splitlines()]
    return sum(1 for line in lines if re.search(r"\w", line) and not line.startswith(("#", "//")))


def truth(server):
    users = {user["id"]: user["meta"]["version"] for user in pages(server, "/Users?")}
    members = sorted(f'{row["group"]["value"]} {row["member"]["value"]}' for row in pages(server, "/GroupMembers?"))
    return {"users": users, "members": members}


def create(server, path, body):
    status, made = server.scim("POST", path, body)
    assert status == 201, made
    return made["id"]


def main(binary, rust, modules=None):
    for file in GUIDE.iterdir():
        count = code_lines(file)
        assert count <= MAX_CODE_LINES, f"{file.name} has {count} lines of code; a guide has {MAX_CODE_LINES}"
    with tempfile.TemporaryDirectory() as folder:
        server = Server(binary, folder)
        words = ["key", "create", "demo", "--description", "consumer", "--scope", "events", "--scope", "read"]
        key = subprocess.run([binary, *words, "--data", f"{folder}/store"], capture_output=True, text=True, check=True).stdout.strip()
        environment = {**os.environ, "ONCE": "1", "ROLLCALL_HOST": f"http://{server.listen}", "ROLLCALL_TENANT": "demo",
                       "ROLLCALL_KEY": key}
        consumers = commands(str(pathlib.Path(rust).resolve()), modules, folder)

        def run(name):
            place = pathlib.Path(folder, name)
            place.mkdir(exist_ok=True)
            words = [str(word) for word in consumers[name]]
            done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{name}: {done.stderr}"
            state = json.loads((place / "state.json").read_text())
            # The one in Rust keeps null for who is gone.
            users = {id: version for id, version in state["users"].items() if version}
            return {"users": users, "members": sorted(state["members"])}, done.stdout

        users = [create(server, "/Users", {"userName": f"u{number}"}) for number in range(6)]
        teams = [create(server, "/Groups", {"displayName": f"g{number}", "members": values(users[:3])}) for number in range(2)]
        fine = True
        for name in consumers:
            first = truth(server)
            state, _ = run(name)
            fine &= state == first
        server.scim("PATCH", f"/Users/{users[0]}", operation("replace", "active", False))
        server.scim("DELETE", f"/Users/{users[1]}")
        server.scim("PATCH", f"/Users/{users[2]}", operation("replace", "title", "new"))
        server.scim("PUT", f"/Users/{users[3]}", {"userName": "renamed"})
        server.scim("PATCH", f"/Groups/{teams[0]}", operation("add", "members", values([users[4]])))
        server.scim("PATCH", f"/Groups/{teams[0]}", operation("remove", f'members[value eq "{users[2]}"]'))
        server.scim("DELETE", f"/Groups/{teams[1]}")
        create(server, "/Users", {"userName": "late"})
        expected, deadline = truth(server), time.time() + 30
        for name in consumers:
            printed = ""
            state = None
            while state != expected and time.time() < deadline:
                state, text = run(name)
                printed += text
                time.sleep(0.3)
            ended = [line.split()[-1] for line in printed.splitlines() if line.startswith("end ")]
            is_same = state == expected and ended == [users[0], users[1]]
            print(f"{'ok' if is_same else 'FAILED'}: {name}, {len(expected['users'])} users, {len(expected['members'])} memberships")
            fine &= is_same
        server.process.terminate()
        return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
