import { existsSync, readFileSync, writeFileSync } from "node:fs";

type State = { cursor: string; users: Record<string, string>; members: string[] };
const { ROLLCALL_HOST: host, ROLLCALL_TENANT: tenant, ROLLCALL_KEY: key, ONCE: once } = process.env;
const expired = { events: [{ type: "feed.reset", resource: { id: "" } }] };

async function get(path: string, query: Record<string, string>): Promise<any> {
  const url = `${host}/${tenant}${path}?${new URLSearchParams(query)}`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${key}` } });
  if (answer.status === 410) return expired; // the cursor has expired
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

async function all(path: string, cursor = ""): Promise<any[]> {
  const page = await get(`/scim/v2${path}`, { count: "200", cursor });
  return page.Resources.concat(page.nextCursor ? await all(path, page.nextCursor) : []);
}

async function readAll(): Promise<State> {
  const { nextCursor: cursor } = await get("/events", { cursor: "now" }); // before the state: what changes meanwhile comes again
  const users = (await all("/Users")).map((user) => [user.id, user.meta.version]);
  const members = (await all("/GroupMembers")).map((row) => `${row.group.value} ${row.member.value}`);
  return { cursor, users: Object.fromEntries(users), members };
}

async function apply(state: State, { type, resource: { id, version }, user, memberGroup }: any): Promise<State> {
  const users = { ...state.users }, pair = `${id} ${(user ?? memberGroup)?.id}`;
  if (type === "feed.reset" || type === "feed.gap") return readAll();
  if (type === "user.deactivated" || type === "user.deleted") console.log("end the sessions and tokens of", id);
  const number = (version?: string) => Number(version?.slice(3, -1) ?? 0); // W/"7"
  if (type === "user.deleted") delete users[id];
  else if (type.startsWith("user.") && number(version) > number(users[id])) users[id] = version;
  const members = state.members.filter((one) => one !== pair && !(type.endsWith(".deleted") && one.includes(id)));
  if (type === "group.member_added") members.push(pair);
  return { ...state, users, members };
}

let state: State = existsSync("state.json") ? JSON.parse(readFileSync("state.json", "utf8")) : await readAll();
for (let isDone = false; !isDone; ) {
  const page = await get("/events", { cursor: state.cursor, wait: once ? "0" : "20" });
  state.cursor = page.nextCursor;
  for (const event of page.events) state = await apply(state, event);
  writeFileSync("state.json", JSON.stringify(state));
  isDone = once !== undefined && page.caughtUp === true;
}
