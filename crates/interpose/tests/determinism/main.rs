//! One of everything that draws entropy or reads a clock, in separate processes.
//!
//! The program runs itself as `draw`: it forks a child for each seed, and each
//! child prints its draws, one line each. The tests compare the lines.

mod draws;
mod sqlite;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use interpose::process::{self, Ended, Fork};

/// The lines of one process: by seed, by what was drawn.
type Drawn = BTreeMap<String, BTreeMap<String, String>>;

/// Whose map order follows the address of a static, not only entropy.
const FOLLOWS_ADDRESSES: &str = "ahash map order";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["draw", addresses, ref seeds @ ..] => return draw(addresses, seeds),
        ["--list", ..] => return ExitCode::SUCCESS, // asked by test runners
        _ => {}
    }
    // What this sets, each `draw` sets again as it needs it.
    let addresses_fixed = process::set_addresses_random_at_exec(false).is_ok();
    if !addresses_fixed {
        println!("skipped: {FOLLOWS_ADDRESSES}, for this system keeps addresses random");
    }
    one_seed_draws_the_same_in_every_process(addresses_fixed);
    nothing_follows_addresses_but_ahash();
    another_seed_draws_something_else();
    outside_a_simulation_everything_is_real();
    println!("ok: 4 tests of determinism");
    ExitCode::SUCCESS
}

/// Seed 1 alone, again, and after others ran in the same process.
fn one_seed_draws_the_same_in_every_process(addresses_fixed: bool) {
    let mut runs = [run("fixed", &["1"]), run("fixed", &["1"]), run("fixed", &["3", "2", "1"])];
    if !addresses_fixed {
        runs.iter_mut().for_each(forget_what_follows_addresses);
    }
    assert_eq!(runs[0]["1"], runs[1]["1"], "in another process");
    assert_eq!(runs[0]["1"], runs[2]["1"], "after other seeds");
}

fn nothing_follows_addresses_but_ahash() {
    let mut runs = [run("random", &["1"]), run("random", &["1"])];
    runs.iter_mut().for_each(forget_what_follows_addresses);
    assert_eq!(runs[0], runs[1]);
}

fn another_seed_draws_something_else() {
    let drawn = run("fixed", &["1", "2"]);
    for (name, value) in &drawn["1"] {
        let same = draws::SAME_FOR_EVERY_SEED.contains(&name.as_str());
        assert_eq!(value == &drawn["2"][name], same, "{name}: {value}");
    }
}

fn outside_a_simulation_everything_is_real() {
    let simulated = run("random", &["1"]);
    let real = [run("random", &["real"]), run("random", &["real"])];
    assert_eq!(simulated["1"].keys().collect::<Vec<_>>(), real[0]["real"].keys().collect::<Vec<_>>());
    for (name, value) in &real[0]["real"] {
        assert_ne!(value, &simulated["1"][name], "{name} is simulated outside a simulation");
        assert_ne!(value, &real[1]["real"][name], "{name} is not real");
    }
}

fn forget_what_follows_addresses(drawn: &mut Drawn) {
    for lines in drawn.values_mut() {
        lines.remove(FOLLOWS_ADDRESSES).expect("it was drawn");
    }
}

/// Draws in another process, with addresses `fixed` where the system allows it,
/// or `random`.
fn run(addresses: &str, seeds: &[&str]) -> Drawn {
    let program = std::env::current_exe().expect("the program knows itself");
    let output = Command::new(program).args(["draw", addresses]).args(seeds).output().expect("the program runs itself");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut drawn = Drawn::new();
    for line in String::from_utf8(output.stdout).expect("lines are text").lines() {
        let [seed, name, value] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else {
            panic!("not a line of draws: {line}");
        };
        drawn.entry(seed.to_owned()).or_default().insert(name.to_owned(), value.to_owned());
    }
    assert_eq!(drawn.len(), seeds.len());
    drawn
}

/// The other side of [`run`].
fn draw(addresses: &str, seeds: &[&str]) -> ExitCode {
    let random = addresses == "random";
    if process::addresses_are_random().is_ok_and(|now| now != random)
        && process::set_addresses_random_at_exec(random).is_ok()
    {
        let error = Command::new("/proc/self/exe").args(["draw", addresses]).args(seeds).exec();
        panic!("exec: {error}");
    }
    interpose::install().expect("every symbol is ours");
    sqlite::seed_through_getrandom();
    for seed in seeds {
        match process::fork().expect("one thread runs") {
            Fork::Child => {
                let drawn =
                    std::thread::scope(|scope| scope.spawn(|| draws::simulated_or_real(seed.parse().ok())).join());
                for (name, value) in drawn.expect("the draws work") {
                    println!("{seed}\t{name}\t{value}");
                }
                process::exit_now(0);
            }
            Fork::Parent(child) => {
                assert_eq!(child.wait().expect("it is our child"), Ended::Code(0));
            }
        }
    }
    ExitCode::SUCCESS
}
