"""Walks through the pages of docs/src/apps/ as a reader types them, each on a store of its own: python3 tests/pages.py BINARY

Every block fenced as `sh` is typed into one bash, in order, in a folder where target/debug/rollcall is BINARY and .rollcall the
store of a running `rollcall serve`. One thing differs from what stands there: 127.0.0.1:3000 becomes the port that was free. A
block fenced as `text` is what the one before it printed, with … for what differs each time. Blocks fenced as `console` are not
typed: they need another terminal or an AWS account. Their `rollcall` commands are run all the same, without `--aws`, on a store
of their own, and must make the same tenant.

What has become of the user is asked of the endpoint after every block, with a credential made here. Exits 1 on the first failure.
"""

import base64
import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ["jostle", "juno-journey", "mindtickle", "jive"]
TYPED_PORT = "127.0.0.1:3000"
LONGEST_SECONDS = 300


class Failed(Exception):
    pass


def need(holds, message):
    if not holds:
        raise Failed(message)


class Machine:
    """A folder in which BINARY is target/debug/rollcall, as in a checkout after `make run`."""

    def __init__(self, folder, binary):
        self.folder = pathlib.Path(folder)
        (self.folder / "target/debug").mkdir(parents=True)
        (self.folder / "target/debug/rollcall").symlink_to(binary)

    def rollcall(self, *args):
        done = subprocess.run(["target/debug/rollcall", *args], cwd=self.folder, capture_output=True, text=True, check=False)
        need(done.returncode == 0, f"rollcall {' '.join(args)}: {done.stderr}")
        return done.stdout

    def tenant(self, name):
        """What `tenant show` says, without the time."""
        fields = json.loads(self.rollcall("tenant", "show", name, "--json"))
        return {key: value for key, value in fields.items() if key != "created"}

    @contextlib.contextmanager
    def serving(self):
        """The address of the endpoint, and the secret token of the tenant demo."""
        command = ["target/debug/rollcall", "serve", "--listen", "127.0.0.1:0"]
        with open(self.folder / "serve.log", "w") as log, subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process:
            try:
                words = {}
                while "Try it" not in words:
                    line = process.stdout.readline()
                    need(line, f"rollcall serve has ended: {(self.folder / 'serve.log').read_text()}")
                    name, _, value = line.strip().partition(": ")
                    words[name] = value
                yield urllib.parse.urlsplit(words["Tenant URL"]).netloc, words["Secret token"]
            finally:
                process.terminate()


class Shell:
    """The reader's terminal."""

    END = "--- end of the block ---"

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.timer = threading.Timer(LONGEST_SECONDS, self.process.kill)
        self.timer.start()
        self.type("set -eu -o pipefail")

    def type(self, commands):
        """Types commands, and returns what they print."""
        block = self.folder / "block.sh"
        block.write_text(commands + "\n")
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f". ./{block.name} < /dev/null\necho; echo '{self.END}'\n")
            self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            if line.rstrip("\n") == self.END:
                return "".join(printed).strip()
            printed.append(line)
        raise Failed(f"this ended with status {self.process.wait()}:\n{commands}\n\nIt printed:\n{''.join(printed)}")

    def close(self):
        self.timer.cancel()
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def send(method, url, authorization=None, body=None, kind="application/scim+json"):
    """Status and JSON body."""
    data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": kind}, method=method)
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read() or "null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or "null")


class Witness:
    """Looks at a tenant with a client's credential of its own, which every profile allows."""

    def __init__(self, machine, host, tenant):
        self.base = f"http://{host}" + machine.tenant(tenant)["path"]
        secret = machine.rollcall("key", "create", tenant, "--description", "a test", "--type", "client").strip()
        form = {"grant_type": "client_credentials", "client_id": secret.split("_")[2], "client_secret": secret}
        url = f"http://{host}/{tenant}/oauth/token"
        status, answer = send("POST", url, None, urllib.parse.urlencode(form), "application/x-www-form-urlencoded")
        need(status == 200, f"{url} answers {status} {answer}")
        self.authorization = f"Bearer {answer['access_token']}"

    def users(self):
        status, answer = send("GET", f"{self.base}/Users", self.authorization)
        need(status == 200, f"GET /Users answers {status} {answer}")
        for user in answer["Resources"]:
            del user["meta"]
        return answer["Resources"]


def blocks(page):
    """The fenced blocks: their language and text."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    need(all(kind in ("sh", "text", "console") for kind, _ in found), "every block is sh, text or console")
    return found


def fits(expected, printed):
    """Whether something was printed as the page shows it; … is anything within a line."""
    pattern = re.escape(expected.strip()).replace("…", "[^\n]*")
    return re.fullmatch(pattern, printed) is not None


def walk(page, machine, host, shell):
    """Types the blocks; the witness, and what it saw, each state once."""
    witness, seen, printed = None, [], None
    tenant = re.search(r"^rollcall tenant create (\S+)", page, re.MULTILINE)[1]
    for kind, text in blocks(page):
        text = text.replace(TYPED_PORT, host)
        if kind == "sh":
            printed = shell.type(text)
            if witness is None and tenant in machine.rollcall("tenant", "list").split():
                witness = Witness(machine, host, tenant)
            state = witness.users() if witness else []
            if not seen or state != seen[-1]:
                seen.append(state)
        elif kind == "text":
            need(fits(text, printed), f"the page shows:\n{text}\nIt printed:\n{printed}")
    return tenant, witness, seen


def check_life(seen):
    """Nobody, then one user, who is created, updated and deactivated."""
    shown = json.dumps(seen, indent=1)
    need([len(state) for state in seen] == [0, 1, 1, 1], f"these are not nobody, then created, updated, deactivated: {shown}")
    created, updated, ended = (state[0] for state in seen[1:])
    need(created["id"] == updated["id"] == ended["id"], f"it is not one user: {shown}")
    need(created["active"] is True and updated["active"] is True, f"the user is not active before the end: {shown}")
    need(created != updated, f"nothing was updated: {shown}")
    need(ended == {**updated, "active": False}, f"the end is not the same user, inactive: {shown}")


def check_secrets(shell, witness, of_another):
    """The secret that the page makes opens the tenant, and nothing like it does."""
    token, admin, password = shell.type('echo "${TOKEN-},${ADMIN-},${PASSWORD-}"').split(",")

    def header(user, secret):
        if password:
            return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
        return f"Bearer {secret}"

    secret = password or token
    other = secret[:-12] + ("A" if secret[-12] != "A" else "B") + secret[-11:]
    for what, authorization, expected in [
        ("the page's secret", header(admin, secret), 200),
        ("a wrong secret", header(admin, other), 401),
        ("no secret", None, 401),
        ("another tenant's secret", f"Bearer {of_another}", 401),
        *([("another user's name", header("somebody", secret), 401)] if password else []),
    ]:
        status, body = send("GET", f"{witness.base}/Users", authorization)
        need(status == expected, f"{what} is answered with {status} {body}, not {expected}")


def check_required(machine, tenant, witness):
    """A user without what the profile requires is refused, and is not there."""
    required = machine.tenant(tenant)["required"]
    before = witness.users()
    for path in required:
        status, body = send("POST", f"{witness.base}/Users", witness.authorization, {"userName": "nobody"})
        is_told = body.get("scimType") == "invalidValue" and body["detail"].startswith(path)
        need(status == 400 and is_told, f"a user without {path} is answered with {status} {body}")
    need(witness.users() == before, "a refused user is there")
    return required


def check_table(page, name, machine, tenant, required):
    """The attribute table says what the profile and the planner of filters say; how many attributes."""
    table = re.findall(r"^\| `([^|]+)` \| (String|Boolean) \| (yes|) ?\| (index|scan) \|", page, re.MULTILINE)
    rows = {path: (kind, needed, how) for path, kind, needed, how in table}
    profile = json.loads(machine.rollcall("profile", "show", name))
    if "attributes" in profile:
        need(set(rows) == set(profile["attributes"]), f"other attributes than {sorted(rows)}")
    need(rows, "there is no attribute table")
    for path, (kind, needed, how) in rows.items():
        need((needed == "yes") == (path in ["userName", *required]), f"{path}: required or not")
        told = machine.rollcall("explain", tenant, f"{path} eq {'true' if kind == 'Boolean' else json.dumps('x')}")
        plan = re.search(r"^plan\s+(\w+)", told, re.MULTILINE)[1]
        need((plan == "index") == (how == "index"), f"{path}: {how}, but {told}")
    return len(rows)


def check_deployment(page, binary, tenant, machine):
    """The commands for a deployment make the tenant that those for this machine have made."""
    commands = re.findall(r"^\$ (rollcall .*)$", "\n".join(text for kind, text in blocks(page) if kind == "console"), re.MULTILINE)
    need(commands and all("--aws --table-prefix rollcall" in command for command in commands), f"{commands}")
    with tempfile.TemporaryDirectory() as folder:
        cloud = Machine(folder, binary)
        shell = Shell(cloud.folder)
        try:
            shell.type('PATH="$PWD/target/debug:$PATH"')
            for command in commands:
                shell.type(command.replace("--aws ", ""))
        finally:
            shell.close()
        need(cloud.tenant(tenant) == machine.tenant(tenant), f"{cloud.tenant(tenant)} in a deployment, {machine.tenant(tenant)} here")
    return len(commands)


def check(name, binary):
    page = (ROOT / f"docs/src/apps/{name}.md").read_text()
    need(f"(docs/src/apps/{name}.md)" in (ROOT / "README.md").read_text(), "the README does not link to it")
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(folder, binary)
        with machine.serving() as (host, of_demo):
            shell = Shell(machine.folder)
            try:
                tenant, witness, seen = walk(page, machine, host, shell)
                need(machine.tenant(tenant)["profile"] == name, f"{machine.tenant(tenant)}: another profile")
                check_life(seen)
                check_secrets(shell, witness, of_demo)
            finally:
                shell.close()
            required = check_required(machine, tenant, witness)
            rows = check_table(page, name, machine, tenant, required)
            commands = check_deployment(page, binary, tenant, machine)
    typed = sum(kind == "sh" for kind, _ in blocks(page))
    shown = sum(kind == "text" for kind, _ in blocks(page))
    user = seen[-1][0]["userName"]
    print(f"docs/src/apps/{name}.md: {typed} blocks typed, {shown} answers as shown; {user} created, updated, deactivated; "
          f"{rows} attributes, {commands} commands for a deployment")


def main(binary):
    for name in PAGES:
        try:
            check(name, pathlib.Path(binary).resolve(strict=True))
        except Failed as failed:
            print(f"docs/src/apps/{name}.md: {failed}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
