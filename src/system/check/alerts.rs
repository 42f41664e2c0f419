//! An alert fires if and only if the record has something that nobody has resolved.

use super::process::LastProcess;
use super::tally::{self, Counted, tx, within};
use super::{CoordinatorRecord, media_broke};
use crate::check::{Checker, Verdict, Violation};
use crate::record::{TraceEvent, What, mark_name};
use crate::system::dump::{self, AuditLine, Dump};

/// Every alert of the last process fires if and only if its record has what the alert is about, and the counters of its
/// checks are what became of them.
///
/// - `id_conflict`: in the last five minutes somebody wanted what somebody else had.
/// - `failure_rate`: of at least 100 transactions of the last five minutes more than one in a hundred failed.
/// - `recovery_slow`: a transaction has been in doubt for over 30 s, or was when it was settled in the last five minutes.
/// - `check_failed`: a pass left differences and none has ended without since; a case or a damaged record of the log is
///   left to a person, whichever process has left it; a start found that the graph had lost something; or something else met a difference in the last five minutes.
///
/// All of it is derived from the trace and the audit trail, under the limits that `docs/operations.md` promises. Only what
/// a start finds in the graph is in neither: where no medium broke it has to be nothing, and elsewhere its own counter is
/// taken for it. What happened so close to the edge of a window that the record cannot decide is not judged.
#[derive(Clone, Copy, Debug)]
pub struct Alerts;

/// How far back alerts look.
const WINDOW_MS: u64 = 5 * 60 * 1_000;

/// What is this much younger than the window may have been forgotten: the coordinator forgets in steps.
const WINDOW_GRAIN_MS: u64 = 10 * 1_000;

/// For how long a transaction may be in doubt.
const IN_DOUBT_MAX_MS: u64 = 30 * 1_000;

/// From how many transactions on their rate of failure means anything.
const ATTEMPTS_MIN: usize = 100;

/// How many of 1,000 may fail.
const FAILURES_PER_MILLE_MAX: usize = 10;

/// How far two clocks that count milliseconds may be apart, and what is carried out may be from what was asked for.
const GRAIN_MS: u64 = 2;

/// How the answers to transactions that count as failures are named.
const FAILURES: [&str; 6] = ["graph_refused", "fenced", "unknown", "busy", "unavailable", "halted"];

impl Checker<CoordinatorRecord> for Alerts {
    fn name(&self) -> &'static str {
        "alerts"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let mut verdict = Verdict::default();
        // That there are no counters is for others to judge.
        let counters =
            record.dumps.get(dump::COUNTERS).filter(|_| record.settled.is_ok() && record.refusals.is_empty());
        let process = LastProcess::of(&record.trace);
        let Some(counters) = counters.filter(|_| !process.events.is_empty()) else { return verdict };
        let counters = dump::read_counters(counters);
        let counted = |name: &str| counters.get(name).copied().unwrap_or(0);

        let evidence = Evidence::of(record, &process);
        let mut differing = evidence.counts(counted);
        verdict.checked = differing.iter().map(|(_, count)| count).sum();
        differing.retain(|(name, count)| counted(name) != *count);
        if !differing.is_empty() {
            let lines = |count: &dyn Fn(&(String, u64)) -> u64| {
                differing.iter().map(|line| format!("{} {}", line.0, count(line))).collect::<Vec<_>>().join(", ")
            };
            verdict.violations.push(
                Violation::new(self.name(), "a check is counted otherwise than it ended")
                    .expected(format!("{}, as in the record", lines(&|(_, count)| *count)))
                    .actual(lines(&|(name, _)| counted(name))),
            );
        }
        for Judgement { alert, unresolved, looked_at, why } in evidence.judge(counted) {
            let Some(unresolved) = unresolved else { continue };
            verdict.checked += looked_at as u64;
            let firing = counted(&format!("alert_firing {alert}")) > 0;
            let (key, expected, actual) = match (unresolved, firing) {
                (true, false) => ("an alert is silent although something is unresolved", "fires", "is silent"),
                (false, true) => ("an alert fires although nothing is unresolved", "is silent", "fires"),
                _ => continue,
            };
            verdict.violations.push(
                Violation::new(self.name(), key)
                    .expected(format!("{alert} {expected}: {why}"))
                    .actual(format!("{alert} {actual}")),
            );
        }
        verdict
    }
}

/// What the record says of one alert.
struct Judgement {
    alert: &'static str,
    /// Whether there is something that somebody has to look at; `None` where the record cannot decide.
    unresolved: Option<bool>,
    /// How many things it was decided by.
    looked_at: usize,
    why: String,
}

/// What alerts are about, as the record has it.
struct Evidence {
    /// When the coordinator was asked.
    asked_ms: u64,
    /// What the protocol counts.
    counted: Vec<Counted>,
    doubts: Vec<Doubt>,
    /// How each pass over both stores ended, in order.
    passes: Vec<Pass>,
    /// When something but a pass met a difference between the stores.
    differences: Vec<u64>,
    /// How many damaged records of the log are left to a person; `None` if nobody can say.
    damaged: Option<usize>,
    /// How many cases are; `None` if nobody can say what there were when the coordinator was asked.
    cases: Option<usize>,
    /// Whether a store may have lost what it had acknowledged.
    lossy: bool,
}

/// A transaction that was, or is, in doubt.
struct Doubt {
    since_ms: u64,
    /// When it was settled, if it was.
    until_ms: Option<u64>,
}

/// The end of a pass over both stores.
#[derive(Clone, Copy)]
struct Pass {
    at_ms: u64,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It saw everything, and nothing is left.
    Clean,
    /// It left differences.
    Differences,
    /// It did not see everything, and says nothing.
    Partial,
}

impl Evidence {
    fn of(record: &CoordinatorRecord, process: &LastProcess<'_>) -> Evidence {
        let texts = |what: What, core: &'static str| {
            let of_the_core = move |event: &&TraceEvent| event.what == what;
            let all = process.events.iter().chain(&process.afterwards).copied().filter(of_the_core);
            all.filter_map(move |event| Some((event.at_ms, event.text.strip_prefix(core)?)))
        };
        let passes = texts(What::Effect, "reconcile Report ");
        let failed = texts(What::Input, "commit Failed ");
        let forgets = record.plan.system.get("graph_forgets").is_some();
        let dump = Dump::read(&record.dumps).ok();
        // Since then a pass may have opened one.
        let goes_on = process.afterwards.iter().any(|event| event.text.starts_with("reconcile "));
        Evidence {
            asked_ms: process.asked_ms,
            counted: tally::events(process),
            doubts: doubts(process),
            passes: passes.map(|(at_ms, text)| Pass { at_ms, end: end(text) }).collect(),
            differences: failed.filter(|(_, text)| met_a_difference(text)).map(|(at_ms, _)| at_ms).collect(),
            damaged: dump.as_ref().map(|dump| damaged(&dump.audit)),
            cases: dump.filter(|_| !goes_on).map(|dump| dump.cases.len()),
            lossy: forgets || media_broke(record),
        }
    }

    /// What the counters of the checks have to be, those left out of which the record cannot decide.
    fn counts(&self, counted: impl Fn(&str) -> u64) -> Vec<(String, u64)> {
        let mut counts = Vec::new();
        let mut expect = |check: &str, [passed, failed]: [usize; 2]| {
            counts.push((format!("checks_total {check} passed"), passed as u64));
            counts.push((format!("checks_total {check} failed"), failed as u64));
        };
        // A process starts once.
        match (self.found_a_loss(&counted), self.passes()) {
            (false, _) => expect("start", [1, 0]),
            // What it found is taken back once, by a pass that found the stores the same; not before.
            (true, Some(passes)) => {
                let acquitted = passes.iter().any(|pass| pass.end == End::Clean);
                expect("start", [usize::from(acquitted && counted("checks_total start passed") > 0), 1]);
            }
            (true, None) => {}
        }
        if let Some(damaged) = self.damaged {
            expect("log", if damaged > 0 { [0, 1] } else { [1, 0] });
        }
        if let Some(passes) = self.passes() {
            let ended = |end| passes.iter().filter(|pass| pass.end == end).count();
            expect("stores", [ended(End::Clean), ended(End::Differences)]);
        }
        if let Some(differences) = self.carried_out(&self.differences) {
            counts.push(("store_differences_total".to_owned(), differences as u64));
        }
        counts
    }

    /// Whether its start found a loss, or one before it that no pass has taken back; it may where a medium broke.
    fn found_a_loss(&self, counted: impl Fn(&str) -> u64) -> bool {
        self.lossy && counted("checks_total start failed") > 0
    }

    fn judge(&self, counted: impl Fn(&str) -> u64) -> [Judgement; 4] {
        [self.id_conflict(), self.failure_rate(), self.recovery_slow(), self.check_failed(counted)]
    }

    fn id_conflict(&self) -> Judgement {
        let conflicts: Vec<u64> = self.times(|name| name.starts_with("id_conflicts_total "));
        Judgement {
            alert: "id_conflict",
            unresolved: any(conflicts.iter().map(|at_ms| self.is_recent(*at_ms))),
            looked_at: conflicts.len(),
            why: format!("at {conflicts:?} ms somebody wanted what was taken"),
        }
    }

    fn failure_rate(&self) -> Judgement {
        let answers = |name: &str| name.strip_prefix("requests_total transaction ").map(str::to_owned);
        let failed = self.times(|name| answers(name).is_some_and(|answer| FAILURES.contains(&answer.as_str())));
        let done = self.times(|name| answers(name).is_some_and(|answer| answer == "committed"));
        let recent = |times: &[u64]| -> Option<usize> {
            let certain: Option<Vec<bool>> = times.iter().map(|at_ms| self.is_recent(*at_ms)).collect();
            Some(certain?.into_iter().filter(|recent| *recent).count())
        };
        let (failures, attempts) = (recent(&failed), recent(&[failed.as_slice(), &done].concat()));
        let too_many = |(failures, attempts): (usize, usize)| {
            attempts >= ATTEMPTS_MIN && failures * 1_000 > attempts * FAILURES_PER_MILLE_MAX
        };
        Judgement {
            alert: "failure_rate",
            unresolved: failures.zip(attempts).map(too_many),
            looked_at: attempts.unwrap_or(0),
            why: format!("{} of {} transactions have failed", failures.unwrap_or(0), attempts.unwrap_or(0)),
        }
    }

    fn recovery_slow(&self) -> Judgement {
        let slow = |doubt: &Doubt| {
            let for_ms = doubt.until_ms.unwrap_or(self.asked_ms) - doubt.since_ms;
            let too_long = if for_ms > IN_DOUBT_MAX_MS + GRAIN_MS {
                Some(true)
            } else if for_ms + GRAIN_MS < IN_DOUBT_MAX_MS {
                Some(false)
            } else {
                None
            };
            both(too_long, doubt.until_ms.map_or(Some(true), |until_ms| self.is_recent(until_ms)))
        };
        let longest = self.doubts.iter().map(|doubt| doubt.until_ms.unwrap_or(self.asked_ms) - doubt.since_ms).max();
        Judgement {
            alert: "recovery_slow",
            unresolved: any(self.doubts.iter().map(slow)),
            looked_at: self.doubts.len(),
            why: format!("the longest doubt took {} ms", longest.unwrap_or(0)),
        }
    }

    fn check_failed(&self, counted: impl Fn(&str) -> u64) -> Judgement {
        let start = self.found_a_loss(&counted) && counted("checks_total start passed") == 0;
        let last = |passes: Vec<Pass>| passes.into_iter().rfind(|pass| pass.end != End::Partial);
        let left = self.passes().map(|passes| last(passes).is_some_and(|pass| pass.end == End::Differences));
        let damaged = self.damaged.map(|damaged| damaged > 0);
        let open = self.cases.map(|cases| cases > 0);
        let met = any(self.differences.iter().map(|at_ms| both(self.is_carried_out(*at_ms), self.is_recent(*at_ms))));
        Judgement {
            alert: "check_failed",
            unresolved: any([Some(start), left, damaged, open, met]),
            looked_at: self.passes.len()
                + self.differences.len()
                + self.damaged.unwrap_or(0)
                + self.cases.unwrap_or(0)
                + usize::from(start),
            why: format!(
                "a start found a loss: {}; the last pass left differences: {}; records of the log are damaged: {}; \
                 cases are open: {}; somebody met a difference: {}",
                word(Some(start)),
                word(left),
                word(damaged),
                word(open),
                word(met)
            ),
        }
    }

    /// The passes that had been reported when the coordinator was asked, if that is certain.
    fn passes(&self) -> Option<Vec<Pass>> {
        let certain = |pass: &Pass| Some((*pass, self.is_carried_out(pass.at_ms)?));
        let passes: Option<Vec<(Pass, bool)>> = self.passes.iter().map(certain).collect();
        Some(passes?.into_iter().filter_map(|(pass, reported)| reported.then_some(pass)).collect())
    }

    /// How many of these had been carried out when the coordinator was asked, if that is certain.
    fn carried_out(&self, times: &[u64]) -> Option<usize> {
        let certain: Option<Vec<bool>> = times.iter().map(|at_ms| self.is_carried_out(*at_ms)).collect();
        Some(certain?.into_iter().filter(|done| *done).count())
    }

    /// When everything was counted under such a name.
    fn times(&self, is_meant: impl Fn(&str) -> bool) -> Vec<u64> {
        self.counted.iter().filter(|event| is_meant(&event.name)).map(|event| event.at_ms).collect()
    }

    /// Whether what stands in the trace at this time had been carried out when the coordinator was asked, where a task of
    /// its own does so.
    fn is_carried_out(&self, at_ms: u64) -> Option<bool> {
        (at_ms.abs_diff(self.asked_ms) > GRAIN_MS).then_some(at_ms < self.asked_ms)
    }

    /// Whether it is within the window of the alerts.
    fn is_recent(&self, at_ms: u64) -> Option<bool> {
        let age_ms = self.asked_ms.saturating_sub(at_ms);
        if age_ms + WINDOW_GRAIN_MS + GRAIN_MS < WINDOW_MS {
            Some(true)
        } else if age_ms > WINDOW_MS + GRAIN_MS {
            Some(false)
        } else {
            None
        }
    }
}

/// Whether one of them is so: one that is certain is enough.
fn any(of: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut unsure = false;
    for so in of {
        match so {
            Some(true) => return so,
            Some(false) => {}
            None => unsure = true,
        }
    }
    (!unsure).then_some(false)
}

/// Whether both are so.
fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    any([one, other].map(|so| so.map(|so| !so))).map(|not| !not)
}

fn word(so: Option<bool>) -> &'static str {
    so.map_or("nobody can say", |so| if so { "yes" } else { "no" })
}

/// From the durable intent, or the start of the process that found it, to the outcome.
fn doubts(process: &LastProcess<'_>) -> Vec<Doubt> {
    let mut doubts: Vec<(&str, Doubt)> = Vec::new();
    for event in &process.events {
        let Some(text) = event.text.strip_prefix("commit ") else { continue };
        let begins = match event.what {
            What::Input => text.starts_with("Done { effect: Intend(") && text.contains("report: Intended"),
            What::Mark => text.starts_with("Recovered("),
            _ => continue,
        };
        if begins {
            doubts.push((tx(text), Doubt { since_ms: event.at_ms, until_ms: None }));
        } else if event.what == What::Mark && matches!(mark_name(text).as_str(), "committed" | "aborted") {
            let open = doubts.iter_mut().rfind(|(open, doubt)| *open == tx(text) && doubt.until_ms.is_none());
            open.into_iter().for_each(|(_, doubt)| doubt.until_ms = Some(event.at_ms));
        }
    }
    doubts.into_iter().map(|(_, doubt)| doubt).collect()
}

/// How a pass ended, by its report.
fn end(report: &str) -> End {
    // What was found may have any text in it.
    let summary = report.split_once(", findings: [").map_or(report, |(summary, _)| summary);
    let number = |name: &str| summary.rsplit_once(name).map_or("", |(_, rest)| rest.split(',').next().unwrap_or(""));
    let number = |name: &str| -> u64 { number(name).trim_end_matches([' ', '}']).parse().unwrap_or(0) };
    let [differences, repaired, skipped] = [", differences: ", ", repaired: ", ", skipped: "].map(number);
    if differences > repaired {
        End::Differences
    } else if within(summary, "complete: ", ",") == "true" && skipped == 0 {
        End::Clean
    } else {
        End::Partial
    }
}

/// Whether a step failed because the stores differ: a read of both that does not fit together, or the first attempt of a
/// transaction that fits SQLite and changes something else in the graph than it has to.
fn met_a_difference(failed: &str) -> bool {
    let effect = within(failed, "effect: ", ", failure: ");
    let refused = failed.split_once("failure: Refused { reason: ").is_some_and(|(_, rest)| {
        let read = effect.starts_with("Load(") || effect.starts_with("Find(");
        let first = effect.starts_with("Decide(") && effect.ends_with(", 1)");
        read && rest.contains(": the stores were changed by somebody else\"")
            || first && rest.starts_with("\"statement ")
    });
    refused && failed.contains("retryable: false")
}

/// How many records of the log were set apart and left to a person who has not closed them.
fn damaged(audit: &[AuditLine]) -> usize {
    let of = |action: &str, line: &AuditLine| audit.iter().any(|other| other.action == action && other.tx == line.tx);
    audit.iter().filter(|line| line.action == "isolated" && !of("resolved", line)).count()
}

#[cfg(test)]
mod tests {
    use coordinator::commit::{
        Answer, CommitEffect, Decision, EffectId, Failure, Input, Mark, Rejection, Report, RequestId,
    };
    use coordinator::reconcile::{ReconcileEffect, Summary, Task};
    use graph::TxId;

    use super::super::fixture::{CASTS, Run, caught, passed};
    use super::*;
    use crate::system::COORDINATOR;
    use crate::system::operation::Op;

    const FIRES: &str = "an alert fires although nothing is unresolved";
    const SILENT: &str = "an alert is silent although something is unresolved";
    const MISCOUNTED: &str = "a check is counted otherwise than it ended";

    /// Time passes, and the coordinator is asked.
    fn ask_after(run: &mut Run, ms: u64) {
        run.at_ms += ms;
        run.told(Input::Inspect { request: RequestId(900) });
    }

    fn counts(run: &mut Run, counted: &str) {
        run.counters += &format!("coordinator_{counted}\n");
    }

    fn fires(run: &mut Run, alert: &str) {
        counts(run, &format!("alert_firing{{alert=\"{alert}\"}} 1"));
    }

    /// A pass that found and repaired so many differences; the coordinator is asked later.
    fn pass(run: &mut Run, differences: u64, repaired: u64, complete: bool) {
        report(run, differences, repaired, complete);
        ask_after(run, 10);
    }

    /// A pass ends, as the core reports it.
    fn report(run: &mut Run, differences: u64, repaired: u64, complete: bool) {
        let summary = Summary {
            task: Task::Validate,
            complete,
            // Whatever a store says must not be taken for a number.
            why: (!complete).then(|| "no answer, differences: 0, repaired: 7, skipped: 0".to_owned()),
            entities: 2,
            links: 1,
            suspects: differences,
            differences,
            repaired,
            undecided: differences - repaired,
            skipped: 0,
            findings: Vec::new(),
        };
        let text = format!("reconcile {:?}", ReconcileEffect::Report { request: None, summary });
        let host = COORDINATOR.to_owned();
        run.trace.push(TraceEvent { at_ms: run.at_ms, host, what: What::Effect, text, message: None });
    }

    fn failed(run: &mut Run, effect: EffectId, reason: &str) {
        let failure = Failure::Refused { reason: reason.to_owned(), retryable: false };
        run.told(Input::Failed { effect, failure });
        ask_after(run, 10);
    }

    /// A transaction is in doubt from now on.
    fn intended(run: &mut Run) -> TxId {
        let tx = TxId { incarnation: 1, serial: 800 };
        run.told(Input::Done { effect: EffectId::Intend(tx), report: Report::Intended });
        tx
    }

    /// So many more clients are answered, of whom so many are told that nothing was done.
    fn answers(run: &mut Run, count: u64, failures: u64) {
        for nth in 0..count {
            let op = run.invoke(Op::Submit { operations: vec![run.link()], retries: 0, again: 0, then: Vec::new() });
            let tx = TxId { incarnation: 1, serial: 500 + nth };
            let patch = graph::Patch { operations: vec![run.link()] };
            let submission = coordinator::commit::Submission {
                key: coordinator::commit::IdempotencyKey(format!("k-{nth}")),
                hash: coordinator::commit::ContentHash::of(&patch),
                patch,
            };
            let request = RequestId(op.0);
            run.told(Input::Submit { request, submission });
            if nth < failures {
                run.did(CommitEffect::Reply { request, answer: Answer::Rejected(Rejection::Busy) });
            } else {
                run.answered(op, tx, Decision::Committed);
            }
        }
    }

    #[test]
    fn a_conflict_fires_for_five_minutes() {
        caught(&Alerts, SILENT, |run| {
            run.counters = run.counters.replace("coordinator_alert_firing", "coordinator_lost")
        });
        passed(&Alerts, |run| ask_after(run, 289_000));
        caught(&Alerts, FIRES, |run| ask_after(run, 301_000));
        passed(&Alerts, |run| {
            ask_after(run, 301_000);
            run.counters = run.counters.replace("coordinator_alert_firing", "coordinator_over");
        });
    }

    #[test]
    fn an_alert_without_a_reason_is_seen() {
        for alert in ["failure_rate", "recovery_slow", "check_failed"] {
            caught(&Alerts, FIRES, |run| fires(run, alert));
        }
    }

    #[test]
    fn at_the_edge_of_the_window_nothing_is_judged() {
        for alert in ["id_conflict", "unknown"] {
            let mut run = Run::sound(CASTS[0]);
            run.counters = run.counters.replace("id_conflict", alert);
            ask_after(&mut run, 295_000);
            assert_eq!(Alerts.check(&run.record()).violations, []);
        }
    }

    #[test]
    fn a_doubt_of_over_thirty_seconds_fires_while_it_lasts_and_for_five_minutes() {
        let doubt = |run: &mut Run, ms: u64, settled: bool| {
            let tx = intended(run);
            run.at_ms += ms;
            if settled {
                run.decided(Mark::Committed(tx));
            }
            ask_after(run, 0);
        };
        for settled in [true, false] {
            caught(&Alerts, SILENT, |run| doubt(run, 30_100, settled));
            passed(&Alerts, |run| doubt(run, 29_900, settled));
            passed(&Alerts, |run| {
                doubt(run, 30_100, settled);
                fires(run, "recovery_slow");
            });
        }
        caught(&Alerts, SILENT, |run| {
            run.decided(Mark::Recovered(TxId { incarnation: 1, serial: 800 }));
            ask_after(run, 30_100);
        });
        let mut undecided = Run::sound(CASTS[0]);
        doubt(&mut undecided, 30_000, true);
        let verdict = Alerts.check(&undecided.record());
        assert_eq!(verdict.violations, []);
        fires(&mut undecided, "recovery_slow");
        assert_eq!(Alerts.check(&undecided.record()), verdict, "whichever it is, a millisecond decides");
    }

    #[test]
    fn more_than_one_failure_in_a_hundred_fires() {
        // A sound run has two attempts of its own.
        caught(&Alerts, SILENT, |run| answers(run, 98, 2));
        passed(&Alerts, |run| answers(run, 97, 2));
        passed(&Alerts, |run| answers(run, 98, 1));
        passed(&Alerts, |run| {
            answers(run, 98, 2);
            fires(run, "failure_rate");
        });
    }

    #[test]
    fn differences_that_the_last_pass_left_fire() {
        let left = |run: &mut Run| {
            counts(run, r#"checks_total{check="stores",result="failed"} 1"#);
            pass(run, 3, 2, true);
        };
        caught(&Alerts, SILENT, left);
        passed(&Alerts, |run| {
            left(run);
            // It did not see everything, and takes nothing back.
            pass(run, 0, 0, false);
            fires(run, "check_failed");
        });
        caught(&Alerts, FIRES, |run| {
            left(run);
            pass(run, 1, 1, true);
            counts(run, r#"checks_total{check="stores",result="passed"} 1"#);
            fires(run, "check_failed");
        });
        caught(&Alerts, MISCOUNTED, |run| pass(run, 0, 0, true));
    }

    #[test]
    fn a_pass_that_ends_as_the_coordinator_is_asked_is_not_judged() {
        let mut run = Run::sound(CASTS[0]);
        report(&mut run, 3, 2, true);
        ask_after(&mut run, 1);
        assert_eq!(Alerts.check(&run.record()).violations, []);
    }

    #[test]
    fn a_difference_that_a_read_or_a_transaction_meets_fires() {
        let tx = TxId { incarnation: 1, serial: 1 };
        let met = [
            (EffectId::Load(RequestId(1)), "only SQLite has entity x: the stores were changed by somebody else"),
            (EffectId::Decide(tx, 1), "statement MERGE x changed 0, expected 1"),
        ];
        for (effect, reason) in met {
            let meet = |run: &mut Run| {
                failed(run, effect, reason);
                counts(run, "store_differences_total 1");
            };
            caught(&Alerts, SILENT, meet);
            passed(&Alerts, |run| {
                meet(run);
                fires(run, "check_failed");
            });
            caught(&Alerts, MISCOUNTED, |run| {
                failed(run, effect, reason);
                fires(run, "check_failed");
            });
        }
        passed(&Alerts, |run| {
            // What an earlier attempt may have done is no difference.
            failed(run, EffectId::Decide(tx, 2), "statement MERGE x changed 0, expected 1");
            failed(run, EffectId::Load(RequestId(1)), "Neo.ClientError.General: no");
        });
    }

    #[test]
    fn a_damaged_record_fires_until_a_person_has_closed_it() {
        let line = |run: &Run, action: &str| {
            let entry = run.audit.len() as u64 + 1;
            AuditLine { entry, tx: Some(run.log[0].tx), action: action.to_owned() }
        };
        let isolated = |run: &mut Run| {
            run.audit.push(line(run, "isolated"));
            run.counters = run.counters.replace(r#""log",result="passed""#, r#""log",result="failed""#);
        };
        caught(&Alerts, SILENT, isolated);
        passed(&Alerts, |run| {
            isolated(run);
            fires(run, "check_failed");
        });
        caught(&Alerts, FIRES, |run| {
            run.audit.push(line(run, "isolated"));
            run.audit.push(line(run, "resolved"));
            fires(run, "check_failed");
        });
        caught(&Alerts, MISCOUNTED, |run| {
            run.audit.push(line(run, "isolated"));
            fires(run, "check_failed");
        });
    }

    #[test]
    fn a_case_fires_until_a_person_has_closed_it() {
        let case = |run: &mut Run| run.cases.push("entity x".to_owned());
        caught(&Alerts, SILENT, case);
        passed(&Alerts, |run| {
            case(run);
            fires(run, "check_failed");
        });
        // A pass that goes on while the coordinator is asked may open one later.
        let mut run = Run::sound(CASTS[0]);
        ask_after(&mut run, 10);
        report(&mut run, 0, 0, false);
        case(&mut run);
        assert_eq!(Alerts.check(&run.record()).violations, []);
    }

    #[test]
    fn what_a_start_found_has_to_be_said_and_must_not_be_made_up() {
        let lost = |run: &mut Run| {
            run.counters = run.counters.replace(r#""start",result="passed""#, r#""start",result="failed""#);
        };
        let said = |lossy: bool, told: bool| {
            let mut run = Run::sound(CASTS[0]);
            lost(&mut run);
            if told {
                fires(&mut run, "check_failed");
            }
            let mut record = run.record();
            if lossy {
                record.plan.system = serde_json::json!({ "graph_forgets": 1 });
            }
            let keys = Alerts.check(&record).violations.into_iter().map(|violation| violation.key);
            keys.collect::<Vec<String>>()
        };
        assert_eq!(said(true, true), Vec::<String>::new());
        assert_eq!(said(true, false), [SILENT]);
        assert_eq!(said(false, false), [MISCOUNTED]);
    }
}
