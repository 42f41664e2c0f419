//! `hunt`: new plans until the time is over.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use super::coverage::ground;
use super::failures::{Concluded, Kinds, ended};
use super::shrink::Shrinker;
use super::sources::{Source, find};
use super::{Ended, Failure, HuntArgs};
use crate::campaign::{Broken, Campaign, Detail};
use crate::capsule::{Capsule, ENDING};
use crate::coverage::Ground;
use crate::hunt::{Hunt, Parent};
use crate::plan::Plan;
use crate::sut::System;
use crate::verdict::Verdict;

/// How many plans a worker gets before what they reached is looked at.
const BATCH: usize = 8;
/// How often a line says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(30);

pub fn hunt<S: System>(arguments: HuntArgs) -> Ended {
    let HuntArgs { scenarios, time, seed, corpus, failures, keep_going, jobs, shrink_seconds, isolation } = arguments;
    let sources: Vec<Source<S>> = find(&scenarios)?;
    let ground = ground(&sources)?;
    let setup = isolation.setup(jobs);
    let mut campaign = Campaign::<S>::start(setup).map_err(Failure::harness)?;
    // Before it says that it has begun: who read that may interrupt it.
    interpose::process::catch_interrupts().map_err(Failure::harness)?;
    println!("hunting for {}; {}", shown(time), campaign.choice().sentence);

    let mut hunt: Hunt<S> = Hunt::new(seed, sources.iter().map(Source::name));
    let mut failed = Kinds::new(&failures);
    // What the harness failed at first: why a run had no verdict, and the file that repeats it, say.
    let mut broken: Option<String> = None;
    let started = interpose::real_monotonic();
    let mut told = started;
    let mut waiting: Vec<(Option<Parent>, Plan<S::Op>)> =
        kept::<S>(corpus.as_deref())?.into_iter().map(|plan| (None, plan)).collect();
    let why = loop {
        let now = interpose::real_monotonic();
        if interpose::process::interrupted() {
            break "interrupted";
        }
        if now - started >= time {
            break "the time is over";
        }
        if !failed.is_empty() && !keep_going {
            break "it found a failure";
        }
        if broken.is_some() {
            break "the harness failed";
        }
        if now - told >= TELL_EVERY {
            told = now;
            println!("{:>5} s: {} runs {}", (now - started).as_secs(), hunt.runs(), hunt.coverage().summary(&ground));
        }
        let width = setup.jobs.get() * BATCH;
        while waiting.len() < width {
            let (parent, plan) = hunt.next(|place, seed| sources[place].plan(seed))?;
            waiting.push((Some(parent), plan));
        }
        let batch: Vec<_> = waiting.drain(..width).collect();
        let plans: Vec<Plan<S::Op>> = batch.iter().map(|(_, plan)| plan.clone()).collect();
        let mut results: Vec<Option<Result<Verdict, Broken>>> = vec![None; plans.len()];
        let ran = campaign.run(&plans, Detail::default(), |index, result| {
            results[index] = Some(result);
            ControlFlow::Continue(())
        });
        ran.map_err(Failure::harness)?;
        // In the order of the plans, whichever worker was first, so that a hunt can be repeated.
        for ((parent, plan), result) in batch.into_iter().zip(results) {
            let verdict = match result {
                Some(Ok(verdict)) => verdict,
                // A variation that cannot be run is none, and an old plan may be of a system that was another.
                Some(Err(Broken::Plan(_))) if !matches!(parent, Some(Parent::Scenario(_))) => continue,
                Some(Err(error)) => {
                    let next = match Capsule::new::<S>(plan, None, String::new()).save(&failures) {
                        Ok(saved) => format!("{} replay {}", S::PROGRAM, saved.display()),
                        Err(unsaved) => unsaved.to_string(),
                    };
                    broken.get_or_insert_with(|| format!("{error}\n{next}"));
                    continue;
                }
                None => continue,
            };
            let new = hunt.learn(parent, &plan, &verdict);
            let unsaved = if !verdict.violations.is_empty() {
                failed.add::<S>(&hunt.runs(), &plan, &verdict).err().map(|failure| failure.message)
            } else if let Some(corpus) = corpus.as_deref().filter(|_| new && parent.is_some()) {
                Capsule::new::<S>(plan, None, verdict.digest).save(corpus).err().map(|error| error.to_string())
            } else {
                None
            };
            broken = broken.or(unsaved);
        }
    };
    tell(&hunt, &ground, why, interpose::real_monotonic() - started);
    let mut shrinker = match failed.is_empty() {
        true => None,
        false => Shrinker::start(setup, Duration::from_secs(shrink_seconds))
            .map_err(|failure| broken.get_or_insert(failure.message))
            .ok(),
    };
    let Concluded { failures: found, flaws } = failed.conclude::<S>(Some(&failures), shrinker.as_mut(), setup);
    broken = broken.or(flaws.into_iter().next());
    found.iter().for_each(|failed| print!("{failed}"));
    if let Some(first) = found.first() {
        println!("\n{}", first.command());
    }
    broken.map_or_else(|| ended(&found), |broken| Err(Failure::harness(broken)))
}

/// The plans of an earlier hunt, in the order of their files. Those that this program cannot read are passed over: the
/// hunt that wrote them may have been of an older one.
fn kept<S: System>(corpus: Option<&Path>) -> Result<Vec<Plan<S::Op>>, Failure> {
    let Some(folder) = corpus.filter(|folder| folder.is_dir()) else { return Ok(Vec::new()) };
    let unreadable = |error| Failure::usage(format!("cannot read {}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // One that was being written when its hunt ended begins with a dot.
        if name.ends_with(ENDING) && !name.starts_with('.') {
            files.push(path);
        }
    }
    files.sort();
    let (mut plans, mut unread) = (Vec::new(), Vec::new());
    for path in &files {
        match Capsule::<S::Op>::load::<S>(path) {
            Ok(capsule) => plans.push(capsule.plan),
            Err(error) => unread.push(error),
        }
    }
    if let Some(first) = unread.first() {
        eprintln!(
            "{} of the {} plans in {} cannot be read, for one:\n{first}",
            unread.len(),
            files.len(),
            folder.display()
        );
    }
    Ok(plans)
}

fn tell<S: System>(hunt: &Hunt<S>, ground: &Ground, why: &str, wall: Duration) {
    println!("\n{} runs in {}: {why}", hunt.runs(), shown(wall));
    println!("{}", hunt.coverage().summary(ground));
    match hunt.growth() {
        None => println!("too few runs to say whether coverage was still growing"),
        Some(0) => println!("coverage had stopped growing: the last quarter of the runs reached nothing new"),
        Some(new) => println!("coverage was still growing: the last quarter of the runs reached {new} new"),
    }
    let missing = hunt.coverage().missing_marks(ground);
    if !missing.is_empty() {
        println!("no run reached {}", missing.join(" "));
    }
}

/// A time in words.
fn shown(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// Reads `90s`, `10m` or `2h`.
pub fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number and a unit, for example 90s, 10m or 2h".to_owned();
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(time("2h"), Ok(Duration::from_secs(7_200)));
        for wrong in ["", "m", "10", "0s", "1ü", "-3s", "99999999999999999999h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
