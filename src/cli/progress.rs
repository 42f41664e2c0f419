//! How far a command is, for whoever waits for it.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of so many runs.
pub fn bar(length: u64) -> ProgressBar {
    // Draws nothing unless the standard error is a terminal.
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {per_sec}, {eta} left");
    ProgressBar::new(length).with_style(style.expect("the template is valid"))
}
