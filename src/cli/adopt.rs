//! `adopt`: a failure becomes a scenario, so that it does not come back unseen.

use std::fs;
use std::io::Write as _;

use super::{AdoptArgs, Ended, Failure, PASSED};
use crate::capsule::Capsule;
use crate::plan::{Expect, Scenario};
use crate::sut::System;

pub fn adopt<S: System>(arguments: AdoptArgs) -> Ended {
    let AdoptArgs { file, name, folder } = arguments;
    let capsule = Capsule::<S::Op>::load::<S>(&file).map_err(Failure::usage)?;
    let from = capsule.plan.scenario.clone();
    let name = name.unwrap_or_else(|| match &capsule.expected {
        Some(expected) => format!("{from}-{}", expected.fingerprint),
        None => format!("{from}-seed-{}", capsule.plan.seed),
    });
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        return Err(Failure::usage(format!(
            "{name:?} is no name of a scenario: letters, digits, `_` and `-` make one"
        )));
    }
    let about = match &capsule.expected {
        Some(expected) => {
            format!(
                "Found a violation of {} [{}] in {from} with seed {}.",
                expected.property, expected.fingerprint, capsule.plan.seed
            )
        }
        None => format!("A run of {from} with seed {}.", capsule.plan.seed),
    };
    let scenario = Scenario {
        name: name.clone(),
        about,
        // Once the bug is mended, its faults may strike nobody any more, and a check may have nothing to look at.
        expect: Expect::nothing(),
        ..Scenario::from_plan(&capsule.plan)
    };
    let text = scenario.to_toml().map_err(Failure::usage)?;
    let refused = |what: &str, error: std::io::Error| Failure::usage(format!("cannot {what}: {error}"));
    fs::create_dir_all(&folder).map_err(|error| refused(&format!("make the folder {}", folder.display()), error))?;
    let path = folder.join(format!("{name}.toml"));
    // Somebody may have written a story into the one that is there.
    let mut stored = fs::File::create_new(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{} is there already; give another --name", path.display()))
        }
        _ => refused(&format!("write {}", path.display()), error),
    })?;
    stored.write_all(text.as_bytes()).map_err(|error| refused(&format!("write {}", path.display()), error))?;
    print!("{text}");
    println!("\n{} run {}", S::PROGRAM, path.display());
    Ok(PASSED)
}
