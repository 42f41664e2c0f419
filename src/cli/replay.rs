//! `replay`: one plan, told at length.

use std::num::NonZero;
use std::path::Path;

use super::sources::{capsule_has_seed, is_capsule, one};
use super::verify::{elsewhere, explain, once};
use super::{Ended, Failure, PASSED, ReplayArgs, VIOLATED};
use crate::campaign::Detail;
use crate::capsule::{Capsule, Expected, decisions, departure};
use crate::plan::Plan;
use crate::record::What;
use crate::sut::System;
use crate::verdict::{Operations, Verdict};

pub fn replay<S: System>(arguments: ReplayArgs) -> Ended {
    let ReplayArgs { file, seed, twice, history, stores, trace, messages, log, isolation } = arguments;
    let (plan, capsule) = read::<S>(&file, seed)?;
    let setup = isolation.setup(Some(NonZero::<usize>::MIN));
    let detail = Detail {
        story: history || stores || trace || capsule.is_some(),
        messages,
        chain: false,
        log: log.map(Into::into),
    };
    let verdict = once::<S>(&plan, detail, setup)?;
    if let Some(told) = &verdict.story {
        if trace {
            let is_told = |what| match what {
                What::Network | What::Disk => messages,
                What::Seen => false,
                _ => true,
            };
            for event in told.trace.iter().filter(|event| is_told(event.what)) {
                let text = event.text.replace('\n', "; ");
                println!("{:>7} ms  {:<12} {:<7?} {text}", event.at_ms, event.host, event.what);
            }
        }
        if history {
            print!("{}", told.history);
        }
        if stores {
            for (name, dump) in &told.dumps {
                println!("--- {name}\n{}", dump.trim_end());
            }
        }
    }
    tell(&plan, &verdict);
    if twice {
        let again = once::<S>(&plan, Detail::default(), elsewhere(setup))?;
        if again.byte_digest != verdict.byte_digest {
            let why = explain::<S>(&plan, setup, [&verdict.byte_digest, &again.byte_digest])?;
            return Err(Failure::harness(why));
        }
        println!("the second run, in another process with random addresses, is the same");
    }
    for violation in &verdict.violations {
        println!("\n{violation}");
    }
    if let Some(recorded) = &capsule {
        compare(&verdict, recorded);
    }
    Ok(if verdict.violations.is_empty() { PASSED } else { VIOLATED })
}

/// What a capsule says of its run.
struct Recorded {
    expected: Option<Expected>,
    digest: String,
    edited: bool,
    decisions: Vec<String>,
}

fn read<S: System>(file: &Path, seed: Option<u64>) -> Result<(Plan<S::Op>, Option<Recorded>), Failure> {
    if is_capsule(file) {
        if seed.is_some() {
            return Err(capsule_has_seed(file, "--seed"));
        }
        let capsule = Capsule::<S::Op>::load::<S>(file).map_err(Failure::usage)?;
        let Capsule { expected, digest, edited, plan, decisions, .. } = capsule;
        return Ok((plan, Some(Recorded { expected, digest, edited, decisions })));
    }
    Ok((one::<S>(file)?.plan(seed.unwrap_or_default())?, None))
}

fn tell<Op>(plan: &Plan<Op>, verdict: &Verdict) {
    let Operations { ok, fail, info } = verdict.operations;
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        let words: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    };
    println!("scenario    {} with seed {}", verdict.scenario, verdict.seed);
    for planned in &plan.faults {
        println!("fault       {} {}", planned.fault.name(), planned.at);
    }
    println!("operations  {ok} ok, {fail} failed, {info} unknown, in {} simulated ms", verdict.simulated_ms);
    println!("faults      {}", counts(&verdict.faults));
    println!("marks       {}", counts(&verdict.marks));
    println!("checks      {}", counts(&verdict.checked));
    println!("digest      {}", verdict.digest);
    println!("byte digest {}", verdict.byte_digest);
}

fn compare(verdict: &Verdict, Recorded { expected, digest, edited, decisions: recorded }: &Recorded) {
    if let Some(Expected { property, fingerprint }) = expected {
        let again = verdict.violations.iter().any(|violation| violation.fingerprint() == *fingerprint);
        if again {
            println!("the recorded violation of {property} [{fingerprint}] shows again");
        } else {
            println!("the recorded violation of {property} [{fingerprint}] does not show");
        }
    }
    if !digest.is_empty() && verdict.digest != *digest {
        let why = if *edited { "the plan was edited since" } else { "the code has changed since" };
        println!("the run took other decisions than the recorded one: {why}");
        let now = verdict.story.iter().flat_map(|story| decisions(&story.trace)).collect::<Vec<_>>();
        // An older capsule has none.
        if let Some((place, was, is)) = departure(recorded, &now).filter(|_| !recorded.is_empty()) {
            let or_end = |decision: Option<&String>| decision.map_or("the run was over", String::as_str).to_owned();
            println!("decision {} of {} is the first that differs:", place + 1, recorded.len());
            println!("  recorded: {}\n  now:      {}", or_end(was), or_end(is));
        }
    }
}
