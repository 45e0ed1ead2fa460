"""The generated Python client against a running endpoint: create, get, patch, list. `make clients` runs it."""

import os

from scim.api.users import users_create, users_get, users_list, users_patch
from scim.client import AuthenticatedClient
from scim.models import Error, PatchOp, UserRequest

client = AuthenticatedClient(base_url=os.environ["TENANT_URL"], token=os.environ["SECRET_TOKEN"])

bob = UserRequest.from_dict({
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "userName": "bob@python.example",
    "name": {"familyName": "Typed"},
    "emails": [{"value": "bob@python.example", "type": "work"}],
})
created = users_create.sync_detailed(client=client, body=bob)
assert created.status_code == 201, created.content
user = created.parsed

read = users_get.sync(user.id, client=client)
assert read.user_name == "bob@python.example"
assert read.emails[0].value == "bob@python.example"

change = PatchOp.from_dict({
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "replace", "path": "name.familyName", "value": "Patched"}],
})
patched = users_patch.sync_detailed(user.id, client=client, body=change)
assert patched.status_code == 200, patched.content
assert patched.parsed.name.family_name == "Patched"

found = users_list.sync(client=client, filter_='userName eq "bob@python.example"')
assert found.total_results == 1
assert found.resources[0].id == user.id

missing = users_get.sync_detailed("nobody", client=client)
assert missing.status_code == 404
assert isinstance(missing.parsed, Error) and missing.parsed.status == "404"
print("Python: 5 requests with the answers that openapi.json describes")
