//! The command as its users see it: what it prints, what it writes, how it ends.

mod bench;
mod command;
mod compare;
mod completions;
#[cfg(unix)]
mod faults;
mod firmware;
mod inspect;
mod quantize;
mod run;
mod transcript;

use command::burnlite;

#[test]
fn help_and_version_say_how_it_is_used() {
    let help = burnlite(["--help"]);
    assert_eq!(help.code, 0);
    for part in [
        "inspect",
        "quantize",
        "calibrate",
        "debug",
        "recipe",
        "firmware",
        "completions",
        "Examples:",
        "Exit codes:",
    ] {
        assert!(help.stdout.contains(part), "{}", help.stdout);
    }
    assert_eq!(burnlite(["--version"]).stdout, format!("burnlite {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() {
    for (arguments, message) in [
        (&[][..], "Usage: burnlite <COMMAND>"),
        (&["convert"], "unrecognized subcommand 'convert'"),
        (&["--fast"], "unexpected argument '--fast'"),
        (&["inspect"], "<MODEL>"),
        (&["help", "convert"], "unrecognized subcommand 'convert'"),
    ] {
        let ended = burnlite(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}");
        assert!(ended.stderr.contains(message), "{arguments:?}: {}", ended.stderr);
    }
}
