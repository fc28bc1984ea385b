//! The figures for people: a table on the terminal, and the measured part of `docs/performance.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Part;
use super::networks::SMALLEST;
use super::summary::{Absence, BenchSummary, Comparison, Engine, Timing};
use crate::files::Folder;
use crate::screen::Screen;

const COLUMNS: usize = 10;
const HEADINGS: [&str; COLUMNS] =
    ["network", "Burnlite", "µs", "least", "of 32", "beside", "µs", "of 32", "times faster", "goal"];
const ALIGNMENTS: [&str; COLUMNS] = ["---", "---", "--:", "--:", "--:", "---", "--:", "--:", "--:", "---"];

/// Shows the table, and what is to be said besides.
pub(super) fn show(summary: &BenchSummary, screen: &Screen) {
    let line = |[network, ours, median, least, batch, theirs, their_time, their_batch, times, goal]: Row| {
        screen.line(format!(
            "  {network:<16} {ours:<8} {median:>9} {least:>9} {batch:>9}   {theirs:<23} {their_time:>9} {their_batch:>9} \
             {times:>12}  {goal}"
        ));
    };
    line(HEADINGS.map(String::from));
    rows(summary).into_iter().for_each(line);
    for line in remarks(summary) {
        screen.line(format!("  {line}"));
    }
}

/// Puts the figures of a part between its marks in `docs/performance.md`.
///
/// # Errors
/// Where the page cannot be read or written, or has no marks.
pub(super) fn write(workspace: &Path, part: Part, text: &str) -> Result<()> {
    let folder = Folder::open(workspace.join("docs"))?;
    let path = folder.join("performance.md");
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
    let page = replaced(&page, part, text).with_context(|| format!("in '{}'", path.display()))?;
    folder.write("performance.md", page.as_bytes())
}

/// The page with another text between the marks.
fn replaced(page: &str, part: Part, text: &str) -> Result<String> {
    let [begin, end] =
        ["begin", "end"].map(|mark| format!("<!-- {part:?}, written by --write-docs: {mark} -->\n"));
    let parts = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = parts.with_context(|| format!("no '{}' with its end", begin.trim_end()))?;
    Ok([before, &begin, "\n", text, "\n", &end, after].concat())
}

/// The figures, for the page.
pub(super) fn measured(summary: &BenchSummary) -> String {
    let BenchSummary { machine, versions, kernels, rounds, .. } = summary;
    let (rustc, profile) = (&machine.rustc, &machine.profile);
    let versions: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut text = format!(
        "{machine}. Burnlite {}, kernels `{kernels}`, {rustc}, profile `{profile}`; {}. {rounds} rounds. Load when it \
         began: {}.\n\n",
        env!("CARGO_PKG_VERSION"),
        versions.join(", "),
        machine.load.map_or("unknown".into(), |load| load.to_string()),
    );
    let mut line = |cells: &[String]| writeln!(text, "| {} |", cells.join(" | ")).unwrap_or_default();
    line(&HEADINGS.map(String::from));
    line(&ALIGNMENTS.map(String::from));
    rows(summary).iter().for_each(|row| line(row));
    text.push('\n');
    for remark in remarks(summary) {
        writeln!(text, "* {remark}").unwrap_or_default();
    }
    text
}

type Row = [String; COLUMNS];

/// A row for each comparison.
fn rows(summary: &BenchSummary) -> Vec<Row> {
    summary.comparisons.iter().map(|comparison| row(comparison, &summary.results)).collect()
}

fn row(comparison: &Comparison, results: &[Timing]) -> Row {
    let Comparison { network, scheme, rival, rival_scheme, times_faster, at_least } = comparison;
    let find = |engine, scheme| results.iter().find(|timing| timing.is_of(network, engine, scheme));
    let (ours, theirs) = (find(Engine::Burnlite, *scheme), find(*rival, *rival_scheme));
    let time = |time: Option<f64>| time.map_or("-".into(), |time| format!("{time:.2}"));
    [
        network.clone(),
        scheme.to_string(),
        time(ours.map(|timing| timing.median_us)),
        time(ours.map(|timing| timing.min_us)),
        time(ours.and_then(|timing| timing.batch32_median_us)),
        format!("{rival} {rival_scheme}"),
        time(theirs.map(|timing| timing.median_us)),
        time(theirs.and_then(|timing| timing.batch32_median_us)),
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
    let smallest = summary.results.iter().filter(|timing| timing.network == SMALLEST.name);
    let times: Vec<String> =
        smallest.map(|timing| format!("{:.2} µs in {}", timing.median_us, timing.engine)).collect();
    let overhead = format!(
        "`{}`, a model of {}, takes {}. A call from Python is part of each of LiteRT's times; nothing is subtracted.",
        SMALLEST.name,
        SMALLEST.description,
        times.join(", ")
    );
    std::iter::once(overhead).chain(summary.absent.chunk_by(same_reason).map(absences)).collect()
}

fn same_reason(one: &Absence, next: &Absence) -> bool {
    (&one.network, one.engine, &one.reason) == (&next.network, next.engine, &next.reason)
}

/// What is absent for one reason, in a line.
fn absences(absences: &[Absence]) -> String {
    let Absence { network, engine, reason, .. } = &absences[0];
    let schemes: Vec<String> = absences.iter().map(|absence| absence.scheme.to_string()).collect();
    format!("{network}, {}: not run by {engine}: {reason}", schemes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::NETWORKS;
    use super::*;

    #[test]
    fn the_page_takes_figures_and_lists_the_networks() {
        let page = include_str!("../../../docs/performance.md");
        for part in [Part::Inference, Part::Training] {
            let replaced = replaced(page, part, "figures\n").unwrap();
            assert!(replaced.contains("begin -->\n\nfigures\n\n<!--"), "{replaced}");
        }
        let rows: String =
            NETWORKS.iter().map(|it| format!("| `{}` | {} |\n", it.name, it.description)).collect();
        assert!(page.contains(&rows), "expected these rows:\n{rows}");
    }
}
