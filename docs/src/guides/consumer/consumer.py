import json, os, pathlib, urllib.error, urllib.parse, urllib.request

HOST, TENANT, KEY, ONCE = map(os.environ.get, ("ROLLCALL_HOST", "ROLLCALL_TENANT", "ROLLCALL_KEY", "ONCE"))
FILE = pathlib.Path("state.json")


def get(path, **query):
    url, headers = f"{HOST}/{TENANT}{path}?{urllib.parse.urlencode(query)}", {"Authorization": f"Bearer {KEY}"}
    return json.load(urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60))


def pages(path, cursor=""):
    while cursor is not None:
        page = get(f"/scim/v2{path}", count=200, cursor=cursor)
        yield from page["Resources"]
        cursor = page.get("nextCursor")


def read_all():
    cursor = get("/events", cursor="now")["nextCursor"]  # before the state: what changes meanwhile comes again
    users = {user["id"]: user["meta"]["version"] for user in pages("/Users")}
    members = [f'{row["group"]["value"]} {row["member"]["value"]}' for row in pages("/GroupMembers")]
    return {"cursor": cursor, "users": users, "members": members}


def apply(state, event):
    kind, id, version = event["type"], event["resource"]["id"], event["resource"].get("version", 'W/"0"')
    users, members = state["users"], set(state["members"])
    if kind in ("feed.reset", "feed.gap"):
        return state.update(read_all())
    if kind.startswith("group.member_"):
        (members.add if kind.endswith("added") else members.discard)(f'{id} {(event.get("user") or event["memberGroup"])["id"]}')
    if kind in ("user.deactivated", "user.deleted"):
        print("end the sessions and tokens of", id)
    if kind == "user.deleted":
        users.pop(id, None)
    elif kind.startswith("user."):  # what is older than the state was read with it
        users[id] = max(users.get(id, version), version, key=lambda version: int(version[3:-1]))
    state["members"] = sorted(pair for pair in members if not (kind.endswith(".deleted") and id in pair))


state, page = json.loads(FILE.read_text()) if FILE.exists() else read_all(), {}
while not (ONCE and page.get("caughtUp")):
    try:
        page = get("/events", cursor=state["cursor"], wait=0 if ONCE else 20)
    except urllib.error.HTTPError as error:  # 410: the cursor has expired
        page = {"events": [{"type": "feed.reset", "resource": {"id": ""}}]} if error.code == 410 else exit(str(error))
    state["cursor"] = page.get("nextCursor")
    for event in page["events"]:
        apply(state, event)
    FILE.write_text(json.dumps(state))
