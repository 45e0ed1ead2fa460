"""How long a local server takes to refuse a key that nobody has and one whose secret or signature is wrong: who asks must
not learn which it was.

    bench_keys.py ROLLCALL

Requests of both kinds alternate; the medians are told. Everything goes to 127.0.0.1; the loops are bounded.
"""

import base64
import http.client
import json
import pathlib
import statistics
import string
import subprocess
import sys
import tempfile
import time
import urllib.parse
import zlib

from bench import server

ROUNDS = 400


def command(rollcall, folder, *words):
    words = [rollcall, *words, "--data", folder]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def changed_jwt(token, claims):
    """The token with other claims, and its signature, which is not theirs."""
    header, payload, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    said.update(claims)
    payload = base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()
    return f"{header}.{payload}.{signature}"


def changed_key(key, part):
    """The key with another id or secret, and the checksum that goes with it."""
    parts = key[:-6].split("_")
    parts[part] = parts[part].translate(str.maketrans("0123456789", "1234567890"))
    text = "_".join(parts)
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    number = zlib.crc32(text.encode())
    return text + "".join(digits[number // 62**i % 62] for i in range(6))


def refusals(host, pair):
    """Milliseconds of each of two tokens, asked in turns."""
    times = {name: [] for name in pair}
    connection = http.client.HTTPConnection(host)
    for _ in range(ROUNDS):
        for name, token in pair.items():
            begun = time.perf_counter()
            connection.request("GET", "/demo/scim/v2/ServiceProviderConfig", headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            response.read()
            assert response.status == 401, response.status
            times[name].append((time.perf_counter() - begun) * 1_000)
    return times


def main():
    rollcall = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder, server(rollcall, folder, subprocess.DEVNULL) as (url, _, _):
        measure(urllib.parse.urlsplit(url).netloc, lambda *words: command(rollcall, folder, *words))


def measure(host, run):
    known = run("key", "create", "demo", "--description", "x")
    run("automation", "activate", "demo", "robot")
    jwt = run("key", "create", "demo", "--description", "x", "--type", "jwt", "--automation", "robot")
    kinds = {
        "bearer": {"unknown": changed_key(known, 2), "wrong secret": changed_key(known, 3)},
        "jwt": {"unknown": changed_jwt(jwt, {"jti": "0" * 14}), "wrong signature": changed_jwt(jwt, {"exp": 2**33})},
    }
    for kind, pair in kinds.items():
        times = refusals(host, pair)
        told = ", ".join(f"{name} {statistics.median(some):.3f} ms" for name, some in times.items())
        print(f"{kind}: {told}; {ROUNDS} each")


if __name__ == "__main__":
    main()
