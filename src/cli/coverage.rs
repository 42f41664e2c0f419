//! `coverage`: what the scenarios reach, and what they do not.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::progress;
use super::sources::{Source, find};
use super::{CoverageArgs, Ended, Failure, PASSED, VIOLATED};
use crate::campaign::{Campaign, Detail};
use crate::coverage::{Coverage, Ground};
use crate::plan::{FAULT_KINDS, Topology};
use crate::sut::System;

/// What there is to reach in scenarios, whose options may give the system more hosts or fewer.
pub fn ground<S: System>(sources: &[Source<S>]) -> Result<Ground, Failure> {
    let topologies = sources.iter().map(|source| Ok(Topology::of(&source.system()?)));
    let topologies: Vec<Topology> = topologies.collect::<Result<_, Failure>>()?;
    Ok(Ground::new(&FAULT_KINDS, &topologies))
}

pub fn coverage<S: System>(arguments: CoverageArgs) -> Ended {
    let CoverageArgs { scenarios, seeds, jobs, isolation } = arguments;
    let sources: Vec<Source<S>> = find(&scenarios)?;
    let mut plans = Vec::new();
    for source in &sources {
        for seed in seeds.clone() {
            plans.push(source.plan(seed)?);
        }
    }
    let mut campaign = Campaign::<S>::start(isolation.setup(jobs)).map_err(Failure::harness)?;
    let progress = progress::bar(plans.len() as u64);
    let mut coverage = Coverage::default();
    // The scenarios that reach each mark.
    let mut reaching: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let (mut failed, mut broken) = (0, None);
    let ran = campaign.run(&plans, Detail::default(), |index, result| {
        progress.inc(1);
        match result {
            Ok(verdict) => {
                coverage.add(&verdict);
                failed += u64::from(!verdict.violations.is_empty());
                for mark in verdict.marks.into_keys() {
                    let scenarios = reaching.entry(mark).or_default();
                    if !scenarios.contains(&plans[index].scenario.as_str()) {
                        scenarios.push(&plans[index].scenario);
                    }
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                broken = Some(format!("{} with seed {}: {error}", plans[index].scenario, plans[index].seed));
                ControlFlow::Break(())
            }
        }
    });
    progress.finish_and_clear();
    ran.map_err(Failure::harness)?;
    if let Some(broken) = broken {
        return Err(Failure::harness(broken));
    }

    let ground = ground(&sources)?;
    println!("faults that took effect, by the stage of the host that they struck\n\n{}", coverage.matrix(&ground));
    println!("marks, and how many scenarios reach them");
    for mark in &ground.marks {
        if let Some(scenarios) = reaching.get_mut(mark) {
            scenarios.sort_unstable();
            println!("  {mark:<28} {:>3}  {}", scenarios.len(), shortened(scenarios));
        }
    }
    let missing = coverage.missing_marks(&ground);
    for mark in &missing {
        println!("{} no scenario reaches the mark {mark}", console::style("missing").red().bold());
    }
    let stages = coverage.missing_crashes(&ground);
    if !stages.is_empty() {
        println!("no run was crashed at {}; `{} sweep` crashes at every point", stages.join(" "), S::PROGRAM);
    }
    println!("\n{} runs {}", plans.len(), coverage.summary(&ground));
    if failed > 0 {
        println!("{failed} of them broke a promise: `{} run` says which", S::PROGRAM);
    }
    Ok(if missing.is_empty() && failed == 0 { PASSED } else { VIOLATED })
}

/// A few of many.
fn shortened(scenarios: &[&str]) -> String {
    const SHOWN: usize = 3;
    let shown = scenarios.iter().take(SHOWN).copied().collect::<Vec<_>>().join(" ");
    if scenarios.len() > SHOWN { format!("{shown} …") } else { shown }
}
