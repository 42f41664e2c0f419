//! `list`: what there is.

use super::sources::{Source, find};
use super::{Ended, Failure, ListArgs, PASSED};
use crate::plan::{FAULT_KINDS, Profile, Topology};
use crate::sut::System;

pub fn list<S: System>(arguments: ListArgs) -> Ended {
    let ListArgs { scenarios } = arguments;
    let sources: Vec<Source<S>> = find(&scenarios)?;
    let width = sources.iter().map(|source| source.argument().len()).max().unwrap_or_default();
    println!("scenarios");
    for source in &sources {
        println!("  {:<width$}  {}", source.argument(), source.about());
    }
    let system = S::new(&serde_json::Value::Null).map_err(Failure::usage)?;
    let topology = Topology::of(&system);
    println!("\nchecks\n  {}", topology.checks.join(" "));
    println!("\nmarks\n  {}", topology.marks.join(" "));
    println!("\nhosts, their points and their files");
    for host in &topology.hosts {
        let points: Vec<&str> = host.points.iter().chain(&host.passes).map(String::as_str).collect();
        println!("  {}: {}", host.name, if points.is_empty() { "none".to_owned() } else { points.join(" ") });
        if !host.files.is_empty() {
            println!("    {}", host.files.join(" "));
        }
    }
    let profiles: Vec<&str> = Profile::ALL.iter().map(|profile| profile.name()).collect();
    println!("\nprofiles\n  {}", profiles.join(" "));
    println!("\nfaults\n  {}", FAULT_KINDS.join(" "));
    Ok(PASSED)
}
