//! The figures for people: a table on the terminal, and the measured part of `docs/performance.md`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::summary::{Absence, BenchSummary, Comparison, Engine, Timing};
use crate::files::Folder;
use crate::screen::Screen;

/// What surrounds the measured part of the page.
const MARKS: [&str; 2] =
    ["<!-- measured by `cargo xtask bench --write-docs`: begin -->\n", "<!-- measured: end -->\n"];

const HEADINGS: [&str; 9] =
    ["network", "Burnlite", "µs", "least", "of 32", "LiteRT", "µs", "times faster", "goal"];

/// Shows the table, and what is absent.
pub(super) fn show(summary: &BenchSummary, screen: &Screen) {
    let line = |[network, ours, numbers @ .., theirs, their_time, times, goal]: [String; 9]| {
        let [median, least, batch]: [String; 3] = numbers;
        screen.line(format!(
            "  {network:<16} {ours:<8} {median:>9} {least:>9} {batch:>9}   {theirs:<16} {their_time:>9} {times:>12}  {goal}"
        ));
    };
    line(HEADINGS.map(String::from));
    rows(summary).into_iter().for_each(line);
    for line in remarks(summary) {
        screen.line(format!("  {line}"));
    }
}

/// Puts the figures between the marks of `docs/performance.md`.
///
/// # Errors
/// Where the page cannot be read or written, or has no marks.
pub(super) fn write(workspace: &Path, summary: &BenchSummary) -> Result<PathBuf> {
    let folder = Folder::open(workspace.join("docs"))?;
    let path = folder.join("performance.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
    let text = replaced(&text, &measured(summary)).with_context(|| format!("in '{}'", path.display()))?;
    folder.write("performance.md", text.as_bytes())?;
    Ok(path)
}

/// The page with another text between the marks.
fn replaced(page: &str, text: &str) -> Result<String> {
    let [begin, end] = MARKS;
    let parts = page.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = parts.with_context(|| format!("no '{}' with its end", begin.trim_end()))?;
    Ok([before, begin, text, end, after].concat())
}

/// The measured part of the page.
fn measured(summary: &BenchSummary) -> String {
    let BenchSummary { machine, versions, kernels, rounds, .. } = summary;
    let (litert, python, rustc, profile) =
        (&versions.litert, &versions.python, &machine.rustc, &machine.profile);
    let mut text = format!(
        "\n{machine}. Burnlite {}, kernels `{kernels}`, {rustc}, profile `{profile}`. ai-edge-litert {litert}, Python \
         {python}. {rounds} rounds. Load when it began: {}.\n\n",
        env!("CARGO_PKG_VERSION"),
        machine.load.map_or("unknown".into(), |load| load.to_string()),
    );
    let mut line = |cells: &[String]| writeln!(text, "| {} |", cells.join(" | ")).unwrap_or_default();
    line(&HEADINGS.map(String::from));
    line(&["---", "---", "--:", "--:", "--:", "---", "--:", "--:", "---"].map(String::from));
    rows(summary).iter().for_each(|row| line(row));
    text.push('\n');
    for remark in remarks(summary) {
        writeln!(text, "* {remark}").unwrap_or_default();
    }
    text.push('\n');
    text
}

/// A row for each comparison.
fn rows(summary: &BenchSummary) -> Vec<[String; 9]> {
    summary.comparisons.iter().map(|comparison| row(comparison, &summary.results)).collect()
}

fn row(comparison: &Comparison, results: &[Timing]) -> [String; 9] {
    let Comparison { network, burnlite, litert, times_faster, at_least } = comparison;
    let find = |engine, scheme| {
        results.iter().find(|it| (&it.network, it.engine, it.scheme) == (network, engine, scheme))
    };
    let (ours, theirs) = (find(Engine::Burnlite, *burnlite), find(Engine::LiteRt, *litert));
    let time = |time: Option<f64>| time.map_or("-".into(), |time| format!("{time:.2}"));
    [
        network.clone(),
        burnlite.to_string(),
        time(ours.map(|timing| timing.median_us)),
        time(ours.map(|timing| timing.min_us)),
        time(ours.and_then(|timing| timing.batch32_median_us)),
        litert.to_string(),
        time(theirs.map(|timing| timing.median_us)),
        time(*times_faster),
        at_least.map(|goal| format!("≥ {goal}{}", verdict(comparison))).unwrap_or_default(),
    ]
}

fn verdict(comparison: &Comparison) -> &'static str {
    match comparison.times_faster {
        None => " not run",
        Some(_) if comparison.is_missed() => " missed",
        Some(_) => "",
    }
}

/// What is to be said besides the table.
fn remarks(summary: &BenchSummary) -> Vec<String> {
    let smallest = summary.smallest_invoke;
    let overhead = format!(
        "A model of one RELU on 20 numbers takes {:.2} µs here and {:.2} µs in LiteRT, where a call from Python is part of \
         each time; nothing is subtracted.",
        smallest.burnlite_us, smallest.litert_us
    );
    std::iter::once(overhead).chain(summary.absent.chunk_by(same_reason).map(absences)).collect()
}

fn same_reason(one: &Absence, next: &Absence) -> bool {
    (&one.network, one.engine, &one.reason) == (&next.network, next.engine, &next.reason)
}

/// What is absent for one reason, in a line.
fn absences(absences: &[Absence]) -> String {
    let engine = match absences[0].engine {
        Engine::Burnlite => "Burnlite",
        Engine::LiteRt => "LiteRT",
    };
    let schemes: Vec<String> = absences.iter().map(|absence| absence.scheme.to_string()).collect();
    format!("{}, {}: not run by {engine}: {}", absences[0].network, schemes.join(", "), absences[0].reason)
}

#[cfg(test)]
mod tests {
    use super::super::NETWORKS;
    use super::*;

    #[test]
    fn the_page_takes_figures_and_lists_the_networks() {
        let page = include_str!("../../../docs/performance.md");
        let replaced = replaced(page, "figures\n").unwrap();
        assert!(replaced.contains(&format!("{}figures\n{}", MARKS[0], MARKS[1])));
        let rows: String =
            NETWORKS.iter().map(|it| format!("| `{}` | {} |\n", it.name, it.description)).collect();
        assert!(page.contains(&rows), "expected these rows:\n{rows}");
    }
}
