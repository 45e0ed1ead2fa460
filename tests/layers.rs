//! Who may know whom: the directions of ARCHITECTURE.md, read from the source.

use std::path::{Path, PathBuf};

pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// A file's code, line by line: no comments, nothing from its own tests on.
fn code(file: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().enumerate().take_while(|(_, line)| *line != "#[cfg(test)]");
    let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.map(|(number, line)| (number + 1, line.to_owned())).collect()
}

/// The layer of a file: the first part of its path below `src`.
fn layer(name: &str) -> &str {
    name.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Each layer, and what it may import of ours and of others that only some may know. What is not listed is refused.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    ("limits", &[], &[]),
    ("scim", &["limits"], &[]),
    ("tenant", &["limits", "scim"], &[]),
    ("auth", &["limits", "scim", "tenant"], &["tokio"]),
    ("sigv4", &["limits"], &["aws", "http", "tokio"]),
    ("store", &["auth", "limits", "scim", "sigv4", "tenant"], &["aws", "dynoxide", "http", "tokio"]),
    ("app", &["auth", "limits", "scim", "sigv4", "store", "tenant"], &["aws", "http", "tokio"]),
    ("admin", &["app", "auth", "limits", "scim", "store", "tenant"], &["http"]),
    ("worker", &["app", "auth", "limits", "sigv4", "store", "tenant"], &["tokio"]),
    ("api", &["admin", "app", "auth", "limits", "scim", "store", "tenant"], &["http", "lambda_http", "tokio"]),
    (
        "cli",
        &["admin", "api", "app", "auth", "limits", "scim", "store", "tenant", "worker"],
        &["http", "http_body_util", "hyper", "tokio"],
    ),
];

/// Crates that know a network, a runtime or a cloud. A layer names them only if [`LAYERS`] says so.
const GUARDED_CRATES: [&str; 6] = ["aws", "dynoxide", "http", "hyper", "lambda_http", "tokio"];

/// What follows each `start` in a line, up to the end of the word.
fn words_after<'l>(line: &'l str, start: &'l str) -> impl Iterator<Item = &'l str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(start).filter(move |(at, _)| !line[..*at].ends_with(is_word)).map(move |(at, _)| {
        let rest = &line[at + start.len()..];
        &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
    })
}

/// Whether a line has a path that begins with that crate; `aws` stands for each of AWS's.
fn names(line: &str, guarded: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let roots = line.match_indices("::").filter_map(|(end, _)| {
        let start = line[..end].rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
        (!line[..start].ends_with("::")).then(|| &line[start..end])
    });
    roots.into_iter().any(|root| root == guarded || (guarded == "aws" && root.starts_with("aws_")))
}

#[test]
fn a_layer_imports_what_it_may_and_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut offences = Vec::new();
    for file in sources(&root) {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        if name == "lib.rs" || name.starts_with("bin/") {
            continue;
        }
        let layer = layer(&name);
        let (_, ours, crates) = LAYERS.iter().find(|(known, ..)| *known == layer).expect(&name);
        for (number, line) in code(&file) {
            let refused = words_after(&line, "crate::").find(|word| *word != layer && !ours.contains(word));
            let foreign = GUARDED_CRATES.iter().find(|guarded| !crates.contains(guarded) && names(&line, guarded));
            if refused.is_some() || foreign.is_some() {
                offences.push(format!("src/{name}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(offences.is_empty(), "these lines import what their layer may not:\n{}", offences.join("\n"));
}

#[test]
fn the_protocol_reads_neither_clock_nor_environment() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in
        sources(&root).into_iter().filter(|file| file.starts_with(root.join("scim")) || file.ends_with("scim.rs"))
    {
        let offence = code(&file).into_iter().find(|(_, line)| line.contains("std::env") || line.contains("::now("));
        assert_eq!(offence, None, "{}", file.display());
    }
}

#[test]
fn binaries_only_wire() {
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin")) {
        assert!(code(&file).len() < 120, "{} does more than wire", file.display());
    }
}

#[test]
fn generated_pages_are_what_the_code_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/reference");
    for (file, text) in rollcall::cli::reference::pages() {
        let page = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert!(page == text, "docs/src/reference/{file} is out of date; run `make reference`");
    }
}

#[test]
fn every_limit_and_every_deviation_has_its_reason_on_a_page() {
    let declared = |file: &str, start: &str| {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        text.lines().filter(|line| line.starts_with(start)).count()
    };
    let pages = rollcall::cli::reference::pages();
    let page = |name: &str| &pages.iter().find(|(file, _)| *file == name).unwrap().1;
    let limits = ["src/limits.rs", "src/limits/operations.rs"].map(|file| declared(file, "pub const "));
    assert_eq!(page("limits.md").matches("\n| `").count(), limits.iter().sum::<usize>());
    let deviations = page("client-deviations.md").matches("\n## ").count();
    assert_eq!(deviations, declared("src/scim/deviation.rs", "pub fn "), "each rule begins with its name in bold");
}

#[test]
fn a_file_fits_in_a_head() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let long = sources(&root).into_iter().filter(|file| std::fs::read_to_string(file).unwrap().lines().count() > 500);
    assert_eq!(long.collect::<Vec<_>>(), Vec::<PathBuf>::new(), "longer than 500 lines");
}
