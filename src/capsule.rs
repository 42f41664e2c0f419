//! A capsule: one file that replays a run.
//!
//! It holds the expanded plan, so that it replays even after a scenario, a profile or a workload changed; what the run
//! violated; and what the run's cores decided, which tells whether and where the code now decides otherwise. It is JSON with a line for each
//! part, to be read and edited by hand.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::check::{Fingerprint, Violation};
use crate::plan::{PLAN_FORMAT, Plan, ScenarioError, resolve};
use crate::record::{TraceEvent, What};
use crate::sut::System;

/// The version of the capsule's form; a capsule of another version is refused.
pub const CAPSULE_FORMAT: u32 = 1;

/// How the name of a capsule's file ends.
pub const ENDING: &str = ".capsule.json";

/// A run that can be repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capsule<Op> {
    /// [`CAPSULE_FORMAT`].
    pub format: u32,
    /// The version of squall that wrote it.
    pub squall_version: String,
    /// The system's name.
    pub system: String,
    /// What the run violated; `None` when it was kept for its digest alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// The digest of the run's record; empty if it was not kept.
    pub digest: String,
    /// The digest of the plan as squall wrote it; empty in older capsules.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plan_digest: String,
    /// Whether somebody has edited the plan since.
    #[serde(skip)]
    pub edited: bool,
    /// What to run.
    pub plan: Plan<Op>,
    /// A plan that differs from it by one reduction and passes, if shrinking met one.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub passing: Option<Plan<Op>>,
    /// What the run's cores were told, asked for and decided, in order: see [`decisions`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<String>,
}

/// Serde would ask for `Op: Default`.
fn none<T>() -> Option<T> {
    None
}

/// How much of a decision is written out; the rest is in its digest.
const DECISION_CHARS: usize = 90;

/// What cores were told, asked for and decided, a line each: when, where, what, the beginning of it, and a digest of all
/// of it.
pub fn decisions(trace: &[TraceEvent]) -> Vec<String> {
    let decision = |event: &TraceEvent| {
        let kind = match event.what {
            What::Input => "input",
            What::Effect => "effect",
            What::Mark => "mark",
            What::Seen => "seen",
            What::Fault | What::Network | What::Disk | What::Log | What::Change => return None,
        };
        let text: String = event.text.chars().take(DECISION_CHARS).collect();
        let digest = u32::from_be_bytes(Sha256::digest(&event.text)[..4].try_into().expect("there are 32 bytes"));
        Some(format!("{} ms {} {kind} {text} #{digest:08x}", event.at_ms, event.host))
    };
    trace.iter().filter_map(decision).collect()
}

/// The first decision in which a run departs from a recorded one: its place, from 0, and both, where there are any.
pub fn departure<'a>(
    recorded: &'a [String],
    now: &'a [String],
) -> Option<(usize, Option<&'a String>, Option<&'a String>)> {
    let place = (0..recorded.len().max(now.len())).find(|place| recorded.get(*place) != now.get(*place))?;
    Some((place, recorded.get(place), now.get(place)))
}

/// The violation that a replay must show again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The property.
    pub property: String,
    /// The kind of failure within it.
    pub fingerprint: Fingerprint,
}

impl Expected {
    /// This violation, by its kind.
    pub fn of(violation: &Violation) -> Expected {
        Expected { property: violation.property.clone(), fingerprint: violation.fingerprint() }
    }
}

/// What every capsule of every version says first.
#[derive(Deserialize)]
struct Header {
    format: u64,
    squall_version: String,
    system: String,
}

/// Why a capsule could not be stored or loaded.
#[derive(Debug, thiserror::Error)]
pub enum CapsuleError {
    /// The operating system refused.
    #[error("failed to {action} {}: {error}{}", path.display(), advice(error))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// The file ends in the middle: the disk was full, or a copy was interrupted.
    #[error("{}:{line}:{column}: the capsule ends too early; copy it again or make it anew", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The line it ends on, from 1.
        line: usize,
        /// The column it ends on.
        column: usize,
    },
    /// Something in the file is not as it should be.
    #[error("{}:{line}:{column}: the capsule is broken: {message}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The file is something else.
    #[error("{} is not a capsule: {message}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        message: String,
    },
    /// A squall of another time wrote it.
    #[error(
        "{} has a {part} of form {found}; this squall reads form {reads}: replay it with squall {version}, which wrote it",
        path.display()
    )]
    OtherForm {
        /// The file.
        path: PathBuf,
        /// Whose form it is: the capsule's or the plan's.
        part: &'static str,
        /// The version of the form.
        found: u64,
        /// The version that this program reads.
        reads: u32,
        /// The squall that wrote it.
        version: String,
    },
    /// Its plan names what is not there.
    #[error("{0}")]
    Senseless(Box<ScenarioError>),
    /// It is about another system.
    #[error("{} is about the system `{found}`; this program tests `{tested}`: replay it with the other", path.display())]
    OtherSystem {
        /// The file.
        path: PathBuf,
        /// The capsule's system.
        found: String,
        /// This program's.
        tested: &'static str,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room, or name a folder on another disk",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "; name a folder that can be written",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "; a file stands where a folder is needed",
        _ => "",
    }
}

impl<Op: Serialize> Capsule<Op> {
    /// A capsule of this squall's form.
    pub fn new<S: System<Op = Op>>(plan: Plan<Op>, expected: Option<Expected>, digest: String) -> Capsule<Op> {
        let text = serde_json::to_vec(&plan).expect("a plan is always valid JSON");
        let written: Value = serde_json::from_slice(&text).expect("it has just been written");
        Capsule {
            format: CAPSULE_FORMAT,
            squall_version: env!("CARGO_PKG_VERSION").to_owned(),
            system: S::NAME.to_owned(),
            expected,
            digest,
            plan_digest: plan_digest(&written),
            edited: false,
            plan,
            passing: None,
            decisions: Vec::new(),
        }
    }
}

impl<Op> Capsule<Op> {
    /// The file's name: the scenario's and the fingerprint's, or the seed where nothing was violated.
    ///
    /// The same failure found again has the same name: it replaces the older capsule.
    pub fn file_name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
        let name: String = self.plan.scenario.chars().map(plain).collect();
        match &self.expected {
            Some(Expected { fingerprint, .. }) => format!("{name}-{fingerprint}{ENDING}"),
            None => format!("{name}-seed-{}{ENDING}", self.plan.seed),
        }
    }
}

impl<Op: Serialize> Capsule<Op> {
    /// Stores the capsule in a folder, which is made if it is not there, and says where it now is.
    ///
    /// Whoever looks into the folder sees the whole file or none of it.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, CapsuleError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |error| CapsuleError::Io { action, path, error }
        };
        fs::create_dir_all(folder).map_err(failed("create the folder", folder))?;
        let path = folder.join(self.file_name());
        // In the same folder, since a rename is atomic within one file system only; with the process in its name, since
        // workers may find the same failure at the same time.
        let temporary = folder.join(format!(".{}.{}", self.file_name(), std::process::id()));
        let stored = self.write(&temporary).map_err(failed("write", &temporary)).and_then(|()| {
            fs::rename(&temporary, &path).map_err(failed("put in its place", &path))?;
            Ok(path)
        });
        if stored.is_err() {
            // Whatever this says, it is the first error that matters.
            let _ = fs::remove_file(&temporary);
        }
        stored
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        text.push(b'\n');
        let mut file = fs::File::create(path)?;
        file.write_all(&text)?;
        // Before the rename: a name that outlives its content is the failure that this project looks for in others.
        file.sync_all()
    }
}

impl<Op: DeserializeOwned> Capsule<Op> {
    /// Loads a capsule of a system.
    pub fn load<S: System<Op = Op>>(path: &Path) -> Result<Capsule<Op>, CapsuleError> {
        let text = fs::read(path).map_err(|error| CapsuleError::Io { action: "read", path: path.to_owned(), error })?;
        let header = header(path, &text)?;
        let other_form = |part, found, reads| {
            let (path, version) = (path.to_owned(), header.squall_version.clone());
            Err(CapsuleError::OtherForm { path, part, found, reads, version })
        };
        if header.format != u64::from(CAPSULE_FORMAT) {
            return other_form("capsule", header.format, CAPSULE_FORMAT);
        }
        if header.system != S::NAME {
            return Err(CapsuleError::OtherSystem { path: path.to_owned(), found: header.system, tested: S::NAME });
        }
        let plan =
            serde_json::from_slice::<Value>(&text).ok().and_then(|mut capsule| Some(capsule.get_mut("plan")?.take()));
        let format = plan.as_ref().and_then(|plan| plan.get("format")?.as_u64());
        if let Some(format) = format.filter(|format| *format != u64::from(PLAN_FORMAT)) {
            return other_form("plan", format, PLAN_FORMAT);
        }
        let mut capsule: Capsule<Op> = serde_json::from_slice(&text).map_err(|error| broken(path, &error))?;
        let as_written = |plan: &Value| capsule.plan_digest.is_empty() || plan_digest(plan) == capsule.plan_digest;
        capsule.edited = !plan.as_ref().is_some_and(as_written);
        resolve::<S>(&path.display().to_string(), &capsule.plan)
            .map_err(|error| CapsuleError::Senseless(Box::new(error)))?;
        Ok(capsule)
    }
}

/// Reads what tells a capsule from anything else before reading it as one.
fn header(path: &Path, text: &[u8]) -> Result<Header, CapsuleError> {
    let foreign = |message: String| CapsuleError::Foreign { path: path.to_owned(), message };
    if text.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(foreign("it is no JSON object".to_owned()));
    }
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => foreign(error.to_string()),
        _ => broken(path, &error),
    })
}

/// The digest of a plan as it stands in a file: whatever a later squall makes of it, and however its lines are broken.
fn plan_digest(plan: &Value) -> String {
    Sha256::digest(plan.to_string())[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn broken(path: &Path, error: &serde_json::Error) -> CapsuleError {
    let (path, line, column) = (path.to_owned(), error.line(), error.column());
    if error.is_eof() {
        return CapsuleError::Truncated { path, line, column };
    }
    // serde_json ends its message with the position, which stands in front already.
    let message = error.to_string();
    let position = format!(" at line {line} column {column}");
    let message = message.strip_suffix(&position).unwrap_or(&message).to_owned();
    CapsuleError::Broken { path, line, column, message }
}

#[cfg(test)]
mod tests;
