import json, os, pathlib, urllib.error, urllib.parse, urllib.request

HOST, TENANT, KEY = (os.environ[name] for name in ("ROLLCALL_HOST", "ROLLCALL_TENANT", "ROLLCALL_KEY"))
FILE = pathlib.Path("state.json")


def get(path, **query):
    url = f"{HOST}/{TENANT}{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": f"Bearer {KEY}"}), timeout=60) as answer:
        return json.load(answer)


def pages(path):
    cursor = ""
    while cursor is not None:
        page = get(f"/scim/v2{path}", count=200, cursor=cursor)
        yield from page["Resources"]
        cursor = page.get("nextCursor")


def read_all():
    cursor = get("/events", cursor="now")["nextCursor"]  # before the state: what changes meanwhile comes again
    users = {user["id"]: user["meta"]["version"] for user in pages("/Users") if user.get("active", True)}
    members = [f'{row["group"]["value"]} {row["member"]["value"]}' for row in pages("/GroupMembers")]
    return {"cursor": cursor, "users": users, "members": members}


def apply(state, event):
    kind, resource, members = event["type"], event["resource"], set(state["members"])
    number = lambda version: int(version[3:-1])  # W/"7"
    if kind in ("feed.reset", "feed.gap"):
        state.update(read_all())
        return
    if kind.startswith("group.member_"):
        pair = f'{event["group"]["id"]} {(event.get("user") or event["memberGroup"])["id"]}'
        (members.add if kind.endswith("added") else members.discard)(pair)
    elif kind in ("user.deactivated", "user.deleted"):
        print("end the sessions and tokens of", resource["id"])
        state["users"].pop(resource["id"], None)
    elif kind.startswith("user."):
        known = state["users"].get(resource["id"])
        if known is None or number(resource["version"]) > number(known):
            state["users"][resource["id"]] = resource["version"]
    if kind.endswith(".deleted"):
        members = {pair for pair in members if resource["id"] not in pair}
    state["members"] = sorted(members)


state = json.loads(FILE.read_text()) if FILE.exists() else read_all()
while True:
    try:
        page = get("/events", cursor=state["cursor"], wait=0 if "ONCE" in os.environ else 20)
        state["cursor"] = page["nextCursor"]
        for event in page["events"]:
            apply(state, event)
    except urllib.error.HTTPError as error:
        if error.code != 410:  # the cursor has expired
            raise
        state, page = read_all(), {"caughtUp": False}
    FILE.write_text(json.dumps(state))
    if "ONCE" in os.environ and page["caughtUp"]:
        break
