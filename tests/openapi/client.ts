// The generated TypeScript client against a running endpoint: create, get, patch, list. `make clients` runs it.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./scim.js";

const { TENANT_URL, SECRET_TOKEN } = process.env;
const scim = createClient<paths>({
  baseUrl: TENANT_URL!,
  headers: { Authorization: `Bearer ${SECRET_TOKEN}`, "Content-Type": "application/scim+json" },
});

const bob: components["schemas"]["UserRequest"] = {
  schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
  userName: "bob@typescript.example",
  name: { familyName: "Typed" },
  emails: [{ value: "bob@typescript.example", type: "work" }],
};
const created = await scim.POST("/Users", { body: bob });
assert.equal(created.response.status, 201, JSON.stringify(created.error));
const id = created.data!.id;

const read = await scim.GET("/Users/{id}", { params: { path: { id } } });
assert.equal(read.data!.userName, "bob@typescript.example");
assert.equal(read.data!.emails?.[0]?.value, "bob@typescript.example");

const patched = await scim.PATCH("/Users/{id}", {
  params: { path: { id } },
  body: {
    schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    Operations: [{ op: "replace", path: "name.familyName", value: "Patched" }],
  },
});
assert.equal(patched.response.status, 200, JSON.stringify(patched.error));
assert.equal(patched.data!.name?.familyName, "Patched");

const filter = 'userName eq "bob@typescript.example"';
const list = await scim.GET("/Users", { params: { query: { filter } } });
assert.equal(list.data!.totalResults, 1);
assert.equal(list.data!.Resources?.[0]?.id, id);

const missing = await scim.GET("/Users/{id}", { params: { path: { id: "nobody" } } });
assert.equal(missing.response.status, 404);
assert.equal(missing.error!.status, "404");
console.log("TypeScript: 5 requests with the answers that openapi.json describes");
