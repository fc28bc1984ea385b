use crate::command::{fail, succeed};

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = succeed(["completions", shell]);
        assert!(script.contains("burnlite") && script.contains("output-dir"), "{shell}: {script}");
    }
}

#[test]
fn wrong_uses_say_what_is_wrong() {
    fail(&[
        ("completions", 2, "<SHELL>"),
        ("completions tcsh", 2, "[possible values: bash, elvish, fish, powershell, zsh]"),
        ("completions bash zsh", 2, "unexpected argument 'zsh'"),
        ("completions --shell bash", 2, "unexpected argument '--shell'"),
        ("completion bash", 2, "unrecognized subcommand 'completion'"),
    ]);
}
