//! Gives the command line its version, with the commit where one is known: `0.1.0 (2bb3c78a4d1e)`.
//!
//! `ROLLCALL_COMMIT` names the commit. Without it an optimised build of a clone asks git, and a development build names
//! none, so that a commit alone compiles nothing again. The Lambda binary has no version: its bytes are those of its code.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=ROLLCALL_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    if variable("CARGO_FEATURE_LOCAL").is_none() {
        return;
    }
    let commit = variable("ROLLCALL_COMMIT").or_else(commit_of_clone).filter(|commit| !commit.is_empty());
    let version = variable("CARGO_PKG_VERSION").unwrap_or_default();
    let version = commit.map_or(version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo::rustc-env=ROLLCALL_VERSION={version}");
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The commit that this folder is a clone at, with `-dirty` if files differ from it. An unpacked archive has none, even
/// where a folder above it is a clone of something else.
fn commit_of_clone() -> Option<String> {
    if variable("PROFILE").as_deref() != Some("release") || !Path::new(".git").exists() {
        return None;
    }
    for file in ["logs/HEAD", "index"] {
        println!("cargo::rerun-if-changed={}", git(&["rev-parse", "--git-path", file])?);
    }
    println!("cargo::rerun-if-changed=src");
    git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}
