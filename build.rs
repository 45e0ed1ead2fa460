//! Gives the command line its version, with the commit where one is known: `0.1.0 (2bb3c78a4d1e)`.
//!
//! `ROLLCALL_COMMIT` names the commit. Without it an optimised build of a clone asks git, and a development build names
//! none, so that a commit alone compiles nothing again. The Lambda binary has no version: its bytes are those of its code.
//!
//! Also writes what the engine reads of each schema, without what `/Schemas` alone publishes: a start reads a sixth.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "src/scim/schema";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-env-changed=ROLLCALL_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SCHEMAS}");
    write_definitions(&PathBuf::from(std::env::var("OUT_DIR")?).join("schema"))?;
    if variable("CARGO_FEATURE_LOCAL").is_some() {
        name_version();
    }
    Ok(())
}

/// Writes the definition of each schema into a folder, under the name of its file.
fn write_definitions(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(SCHEMAS)? {
        let path = entry?.path();
        let (Some("json"), Some(name)) = (path.extension().and_then(|e| e.to_str()), path.file_name()) else {
            continue;
        };
        let published: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let definition = json!({"id": published["id"], "attributes": characteristics(&published["attributes"])});
        fs::write(folder.join(name), definition.to_string())?;
    }
    Ok(())
}

/// The characteristics that `scim::schema::Attribute` has, but for those that are its defaults. A test of
/// `scim::schema` holds the two together.
fn characteristics(attributes: &Value) -> Value {
    let defaults = json!({"multiValued": false, "required": false, "caseExact": false, "mutability": "readWrite",
        "returned": "default"});
    let one = |attribute: &Value| -> Map<String, Value> {
        let kept = |(name, value): (&String, &Value)| {
            let value = match name.as_str() {
                "name" | "type" => value.clone(),
                "subAttributes" => characteristics(value),
                _ => defaults.get(name).filter(|default| *default != value).map(|_| value.clone())?,
            };
            Some((name.clone(), value))
        };
        attribute.as_object().into_iter().flatten().filter_map(kept).collect()
    };
    attributes.as_array().into_iter().flatten().map(one).collect()
}

fn name_version() {
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
