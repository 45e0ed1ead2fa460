"""Replays the recorded client exchanges of tests/idp on an endpoint, as tests/idp.rs does."""

import http.client
import json
import pathlib
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent


def holds(got, expected):
    if isinstance(expected, dict):
        return isinstance(got, dict) and all(name in got and holds(got[name], value) for name, value in expected.items())
    if isinstance(expected, list):
        return isinstance(got, list) and len(got) == len(expected) and all(map(holds, got, expected))
    return got == expected


def send(url, token, method, path, body):
    """A body of bytes is sent as it is, any other as JSON; a token with a space is a whole `Authorization`."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    data = body if body is None or isinstance(body, bytes) else json.dumps(body)
    headers = {"Authorization": token if " " in token else f"Bearer {token}"} if token else {}
    connection.request(method, parts.path + path, data, headers)
    response = connection.getresponse()
    text = response.read()
    if response.status == 308:
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(url, response.headers["Location"]))
        origin = urllib.parse.urlunsplit((parts.scheme, parts.netloc, "", "", ""))
        return send(origin, token, method, parts.path + "?" + parts.query, body)
    return response.status, json.loads(text) if text else None


def replay(url, token):
    """The exchanges of tests/idp, as tests/idp.rs replays them; each file cleans up after itself."""
    passed, failed = 0, 0
    for file in sorted((ROOT / "tests/idp").glob("*.json")):
        saved = {}
        for exchange in json.loads(file.read_text()):
            text = json.dumps(exchange)
            for name, value in saved.items():
                text = text.replace("{%s}" % name, value)
            exchange = json.loads(text)
            status, body = send(url, token, *exchange["send"])
            if status == exchange["status"] and holds(body, exchange.get("body", body)):
                passed += 1
            else:
                failed += 1
                print(f"{file.name}, {exchange['name']}: {status} {body}")
            if "save" in exchange:
                saved[exchange["save"]] = body["id"]
        for value in saved.values():
            send(url, token, "DELETE", f"/Users/{value}", None)
            send(url, token, "DELETE", f"/Groups/{value}", None)
    return passed, failed
