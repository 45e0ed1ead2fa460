"""What makes requests reach further than the parser: texts of the formats that openapi.json names, names that nobody
has yet, ids of members, tenants, keys and clients that are there."""

import copy
import itertools
import json
import os
import urllib.request

import schemathesis
from hypothesis import strategies as st

NAMES = [
    "id", "externalId", "userName", "displayName", "active", "name.familyName", "emails", "emails.value", "groups.value",
    "members.value", "group.value", "member.value", "meta.created", "schemas", "x509Certificates", "unknown.part",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
    "urn:ietf:params:scim:schemas:extension:groupMembers:2.0:Group:membersMetadata",
]
VALUES = ['"bob"', '"a@example.com"', '""', '"2011-05-13T04:42:34Z"', "true", "null", "1", "-1.5e3", '"\\u00e9\\"\\\\"']

names = st.sampled_from(NAMES) | st.text(max_size=12)
values = st.sampled_from(VALUES) | st.text(max_size=12)
comparisons = st.builds(
    "{} {} {}".format, names, st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "EQ"]), values
) | st.builds("{} pr".format, names)
filters = st.recursive(
    comparisons,
    lambda inner: st.builds("{} and {}".format, inner, inner)
    | st.builds("{} or {}".format, inner, inner)
    | st.builds("not ({})".format, inner)
    | st.builds("emails[{}]".format, inner),
    max_leaves=6,
)
paths = names | st.builds("{}[{}]".format, names, filters) | st.builds("{}[{}].value".format, names, comparisons)

schemathesis.openapi.format("scim-filter", filters)
schemathesis.openapi.format("scim-path", paths)
schemathesis.openapi.format("scim-attributes", st.lists(names, max_size=4).map(",".join))

numbers = itertools.count()


# The tenant that `rollcall serve` makes.
TENANT = "demo"


def post(endpoint, body):
    headers = {"Authorization": f"Bearer {os.environ['ROLLCALL_TOKEN']}", "Content-Type": "application/scim+json"}
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{os.environ['ROLLCALL_URL']}/{endpoint}", data, headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def made(endpoint, attribute):
    """The id of a new resource."""
    return post(endpoint, {attribute: f"made {next(numbers)}"})["id"]


def made_key():
    """The id of a new key, of the form that every profile that ships allows."""
    return post(f"admin/v1/tenants/{TENANT}/keys", {"description": "made", "type": "client"})["id"]


def parts(value):
    """The objects in a list, or the one object."""
    return [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, dict)]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every second request refers to what is there, at whatever version; all others stay as they were generated."""
    number = next(numbers)
    if number % 2:
        return
    case.headers.pop("If-Match", None)
    place = case.path_parameters or {}
    if "tenant" in place:
        place["tenant"] = TENANT
    if "key" in place:
        place["key"] = made_key()
    # The admin API refers to no resource in a body.
    if not isinstance(case.body, dict) or case.path.startswith("/admin/"):
        return
    # The coverage phase makes many cases of one object.
    body = case.body = copy.deepcopy(case.body)
    if "grant_type" in body and case.path.endswith("/oauth/token"):
        # A client proves itself in one way: here by the header.
        for name in ("client_id", "client_secret", "client_assertion", "scope"):
            body.pop(name, None)
    for name in ("userName", "displayName"):
        if isinstance(body.get(name), str) and body[name]:
            body[name] += f" {number}"
    for part in parts(body.get("group")):
        part["value"] = made("Groups", "displayName")
    for part in parts(body.get("member")) + parts(body.get("members")):
        part["value"] = made("Users", "userName")
