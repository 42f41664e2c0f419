//! Runs a plan again to see whether it is deterministic, and says where and why it is not.

use std::ops::ControlFlow;
use std::time::{Duration, UNIX_EPOCH};

use super::Failure;
use crate::campaign::{Broken, Campaign, Detail, Setup};
use crate::chain::Link;
use crate::divergence::{Circumstances, Control, Divergence};
use crate::plan::Plan;
use crate::sut::System;
use crate::verdict::Verdict;
use crate::worker::{Aslr, Isolation};

/// How often two runs are repeated until they differ again.
const ATTEMPTS_MAX: usize = 5;

/// Another setting, in which every run must come out the same: other processes, with random addresses.
pub fn elsewhere(setup: Setup) -> Setup {
    let isolation = match setup.isolation {
        // This very process is where the first run was.
        Isolation::None => Isolation::Fork,
        isolation => isolation,
    };
    Setup { isolation, aslr: Aslr::On, ..setup }
}

/// Runs one plan.
pub fn once<S: System>(plan: &Plan<S::Op>, detail: Detail, setup: Setup) -> Result<Verdict, Failure> {
    run_in::<S>(&mut Campaign::start(setup).map_err(Failure::harness)?, plan, detail)
}

fn run_in<S: System>(campaign: &mut Campaign<S>, plan: &Plan<S::Op>, detail: Detail) -> Result<Verdict, Failure> {
    let mut verdict = None;
    let ran = campaign.run(std::slice::from_ref(plan), detail, |_, result| {
        verdict = Some(result);
        ControlFlow::Break(())
    });
    ran.map_err(Failure::harness)?;
    verdict.ok_or_else(|| Failure::harness("the run has no verdict"))?.map_err(|broken| match broken {
        Broken::Plan(_) => Failure::usage(broken),
        Broken::Process(_) => Failure::harness(broken),
    })
}

/// Where and why the runs of a plan differ, that came to these digests in `setup` and [`elsewhere`]: runs it again in
/// both and compares record by record.
pub fn explain<S: System>(plan: &Plan<S::Op>, setup: Setup, digests: [&str; 2]) -> Result<String, Failure> {
    let [first, second] = digests;
    let told = format!(
        "{} with seed {} is not deterministic: byte digest {first}, and then {second}",
        plan.scenario, plan.seed
    );
    let mut here = Campaign::<S>::start(setup).map_err(Failure::harness)?;
    let mut there = Campaign::<S>::start(elsewhere(setup)).map_err(Failure::harness)?;
    let chain = |campaign: &mut Campaign<S>| -> Result<Vec<Link>, Failure> {
        Ok(run_in(campaign, plan, Detail { chain: true, ..Detail::default() })?.chain)
    };
    for _ in 0..ATTEMPTS_MAX {
        let (one, other) = (chain(&mut here)?, chain(&mut there)?);
        let Some(divergence) = Divergence::between(&one, &other) else { continue };
        // In a worker of its own, since that is how the two were.
        let mut again = Campaign::<S>::start(setup).map_err(Failure::harness)?;
        let control = match (Divergence::between(&one, &chain(&mut again)?), again.choice().aslr) {
            (_, Aslr::On) => Control::Unknown,
            (None, Aslr::Off) => Control::Same,
            (Some(_), Aslr::Off) => Control::Different,
        };
        let (utc, monotonic) = (utc_now(), interpose::real_monotonic());
        let source = divergence.source(Circumstances { control, utc, monotonic });
        return Ok(format!("{told}\n{divergence}\nlikely source: {source}"));
    }
    Ok(format!(
        "{told}\n{ATTEMPTS_MAX} more pairs of runs were the same, so there is no record to show: the difference is \
         intermittent. Likely source: a race with another thread, or state that an earlier run left"
    ))
}

/// The real time of day, since 1970.
#[expect(clippy::disallowed_methods, reason = "to recognise the real clock's readings; nothing is simulated here")]
fn utc_now() -> Duration {
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
