//! `rollcall user` and `rollcall group`: what a tenant has, by the filters that its clients send.

use clap::{Args, Subcommand};
use form_urlencoded::Serializer;
use http::Method;
use serde_json::{Map, Value, json};

use super::operator::{OperatorClient, OperatorOptions};
use super::output::{items, text};
use crate::limits::{DEFAULT_PAGE, MAX_MEMBERSHIPS_PAGE, MAX_OR_BRANCHES, MAX_PAGE};
use crate::tenant::TenantName;

mod table;

/// Printed below the help of `user list`.
const USER_LIST_EXAMPLES: &str = "\
Examples:
  rollcall user list acme
  rollcall user list acme --filter 'active eq false' --all
  rollcall user list acme --attributes userName,name.familyName,title --sort-by name.familyName
  rollcall user list acme --all --json | jq -r '.Resources[].userName'";

/// Printed below the help of `user get`.
const USER_GET_EXAMPLES: &str = "\
Examples:
  rollcall user get acme anna@acme.example
  rollcall user get acme 2819c223-7f76-453a-919d-413861904646 --json";

/// Printed below the help of `user find`.
const USER_FIND_EXAMPLES: &str = "\
Examples:
  rollcall user find acme anna@acme.example
  rollcall user find acme ann

Rollcall compares the text with userName, e-mail addresses, externalId and id. If nobody has it, Rollcall lists
whose userName begins with it, and then whose displayName contains it.";

/// Printed below the help of `group list`.
const GROUP_LIST_EXAMPLES: &str = "\
Examples:
  rollcall group list acme
  rollcall group list acme --filter 'members.value eq \"2819c223-7f76-453a-919d-413861904646\"'";

/// Printed below the help of `group get`.
const GROUP_GET_EXAMPLES: &str = "\
Examples:
  rollcall group get acme 'Tour Guides'
  rollcall group get acme e9e30dba-f08f-4109-8486-d5c6a331660a --members 5000
  rollcall group get acme 'Tour Guides' --members 0 --json";

/// Printed below the help of `group find`.
const GROUP_FIND_EXAMPLES: &str = "\
Examples:
  rollcall group find acme 'Tour Guides'
  rollcall group find acme guide

Rollcall compares the text with displayName, externalId and id. If no group has it, Rollcall lists the groups
whose displayName contains it.";

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List the users of a tenant, by a filter if there is one
    #[command(after_help = USER_LIST_EXAMPLES)]
    List(ListOptions),
    /// Show a user with all attributes and groups
    #[command(after_help = USER_GET_EXAMPLES)]
    Get {
        #[command(flatten)]
        name: NameOptions,
    },
    /// Find users by a name, an address or an id
    #[command(after_help = USER_FIND_EXAMPLES)]
    Find(FindOptions),
}

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// List the groups of a tenant, by a filter if there is one
    #[command(after_help = GROUP_LIST_EXAMPLES)]
    List(ListOptions),
    /// Show a group with its members
    #[command(after_help = GROUP_GET_EXAMPLES)]
    Get {
        #[command(flatten)]
        name: NameOptions,
        /// Show at most this many members
        #[arg(long, value_name = "N", default_value_t = DEFAULT_PAGE)]
        members: usize,
    },
    /// Find groups by a name or an id
    #[command(after_help = GROUP_FIND_EXAMPLES)]
    Find(FindOptions),
}

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    /// The tenant
    tenant: TenantName,
    /// A SCIM filter, such as 'active eq false' or 'userName sw "an"'
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// List at most this many
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PAGE)]
    count: usize,
    /// Begin with this one; the first is 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    start: u32,
    /// List all of them, in the order of their ids
    #[arg(long, conflicts_with_all = ["count", "start", "sort_by"])]
    all: bool,
    /// Sort by an attribute, such as userName
    #[arg(long, value_name = "ATTRIBUTE")]
    sort_by: Option<String>,
    /// Sort from the last to the first
    #[arg(long, requires = "sort_by")]
    descending: bool,
    /// The attributes to print, separated by commas, such as userName,name.familyName
    #[arg(long, value_name = "ATTRIBUTES", value_delimiter = ',')]
    attributes: Vec<String>,
    /// Print JSON: a SCIM ListResponse
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Args)]
pub(super) struct NameOptions {
    /// The tenant
    tenant: TenantName,
    /// Its id or its name: the userName of a user, the displayName of a group
    #[arg(value_name = "ID|NAME")]
    name: String,
    /// Print JSON: the SCIM resource
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Args)]
pub(super) struct FindOptions {
    /// The tenant
    tenant: TenantName,
    /// A whole name, address or id, or a part of a name
    text: String,
    /// Print JSON: a SCIM ListResponse
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorOptions,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DirectoryKind {
    User,
    Group,
}

impl DirectoryKind {
    /// Its part of the path in the admin API; a word for several of them.
    fn plural(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Group => "groups",
        }
    }

    fn singular(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    /// The attribute by which people call it.
    fn name_attribute(self) -> &'static str {
        match self {
            Self::User => "userName",
            Self::Group => "displayName",
        }
    }

    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::User => &["id", "userName", "displayName", "active", "emails"],
            Self::Group => &["id", "displayName", "externalId", "meta.lastModified"],
        }
    }

    /// What is asked for of each: what the table has, or all but the members, who may be many.
    fn projection(self, json: bool) -> Option<(&'static str, String)> {
        match (json, self) {
            (false, _) => Some(("attributes", self.columns().join(","))),
            (true, Self::User) => None,
            (true, Self::Group) => Some(("excludedAttributes", "members".to_owned())),
        }
    }

    /// Filters to find a text by, the closest first: each is tried if those before it find nothing.
    fn searches(self, sought: &str) -> Vec<String> {
        let text = Value::from(sought);
        let any =
            |names: &[&str]| names.iter().map(|name| format!("{name} eq {text}")).collect::<Vec<_>>().join(" or ");
        match self {
            Self::User => vec![
                any(&["userName", "emails.value", "externalId", "id"]),
                format!("userName sw {text}"),
                format!("displayName co {text}"),
            ],
            Self::Group => vec![any(&["displayName", "externalId", "id"]), format!("displayName co {text}")],
        }
    }
}

/// The users or groups of a tenant, and the way to them.
struct TenantDirectory {
    client: OperatorClient,
    name: TenantName,
    kind: DirectoryKind,
}

pub(super) async fn user(command: UserCommand) -> Result<(), String> {
    match command {
        UserCommand::List(options) => list(options, DirectoryKind::User).await,
        UserCommand::Get { name } => get(name, DirectoryKind::User, 0).await,
        UserCommand::Find(options) => find(options, DirectoryKind::User).await,
    }
}

pub(super) async fn group(command: GroupCommand) -> Result<(), String> {
    match command {
        GroupCommand::List(options) => list(options, DirectoryKind::Group).await,
        GroupCommand::Get { name, members } => get(name, DirectoryKind::Group, members).await,
        GroupCommand::Find(options) => find(options, DirectoryKind::Group).await,
    }
}

async fn list(options: ListOptions, kind: DirectoryKind) -> Result<(), String> {
    let ListOptions { tenant, filter, count, start, all, sort_by, descending, attributes, json, operator } = options;
    let tenant = TenantDirectory { client: operator.open().await?, name: tenant, kind };
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(filter.map(|filter| ("filter", filter)));
    query.extend(sort_by.map(|attribute| ("sortBy", attribute)));
    query.extend(descending.then(|| ("sortOrder", "descending".to_owned())));
    match attributes.is_empty() {
        true => query.extend(kind.projection(json)),
        false => query.push(("attributes", attributes.join(","))),
    }
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let (resources, total) = match all {
        true => tenant.all(&query).await?,
        false => tenant.page(&query, start, count).await?,
    };
    let listed = resources.len();
    print(kind, resources, total, &attributes, json);
    if total == 0 {
        errln!("{} has no such {}.", tenant.name, kind.plural());
    } else if listed < total && !all && listed > 0 {
        let (last, plural) = (start + listed - 1, kind.plural());
        errln!(
            "These are {plural} {start} to {last} of {total}. Continue with --start {}, or list all with --all.",
            last + 1
        );
    }
    Ok(())
}

async fn find(options: FindOptions, kind: DirectoryKind) -> Result<(), String> {
    let FindOptions { tenant, text, json, operator } = options;
    let tenant = TenantDirectory { client: operator.open().await?, name: tenant, kind };
    for filter in kind.searches(&text) {
        let mut query = vec![("filter", filter)];
        query.extend(kind.projection(json));
        let (resources, total) = tenant.page(&query, 1, DEFAULT_PAGE).await?;
        if resources.is_empty() {
            continue;
        }
        let listed = resources.len();
        print(kind, resources, total, &[], json);
        if listed < total {
            errln!(
                "These are the first {listed} of {total}. Pass a longer text, or use rollcall {} list.",
                kind.singular()
            );
        }
        return Ok(());
    }
    let (singular, name) = (kind.singular(), &tenant.name);
    Err(format!("no {singular} of {name} has {text}; shorten the text, or list all: rollcall {singular} list {name}"))
}

async fn get(options: NameOptions, kind: DirectoryKind, members: usize) -> Result<(), String> {
    let NameOptions { tenant, name, json, operator } = options;
    let tenant = TenantDirectory { client: operator.open().await?, name: tenant, kind };
    let quoted = Value::from(name.as_str());
    let mut query = vec![("filter", format!("id eq {quoted} or {} eq {quoted}", kind.name_attribute()))];
    if kind == DirectoryKind::Group {
        query.push(("excludedAttributes", "members".to_owned()));
    }
    let (resources, _) = tenant.page(&query, 1, 1).await?;
    let Some(mut resource) = resources.into_iter().next() else {
        let (singular, tenant) = (kind.singular(), &tenant.name);
        return Err(format!(
            "no {singular} of {tenant} is called {name}; search: rollcall {singular} find {tenant} TEXT"
        ));
    };
    let (of_group, has_more) = match kind {
        DirectoryKind::User => (Vec::new(), false),
        DirectoryKind::Group => tenant.members(text(&resource, "id"), members).await?,
    };
    if let (true, Some(fields)) = (json && members > 0, resource.as_object_mut()) {
        fields.insert("members".to_owned(), of_group.clone().into());
    }
    match json {
        true => outln!("{resource:#}"),
        false => {
            outln!("{}", table::of_resource(&resource));
            if !of_group.is_empty() {
                outln!("\n{}", table::of_list(&of_group, &["value", "type", "display"].map(str::to_owned)));
            }
        }
    }
    if has_more {
        errln!("These are the first {} members. Show more with --members N.", of_group.len());
    }
    Ok(())
}

/// Prints a list.
fn print(kind: DirectoryKind, resources: Vec<Value>, total: usize, attributes: &[String], json: bool) {
    let columns = match attributes {
        [] => kind.columns().iter().map(|name| (*name).to_owned()).collect(),
        chosen => chosen.to_vec(),
    };
    match json {
        true => outln!(
            "{:#}",
            json!({
                "schemas": [crate::scim::LIST_URN],
                "totalResults": total,
                "itemsPerPage": resources.len(),
                "Resources": resources,
            })
        ),
        false => outln!("{}", table::of_list(&resources, &columns)),
    }
}

impl TenantDirectory {
    async fn ask(&self, path: &str, query: &[(&str, String)]) -> Result<Value, String> {
        let query = Serializer::new(String::new()).extend_pairs(query).finish();
        self.client.ask(Method::GET, &format!("/tenants/{}/{path}?{query}", self.name), None).await
    }

    /// So many, from a place on, and how many there are in all.
    async fn page(&self, query: &[(&str, String)], start: usize, count: usize) -> Result<(Vec<Value>, usize), String> {
        let mut resources = Vec::new();
        loop {
            let wanted = (count - resources.len()).min(MAX_PAGE);
            let mut query = query.to_vec();
            query.push(("startIndex", (start + resources.len()).to_string()));
            query.push(("count", wanted.to_string()));
            let answer = self.ask(self.kind.plural(), &query).await?;
            let total = answer.get("totalResults").and_then(Value::as_u64).unwrap_or_default();
            let total = usize::try_from(total).unwrap_or(usize::MAX);
            let before = resources.len();
            resources.extend(items(&answer, "Resources").cloned());
            let is_end = resources.len() == before || resources.len() >= count || start + resources.len() > total;
            if is_end {
                return Ok((resources, total));
            }
        }
    }

    /// All of them, page by page.
    async fn all(&self, query: &[(&str, String)]) -> Result<(Vec<Value>, usize), String> {
        let mut resources = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut query = query.to_vec();
            query.push(("count", MAX_PAGE.to_string()));
            query.push(("cursor", std::mem::take(&mut cursor)));
            let answer = self.ask(self.kind.plural(), &query).await?;
            resources.extend(items(&answer, "Resources").cloned());
            match answer.get("nextCursor").and_then(Value::as_str) {
                Some(next) => next.clone_into(&mut cursor),
                None => {
                    let total = resources.len();
                    return Ok((resources, total));
                }
            }
        }
    }

    /// The first members of a group with their names, and whether there are more.
    async fn members(&self, group: &str, wanted: usize) -> Result<(Vec<Value>, bool), String> {
        let mut members = Vec::new();
        let mut cursor = String::new();
        while members.len() < wanted {
            let count = wanted.min(MAX_MEMBERSHIPS_PAGE).to_string();
            let path = format!("groups/{}/members", super::segment(group));
            let answer = self.ask(&path, &[("count", count), ("cursor", cursor)]).await?;
            members.extend(items(&answer, "Resources").filter_map(|found| found.get("member").cloned()));
            cursor = answer.get("nextCursor").and_then(Value::as_str).unwrap_or_default().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        let has_more = members.len() > wanted || !cursor.is_empty();
        members.truncate(wanted);
        self.name_members(&mut members).await?;
        Ok((members, has_more && wanted > 0))
    }

    /// Adds to each member how people call it.
    async fn name_members(&self, members: &mut [Value]) -> Result<(), String> {
        for part in members.chunks_mut(MAX_OR_BRANCHES) {
            for kind in [DirectoryKind::User, DirectoryKind::Group] {
                let is_of_kind = |member: &Value| (text(member, "type") == "Group") == (kind == DirectoryKind::Group);
                let of_kind = part.iter().filter(|member| is_of_kind(member));
                let filter: Vec<_> =
                    of_kind.map(|member| format!("id eq {}", Value::from(text(member, "value")))).collect();
                if filter.is_empty() {
                    continue;
                }
                let attribute = kind.name_attribute();
                let query = [("filter", filter.join(" or ")), ("attributes", attribute.to_owned())];
                let answer = self.ask(kind.plural(), &query).await?;
                let names: Map<String, Value> = items(&answer, "Resources")
                    .map(|found| (text(found, "id").to_owned(), Value::from(text(found, attribute))))
                    .collect();
                part.iter_mut().for_each(|member| set_display(member, &names));
            }
        }
        Ok(())
    }
}

/// Adds its name to a member, if it is one of these.
fn set_display(member: &mut Value, names: &Map<String, Value>) {
    let name = names.get(text(member, "value")).cloned();
    if let (Some(fields), Some(name)) = (member.as_object_mut(), name) {
        fields.insert("display".to_owned(), name);
    }
}
