//! Pages to look at: one file each, with every picture in it.

mod chart;
mod picture;

use anyhow::{Context, Result};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

pub(crate) use chart::{Bars, Chart, Series};
pub(crate) use picture::Picture;

/// The templates; the pages extend `base.html`.
const TEMPLATES: [(&str, &str); 3] = [
    ("base.html", include_str!("report/base.html")),
    ("tutorial.html", include_str!("report/tutorial.html")),
    ("applications.html", include_str!("report/applications.html")),
];

/// A page from its template and what is put into it.
///
/// # Errors
/// Where the template asks for what is not there.
pub(crate) fn page(template: &str, content: impl Serialize) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("grouped", grouped);
    environment.add_filter("fixed", |number: f64, digits: usize| format!("{number:.digits$}"));
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    let page = environment.get_template(template)?.render(Serde(content));
    page.with_context(|| format!("cannot fill in {template}"))
}

/// `83,488` of 83488.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        (0..digits.len()).rev().step_by(3).map(|last| &digits[(last + 1).saturating_sub(3)..=last]).collect();
    groups.into_iter().rev().collect::<Vec<_>>().join(",")
}

/// Opens a file with whatever the system opens such files with.
///
/// # Errors
/// Where there is nothing of the kind.
pub(crate) fn open(path: &std::path::Path) -> Result<()> {
    let opener = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let started = std::process::Command::new(opener).arg(path).spawn();
    started
        .with_context(|| format!("cannot open '{}' with {opener}: open it in a browser", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [0, 999, 1000, 83_488, 1_234_567].map(grouped),
            ["0", "999", "1,000", "83,488", "1,234,567"]
        );
    }

    #[test]
    fn what_a_template_asks_for_must_be_there() {
        #[derive(Serialize)]
        struct Nothing {}
        let error = format!("{:#}", page("tutorial.html", Nothing {}).unwrap_err());
        assert!(error.contains("cannot fill in tutorial.html"), "{error}");
    }
}
