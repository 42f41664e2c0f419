//! What a scenario file may say, what it may not, and how it is told.

mod figures;
mod names;
mod round_trip;
mod shape;

use super::{Scenario, ScenarioError, parse_for};
use crate::plan::fake::{Fake, Op};

/// Reads a file for the fake system.
fn read(text: &str) -> Result<Scenario<Op>, ScenarioError> {
    parse_for::<Fake>("scenarios/story.toml", text)
}

/// Why a file is refused, as a person sees it.
fn refusal(text: &str) -> String {
    match read(text) {
        Ok(scenario) => panic!("not refused: {scenario:#?}"),
        Err(error) => error.to_string(),
    }
}

/// Why a file of one good operation and one more step is refused.
fn step_refusal(step: &str) -> String {
    refusal(&format!("steps = [\n  {{ at_ms = 0, client = \"c1\", do = \"stop\" }},\n  {step},\n]\n"))
}
