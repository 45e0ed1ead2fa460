//! RFC 7643 and RFC 7644 as pure functions over JSON: no AWS, no HTTP, no clock.

pub mod bulk;
pub mod deviation;
pub mod discovery;
pub mod document;
pub mod equality;
pub mod error;
pub mod etag;
pub mod filter;
pub mod fold;
pub mod group;
pub mod group_member;
pub mod json;
pub mod list;
pub mod membership;
pub mod patch;
pub mod path;
pub mod projection;
pub mod resource;
pub mod schema;
pub mod sort;
pub mod user;
mod work;

pub use document::Document;
pub use error::{ErrorCode, ScimError, ScimType};
pub use schema::{Attribute, ResourceSchema, Schemas};

/// Schema URI of an error body (RFC 7644 section 3.12).
pub const ERROR_URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// Schema URI of a list of resources (RFC 7644 section 3.4.2).
pub const LIST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// Schema URI of a search (RFC 7644 section 3.4.3).
pub const SEARCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// Schema URI of the core User (RFC 7643 section 4.1).
pub const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// Schema URI of the core Group (RFC 7643 section 4.2).
pub const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// Schema URI of the enterprise extension (RFC 7643 section 4.3).
pub const ENTERPRISE_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
