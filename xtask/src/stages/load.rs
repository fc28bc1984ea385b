use std::time::Instant;

use anyhow::Result;
use burnlite_mnist::{Digits, LoadOptions, Origin, Progress};
use indicatif::ProgressBar;

use crate::screen::{Screen, seconds};

/// Loads the digits, and says loudly when generated ones stand in for MNIST.
///
/// # Errors
/// The dataset's: what is missing or broken, and what to do.
pub fn load(options: &LoadOptions, screen: &Screen) -> Result<Digits> {
    screen.heading("Digits");
    let start = Instant::now();
    let mut bar: Option<ProgressBar> = None;
    let digits = burnlite_mnist::load(options, &mut |progress| match progress {
        Progress::Received { name, received, total, .. } => {
            let bar = bar.get_or_insert_with(|| screen.byte_bar(0));
            bar.set_length(total.unwrap_or(received));
            bar.set_position(received);
            bar.set_message(name.to_owned());
        }
        Progress::Waiting { folder } => {
            screen.line(format!("  waiting for another download into '{}'", folder.display()));
        }
        _ => {}
    })?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    if let Origin::Generated { reason: Some(reason), .. } = &digits.origin {
        screen.banner(&[
            "MNIST cannot be had: going on with GENERATED DIGITS. The figures below are theirs, not MNIST's."
                .into(),
            "To use MNIST: connect to the network, or give its folder with --data-dir or MNIST_DIR.".into(),
        ]);
        screen.line(format!("  {reason}"));
    }
    let (train, test) = (digits.train.len(), digits.test.len());
    let place = match &digits.origin {
        Origin::Folder(folder) | Origin::Cache(folder) => format!(" from '{}'", folder.display()),
        Origin::Download(folder) => format!(", downloaded to '{}'", folder.display()),
        Origin::Generated { seed, .. } => format!(", seed {seed}"),
        _ => String::new(),
    };
    let source = digits.source();
    screen
        .line(format!("  {source}{place}: {train} to train, {test} to test ({})", seconds(start.elapsed())));
    Ok(digits)
}
