//! The tables and what may be done to them, as data: created locally from it, compared with the template.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, LocalSecondaryIndex, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Key records and tenant records.
    Keys,
    /// Access tokens of OAuth clients, of an hour each.
    Tokens,
    /// Users, one item each, keyed by the folded `userName`.
    Users,
    /// Groups, one item each, without their members.
    Groups,
    /// What an index cannot hold: members of groups, names of groups, a user's further e-mail addresses.
    Links,
    /// What has happened to users and groups, in order.
    Changes,
}

/// Lookup of a user by `id`.
pub const BY_ID: &str = "byId";
/// Lookup of a user by `externalId`.
pub const BY_EXTERNAL_ID: &str = "byExternalId";
/// Lookup of a user by its first e-mail address.
pub const BY_EMAIL: &str = "byEmail";

/// Users by the hour of their last change: an index of the instant itself would cost every change two writes more.
pub const BY_HOUR: &str = "byHour";

/// An index that nothing uses yet. A local index can be created with its table alone, and one costs nothing as long as no
/// item has its attribute.
const SPARE: (&str, &str) = ("bySpare", "spare");
/// Another one.
const SECOND_SPARE: (&str, &str) = ("bySpare2", "spare2");

/// Lookup of a group by `displayName`.
pub const BY_NAME: &str = "byName";

/// How the partition of a tenant's admin actions ends, in table `changes`.
pub const ADMIN_LANE: &str = "#a";
/// How the partition of a tenant's deletions ends: who deleted what.
pub const DELETION_LANE: &str = "#d";
/// How the partition of a tenant's refused requests ends.
pub const REFUSAL_LANE: &str = "#r";

/// Key attributes of a table, and its local secondary indexes: name and sort key. All hold keys only, so that a
/// change of the document costs no index write.
#[derive(Debug, Clone, Copy)]
pub struct TableDefinition {
    /// Which table.
    pub table: Table,
    /// Partition key.
    pub partition: &'static str,
    /// Sort key.
    pub sort: &'static str,
    /// Local secondary indexes.
    pub indexes: &'static [(&'static str, &'static str)],
    /// Whether the worker follows its changes where the engine is embedded. What it follows in the cloud besides, the
    /// template says.
    pub is_followed: bool,
    /// Whether items end by themselves, at the time in their attribute `ttl`.
    pub has_ttl: bool,
}

/// Every table.
pub const DEFINITIONS: &[TableDefinition] = &[
    TableDefinition {
        table: Table::Keys,
        partition: "tenant",
        sort: "keyId",
        indexes: &[],
        is_followed: false,
        has_ttl: false,
    },
    TableDefinition {
        table: Table::Tokens,
        partition: "tenant",
        sort: "tokenId",
        indexes: &[],
        is_followed: false,
        has_ttl: true,
    },
    TableDefinition {
        table: Table::Users,
        partition: "tenant",
        sort: "userName",
        indexes: &[(BY_ID, "id"), (BY_EXTERNAL_ID, "externalId"), (BY_EMAIL, "email"), (BY_HOUR, "hour"), SPARE],
        is_followed: true,
        has_ttl: false,
    },
    TableDefinition {
        table: Table::Groups,
        partition: "tenant",
        sort: "id",
        indexes: &[(BY_NAME, "name"), (BY_EXTERNAL_ID, "externalId"), (BY_HOUR, "hour"), SPARE, SECOND_SPARE],
        is_followed: true,
        has_ttl: false,
    },
    TableDefinition {
        table: Table::Links,
        partition: "pk",
        sort: "sk",
        indexes: &[],
        is_followed: false,
        has_ttl: true,
    },
    TableDefinition {
        table: Table::Changes,
        partition: "pk",
        sort: "sk",
        indexes: &[],
        is_followed: false,
        has_ttl: true,
    },
];

impl Table {
    /// Every table.
    pub const ALL: [Self; 6] = [Self::Keys, Self::Tokens, Self::Users, Self::Groups, Self::Links, Self::Changes];

    /// The name in the environment variable `<NAME>_TABLE`, in the template, and after the prefix of a local table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Tokens => "tokens",
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Links => "links",
            Self::Changes => "changes",
        }
    }

    /// The environment variable that names the table.
    pub fn variable(self) -> String {
        format!("{}_TABLE", self.as_str().to_ascii_uppercase())
    }
}

/// The names of one deployment's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableNames([String; Table::ALL.len()]);

impl TableNames {
    /// Names from a function of the table.
    pub fn each<E>(name: impl FnMut(Table) -> Result<String, E>) -> Result<Self, E> {
        let names = Table::ALL.into_iter().map(name).collect::<Result<Vec<_>, E>>()?;
        Ok(Self(names.try_into().unwrap_or_default()))
    }

    /// `<prefix>-keys`, `<prefix>-users` and so on.
    pub fn prefixed(prefix: &str) -> Self {
        Self(Table::ALL.map(|table| format!("{prefix}-{}", table.as_str())))
    }

    /// The name of a table.
    pub fn of(&self, table: Table) -> &str {
        let [keys, tokens, users, groups, links, changes] = &self.0;
        match table {
            Table::Keys => keys,
            Table::Tokens => tokens,
            Table::Users => users,
            Table::Groups => groups,
            Table::Links => links,
            Table::Changes => changes,
        }
    }
}

/// What a route may do to a table: the row of an IAM policy, and what the tests' connector lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TablePermission {
    /// The table.
    pub table: Table,
    /// The action, without `dynamodb:`.
    pub action: &'static str,
    /// The index, if the action is on one.
    pub index: Option<&'static str>,
    /// The attributes that a request may name, the key's included, if not all: a condition of the policy's statement. Such
    /// a request may not ask for the item that it meets either.
    pub attributes: Option<&'static [&'static str]>,
    /// How the partition key of each item ends, if not in any way: a condition of the policy's statement.
    pub lane: Option<&'static str>,
}

/// What a function may do to the tables: the union of lists, each of which is one kind of operation.
pub type AccessList = &'static [&'static [TablePermission]];

const fn access(table: Table, action: &'static str, index: Option<&'static str>) -> TablePermission {
    TablePermission { table, action, index, attributes: None, lane: None }
}

const fn put_of_changes(lane: &'static str) -> TablePermission {
    TablePermission { lane: Some(lane), ..TablePermission::CHANGES_PUT }
}

const fn update_of_tokens(attributes: &'static [&'static str]) -> TablePermission {
    TablePermission { attributes: Some(attributes), ..TablePermission::TOKENS_UPDATE }
}

const fn update_of_keys(attributes: &'static [&'static str]) -> TablePermission {
    TablePermission { attributes: Some(attributes), ..TablePermission::KEYS_UPDATE }
}

#[allow(missing_docs, reason = "the names say it")]
impl TablePermission {
    pub const KEYS_GET: Self = access(Table::Keys, "GetItem", None);
    pub const KEYS_BATCH_GET: Self = access(Table::Keys, "BatchGetItem", None);
    pub const KEYS_PUT: Self = access(Table::Keys, "PutItem", None);
    pub const KEYS_UPDATE: Self = access(Table::Keys, "UpdateItem", None);
    pub const KEYS_UPDATE_LAST_USED: Self = update_of_keys(&["tenant", "keyId", "used", "refill"]);
    pub const KEYS_REVOKE: Self = update_of_keys(&["tenant", "keyId", "used", "revoked"]);
    pub const KEYS_CHECK: Self = access(Table::Keys, "ConditionCheckItem", None);
    pub const KEYS_QUERY: Self = access(Table::Keys, "Query", None);
    pub const KEYS_BATCH_WRITE: Self = access(Table::Keys, "BatchWriteItem", None);
    pub const KEYS_SCAN: Self = access(Table::Keys, "Scan", None);
    pub const TOKENS_GET: Self = access(Table::Tokens, "GetItem", None);
    pub const TOKENS_PUT: Self = access(Table::Tokens, "PutItem", None);
    pub const TOKENS_UPDATE: Self = access(Table::Tokens, "UpdateItem", None);
    pub const TOKENS_QUERY: Self = access(Table::Tokens, "Query", None);
    pub const TOKENS_BATCH_WRITE: Self = access(Table::Tokens, "BatchWriteItem", None);
    pub const USERS_BATCH_WRITE: Self = access(Table::Users, "BatchWriteItem", None);
    pub const GROUPS_BATCH_WRITE: Self = access(Table::Groups, "BatchWriteItem", None);
    pub const LINKS_BATCH_WRITE: Self = access(Table::Links, "BatchWriteItem", None);
    pub const TOKENS_CHECK: Self = access(Table::Tokens, "ConditionCheckItem", None);
    pub const TOKENS_UPDATE_SEEN: Self = update_of_tokens(&["tenant", "tokenId", "seen"]);
    pub const TOKENS_UPDATE_SESSION: Self =
        update_of_tokens(&["tenant", "tokenId", "seen", "used", "ended", "revoked"]);
    pub const TOKENS_REVOKE_LINK: Self = update_of_tokens(&["tenant", "tokenId", "used", "revoked"]);
    pub const USERS_GET: Self = access(Table::Users, "GetItem", None);
    pub const USERS_BATCH_GET: Self = access(Table::Users, "BatchGetItem", None);
    pub const USERS_PUT: Self = access(Table::Users, "PutItem", None);
    pub const USERS_UPDATE: Self = access(Table::Users, "UpdateItem", None);
    pub const USERS_DELETE: Self = access(Table::Users, "DeleteItem", None);
    pub const USERS_CHECK: Self = access(Table::Users, "ConditionCheckItem", None);
    pub const USERS_QUERY: Self = access(Table::Users, "Query", None);
    pub const USERS_BY_ID: Self = access(Table::Users, "Query", Some(BY_ID));
    pub const USERS_BY_EXTERNAL_ID: Self = access(Table::Users, "Query", Some(BY_EXTERNAL_ID));
    pub const USERS_BY_EMAIL: Self = access(Table::Users, "Query", Some(BY_EMAIL));
    pub const USERS_BY_HOUR: Self = access(Table::Users, "Query", Some(BY_HOUR));
    pub const GROUPS_GET: Self = access(Table::Groups, "GetItem", None);
    pub const GROUPS_BATCH_GET: Self = access(Table::Groups, "BatchGetItem", None);
    pub const GROUPS_QUERY: Self = access(Table::Groups, "Query", None);
    pub const GROUPS_PUT: Self = access(Table::Groups, "PutItem", None);
    pub const GROUPS_UPDATE: Self = access(Table::Groups, "UpdateItem", None);
    pub const GROUPS_CHECK: Self = access(Table::Groups, "ConditionCheckItem", None);
    pub const GROUPS_DELETE: Self = access(Table::Groups, "DeleteItem", None);
    pub const GROUPS_BY_NAME: Self = access(Table::Groups, "Query", Some(BY_NAME));
    pub const GROUPS_BY_EXTERNAL_ID: Self = access(Table::Groups, "Query", Some(BY_EXTERNAL_ID));
    pub const LINKS_GET: Self = access(Table::Links, "GetItem", None);
    pub const LINKS_BATCH_GET: Self = access(Table::Links, "BatchGetItem", None);
    pub const LINKS_SCAN: Self = access(Table::Links, "Scan", None);
    pub const LINKS_QUERY: Self = access(Table::Links, "Query", None);
    pub const LINKS_PUT: Self = access(Table::Links, "PutItem", None);
    pub const LINKS_UPDATE: Self = access(Table::Links, "UpdateItem", None);
    pub const LINKS_CHECK: Self = access(Table::Links, "ConditionCheckItem", None);
    pub const LINKS_DELETE: Self = access(Table::Links, "DeleteItem", None);
    pub const CHANGES_BATCH_GET: Self = access(Table::Changes, "BatchGetItem", None);
    pub const CHANGES_QUERY: Self = access(Table::Changes, "Query", None);
    pub const CHANGES_PUT: Self = access(Table::Changes, "PutItem", None);
    pub const CHANGES_PUT_ADMIN_ACTION: Self = put_of_changes(ADMIN_LANE);
    pub const CHANGES_PUT_DELETION: Self = put_of_changes(DELETION_LANE);
    pub const CHANGES_PUT_REFUSAL: Self = put_of_changes(REFUSAL_LANE);
    pub const CHANGES_UPDATE: Self = access(Table::Changes, "UpdateItem", None);
    pub const CHANGES_BATCH_WRITE: Self = access(Table::Changes, "BatchWriteItem", None);
}

/// Creates the tables that are not there, and the streams of those that are. For local engines: in the cloud the
/// template does it.
///
/// # Errors
/// What the engine said.
pub async fn create_missing(client: &Client, names: &TableNames) -> Result<(), String> {
    for definition in DEFINITIONS {
        let name = names.of(definition.table);
        match create(client, definition, name).await {
            Err((Some(code), _)) if code == "ResourceInUseException" => {
                if definition.is_followed {
                    follow(client, name).await?;
                }
            }
            Err((_, context)) => return Err(context),
            Ok(()) => {}
        }
        if definition.has_ttl {
            expire(client, name).await;
        }
    }
    Ok(())
}

/// Has the items of a table end at their time. Engines that do not know how keep them: no reader gets what has ended.
async fn expire(client: &Client, name: &str) {
    let end = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build();
    let Ok(end) = end else { return };
    // Also refused where it is so already.
    let _ = client.update_time_to_live().table_name(name).time_to_live_specification(end).send().await;
}

/// Switches the stream of a table on, where a release before this one has created the table without.
async fn follow(client: &Client, name: &str) -> Result<(), String> {
    let described = client.describe_table().table_name(name).send().await;
    let described = described.map_err(|e| DisplayErrorContext(&e).to_string())?;
    if described.table().and_then(|table| table.stream_specification()).is_some_and(|stream| stream.stream_enabled()) {
        return Ok(());
    }
    let stream = stream_of_images().map_err(|e| e.to_string())?;
    let switched = client.update_table().table_name(name).stream_specification(stream).send().await;
    switched.map(drop).map_err(|e| DisplayErrorContext(&e).to_string())
}

fn stream_of_images() -> Result<StreamSpecification, aws_sdk_dynamodb::error::BuildError> {
    StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages).build()
}

async fn create(client: &Client, definition: &TableDefinition, name: &str) -> Result<(), (Option<String>, String)> {
    let build = |e: aws_sdk_dynamodb::error::BuildError| (None, e.to_string());
    let key = |attribute: &str, kind| KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build();
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key(definition.partition, KeyType::Hash).map_err(build)?)
        .key_schema(key(definition.sort, KeyType::Range).map_err(build)?);
    let indexed = definition.indexes.iter().map(|(_, attribute)| *attribute);
    for attribute in [definition.partition, definition.sort].into_iter().chain(indexed) {
        let attribute = AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::S);
        request = request.attribute_definitions(attribute.build().map_err(build)?);
    }
    for (index, attribute) in definition.indexes {
        let index = LocalSecondaryIndex::builder()
            .index_name(*index)
            .key_schema(key(definition.partition, KeyType::Hash).map_err(build)?)
            .key_schema(key(attribute, KeyType::Range).map_err(build)?)
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
        request = request.local_secondary_indexes(index.build().map_err(build)?);
    }
    if definition.is_followed {
        request = request.stream_specification(stream_of_images().map_err(build)?);
    }
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error) => Err((error.code().map(str::to_owned), DisplayErrorContext(&error).to_string())),
    }
}
