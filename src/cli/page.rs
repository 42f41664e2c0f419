//! `report`: a run on a page, to be looked at.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use super::sources::{capsule_has_seed, is_capsule, one};
use super::verify::once;
use super::{Ended, Failure, PASSED, ReportArgs, VIOLATED};
use crate::campaign::{Detail, Setup};
use crate::capsule::{Capsule, ENDING, Expected};
use crate::check::Fingerprint;
use crate::plan::Plan;
use crate::report::{Data, render};
use crate::sut::System;
use crate::verdict::{Story, Verdict};

/// What a page needs to be told of a run.
pub const AT_LENGTH: Detail = Detail { story: true, messages: true, chain: false, log: None };

/// A plan to look at, and what is known of it.
struct Subject<Op> {
    plan: Plan<Op>,
    /// The failure that it is about.
    about: Option<Fingerprint>,
    /// The command that runs it again.
    replay: String,
    /// Where its page goes if nothing is said.
    page: PathBuf,
    /// A plan much like it that passes.
    passing: Option<Plan<Op>>,
}

pub fn report<S: System>(arguments: ReportArgs) -> Ended {
    let ReportArgs { file, seed, output, against, against_seed, isolation } = arguments;
    let setup = isolation.setup(Some(NonZero::<usize>::MIN));
    if seed.is_some() && std::iter::once(&file).chain(&against).all(|file| is_capsule(file)) {
        return Err(capsule_has_seed(&file, "--seed"));
    }
    if let Some(capsule) = against.as_ref().filter(|against| against_seed.is_some() && is_capsule(against)) {
        return Err(capsule_has_seed(capsule, "--against-seed"));
    }
    let seed = seed.unwrap_or_default();
    let subject = subject::<S>(&file, seed)?;
    let verdict = once::<S>(&subject.plan, AT_LENGTH, setup)?;
    if verdict.story.is_none() {
        return Ok(without_story(&verdict));
    }
    let other = match against {
        Some(other) => {
            let other_seed = against_seed.unwrap_or(seed);
            let title = match is_capsule(&other) {
                true => other.display().to_string(),
                false => format!("{} with seed {other_seed}", other.display()),
            };
            Some((title, self::subject::<S>(&other, other_seed)?.plan))
        }
        None => nearest(subject.passing),
    };
    let data = data::<S>((&subject.plan, &verdict), subject.replay, subject.about, other, setup)?;
    let path = output.unwrap_or(subject.page);
    write(&path, &data)?;
    println!("{}\n{}", data.sentence, path.display());
    Ok(if verdict.violations.is_empty() { PASSED } else { VIOLATED })
}

/// Writes the page of a capsule that has just been saved into a folder, and says where it now is. The verdict has its
/// story.
pub fn of_capsule<S: System>(
    capsule: &Capsule<S::Op>,
    saved: &Path,
    verdict: &Verdict,
    folder: &Path,
    setup: Setup,
) -> Result<PathBuf, Failure> {
    let path = folder.join(page_name(&capsule.file_name()));
    write(&path, &of_run::<S>(capsule, saved, verdict, setup)?)?;
    Ok(path)
}

/// What the page of a saved capsule shows. The verdict has its story.
pub fn of_run<S: System>(
    capsule: &Capsule<S::Op>,
    saved: &Path,
    verdict: &Verdict,
    setup: Setup,
) -> Result<Data, Failure> {
    let about = capsule.expected.as_ref().map(|Expected { fingerprint, .. }| *fingerprint);
    data::<S>((&capsule.plan, verdict), replay::<S>(saved), about, nearest(capsule.passing.clone()), setup)
}

/// The page that belongs to a capsule's file.
pub fn beside(capsule: &Path) -> PathBuf {
    capsule.with_file_name(page_name(&capsule.file_name().unwrap_or_default().to_string_lossy()))
}

/// What is said where a page was asked for of a run that was killed, or whose process died.
const NOTHING_TO_SHOW: &str = "the run was killed or died before its end, so there is nothing to show";

/// Tells of a run that was killed or died: there is nothing to show. Returns the exit code.
pub fn without_story(verdict: &Verdict) -> u8 {
    for violation in &verdict.violations {
        println!("{violation}");
    }
    println!("{NOTHING_TO_SHOW}");
    VIOLATED
}

fn subject<S: System>(file: &Path, seed: u64) -> Result<Subject<S::Op>, Failure> {
    if is_capsule(file) {
        let capsule = Capsule::<S::Op>::load::<S>(file).map_err(Failure::usage)?;
        return Ok(Subject {
            about: capsule.expected.map(|Expected { fingerprint, .. }| fingerprint),
            replay: replay::<S>(file),
            page: beside(file),
            plan: capsule.plan,
            passing: capsule.passing,
        });
    }
    let source = one::<S>(file)?;
    Ok(Subject {
        plan: source.plan(seed)?,
        about: None,
        replay: format!("{} replay {} --seed {seed}", S::PROGRAM, source.argument()),
        page: PathBuf::from(format!("{}-seed-{seed}.html", source.name())),
        passing: None,
    })
}

fn replay<S: System>(capsule: &Path) -> String {
    format!("{} replay {}", S::PROGRAM, capsule.display())
}

fn page_name(capsule: &str) -> String {
    format!("{}.html", capsule.strip_suffix(ENDING).unwrap_or(capsule))
}

fn nearest<Op>(passing: Option<Plan<Op>>) -> Option<(String, Plan<Op>)> {
    Some(("the nearest plan that shrinking met".to_owned(), passing?))
}

fn data<S: System>(
    (plan, verdict): (&Plan<S::Op>, &Verdict),
    replay: String,
    about: Option<Fingerprint>,
    other: Option<(String, Plan<S::Op>)>,
    setup: Setup,
) -> Result<Data, Failure> {
    let story = story(verdict)?;
    let data = Data::new::<S>(plan, verdict, story, replay, about);
    let Some((title, other_plan)) = other else { return Ok(data) };
    let other = once::<S>(&other_plan, AT_LENGTH, setup)?;
    let other_story = self::story(&other)?;
    Ok(data.against::<S>(title, (plan, story), (&other_plan, &other, other_story)))
}

/// A run that was killed or died has nothing to tell.
fn story(verdict: &Verdict) -> Result<&Story, Failure> {
    verdict.story.as_ref().ok_or_else(|| Failure::usage(NOTHING_TO_SHOW))
}

/// Writes a page, and the folder it goes to where there is none.
pub fn write(path: &Path, data: &Data) -> Result<(), Failure> {
    let failed = |error| Failure::usage(format!("cannot write {}: {error}", path.display()));
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, render(data)).map_err(failed)
}
