"""A Postman collection of openapi.json, used against `rollcall serve` on a store of its own. Exits 1 on any error.

    postman.py ROLLCALL OUT

openapi-to-postmanv2 converts. Its ids and examples are random, and it switches every optional parameter on with the value
`string`. Here an id is that of its place, `seed.cjs` makes the examples the same, and an optional parameter is off. So the
same description gives the same bytes, and a request works as it is sent.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import uuid

from clients import HERE, NODE, serve

OPTIONS = "folderStrategy=Tags,parametersResolution=Example"
# Of these folders, each GET that needs no id is sent.
TRIED = {"Users", "Groups", "ServiceProviderConfig", "ResourceTypes", "Schemas"}


def convert(openapi):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "collection.json"
        subprocess.run(["node", "--require", HERE / "seed.cjs", NODE / ".bin/openapi2postmanv2", "-s", openapi, "-o", out, "-O", OPTIONS], check=True,
                       stdout=subprocess.DEVNULL)
        collection = json.loads(out.read_text())
    settle(collection, "rollcall")
    return collection


def settle(part, place):
    """Ids by place, and optional parameters off."""
    if isinstance(part, list):
        for index, entry in enumerate(part):
            settle(entry, f"{place}/{index}")
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in ("id", "_postman_id") and ("item" in part or "request" in part or "schema" in part or "originalRequest" in part):
                part[name] = str(uuid.uuid5(uuid.NAMESPACE_URL, place))
            settle(value, f"{place}/{name}")
        for parameter in part.get("query", []) if isinstance(part.get("query"), list) else []:
            parameter["disabled"] = True


def requests_of(collection):
    """Each request with the name of its folder."""
    return [(folder["name"], item["request"]) for folder in collection["item"] for item in folder["item"]]


def url_of(request, values):
    url = request["url"]
    text = "/".join([*url["host"], *url["path"]])
    # Variables of the collection may name others.
    for _ in range(3):
        for name, value in values.items():
            text = text.replace("{{%s}}" % name, value)
    return text


def send(request, url, token):
    headers = {header["key"]: header["value"] for header in request.get("header", []) if not header.get("disabled")}
    call = urllib.request.Request(url, headers={**headers, "Authorization": f"Bearer {token}"}, method=request["method"])
    try:
        with urllib.request.urlopen(call) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def main():
    rollcall, out = map(pathlib.Path, sys.argv[1:])
    collection, again = convert("openapi.json"), convert("openapi.json")
    text = json.dumps(collection, indent=1) + "\n"
    failures = [] if text == json.dumps(again, indent=1) + "\n" else ["two conversions differ"]
    out.parent.mkdir(exist_ok=True)
    out.write_text(text)
    paths = json.loads(pathlib.Path("openapi.json").read_text())["paths"].values()
    operations = sum(method in path for path in paths for method in ("get", "post", "put", "patch", "delete"))
    found = requests_of(collection)
    if len(found) != operations:
        failures.append(f"the collection has {len(found)} requests, and openapi.json has {operations} operations")
    tried = 0
    with serve(rollcall.resolve()) as (tenant_url, token):
        values = {variable["key"]: variable["value"] for variable in collection["variable"]}
        values["baseUrl"] = tenant_url
        for folder, request in found:
            if folder in TRIED and request["method"] == "GET" and not request["url"].get("variable"):
                url = url_of(request, values)
                tried += 1
                if (status := send(request, url, token)) != 200:
                    failures.append(f"GET {url}: {status}")
    if tried < len(TRIED):
        failures.append(f"only {tried} requests could be sent")
    print("\n".join(failures) or f"the Postman collection has {len(found)} requests; {tried} were sent and answered")
    return 1 if failures else 0


sys.exit(main())
