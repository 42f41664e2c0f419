//! `check` and `explore`: the exhaustive models of this workspace's protocols.

use std::num::NonZero;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use models::{Checked, Entry, Finding, Report, Size};

use crate::cli::{Ended, Failure, PASSED, VIOLATED};

/// The arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Which models [default: all]
    pub models: Vec<String>,
    /// Search the large bounds: minutes to hours, and gigabytes
    #[arg(long)]
    pub large: bool,
    /// How many threads search [default: one a processor]
    #[arg(long)]
    pub jobs: Option<NonZero<usize>>,
}

/// The arguments of `explore`.
#[derive(Args, Debug)]
pub struct ExploreArgs {
    /// Which model
    pub model: String,
    /// Where to serve it
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDR")]
    pub listen: String,
}

/// Searches models to their ends.
pub fn check(arguments: CheckArgs) -> Ended {
    let CheckArgs { models: names, large, jobs } = arguments;
    let size = if large { Size::Large } else { Size::Small };
    let threads = jobs.or(std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let entries: Vec<&Entry> = models::registry().iter().collect();
    let names: Vec<String> =
        if names.is_empty() { entries.iter().map(|entry| entry.name.to_owned()).collect() } else { names };
    let mut failed = None;
    for name in &names {
        let bar = ProgressBar::new_spinner()
            .with_style(ProgressStyle::with_template("{spinner} {msg}, {elapsed}").expect("the template is valid"));
        let checked = models::check(name, size, threads, |space, progress| {
            let (bounds, unique, depth) = (space.bounds, progress.unique, progress.depth);
            bar.set_message(format!("{name}, {bounds}: {unique} states, depth {depth}"));
            bar.tick();
        });
        bar.finish_and_clear();
        let checked = checked.map_err(Failure::usage)?;
        tell(name, &checked);
        if !checked.ok() {
            failed.get_or_insert(name);
        }
    }
    match failed {
        Some(name) => {
            println!("\nsquall explore {name}");
            Ok(VIOLATED)
        }
        None => {
            println!("{}", console::style("passed").green().bold());
            Ok(PASSED)
        }
    }
}

fn tell(name: &str, checked: &Checked) {
    for (space, report) in &checked.spaces {
        tell_of(name, space.bounds, report);
    }
    let never = checked.never.iter().map(|property| format!("Sometimes {property}"));
    let idle = checked.idle.iter().map(|kind| format!("Sometimes \"{kind}\" is an action that is taken"));
    for nowhere in never.chain(idle) {
        println!("  {} {nowhere}, in no part of {name}", console::style("fails").red().bold());
    }
}

fn tell_of(name: &str, bounds: &str, report: &Report) {
    let Report { unique, generated, depth, pinned, properties, .. } = report;
    println!("{name}, {bounds}: {unique} unique states of {generated} generated, depth {depth}, exhausted");
    if let Some(pinned) = pinned.filter(|pinned| pinned != unique) {
        println!("  {} the number of states is pinned at {pinned}", console::style("differs").red().bold());
    }
    for property in properties {
        let Finding { name, expectation, discovered } = property;
        let verdict = match property.ok() {
            true => console::style("holds").green(),
            // It may in another part.
            false if property.is_missing() => console::style("never").yellow(),
            false => console::style("fails").red().bold(),
        };
        println!("  {verdict} {expectation:?} {name}");
        if let (false, Some(counterexample)) = (property.ok(), discovered) {
            for (position, step) in counterexample.steps.iter().enumerate() {
                println!("    {:>2}. {}", position + 1, step.text);
            }
        }
    }
}

/// Serves a model to a browser.
pub fn explore(arguments: ExploreArgs) -> Ended {
    let ExploreArgs { model, listen } = arguments;
    // The server panics when it cannot listen: find out first, and say what to do.
    let free = std::net::TcpListener::bind(&listen);
    drop(free.map_err(|error| {
        Failure::usage(format!("cannot listen on {listen}: {error}; choose another with --listen"))
    })?);
    println!("exploring {model} on http://{listen} until interrupted");
    models::explore(&model, Size::Small, &listen).map_err(Failure::usage)?;
    Ok(PASSED)
}
