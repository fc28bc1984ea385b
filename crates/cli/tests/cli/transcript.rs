//! What `docs/cli.md` shows is what the command prints.

use std::path::Path;

use crate::command::{Folder, burnlite};

/// Where the documentation lets outputs be written.
const OUT: &str = "out";

#[test]
fn the_documentation_shows_what_is_printed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let found = std::fs::read_to_string(&path).expect("the documentation");
    let expected = with_output(&found);
    if std::env::var_os("BURNLITE_UPDATE").is_some() {
        std::fs::write(&path, &expected).expect("the documentation can be written");
    } else {
        assert!(found == expected, "docs/cli.md is stale: BURNLITE_UPDATE=1 cargo test -p burnlite");
    }
}

/// The text with the output of every command in its `console` blocks.
fn with_output(text: &str) -> String {
    let folder = Folder::new();
    std::fs::create_dir(folder.path(OUT)).expect("a folder for outputs");
    let mut result = String::new();
    let mut in_console = false;
    for line in text.lines() {
        in_console = if in_console { line != "```" } else { line == "```console" };
        let command = line.strip_prefix("$ burnlite ").filter(|_| in_console);
        if command.is_some() || !in_console || line == "```console" {
            result += &format!("{line}\n");
        }
        if let Some(command) = command {
            let out = folder.path(OUT);
            let place = |word: &str| match word.strip_prefix(OUT) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{out}{rest}"),
                _ => word.into(),
            };
            let ended = burnlite(command.split_whitespace().map(place));
            result += &(ended.stdout + &ended.stderr).replace(&out, OUT);
        }
    }
    result
}
