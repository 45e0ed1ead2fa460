//! What a path of the route table names: how many of which resource.

/// How many, or what else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetForm {
    /// All of a type, or of every type: `/Users`, `/`.
    Many,
    /// One resource: `/Users/{id}`, `/Me`, `/ServiceProviderConfig`.
    One,
    /// A query in a body: `/Users/.search`.
    Search,
    /// Several operations in a body: `/Bulk`.
    Bulk,
}

/// A path's place in SCIM.
#[derive(Debug)]
pub(super) struct OperationTarget {
    pub(super) form: TargetForm,
    /// The schema of the resource; `Resource` for one of any type.
    pub(super) kind: &'static str,
    /// The first segment, by which operations are grouped.
    pub(super) tag: &'static str,
    /// Whether the documents are those of RFC 7644 section 4, which are neither filtered nor sorted.
    pub(super) is_discovery: bool,
    /// Whether the resource has an `ETag`. A membership has none: it never changes.
    pub(super) is_versioned: bool,
}

impl OperationTarget {
    pub(super) fn of(path: &'static str) -> Self {
        let first = path.split('/').nth(1).unwrap_or_default();
        let kind = match first {
            "Users" | "Me" => "User",
            "Groups" => "Group",
            "GroupMembers" => "GroupMember",
            "ServiceProviderConfig" => "ServiceProviderConfig",
            "ResourceTypes" => "ResourceType",
            "Schemas" => "Schema",
            _ => "Resource",
        };
        Self {
            form: form(path),
            kind,
            tag: if first.is_empty() || first == ".search" { "All" } else { first },
            is_discovery: matches!(kind, "ServiceProviderConfig" | "ResourceType" | "Schema"),
            is_versioned: matches!(kind, "User" | "Group"),
        }
    }
}

fn form(path: &str) -> TargetForm {
    match path {
        "/Bulk" => TargetForm::Bulk,
        "/Me" | "/ServiceProviderConfig" => TargetForm::One,
        _ if path.ends_with("/.search") => TargetForm::Search,
        _ if path.ends_with("/{id}") => TargetForm::One,
        _ => TargetForm::Many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_how_many_of_what() {
        for (path, form, kind, tag) in [
            ("/Users", TargetForm::Many, "User", "Users"),
            ("/Groups/{id}", TargetForm::One, "Group", "Groups"),
            ("/ServiceProviderConfig", TargetForm::One, "ServiceProviderConfig", "ServiceProviderConfig"),
            ("/Schemas", TargetForm::Many, "Schema", "Schemas"),
            ("/Me", TargetForm::One, "User", "Me"),
            ("/", TargetForm::Many, "Resource", "All"),
            ("/.search", TargetForm::Search, "Resource", "All"),
            ("/GroupMembers/.search", TargetForm::Search, "GroupMember", "GroupMembers"),
            ("/Bulk", TargetForm::Bulk, "Resource", "Bulk"),
        ] {
            let place = OperationTarget::of(path);
            assert_eq!((place.form, place.kind, place.tag), (form, kind, tag), "{path}");
        }
    }
}
