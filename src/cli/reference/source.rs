//! Pages from the doc comments of the source: limits, deviations, and the parameters of the template.

use std::fmt::Write;

/// An item of a source file with its documentation, as one paragraph.
struct Documented<'s> {
    /// The line that declares it.
    declaration: &'s str,
    text: String,
}

/// The items of a file that have documentation, in the file's order.
fn documented<'s>(source: &'s str, start: &str) -> Vec<Documented<'s>> {
    let (mut items, mut text) = (Vec::new(), Vec::new());
    for line in source.lines().take_while(|line| *line != "#[cfg(test)]") {
        if let Some(comment) = line.strip_prefix("///") {
            text.push(comment.trim());
        } else {
            if line.starts_with(start) && !text.is_empty() {
                items.push(Documented { declaration: line, text: text.join(" ") });
            }
            text.clear();
        }
    }
    items
}

/// Links of doc comments lead nowhere on a page.
fn unlinked(text: &str) -> String {
    text.replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

/// `docs/src/reference/limits.md`.
pub(super) fn limits() -> String {
    let mut page = String::from(
        "# Limits\n\nAfter this page you know every bound of Rollcall and its reason.\n\n\
         The source is `src/limits.rs` and `src/limits/operations.rs`. [Errors](errors.md) lists the answers to what exceeds a bound.\n\n\
         | Name | Value | What it bounds, and why |\n|---|---|---|\n",
    );
    let sources = [include_str!("../../limits.rs"), include_str!("../../limits/operations.rs")];
    for item in sources.into_iter().flat_map(|source| documented(source, "pub const ")) {
        let declaration = item.declaration.trim_start_matches("pub const ").trim_end_matches(';');
        let (name, rest) = declaration.split_once(':').unwrap_or((declaration, ""));
        let value = rest.split_once('=').map_or("", |(_, value)| value.trim());
        let _ = writeln!(page, "| `{name}` | {} | {} |", number(value), unlinked(&item.text));
    }
    page
}

/// A value as people read it: `256 * 1024` is 262,144, `1_000` is 1,000.
fn number(value: &str) -> String {
    let factors: Option<Vec<u64>> = value.split('*').map(|part| part.trim().replace('_', "").parse().ok()).collect();
    let Some(factors) = factors else { return format!("`{value}`") };
    let digits = factors.iter().product::<u64>().to_string();
    let places = digits.chars().enumerate().flat_map(|(at, digit)| {
        let is_group = at > 0 && (digits.len() - at).is_multiple_of(3);
        is_group.then_some(',').into_iter().chain([digit])
    });
    places.collect()
}

/// `docs/src/reference/client-deviations.md`.
pub(super) fn deviations() -> String {
    let mut page = String::from(
        "# Client deviations\n\nAfter this page you know where clients depart from the RFCs, and what Rollcall does.\n\n\
         Each rule is a function of `src/scim/deviation.rs`, with its clients, its source and its test.\n\
         *entra-docs* is MicrosoftDocs/entra-docs; *okta-dev* is okta/okta-developer-docs.\n",
    );
    for item in documented(include_str!("../../scim/deviation.rs"), "pub fn ") {
        let name = item.declaration.trim_start_matches("pub fn ").split(['(', '<']).next().unwrap_or_default();
        let (title, text) = match item.text.strip_prefix("**").and_then(|rest| rest.split_once(".**")) {
            Some((title, text)) => (title.to_owned(), text.trim()),
            None => continue,
        };
        let _ = write!(page, "\n## {title}\n\n{}\n\nFunction: `{name}`.\n", text.replace("[`", "`").replace("`]", "`"));
    }
    page
}

/// `docs/src/reference/settings.md`.
pub(super) fn settings() -> String {
    let mut page = String::from(
        "# Settings of a deployment\n\nAfter this page you can choose the parameters of your stack.\n\n\
         `template.yaml` declares them. Pass them with `sam deploy --parameter-overrides NAME=VALUE`.\n\
         [The guide to deployment](../operate/deploy.md) has the commands.\n\n\
         | Parameter | Default | Allowed | Meaning |\n|---|---|---|---|\n",
    );
    let template = include_str!("../../../template.yaml");
    let section = template.lines().skip_while(|line| *line != "Parameters:").skip(1);
    let (mut name, mut fields) = ("", Vec::new());
    for line in section.take_while(|line| line.is_empty() || line.starts_with(' ')).chain(["  :"]) {
        let is_name = line.starts_with("  ") && !line.starts_with("   ");
        match line.trim().split_once(':') {
            Some((next, _)) if is_name => {
                if !name.is_empty() {
                    page.push_str(&parameter(name, &fields));
                }
                (name, fields) = (next, Vec::new());
            }
            Some((field, value)) => fields.push((field, value.trim())),
            None => {}
        }
    }
    page
}

fn parameter(name: &str, fields: &[(&str, &str)]) -> String {
    let field = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| *value);
    let allowed = match (field("MinValue"), field("MaxValue")) {
        ("", "") => field("AllowedValues").trim_matches(['[', ']']).to_owned(),
        (least, most) => format!("{least} to {most}"),
    };
    let default = match field("Default").trim_matches('"') {
        "" => "none".to_owned(),
        value => format!("`{value}`"),
    };
    format!("| `{name}` | {default} | {allowed} | {} |\n", field("Description"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_for_people() {
        assert_eq!(number("1024 * 1024"), "1,048,576");
        assert_eq!(number("1_000"), "1,000");
        assert_eq!(number("32"), "32");
        assert_eq!(number("MAX_PAGE / 2"), "`MAX_PAGE / 2`");
    }
}
