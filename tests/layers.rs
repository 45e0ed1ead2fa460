//! Who may know whom: the directions of ARCHITECTURE.md, read from the source.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Names that occur in a file's code, outside comments and below its own tests.
fn code(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn forbid(ring: &str, names: &[&str], except: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    let within: Vec<_> = files
        .iter()
        .map(|file| (file, file.strip_prefix(&root).unwrap().to_str().unwrap()))
        .filter(|(_, name)| name.starts_with(ring) && !except.iter().any(|allowed| name.starts_with(allowed)))
        .collect();
    assert!(!within.is_empty());
    for (file, name) in within {
        for forbidden in names {
            assert!(!code(file).contains(forbidden), "{name} names {forbidden}");
        }
    }
}

#[test]
fn the_protocol_knows_no_aws_no_http_no_runtime_and_nothing_else_of_ours() {
    forbid(
        "scim",
        &[
            "aws_",
            "http::",
            "hyper",
            "lambda",
            "tokio",
            "futures",
            "crate::store",
            "crate::api",
            "crate::auth",
            "crate::app",
            "std::env",
            "::now(",
        ],
        &[],
    );
}

#[test]
fn the_store_alone_and_the_binaries_speak_to_aws() {
    forbid("", &["aws_sdk", "aws_smithy", "aws_config", "aws_credential", "dynoxide"], &["store", "bin", "fetch"]);
}

#[test]
fn only_the_binary_of_lambda_knows_lambda() {
    forbid("", &["lambda_http"], &["api", "bin/lambda"]);
}

#[test]
fn the_store_knows_neither_http_routes_nor_handlers() {
    forbid("store", &["crate::api", "crate::app", "crate::cli"], &[]);
}

#[test]
fn authentication_knows_no_store() {
    forbid("auth", &["crate::store", "crate::api", "http::"], &[]);
}

#[test]
fn binaries_only_wire() {
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin")) {
        assert!(code(&file).lines().count() < 120, "{} does more than wire", file.display());
    }
}

#[test]
fn every_limit_is_in_the_readme() {
    let read = |file: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (limits, readme) = (read("src/limits.rs"), read("README.md"));
    let names = limits.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "the README does not list {name}");
    }
}
