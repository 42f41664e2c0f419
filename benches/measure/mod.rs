//! What the benchmarks of this folder share: two clocks and a median.
//!
//! Each measures what it compares in one process, in turn, round after round, and tells the medians: a machine that is
//! busy with something else is so for all sides.

use std::fs;

use interpose::real_monotonic;

/// What a piece of work took, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// By the wall's clock.
    pub wall: f64,
    /// Of CPU time, in all processes together.
    pub cpu: f64,
}

/// Runs the work, and says what it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Cost, T) {
    let (wall, cpu) = (real_monotonic(), cpu_ms());
    let done = work();
    let wall = (real_monotonic() - wall).as_secs_f64() * 1_000.0;
    (Cost { wall, cpu: cpu_ms() - cpu }, done)
}

/// The CPU time of this process, of its children, and of their children that have ended: see proc_pid_stat(5). The
/// kernel tells it in hundredths of a second, which is fine for the hundreds of milliseconds that are measured here.
fn cpu_ms() -> f64 {
    let children = fs::read_to_string("/proc/thread-self/children").expect("the kernel lists children");
    let processes = children.split_whitespace().map(|child| (child, 4)).chain([("self", 2)]);
    let times = processes.map(|(process, fields)| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
        // After the name, which may hold anything: utime, stime, and those of children that were waited for.
        let (_, stat) = stat.rsplit_once(')').expect("a name in parentheses");
        let times = stat.split_whitespace().skip(11).take(fields);
        times.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>()
    });
    10.0 * times.sum::<f64>()
}

/// The one in the middle.
pub fn median(samples: impl IntoIterator<Item = f64>) -> f64 {
    let mut samples: Vec<f64> = samples.into_iter().collect();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// The medians of both clocks, divided by `units`.
pub fn medians(samples: &[Cost], units: f64) -> Cost {
    Cost {
        wall: median(samples.iter().map(|cost| cost.wall)) / units,
        cpu: median(samples.iter().map(|cost| cost.cpu)) / units,
    }
}

/// How many rounds to run: the first number among the arguments, or `full`; 1 if this is no `cargo bench` but a test
/// of the benchmark itself.
pub fn rounds(full: usize) -> usize {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    asked.unwrap_or(if is_smoke() { 1 } else { full })
}

/// Whether this only shows that the benchmark works. `cargo bench` adds `--bench` to the arguments.
pub fn is_smoke() -> bool {
    let arguments: Vec<_> = std::env::args().collect();
    !arguments.iter().any(|argument| argument == "--bench") || arguments.iter().any(|argument| argument == "--test")
}
