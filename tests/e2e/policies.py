"""Takes one action from each function's policy in turn: that function fails, with a SCIM error and a log line that names
the action, and no other does. So what the policies grant is needed, and each function has a role of its own. The use of a
key is an exception: where it cannot be told, the log says so, and the request is answered all the same."""

import json
import pathlib
import re
import urllib.parse
import uuid

from replay import send

TEMPLATE = pathlib.Path(__file__).resolve().parents[2] / "template.yaml"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
ENTERPRISE = "urn:ietf:params:scim:schemas:core:2.0"
ADMIN = "/admin/v1"
# They need for more than the use the action by which it is told, or come without a key.
CHANGE_KEYS = ["admin.tenants.patch", "admin.keys.rotate", "admin.keys.revoke", "admin.automation.put", "oauth.token",
               "oauth.metadata"]


# The user in whose name the key acts.
BOT = "e2e-bot"


class Requests:
    """For each function one request that succeeds, and an action that it cannot do without, if there is one: what, and on
    what."""

    def __init__(self, origin, token, operator):
        self.origin, self.token, self.operator = origin, token, operator
        self.keep = self.make_user()
        self.group = self.make_group([self.keep])
        self.client = self.make_key("acme", form="client")
        # A tenant for the operators' requests, so that none of them changes what the others come with.
        self.tenant, self.invites = f"e2e-{uuid.uuid4().hex[:8]}", False
        self.make(f"{ADMIN}/tenants", {"name": self.tenant})

    def send(self, method, path, body=None, token=None):
        """A path is below the tenant's base URL, or one of the operators or of OAuth."""
        if path.startswith(ADMIN):
            return send(self.origin, token or self.operator, method, path, body)
        if path.startswith(("/acme/oauth/", "/.well-known/")):
            return send(self.origin, None, method, path, body)
        return send(f"{self.origin}/acme/scim/v2", token or self.token, method, path, body)

    def make(self, path, body):
        status, made = self.send("POST", path, body)
        assert status == 201, made
        return made.get("id")

    def make_key(self, tenant, **fields):
        status, made = self.send("POST", f"{ADMIN}/tenants/{tenant}/keys", {"description": "policies", **fields})
        assert status == 201, made
        return made

    def make_user(self):
        return self.make("/Users", {"userName": str(uuid.uuid4())})

    def make_group(self, members=()):
        members = [{"value": member} for member in members]
        return self.make("/Groups", {"displayName": str(uuid.uuid4()), "members": members})

    def prepare(self):
        """What the requests below consume: a user, groups and memberships of their own."""
        user, member = self.make_user(), self.make_user()
        self.send("POST", "/Users", {"userName": BOT})  # unless it is there
        group, other = self.make_group(), self.make_group([member])
        token = {"grant_type": "client_credentials", "client_id": self.client["id"], "client_secret": self.client["secret"]}
        tenant = f"{ADMIN}/tenants/{self.tenant}"
        rotated, revoked = (f"{tenant}/keys/{self.make_key(self.tenant)['id']}" for _ in range(2))
        self.invites = not self.invites
        named = lambda: {"displayName": str(uuid.uuid4())}
        patch = lambda path, value: {"Operations": [{"op": "add", "path": path, "value": value}]}
        search = lambda text: {"schemas": [SEARCH], "filter": text}
        bulk = lambda path, data: {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
                                   "Operations": [{"method": "POST", "path": path, "bulkId": "x", "data": data}]}
        return {
            "users.create": ("POST", "/Users", {"userName": str(uuid.uuid4())}, "PutItem", "table/rollcall-users"),
            "users.list": ("GET", "/Users?filter=userName+eq+%22x%22", None, "GetItem", "table/rollcall-users"),
            "users.get": ("GET", f"/Users/{self.keep}", None, "Query", "index/byId"),
            "users.replace": ("PUT", f"/Users/{self.keep}", {"userName": str(uuid.uuid4())}, "PutItem", "table/rollcall-users"),
            "users.patch": ("PATCH", f"/Users/{self.keep}", patch("title", str(uuid.uuid4())), "UpdateItem", "table/rollcall-users"),
            "users.delete": ("DELETE", f"/Users/{user}", None, "DeleteItem", "table/rollcall-users"),
            "groups.create": ("POST", "/Groups", named(), "PutItem", "table/rollcall-links"),
            "groups.list": ("GET", "/Groups", None, "Query", "index/byName"),
            "groups.get": ("GET", f"/Groups/{self.group}", None, "Query", "table/rollcall-links"),
            "groups.replace": ("PUT", f"/Groups/{group}", named(), "UpdateItem", "table/rollcall-groups"),
            "groups.patch": ("PATCH", f"/Groups/{group}", patch("members", [{"value": self.keep}]), "UpdateItem", "table/rollcall-users"),
            "groups.delete": ("DELETE", f"/Groups/{other}", None, "DeleteItem", "table/rollcall-groups"),
            "groupmembers.create": ("POST", "/GroupMembers", {"group": {"value": self.group}, "member": {"value": member}}, "PutItem", "table/rollcall-links"),
            "groupmembers.list": ("GET", "/GroupMembers", None, "Query", "table/rollcall-groups"),
            "groupmembers.get": ("GET", f"/GroupMembers/{self.group}.{self.keep}", None, "GetItem", "table/rollcall-links"),
            "groupmembers.delete": ("DELETE", f"/GroupMembers/{self.group}.{member}", None, "DeleteItem", "table/rollcall-links"),
            "users.search": ("POST", "/Users/.search", search("userName sw \"x\""), "Query", "table/rollcall-users"),
            "groups.search": ("POST", "/Groups/.search", search("displayName eq \"x\""), "Query", "index/byName"),
            "groupmembers.search": ("POST", "/GroupMembers/.search", search(f"group.value eq \"{self.group}\""), "Query", "table/rollcall-links"),
            "all.list": ("GET", "/?count=1", None, "Query", "index/byId"),
            "all.search": ("POST", "/.search", search("meta.lastModified ge \"2026-01-01T00:00:00Z\""), "Query", "index/byHour"),
            "bulk.post": ("POST", "/Bulk", bulk("/Users", {"userName": str(uuid.uuid4())}), "GetItem", "table/rollcall-keys"),
            "me.get": ("GET", "/Me", None, "GetItem", "table/rollcall-users"),
            "me.replace": ("PUT", "/Me", {"userName": BOT, "title": str(uuid.uuid4())}, "UpdateItem", "table/rollcall-users"),
            "me.patch": ("PATCH", "/Me", patch("title", str(uuid.uuid4())), "UpdateItem", "table/rollcall-users"),
            "me.delete": ("DELETE", "/Me", None, "DeleteItem", "table/rollcall-users"),
            "oauth.token": ("POST", "/acme/oauth/token", urllib.parse.urlencode(token).encode(), "PutItem", "table/rollcall-tokens"),
            "oauth.metadata": ("GET", "/.well-known/oauth-authorization-server/acme", None, None, None),
            "admin.tenants.list": ("GET", f"{ADMIN}/tenants", None, "Scan", "table/rollcall-keys"),
            "admin.tenants.create": ("POST", f"{ADMIN}/tenants", {"name": uuid.uuid4().hex}, "PutItem", "table/rollcall-links"),
            "admin.tenants.get": ("GET", tenant, None, "GetItem", "table/rollcall-keys"),
            "admin.tenants.patch": ("PATCH", tenant, {"settings": {"inviteAutomatically": self.invites}}, "UpdateItem", "table/rollcall-keys"),
            "admin.keys.list": ("GET", f"{tenant}/keys", None, "Query", "table/rollcall-keys"),
            "admin.keys.create": ("POST", f"{tenant}/keys", {"description": "x"}, "PutItem", "table/rollcall-keys"),
            "admin.keys.rotate": ("POST", f"{rotated}/rotate", {"overlapSeconds": 60}, "UpdateItem", "table/rollcall-keys"),
            "admin.keys.revoke": ("DELETE", revoked, None, "UpdateItem", "table/rollcall-keys"),
            "admin.automation.list": ("GET", f"{tenant}/automation-users", None, "Query", "table/rollcall-keys"),
            "admin.automation.put": ("PUT", f"{tenant}/automation-users/bot", {"active": True}, "PutItem", "table/rollcall-keys"),
            "admin.log.list": ("GET", f"{tenant}/log", None, "Query", "table/rollcall-changes"),
            "admin.log.chain": ("GET", f"{tenant}/log/chain", None, "Query", "table/rollcall-changes"),
            "config.get": ("GET", "/ServiceProviderConfig", None, "GetItem", "table/rollcall-keys"),
            "resourcetypes.list": ("GET", "/ResourceTypes", None, "GetItem", "table/rollcall-keys"),
            "resourcetypes.get": ("GET", "/ResourceTypes/User", None, "GetItem", "table/rollcall-keys"),
            "schemas.list": ("GET", "/Schemas", None, "GetItem", "table/rollcall-keys"),
            "schemas.get": ("GET", f"/Schemas/{ENTERPRISE}:User", None, "GetItem", "table/rollcall-keys"),
        }

    def outcomes(self, requests):
        """Handler -> status and body; in an order in which none needs what another has taken away."""
        return {handler: self.send(*request[:3]) for handler, request in requests.items()}


def function_of(route):
    """The function that serves a route: its own, or that of its family, without the star."""
    handlers = re.findall(r"^      Handler: (\S+)$", TEMPLATE.read_text(), re.M)
    is_its = lambda handler: handler == route or (handler.endswith("*") and route.startswith(handler[:-1]))
    return next(handler for handler in handlers if is_its(handler)).removesuffix(".*")


class Policy:
    """The inline policy of a function's role."""

    def __init__(self, cloud, handler):
        self.iam = cloud.client("iam")
        logical = "".join(word.capitalize() for word in function_of(handler).split("."))
        self.role = cloud.resources()[f"{logical}Role"]["PhysicalResourceId"]
        self.name = self.iam.list_role_policies(RoleName=self.role)["PolicyNames"][0]
        document = self.iam.get_role_policy(RoleName=self.role, PolicyName=self.name)["PolicyDocument"]
        self.document = document if isinstance(document, dict) else json.loads(document)

    def without(self, action, resource):
        changed = json.loads(json.dumps(self.document))
        for statement in changed["Statement"]:
            # The worker's statement on streams names several.
            if isinstance(statement["Resource"], str) and statement["Resource"].endswith(resource):
                statement["Action"] = [kept for kept in statement["Action"] if kept != f"dynamodb:{action}"]
        changed["Statement"] = [statement for statement in changed["Statement"] if statement["Action"]]
        assert changed != self.document, (action, resource)
        # A policy has at least one statement: this one allows what needs no permission.
        nothing = {"Effect": "Allow", "Action": ["sts:GetCallerIdentity"], "Resource": "*"}
        self.put({**changed, "Statement": changed["Statement"] or [nothing]})

    def put(self, document):
        self.iam.put_role_policy(RoleName=self.role, PolicyName=self.name, PolicyDocument=json.dumps(document))

    def restore(self):
        self.put(self.document)


def logged(cloud, handler, words):
    """Whether a line of the function's log group has all the words."""
    logs = cloud.client("logs")
    group = f"/rollcall/rollcall/{function_of(handler).replace('.', '-')}"
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    return any(all(word in event["message"] for word in words) for page in pages for event in page["events"])


def uses_are_told_or_not(cloud, requests):
    """Without the action that tells the use of a key, a request with a new key is answered as any other."""
    fine = True
    for handler, request in requests.prepare().items():
        if handler in CHANGE_KEYS:
            continue
        is_admin = request[1].startswith(ADMIN)
        key = requests.make_key("admin", scopes=["admin"]) if is_admin else requests.make_key("acme", automation=BOT)
        policy = Policy(cloud, handler)
        policy.without("UpdateItem", "table/rollcall-keys")
        try:
            status, body = requests.send(*request[:3], token=key["secret"])
        finally:
            policy.restore()
        named = logged(cloud, handler, ["the use of a key was not stored", "dynamodb:UpdateItem"])
        if status >= 300 or not named:
            fine = False
            print(f"FAILED: {handler} without UpdateItem for the use of a key: {status} {body}, "
                  f"{'logged' if named else 'NOT LOGGED'}", flush=True)
    print(f"{'ok' if fine else 'FAILED'}: no request needs to tell the use of its key", flush=True)
    return fine


def policies_are_minimal(cloud, token, operator):
    requests = Requests(cloud.front.url(), token, operator)
    fine = True
    everything = requests.outcomes(requests.prepare())
    refused = {handler: answer for handler, answer in everything.items() if answer[0] >= 300}
    print(f"with whole policies: {len(everything) - len(refused)} of {len(everything)} functions succeed {refused or ''}", flush=True)
    for handler, (*_, action, resource) in requests.prepare().items():
        if action is None:
            continue
        prepared = requests.prepare()
        policy = Policy(cloud, handler)
        policy.without(action, resource)
        try:
            outcomes = requests.outcomes(prepared)
        finally:
            policy.restore()
        status, body = outcomes.pop(handler)
        is_scim = status >= 500 and body.get("status") == str(status) and body.get("detail")
        named = logged(cloud, handler, [f"dynamodb:{action}"])
        others = {other: answer[0] for other, answer in outcomes.items() if answer[0] >= 500}
        good = bool(is_scim and named and not others)
        fine &= good
        print(f"{'ok' if good else 'FAILED'}: {handler} without {action} on {resource}: {status}, "
              f"{'logged' if named else 'NOT LOGGED'}, others {others or 'unharmed'}", flush=True)
    fine &= uses_are_told_or_not(cloud, requests)
    return fine and not refused and worker_needs_its_policy(cloud)


def worker_needs_its_policy(cloud):
    """The worker answers no request: without an action its run of every minute fails, and its log says which it lacks."""

    def error():
        name = cloud.resources()["Stream"]["PhysicalResourceId"]
        return cloud.client("lambda").invoke(FunctionName=name, Payload="{}").get("FunctionError")

    policy = Policy(cloud, "stream")
    before = error()
    policy.without("Query", "table/rollcall-links")
    try:
        without = error()
    finally:
        policy.restore()
    good = before is None and without is not None and logged(cloud, "stream", ["dynamodb:Query"])
    print(f"{'ok' if good else 'FAILED'}: stream without Query on links: {before} before, {without} without", flush=True)
    return good
