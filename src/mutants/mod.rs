//! `mutants`: proves that each planted bug is caught by the check that is there for it.
//!
//! A checker that never fires and a scenario that never reaches its subject look like correct software. So each file in
//! `mutants/` is a small patch that takes one part out of the protocol, with a header that says which check must notice
//! and under which command. Every mutant is built from a copy of the tree, in a folder of its own under the target
//! folder: the working tree is never touched. The copy and what was built of it are kept, so that a mutant costs the
//! compilation of the files it changes and of what depends on them.
//!
//! A mutant that survives is a finding about the checks, as a violation is one about the software.

mod patch;
mod report;
mod shrinking;
mod suite;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use self::patch::Mutant;
use self::report::{Fate, Table};
use self::suite::{Command, Program};
use self::tree::Tree;
use crate::cli::{Ended, Failure, HARNESS, PASSED, VIOLATED};

/// The arguments of `mutants`.
#[derive(Args, Debug)]
pub struct MutantsArgs {
    /// Names of mutants, without their folder and ending [default: all]
    names: Vec<String>,
    /// The seeds to run each mutant with, instead of those that its header names
    #[arg(long, value_parser = crate::cli::seeds, value_name = "FROM..TO")]
    seeds: Option<Range<u64>>,
    /// How many compilations and runs at once [default: one a processor]
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// Go on after a mutant that survived or could not be tried
    #[arg(long)]
    keep_going: bool,
    /// Make what each is caught by as small as it can be, in an optimised build, and print a table in Markdown of that
    #[arg(long)]
    shrink: bool,
    /// With --shrink: a file for the table. Mutants that have their row in it already are left out, so that an interrupted
    /// one is gone on with
    #[arg(long, requires = "shrink", value_name = "FILE")]
    table: Option<PathBuf>,
}

/// Tries mutants of the tree around the current folder. `checks` are the names of the checks that may catch them.
pub fn mutants(arguments: MutantsArgs, checks: Vec<String>) -> Ended {
    let MutantsArgs { names, seeds, jobs, keep_going, shrink, table } = arguments;
    let mut tree = Tree::open()?;
    let mutants = chosen(patch::load(&tree.origin().join("mutants"), &reportable(checks))?, &names)?;
    let commands: BTreeMap<&str, Command> =
        mutants.iter().map(|mutant| (mutant.name.as_str(), mutant.command.with(seeds.clone(), jobs))).collect();
    let spinner = spinner();
    let tell = |what: String| spinner.set_message(what);

    tell("copying the tree".to_owned());
    tree.copy()?;
    let program = Program::new(&tree, jobs, shrink);
    if shrink {
        return shrunk(&mutants, keep_going, &spinner, table.as_deref(), |index, mutant| {
            let place = format!("{}/{} {}", index + 1, mutants.len(), mutant.name);
            tell(format!("{place}: building"));
            let command = &commands[mutant.name.as_str()];
            made_small(&mut tree, &program, mutant, command, || tell(format!("{place}: {command}")))
        });
    }
    tell("building the unchanged tree".to_owned());
    program.build()?.map_err(|errors| Failure::harness(format!("the unchanged tree does not build:\n{errors}")))?;
    let mut passed: Vec<&Command> = Vec::new();
    for command in commands.values() {
        if !passed.contains(&command) {
            tell(format!("{command}, unchanged"));
            must_pass(&program, command)?;
            passed.push(command);
        }
    }
    spinner
        .suspend(|| println!("the unchanged tree passes the {} commands of {} mutants", passed.len(), mutants.len()));

    let mut table = Table::new(&mutants);
    spinner.suspend(|| println!("\n{}", table.header()));
    for (index, mutant) in mutants.iter().enumerate() {
        let command = &commands[mutant.name.as_str()];
        let started = interpose::real_monotonic();
        let place = format!("{}/{} {}", index + 1, mutants.len(), mutant.name);
        tell(format!("{place}: building"));
        let fate = tried(&mut tree, &program, mutant, command, || tell(format!("{place}: {command}")))?;
        let row = table.add(mutant, fate, interpose::real_monotonic() - started);
        spinner.suspend(|| println!("{row}"));
        if table.exit_code() != PASSED && !keep_going {
            break;
        }
    }
    spinner.finish_and_clear();
    conclude(&table, mutants.len())
}

/// What one mutant is caught by when it has been made small, and how; none where nothing fails. The error is why it could
/// not be tried.
type Small = Result<Option<(String, shrinking::Shrunk)>, String>;

/// Tries each mutant that has no row in the file yet and prints how small the failure becomes that it is caught by.
fn shrunk(
    mutants: &[Mutant],
    keep_going: bool,
    spinner: &ProgressBar,
    file: Option<&Path>,
    mut made_small: impl FnMut(usize, &Mutant) -> Result<Small, Failure>,
) -> Ended {
    let mut table = match file.map(fs::read_to_string) {
        Some(Ok(text)) => shrinking::Table::read(&text),
        Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::usage(format!("cannot read {}: {error}", shown(file.expect("it was read")))));
        }
        _ => shrinking::Table::default(),
    };
    let (mut code, mut untried) = (PASSED, Vec::new());
    for (index, mutant) in mutants.iter().enumerate() {
        if table.has(&mutant.name) {
            continue;
        }
        let line = match made_small(index, mutant)? {
            Ok(Some((property, shrunk))) => table.add(&mutant.name, &property, shrunk),
            Ok(None) => {
                code = VIOLATED;
                format!("| `{}` | nothing | | | | | |", mutant.name)
            }
            Err(why) => {
                untried.push(format!("mutants/{}.patch: {}", mutant.name, why.trim_end()));
                if !keep_going {
                    break;
                }
                format!("`{}` could not be tried", mutant.name)
            }
        };
        spinner.suspend(|| println!("{line}"));
        if let Some(file) = file {
            fs::write(file, table.to_string())
                .map_err(|error| Failure::usage(format!("cannot write {}: {error}", shown(file))))?;
        }
    }
    spinner.finish_and_clear();
    print!("\n{table}");
    if untried.is_empty() { Ok(code) } else { Err(Failure::harness(untried.join("\n"))) }
}

/// Builds one mutant and makes small what it is caught by; whatever comes of it, the copy is as before.
fn made_small(
    tree: &mut Tree,
    program: &Program,
    mutant: &Mutant,
    command: &Command,
    running: impl FnOnce(),
) -> Result<Small, Failure> {
    let applied = match tree.apply(mutant)? {
        Ok(applied) => applied,
        Err(hunk) => return Ok(Err(format!("the patch does not apply: {hunk}"))),
    };
    let built = program.build();
    let printed = matches!(built, Ok(Ok(()))).then(|| {
        running();
        program.shrink(command)
    });
    applied.reverse()?;
    if let Err(errors) = built? {
        return Ok(Err(format!("it does not build:\n{errors}")));
    }
    let printed = printed.expect("it was built")?;
    Ok(shrinking::read(&printed, &mutant.checks).map_err(|why| format!("{why}:\n{printed}")))
}

/// Builds and runs one mutant; whatever comes of it, the copy is as before.
fn tried(
    tree: &mut Tree,
    program: &Program,
    mutant: &Mutant,
    command: &Command,
    running: impl FnOnce(),
) -> Result<Fate, Failure> {
    let applied = match tree.apply(mutant)? {
        Ok(applied) => applied,
        Err(hunk) => return Ok(Fate::Untried(format!("the patch does not apply: {hunk}"))),
    };
    let built = program.build();
    let ran = match &built {
        Ok(Ok(())) => {
            running();
            Some(program.run(command))
        }
        _ => None,
    };
    applied.reverse()?;
    if let Err(errors) = built? {
        return Ok(Fate::Untried(format!("it does not build:\n{errors}")));
    }
    let ran = ran.expect("it was built")?;
    Ok(match ran.code {
        Some(code) if code == i32::from(HARNESS) => Fate::Untried(format!("the run failed:\n{}", ran.output)),
        Some(code) if code == i32::from(PASSED) || code == i32::from(VIOLATED) => {
            match ran.found.iter().find(|found| mutant.checks.contains(&found.property)) {
                Some(found) => Fate::Caught(found.clone()),
                None => Fate::Survived(ran.found),
            }
        }
        code => Fate::Untried(format!("the run ended with exit code {code:?}:\n{}", ran.output)),
    })
}

/// A check that fails on correct software catches every mutant.
fn must_pass(program: &Program, command: &Command) -> Result<(), Failure> {
    let ran = program.run(command)?;
    if ran.code == Some(i32::from(PASSED)) {
        return Ok(());
    }
    Err(Failure::harness(format!(
        "the unchanged tree does not pass, so nothing can be said about mutants:\n{}\n{command}",
        ran.output.trim_end()
    )))
}

fn conclude(table: &Table, all: usize) -> Ended {
    println!("\n{}", table.summary(all));
    if let Some(why) = table.untried() {
        return Err(Failure::harness(why));
    }
    if let Some(survivor) = table.survivor() {
        println!("squall mutants {survivor} --seeds 0..1000");
        return Ok(VIOLATED);
    }
    println!("squall run --seeds 0..1000");
    Ok(PASSED)
}

/// The names under which a run can report a violation.
fn reportable(mut checks: Vec<String>) -> Vec<String> {
    checks.extend([crate::verdict::NO_PANIC, crate::campaign::NO_ABORT, crate::campaign::WATCHDOG].map(str::to_owned));
    checks
}

fn chosen(all: Vec<Mutant>, names: &[String]) -> Result<Vec<Mutant>, Failure> {
    if names.is_empty() {
        return Ok(all);
    }
    let known = |name: &&String| all.iter().any(|mutant| mutant.name == **name);
    if let Some(stranger) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = all.iter().map(|mutant| mutant.name.as_str()).collect();
        return Err(Failure::usage(format!("there is no mutant {stranger}; there are: {}", all.join(", "))));
    }
    Ok(all.into_iter().filter(|mutant| names.contains(&mutant.name)).collect())
}

fn spinner() -> ProgressBar {
    // Draws nothing unless the standard error is a terminal.
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("the template is valid");
    let spinner = ProgressBar::new_spinner().with_style(style);
    spinner.enable_steady_tick(std::time::Duration::from_millis(200));
    spinner
}

/// The path as the user would type it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(name: &str) -> Mutant {
        Mutant {
            name: name.to_owned(),
            what: String::new(),
            checks: Vec::new(),
            command: Command::parse("squall run").unwrap(),
            path: PathBuf::new(),
            files: Vec::new(),
        }
    }

    /// Which mutants were tried, and what came of it.
    fn tried_to_shrink(keep_going: bool, file: &Path) -> (Vec<String>, Ended) {
        let mut tried = Vec::new();
        let ended =
            shrunk(&["a", "stale", "z"].map(mutant), keep_going, &ProgressBar::hidden(), Some(file), |_, mutant| {
                tried.push(mutant.name.clone());
                let size = shrinking::Size { clients: 1, operations: 1, faults: 0 };
                let shrunk = shrinking::Shrunk { from: size, to: size, runs: 1, minimal: true, seconds: 0.0 };
                Ok(match mutant.name.as_str() {
                    "stale" => Err("the patch does not apply: 1".to_owned()),
                    _ => Ok(Some(("atomicity".to_owned(), shrunk))),
                })
            });
        (tried, ended)
    }

    #[test]
    fn a_mutant_that_cannot_be_tried_ends_the_table_unless_it_is_to_go_on_and_is_told_either_way() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("table.md");
        for (keep_going, expected) in [(false, &["a", "stale"][..]), (true, &["stale", "z"])] {
            // The second time the first has its row.
            let (tried, ended) = tried_to_shrink(keep_going, &file);
            assert_eq!(tried, expected);
            let failure = ended.unwrap_err();
            assert_eq!(
                (failure.code, &*failure.message),
                (HARNESS, "mutants/stale.patch: the patch does not apply: 1")
            );
        }
        let table = shrinking::Table::read(&fs::read_to_string(&file).unwrap());
        assert_eq!(["a", "stale", "z"].map(|name| table.has(name)), [true, false, true]);
    }

    #[test]
    fn the_headers_of_all_planted_bugs_name_checks_that_exist() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants");
        let all = patch::load(&folder, &reportable(crate::system::check_names()));
        assert!(all.unwrap_or_else(|failure| panic!("{}", failure.message)).len() > 50);
    }
}
