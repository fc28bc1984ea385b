//! Pages to look at: one file each, with every picture in it.

mod chart;
mod picture;

use anyhow::{Context, Result};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

pub(crate) use chart::{Chart, Series};
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
    environment.add_filter("fixed", |number: f64, digits: usize| format!("{number:.digits$}"));
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    let page = environment.get_template(template)?.render(content);
    page.with_context(|| format!("cannot fill in {template}"))
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
    started.with_context(|| format!("cannot open '{}' with {opener}: open it in a browser", path.display()))?;
    Ok(())
}
