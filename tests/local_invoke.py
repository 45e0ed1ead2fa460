"""`sam local invoke` of every function with its event, on an engine that the containers reach (needs Docker).

    local_invoke.py TEMPLATE [HOST]

TEMPLATE is a built one, such as .aws-sam/build/template.yaml; HOST is this machine as the containers see it.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PORT = 8000


def expected(name):
    """The status that an event has on an empty store, as tests/template.rs has it."""
    if name == "fallback":
        return 404
    if name == "groupmembers.create":
        return 400
    if name.startswith("me."):
        return 501  # the key acts in no user's name
    if name in ("admin.keys.rotate", "admin.keys.revoke"):
        return 404
    if name.endswith(".search"):
        return 200
    if name.split(".")[0] in ("users", "groups", "groupmembers") and name.split(".")[1] not in ("create", "list"):
        return 404
    return 201 if name.endswith(".create") else 200


def main(template, host="172.17.0.1"):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        rollcall = ROOT / "target/debug/rollcall"
        run = lambda *words: subprocess.run([rollcall, *words, "--data", folder], check=True, capture_output=True, text=True)
        run("tenant", "create", "acme")
        add = lambda *words: run("key", "create", *words, "--description", "local invoke").stdout.strip()
        token, operator = add("acme"), add("admin", "--scope", "admin")
        client = add("acme", "--type", "client")
        engine = subprocess.Popen([rollcall, "engine", "--listen", f"{host}:{PORT}", "--data", folder], stdout=subprocess.DEVNULL)
        stack.callback(engine.wait)
        stack.callback(engine.kill)
        time.sleep(1)
        environment = json.loads((ROOT / "events/env.json").read_text())
        environment["Parameters"]["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://{host}:{PORT}"
        (pathlib.Path(folder) / "env.json").write_text(json.dumps(environment))
        failed = 0
        names = sorted(file.stem for file in (ROOT / "events").glob("*.json") if file.stem not in ("env", "stream"))
        for name in names:
            event = json.loads((ROOT / f"events/{name}.json").read_text())
            if name.startswith("oauth."):
                id_and_secret = ("PASTE-A-KEY-ID", client.split("_")[2]), ("PASTE-ITS-SECRET", client)
                for place, value in id_and_secret:
                    event["body"] = event.get("body", "").replace(place, value)
            else:
                event["headers"]["authorization"] = f"Bearer {operator if name.startswith('admin.') else token}"
            (pathlib.Path(folder) / "event.json").write_text(json.dumps(event))
            function = "".join(word.capitalize() for word in name.split("."))
            command = [ROOT / ".tools/venv/bin/sam", "local", "invoke", function, "--template", template, "--event",
                       f"{folder}/event.json", "--env-vars", f"{folder}/env.json", "--skip-pull-image",
                       "--parameter-overrides", "Architecture=x86_64 DynamoDbEndpoint=set"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "SAM_CLI_TELEMETRY": "0"})
            lines = [line for line in done.stdout.splitlines() if line.startswith("{") and "statusCode" in line]
            status = json.loads(lines[-1])["statusCode"] if lines else done.stderr[-600:]
            good = status == expected(name)
            failed += not good
            print(f"{'ok' if good else 'FAILED'}: {name}: {status}", flush=True)
        print(f"{len(names) - failed} of {len(names)} functions answered as they should")
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
