//! What the page is given: everything that it shows, and nothing that it can compute.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::align::{Row, align};
use super::stores::Store;
use super::timeline::Timeline;
use crate::capsule::decisions;
use crate::check::{Fingerprint, Violation, normalise};
use crate::history::OpId;
use crate::plan::{Plan, Scenario};
use crate::sut::System;
use crate::verdict::{Operations, Story, Verdict};

/// How many decisions are shown before the first in which two runs differ, and from there on.
const DECISIONS_BEFORE: usize = 6;
const DECISIONS_AFTER: usize = 40;

/// A run, for the page.
#[derive(Clone, Debug, Serialize)]
pub struct Data {
    /// The system's name.
    pub system: String,
    /// The version of squall.
    pub squall_version: String,
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The command that runs it again.
    pub replay: String,
    /// What broke, in one sentence.
    pub sentence: String,
    /// What was violated, first what the page is about.
    pub violations: Vec<ShownViolation>,
    /// What became of the operations.
    pub operations: Operations,
    /// How often each kind of fault took effect.
    pub faults: BTreeMap<String, u64>,
    /// How often each mark was made.
    pub marks: BTreeMap<String, u64>,
    /// How much each check examined.
    pub checked: BTreeMap<String, u64>,
    /// The digest of what the cores did and what was seen of stores.
    pub digest: String,
    /// Simulated time the run took.
    pub simulated_ms: u64,
    /// What happened.
    pub timeline: Timeline,
    /// The stores after the run.
    pub stores: Vec<Store>,
    /// The plan as a scenario.
    pub plan: String,
    /// Another run beside it.
    pub against: Option<Against>,
    /// When the failure became inevitable.
    pub curve: Option<Curve>,
}

/// A violation, and where it shows.
#[derive(Clone, Debug, Serialize)]
pub struct ShownViolation {
    /// The property.
    pub property: String,
    /// The kind of failure.
    pub key: String,
    /// Both in a hash.
    pub fingerprint: Fingerprint,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub actual: String,
    /// Evidence, a line each.
    pub details: Vec<String>,
    /// The operations that show it. One that no client made stands for what was read when the run was over.
    pub operations: Vec<OpId>,
    /// The longest order that explains what was answered.
    pub order: Vec<OpId>,
    /// The event at which it shows: where only the stores show it, the last thing that was decided about them.
    pub event: usize,
}

/// Two runs side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Against {
    /// What the other one is.
    pub title: String,
    /// What the other one came to.
    pub outcome: String,
    /// The plans, this one on the left.
    pub plan: Vec<Row>,
    /// The cores' decisions around the first in which they differ.
    pub decisions: Vec<Row>,
    /// How many decisions before those are the same in both.
    pub same: usize,
}

/// How likely the failure was, as the run went on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// How many runs each point stands for.
    pub runs: u64,
    /// In the order of their times.
    pub points: Vec<CurvePoint>,
    /// The place of the point at which it jumped.
    pub jump: Option<usize>,
}

/// A point of the curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Up to here the run was kept, in simulated milliseconds.
    pub at_ms: u64,
    /// What happened then; none where nothing was kept.
    pub event: Option<usize>,
    /// How many of the runs with another rest failed in the same way.
    pub failed: u64,
    /// The same in words.
    pub text: String,
}

impl Data {
    /// Puts together what a verdict tells that has its story, messages included. `about` is the failure that the page
    /// is about, where there are several.
    pub fn new<S: System>(
        plan: &Plan<S::Op>,
        verdict: &Verdict,
        story: &Story,
        replay: String,
        about: Option<Fingerprint>,
    ) -> Data {
        let timeline = Timeline::new(plan, &verdict.fired, story);
        let last = timeline.last_decision();
        let mut violations: Vec<&Violation> = verdict.violations.iter().collect();
        violations.sort_by_key(|violation| Some(violation.fingerprint()) != about);
        let shown = |violation: &&Violation| ShownViolation {
            property: violation.property.clone(),
            key: violation.key.clone(),
            fingerprint: violation.fingerprint(),
            expected: violation.expected.clone(),
            actual: violation.actual.clone(),
            details: violation.details.clone(),
            operations: violation.operations.clone(),
            order: violation.order.clone(),
            event: place(violation, &timeline).unwrap_or(last),
        };
        let mut stores: Vec<Store> = story
            .dumps
            .iter()
            .map(|(name, dump)| Store::new(name, dump, story.expected.get(name).map(String::as_str)))
            .collect();
        // First those of which something can be said.
        stores.sort_by_key(|store| !store.judged);
        Data {
            system: S::NAME.to_owned(),
            squall_version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: verdict.scenario.clone(),
            seed: verdict.seed,
            replay,
            sentence: sentence(violations.first().copied(), verdict, &timeline),
            violations: violations.iter().map(shown).collect(),
            operations: verdict.operations,
            faults: verdict.faults.clone(),
            marks: verdict.marks.clone(),
            checked: verdict.checked.clone(),
            digest: verdict.digest.clone(),
            simulated_ms: verdict.simulated_ms,
            stores,
            plan: in_words::<S>(plan),
            against: None,
            curve: None,
            timeline,
        }
    }

    /// Puts another run beside it. Both verdicts have their story.
    #[must_use]
    pub fn against<S: System>(
        mut self,
        title: String,
        (plan, story): (&Plan<S::Op>, &Story),
        (other_plan, other, other_story): (&Plan<S::Op>, &Verdict, &Story),
    ) -> Data {
        let (ours, theirs) = (decisions(&story.trace), decisions(&other_story.trace));
        // Another plan takes other times: what is compared is what was decided.
        let parts = |(ours, theirs): (&String, &String)| undated(ours) != undated(theirs);
        let end = ours.len().min(theirs.len());
        let first = ours.iter().zip(&theirs).position(parts).unwrap_or(end);
        let from = first.saturating_sub(DECISIONS_BEFORE);
        let part = |decisions: &[String]| -> Vec<String> {
            decisions.iter().skip(from).take(DECISIONS_BEFORE + DECISIONS_AFTER).cloned().collect()
        };
        let (ours, theirs) = (part(&ours), part(&theirs));
        let (plan, other_plan) = (in_words::<S>(plan), in_words::<S>(other_plan));
        self.against = Some(Against {
            title,
            outcome: match other.violations.first() {
                None => "passes".to_owned(),
                Some(violation) => format!("violates {}: {}", violation.property, violation.key),
            },
            plan: align(&plan.lines().collect::<Vec<_>>(), &other_plan.lines().collect::<Vec<_>>(), |line| line),
            decisions: align(&lines(&ours), &lines(&theirs), undated),
            same: from,
        });
        self
    }
}

fn lines(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// A decision without its time.
fn undated(decision: &str) -> &str {
    decision.split_once(" ms ").map_or(decision, |(_, rest)| rest)
}

/// The event at which a violation shows: when the last of the operations ended that show it, or at the time that the check
/// names.
fn place(violation: &Violation, timeline: &Timeline) -> Option<usize> {
    if let (Some(at_ms), []) = (violation.at_ms, &violation.operations[..]) {
        return timeline.last_step(at_ms);
    }
    let known: Option<Vec<usize>> =
        violation.operations.iter().map(|operation| timeline.event_of(*operation)).collect();
    // An operation that is not known is a read of the stores when the run was over.
    known?.into_iter().max()
}

/// What broke: the promise, what was expected and what was seen, and the operation that shows it.
fn sentence(violation: Option<&Violation>, verdict: &Verdict, timeline: &Timeline) -> String {
    let Some(violation) = violation else {
        let checks = verdict.checked.len();
        return format!("Nothing broke: {checks} checks of this run of {} hold.", verdict.scenario);
    };
    let property = &violation.property;
    let seen = violation.operations.iter().filter_map(|id| {
        let operation = timeline.operations.iter().find(|operation| operation.id == id.0)?;
        let lane = &timeline.lanes[operation.lane].name;
        let at_ms = timeline.events.at_ms[operation.ended.unwrap_or(operation.invoked)];
        Some((at_ms, format!("{lane} was told of {id} at {at_ms} ms")))
    });
    let last = seen.max().map(|(_, seen)| seen);
    if !violation.order.is_empty() {
        let in_the_end = violation.operations.iter().any(|id| timeline.event_of(*id).is_none());
        let what = last.filter(|_| !in_the_end).unwrap_or_else(|| "the stores held in the end".to_owned());
        let which = asked(violation, timeline).map_or_else(String::new, |asked| format!(": {}", cut(asked)));
        return format!("{property} is broken: no order of the operations explains what {what}{which}.");
    }
    let mut parts = Vec::new();
    // A kind that was made of what was seen says the same with less in it.
    if violation.key != normalise(&violation.actual) || violation.actual.is_empty() {
        parts.push(violation.key.clone());
    }
    if !violation.expected.is_empty() {
        parts.push(format!("expected: {}", cut(&violation.expected)));
    }
    if !violation.actual.is_empty() {
        parts.push(format!("actual: {}", cut(violation.actual.trim_end_matches(':'))));
    }
    let mut sentence = format!("{property} is broken: {}", parts.join("; "));
    if let [first, others @ ..] = &violation.details[..] {
        sentence += &format!(": {}", cut(first.trim()));
        match others.len() {
            0 => {}
            more => sentence += &format!(", and {more} more"),
        }
    }
    if let Some(seen) = last {
        sentence += &format!(", as {seen}");
    }
    sentence + "."
}

/// What was asked and answered, of the last of the operations that cannot be explained: a line of the evidence that begins with
/// the operation, its client and its times.
fn asked<'a>(violation: &'a Violation, timeline: &Timeline) -> Option<&'a str> {
    let last = violation.operations.iter().max_by_key(|id| timeline.event_of(**id).unwrap_or(usize::MAX))?;
    let prefix = format!("{last} of ");
    let line = violation.details.iter().find_map(|line| line.trim().strip_prefix(&prefix))?;
    Some(line.split_once("): ").map_or(line, |(_, asked)| asked))
}

/// How much of a text a sentence takes.
const WORDS_CHARS_MAX: usize = 160;

fn cut(text: &str) -> String {
    match text.char_indices().nth(WORDS_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The plan as people write it, or as JSON where it has no such form.
fn in_words<S: System>(plan: &Plan<S::Op>) -> String {
    Scenario::from_plan(plan)
        .to_toml()
        .or_else(|_| serde_json::to_string_pretty(plan))
        .expect("a plan is always valid JSON")
}

#[cfg(test)]
mod tests;
