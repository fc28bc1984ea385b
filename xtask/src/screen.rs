//! What a person sees: lines, progress bars, colours. Bars hide themselves where standard error is no terminal.

use std::time::Duration;

use console::{Style, Term};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The terminal, or nothing with `--quiet`.
#[derive(Debug, Clone)]
pub struct Screen {
    terminal: Option<Term>,
}

impl Screen {
    /// A screen on standard output, or one that shows nothing.
    pub fn new(quiet: bool) -> Self {
        Self { terminal: (!quiet).then(Term::stdout) }
    }

    /// Prints a line.
    pub fn line(&self, text: impl AsRef<str>) {
        if let Some(terminal) = &self.terminal {
            // A reader that went away (`| head`) is no reason to stop: the files are what counts.
            terminal.write_line(text.as_ref()).unwrap_or_default();
        }
    }

    /// Prints the heading of a stage.
    pub fn heading(&self, text: &str) {
        self.line(format!("\n{}", Style::new().bold().cyan().apply_to(text)));
    }

    /// Prints something that must not be overlooked.
    pub fn banner(&self, lines: &[String]) {
        let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let style = Style::new().bold().yellow();
        let rule = "─".repeat(width + 2);
        self.line(style.apply_to(format!("┌{rule}┐")).to_string());
        for line in lines {
            self.line(style.apply_to(format!("│ {line:width$} │")).to_string());
        }
        self.line(style.apply_to(format!("└{rule}┘")).to_string());
    }

    /// Whether pictures can be drawn in shades of grey.
    pub fn has_colors(&self) -> bool {
        self.terminal.as_ref().is_some_and(Term::is_term) && console::colors_enabled()
    }

    /// A progress bar of `length` steps that shows `{msg}` behind the time left.
    pub fn bar(&self, label: &'static str, length: u64) -> ProgressBar {
        let template = "  {prefix:12} {bar:32} {pos:>6}/{len} {msg} {eta:>4} left";
        self.styled(label, ProgressBar::new(length), template)
    }

    /// A progress bar of `bytes` bytes.
    pub fn byte_bar(&self, bytes: u64) -> ProgressBar {
        let template = "  {prefix:12} {bar:32} {bytes:>10}/{total_bytes} {bytes_per_sec} {msg} {eta:>4} left";
        self.styled("downloading", ProgressBar::new(bytes), template)
    }

    fn styled(&self, label: &'static str, bar: ProgressBar, template: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template).expect("the template is right");
        bar.set_draw_target(match self.terminal {
            Some(_) => ProgressDrawTarget::stderr_with_hz(10),
            None => ProgressDrawTarget::hidden(),
        });
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_prefix(label);
        bar
    }
}

/// `1.4 s`, `12 ms`.
pub(crate) fn seconds(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
        seconds => format!("{:.0} ms", seconds * 1e3),
    }
}
