//! `run`: many plans, one verdict.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::coverage::ground;
use super::failures::{Concluded, Kinds};
use super::progress;
use super::report::{Missing, Report};
use super::shrink::Shrinker;
use super::sources::{Expected, Source, find};
use super::table::Row;
use super::verify::{elsewhere, explain};
use super::{Ended, Failure, PASSED, RunArgs};
use crate::campaign::{Campaign, Detail, Setup};
use crate::coverage::Coverage;
use crate::plan::Plan;
use crate::sut::System;
use crate::verdict::Verdict;

/// From how many seeds on a mark, or a fault that the scenario names, must have shown in one of them.
///
/// With fewer, not having met it says nothing about the scenario.
const SEEDS_ENOUGH: u64 = 20;

/// How often a profile must have planned a fault for it to be strange that none of them took effect. Some never can: they
/// strike who is down, or where nobody comes by.
const STRIKES_ENOUGH: u64 = 20;

pub fn run<S: System>(arguments: RunArgs) -> Ended {
    let RunArgs {
        scenarios,
        seeds,
        jobs,
        verify,
        failures: capsules,
        no_shrink,
        shrink_seconds,
        report: reports,
        no_report,
        format,
        summary,
        isolation,
    } = arguments;
    let sources: Vec<Source<S>> = find(&scenarios)?;
    let mut plans = Vec::new();
    let mut owners = Vec::new();
    for (owner, source) in sources.iter().enumerate() {
        // Who names one seed wants that one.
        let alone = seeds.end - seeds.start == 1;
        let pinned = source.pinned().iter().copied().filter(|seed| !alone && !seeds.contains(seed));
        for seed in seeds.clone().chain(pinned) {
            plans.push(source.plan(seed)?);
            owners.push(owner);
        }
    }
    let setup = isolation.setup(jobs);
    let mut campaign = Campaign::<S>::start(setup).map_err(Failure::harness)?;
    format.tell(&format!("{} plans; {}\n", plans.len(), campaign.choice().sentence));

    let started = interpose::real_monotonic();
    let progress = progress::bar(plans.len() as u64);
    let row = |source: &Source<S>| Row { name: source.name().to_owned(), source: source.argument(), ..Row::default() };
    let mut rows: Vec<Row> = sources.iter().map(row).collect();
    let mut verdicts: BTreeMap<usize, Verdict> = BTreeMap::new();
    let mut failed = Kinds::new(&capsules);
    let (mut broken, mut unsaved) = (Vec::new(), None);
    let mut coverage = Coverage::default();
    let ran = campaign.run(&plans, Detail::default(), |index, result| {
        progress.inc(1);
        match result {
            Ok(verdict) => {
                rows[owners[index]].add(&verdict);
                coverage.add(&verdict);
                unsaved = failed.add::<S>(&index, &plans[index], &verdict).err();
                verdicts.insert(index, verdict);
            }
            Err(error) => broken.push(format!("{} with seed {}: {error}", plans[index].scenario, plans[index].seed)),
        }
        if unsaved.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    progress.finish_and_clear();
    ran.map_err(Failure::harness)?;
    broken.extend(unsaved.map(|failure| failure.message));
    let wall = interpose::real_monotonic() - started;

    // First what is certain: whatever the harness fails at is told beside it.
    let mut shrinker = match failed.is_empty() || no_shrink {
        true => None,
        false => Shrinker::start(setup, Duration::from_secs(shrink_seconds))
            .map_err(|failure| broken.push(failure.message))
            .ok(),
    };
    let reports = reports.as_deref().unwrap_or(&capsules);
    let Concluded { failures, flaws } = failed.conclude::<S>((!no_report).then_some(reports), shrinker.as_mut(), setup);
    broken.extend(flaws);
    let wanted = |index: &usize| verdicts.contains_key(index) && verify.wants(owners[*index], plans[*index].seed);
    let sample: Vec<usize> = (0..plans.len()).filter(wanted).collect();
    let verified = sample.len();
    let (differences, differing) = verify_again::<S>(&plans, &verdicts, &sample, setup).unwrap_or_else(|failure| {
        broken.push(failure.message);
        (0, None)
    });
    let unrepeated = failures.iter().filter_map(|failed| failed.unrepeated.clone());
    let differing = differing.into_iter().chain(unrepeated).reduce(|all, one| format!("{all}\n{one}"));
    let mut planned = vec![BTreeMap::new(); sources.len()];
    for (plan, owner) in plans.iter().zip(&owners) {
        for fault in &plan.faults {
            *planned[*owner].entry(fault.fault.name()).or_default() += 1;
        }
    }
    let missing = missing(&sources, &rows, &planned, seeds.end - seeds.start)?;
    let unjudged = seeds.end - seeds.start < SEEDS_ENOUGH && !sources.iter().all(Source::expects_nothing);
    let digest = digest_of_all(verdicts.values());
    let reached = coverage.summary(&ground(&sources)?);
    let report = Report {
        reached,
        system: S::NAME,
        rows,
        digest,
        wall,
        verified,
        differences,
        differing,
        broken,
        missing,
        unjudged: unjudged.then_some(SEEDS_ENOUGH),
        failures,
    };
    report.print(format);
    let code = report.exit_code();
    if let Some(failure) = summary.and_then(|summary| report.summarise(&summary).err()) {
        if code == PASSED {
            return Err(failure);
        }
        // What failed matters more.
        eprintln!("there is no summary: {}", failure.message);
    }
    match report.flaw() {
        Some(message) => Err(Failure { code, message }),
        None => Ok(code),
    }
}

/// A digest over the digests of everything that came out of these runs, one after the other.
fn digest_of_all<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> String {
    let all = verdicts.fold(Sha256::new(), |all, verdict| all.chain_update(&verdict.byte_digest));
    all.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a sample once more, in other processes with random addresses and other runs before it, and says what to tell of
/// the runs that came out differently: how many; of the first why, of the others which.
fn verify_again<S: System>(
    plans: &[Plan<S::Op>],
    verdicts: &BTreeMap<usize, Verdict>,
    sample: &[usize],
    setup: Setup,
) -> Result<(usize, Option<String>), Failure> {
    if sample.is_empty() {
        return Ok((0, None));
    }
    // Backwards, so that each has other runs before it than the first time.
    let again: Vec<Plan<S::Op>> = sample.iter().rev().map(|index| plans[*index].clone()).collect();
    let mut campaign = Campaign::<S>::start(elsewhere(setup)).map_err(Failure::harness)?;
    let progress = progress::bar(again.len() as u64);
    let mut differing = Vec::new();
    let ran = campaign.run(&again, Detail::default(), |index, result| {
        progress.inc(1);
        let plan = &again[index];
        let first = &verdicts[&sample[sample.len() - 1 - index]];
        let same = result.as_ref().is_ok_and(|second| second.byte_digest == first.byte_digest);
        if !same {
            let second = result.map_or_else(|error| error.to_string(), |second| second.byte_digest);
            differing.push((plan, &first.byte_digest, second));
        }
        ControlFlow::Continue(())
    });
    progress.finish_and_clear();
    ran.map_err(Failure::harness)?;
    let Some(((plan, first, second), others)) = differing.split_first() else { return Ok((0, None)) };
    let mut told = explain::<S>(plan, setup, [first, second])?;
    for (plan, ..) in others {
        told += &format!("\nnor is {} with seed {}", plan.scenario, plan.seed);
    }
    Ok((differing.len(), Some(told)))
}

/// What a scenario is there for and no run reached.
fn missing<S: System>(
    sources: &[Source<S>],
    rows: &[Row],
    planned: &[BTreeMap<&str, u64>],
    seeds: u64,
) -> Result<Vec<Missing>, Failure> {
    let mut missing = Vec::new();
    for ((source, row), planned) in sources.iter().zip(rows).zip(planned) {
        if source.expects_nothing() {
            continue;
        }
        let Expected { steps, kinds, named } = source.expected_faults()?;
        let enough = seeds >= SEEDS_ENOUGH;
        let plan = source.plan(0)?;
        let mut tell = |what: String| missing.push(Missing { scenario: row.name.clone(), what });
        for (planned, _) in plan.faults.iter().take(steps).zip(&row.fired).filter(|(_, count)| **count == 0) {
            tell(format!("{} {} never took effect", planned.fault.name(), planned.at));
        }
        let strikes = |kind: &str| planned.get(kind).copied().unwrap_or(0);
        let wanted = kinds.iter().filter(|kind| if named { enough } else { strikes(kind) >= STRIKES_ENOUGH });
        for fault in wanted.filter(|fault| row.faults.get(*fault).is_none_or(|count| *count == 0)) {
            tell(format!("fault {fault} never took effect"));
        }
        for mark in plan.marks.iter().filter(|mark| enough && !row.marks.contains_key(*mark)) {
            tell(format!("no seed reached the mark {mark}"));
        }
        for (check, _) in row.checked.iter().filter(|(_, count)| **count == 0) {
            tell(format!("check {check} examined nothing"));
        }
        if row.operations.ok == 0 {
            tell("no operation of a client succeeded".to_owned());
        }
    }
    Ok(missing)
}
