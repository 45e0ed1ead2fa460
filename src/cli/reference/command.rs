//! The command line, from what its parser knows.

use std::fmt::Write;

use clap::Command;

use crate::cli::EXAMPLES;

/// The page, in Markdown: every command with its arguments and options.
pub(super) fn page(command: &Command) -> String {
    let mut page = String::from(
        "# The command line\n\nAfter this page you know every command, its options and its exit status.\n\n",
    );
    page.push_str(&format!("```text\n{EXAMPLES}\n```\n"));
    commands(command, "rollcall", &mut page);
    page
}

fn commands(command: &Command, path: &str, page: &mut String) {
    let visible = command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help");
    for inner in visible {
        let path = format!("{path} {}", inner.get_name());
        if inner.has_subcommands() {
            commands(inner, &path, page);
        } else {
            section(inner, &path, page);
        }
    }
}

fn section(command: &Command, path: &str, page: &mut String) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    // A String takes every write.
    let _ = write!(page, "\n## `{path}`\n\n{about}.\n");
    let arguments: Vec<_> = command.get_arguments().filter(|argument| !argument.is_hide_set()).collect();
    if !arguments.is_empty() {
        page.push_str("\n| Argument | Meaning |\n|---|---|\n");
    }
    for argument in arguments {
        let values: Vec<_> = argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
        let value = if argument.get_action().takes_values() { values.join(" ") } else { String::new() };
        let name = match argument.get_long() {
            Some(long) => format!("--{long} {value}"),
            None => value,
        };
        let help = argument.get_help().map(|help| help.to_string().replace('|', "\\|")).unwrap_or_default();
        let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
        let default = match defaults.collect::<Vec<_>>() {
            values if values.is_empty() || !argument.get_action().takes_values() => String::new(),
            values => format!("; by default `{}`", values.join(",")),
        };
        let _ = writeln!(page, "| `{}` | {help}{default} |", name.trim().replace('|', "\\|"));
    }
    if let Some(examples) = command.get_after_help() {
        let _ = write!(page, "\n```text\n{examples}\n```\n");
    }
}
