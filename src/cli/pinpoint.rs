//! `pinpoint`: the moment from which on a failure was hard to avoid.

use std::num::NonZero;
use std::ops::ControlFlow;

use super::page::{self, AT_LENGTH};
use super::progress;
use super::verify::once;
use super::{Ended, Failure, PASSED, PinpointArgs, VIOLATED};
use crate::campaign::{Campaign, Detail};
use crate::capsule::Capsule;
use crate::check::Fingerprint;
use crate::pinpoint::{between, describe, futures, jump, moments, sparkline};
use crate::plan::Plan;
use crate::report::{Curve, CurvePoint};
use crate::sut::System;

/// How many moments are tried at first, and then once more between the two where the share rises most.
const MOMENTS: usize = 24;

pub fn pinpoint<S: System>(arguments: PinpointArgs) -> Ended {
    let PinpointArgs { file, runs, output, jobs, isolation } = arguments;
    let capsule = Capsule::<S::Op>::load::<S>(&file).map_err(Failure::usage)?;
    let Some(expected) = capsule.expected.clone() else {
        return Err(Failure::usage(format!("{} records no violation, so there is nothing to ask", file.display())));
    };
    let setup = isolation.setup(jobs);
    let verdict = once::<S>(&capsule.plan, AT_LENGTH, isolation.setup(Some(NonZero::<usize>::MIN)))?;
    if verdict.story.is_none() {
        return Ok(page::without_story(&verdict));
    }
    let mut data = page::of_run::<S>(&capsule, &file, &verdict, setup)?;
    let Some(shown) = data.violations.iter().find(|shown| shown.fingerprint == expected.fingerprint) else {
        println!("the recorded violation of {} [{}] does not show", expected.property, expected.fingerprint);
        return Ok(PASSED);
    };
    let (event, timeline) = (shown.event, &data.timeline);

    let mut campaign = Campaign::<S>::start(setup).map_err(Failure::harness)?;
    let mut shares = |kept: &[Option<u64>]| -> Result<Vec<CurvePoint>, Failure> {
        let plans: Vec<Plan<S::Op>> = kept.iter().flat_map(|kept| futures(&capsule.plan, *kept, runs)).collect();
        let failed = count::<S>(&mut campaign, &plans, expected.fingerprint)?;
        let point = |(kept, failed): (&Option<u64>, &[bool])| {
            let (event, text) = kept.and_then(|at_ms| describe(timeline, at_ms)).unzip();
            CurvePoint {
                at_ms: kept.unwrap_or(0),
                event,
                failed: failed.iter().filter(|failed| **failed).count() as u64,
                text: text.unwrap_or_else(|| "nothing is kept but the plan".to_owned()),
            }
        };
        Ok(kept.iter().zip(failed.chunks(runs as usize)).map(point).collect())
    };
    let coarse: Vec<Option<u64>> =
        std::iter::once(None).chain(moments(timeline, event, MOMENTS).into_iter().map(Some)).collect();
    let mut points = shares(&coarse)?;
    let closer: Vec<Option<u64>> = between(&points, timeline, event, MOMENTS).into_iter().map(Some).collect();
    points.extend(shares(&closer)?);
    points.sort_by_key(|point| point.at_ms);
    let curve = Curve { runs, jump: jump(&points, runs), points };

    tell(&curve);
    let path = output.unwrap_or_else(|| page::beside(&file));
    data.curve = Some(curve);
    page::write(&path, &data)?;
    println!("{}", path.display());
    Ok(VIOLATED)
}

/// Which of the plans fail in this way.
fn count<S: System>(
    campaign: &mut Campaign<S>,
    plans: &[Plan<S::Op>],
    fingerprint: Fingerprint,
) -> Result<Vec<bool>, Failure> {
    let progress = progress::bar(plans.len() as u64);
    let mut failed = vec![false; plans.len()];
    let ran = campaign.run(plans, Detail::default(), |index, result| {
        progress.inc(1);
        // A future that cannot be run is none in which it fails.
        failed[index] = result
            .is_ok_and(|verdict| verdict.violations.iter().any(|violation| violation.fingerprint() == fingerprint));
        ControlFlow::Continue(())
    });
    progress.finish_and_clear();
    ran.map_err(Failure::harness)?;
    Ok(failed)
}

fn tell(curve: &Curve) {
    println!("{}   the share of {} runs that still fail, as more of the run is kept", sparkline(curve), curve.runs);
    for (place, CurvePoint { at_ms, failed, text, .. }) in curve.points.iter().enumerate() {
        let here = if curve.jump == Some(place) { "  <- here" } else { "" };
        println!("{at_ms:>7} ms {:>4} %  {text}{here}", 100 * failed / curve.runs.max(1));
    }
    let first = curve.points.first().map_or(0, |point| point.failed);
    match curve.jump.map(|place| &curve.points[place]) {
        Some(CurvePoint { at_ms, text, .. }) => println!("\nlook at {at_ms} ms: {text}"),
        None if first == curve.runs => println!("\nthe plan alone leads there, whatever chance does"),
        None => println!("\nthere is no single moment at which it jumps"),
    }
}
