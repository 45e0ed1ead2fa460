import { existsSync, readFileSync, writeFileSync } from "node:fs";

type State = { cursor: string; users: Record<string, string>; members: string[] };
type Resource = { id: string; version: string };
type Event = { type: string; resource: Resource; group?: Resource; user?: Resource; memberGroup?: Resource };

const { ROLLCALL_HOST: host, ROLLCALL_TENANT: tenant, ROLLCALL_KEY: key, ONCE: once } = process.env;
const file = "state.json";

async function get(path: string, query: Record<string, string>): Promise<any> {
  const url = `${host}/${tenant}${path}?${new URLSearchParams(query)}`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${key}` } });
  if (!answer.ok) throw Object.assign(new Error(await answer.text()), { status: answer.status });
  return answer.json();
}

async function all(path: string): Promise<any[]> {
  const found: any[] = [];
  for (let cursor: string | undefined = ""; cursor !== undefined; ) {
    const page: any = await get(`/scim/v2${path}`, { count: "200", cursor });
    found.push(...page.Resources);
    cursor = page.nextCursor;
  }
  return found;
}

async function readAll(): Promise<State> {
  const { nextCursor } = await get("/events", { cursor: "now" }); // before the state: what changes meanwhile comes again
  const users = (await all("/Users")).filter((user) => user.active !== false);
  const members = (await all("/GroupMembers")).map((row) => `${row.group.value} ${row.member.value}`);
  return { cursor: nextCursor, users: Object.fromEntries(users.map((user) => [user.id, user.meta.version])), members };
}

async function apply(state: State, { type, resource, group, user, memberGroup }: Event): Promise<State> {
  const members = new Set(state.members), users = { ...state.users };
  const number = (version: string) => Number(version.slice(3, -1)); // W/"7"
  if (type === "feed.reset" || type === "feed.gap") return readAll();
  if (type.startsWith("group.member_")) {
    const pair = `${group!.id} ${(user ?? memberGroup)!.id}`;
    if (type.endsWith("added")) members.add(pair);
    else members.delete(pair);
  } else if (type === "user.deactivated" || type === "user.deleted") {
    console.log("end the sessions and tokens of", resource.id);
    delete users[resource.id];
  } else if (type.startsWith("user.")) {
    const known = users[resource.id];
    if (!known || number(resource.version) > number(known)) users[resource.id] = resource.version;
  }
  const isLeft = (pair: string) => !type.endsWith(".deleted") || !pair.includes(resource.id);
  return { ...state, users, members: [...members].filter(isLeft).sort() };
}

let state: State = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : await readAll();
for (let isDone = false; !isDone; ) {
  try {
    const page = await get("/events", { cursor: state.cursor, wait: once ? "0" : "20" });
    state.cursor = page.nextCursor;
    for (const event of page.events) state = await apply(state, event);
    isDone = once !== undefined && page.caughtUp;
  } catch (error: any) {
    if (error.status !== 410) throw error; // the cursor has expired
    state = await readAll();
  }
  writeFileSync(file, JSON.stringify(state));
}
