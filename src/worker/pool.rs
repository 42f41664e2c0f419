//! The pool's side: a thread for each worker hands out jobs and brings results.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use interpose::process;

use super::frame::{Frame, Kind, NoFrame, Until};
use super::watchdog::{read_watched, wall_max};
use super::{Aslr, Choice, Config, Error, Isolation, Outcome, Program, job, serve};

/// How long a worker may take until it is ready.
const START_MAX: Duration = Duration::from_secs(60);

/// How much longer than a forking worker waits for its child the pool waits for the worker.
const WATCHDOG_GRACE: Duration = Duration::from_secs(10);

/// Worker processes, ready for jobs. They end when the pool is dropped.
#[derive(Debug)]
pub struct Pool {
    program: Program,
    config: Config,
    choice: Choice,
    /// A place for each worker; empty where the next job starts a new one.
    workers: Vec<Option<Worker>>,
}

impl Pool {
    /// Starts the workers and waits until they are warm.
    ///
    /// The program's `main` must call [`serve_if_asked`](super::serve_if_asked)
    /// with the same `program` before anything else.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`] if no run would be deterministic, [`Error::Start`] if a
    /// worker does not get ready.
    pub fn start(program: Program, config: Config) -> Result<Self, Error> {
        interpose::install()?;
        if config.isolation == Isolation::None {
            job::note_panics();
            job::on_a_fresh_thread(program.warm_up);
            return Ok(Self { program, config, choice: in_this_process(), workers: Vec::new() });
        }
        // All at once: they warm up side by side.
        let starting: Vec<_> = (0..config.workers.get()).map(|_| Worker::start(&config)).collect::<Result<_, _>>()?;
        let mut workers = Vec::new();
        let mut choice = None;
        for mut worker in starting {
            choice = Some(worker.ready(None)?);
            workers.push(Some(worker));
        }
        Ok(Self { program, config, choice: choice.expect("there is at least one worker"), workers })
    }

    /// What the pool does, which may be less than what was asked.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Runs the jobs, each once, and calls `on_result` with the index of each and
    /// what became of it, in the order in which they end.
    ///
    /// Jobs are taken from the iterator as workers become free. `on_result` runs
    /// on the calling thread; when it breaks, no more jobs are taken and those
    /// under way are killed and forgotten.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] if a worker that ended cannot be replaced: the jobs
    /// under way are forgotten, too.
    pub fn run<J>(&mut self, jobs: J, mut on_result: impl FnMut(usize, Outcome) -> ControlFlow<()>) -> Result<(), Error>
    where
        J: IntoIterator<Item = Vec<u8>>,
        J::IntoIter: Send,
    {
        let mut jobs = jobs.into_iter().enumerate();
        if self.choice.isolation == Isolation::None {
            let run = |(index, job): (usize, Vec<u8>)| on_result(index, job::run(self.program, &job));
            let _: ControlFlow<()> = jobs.try_for_each(run);
            return Ok(());
        }
        let (stopped, stop) = io::pipe()?;
        let hand_out = HandOut { config: &self.config, jobs: Mutex::new(jobs), stopped: stopped.as_fd() };
        thread::scope(|scope| {
            // Both end with this block, even by a panic: closing them is what
            // makes the threads stop.
            let _stop = stop;
            let (send, results) = sync_channel(self.workers.len());
            for place in &mut self.workers {
                let send = send.clone();
                let hand_out = &hand_out;
                scope.spawn(move || hand_out.serve(place, &send));
            }
            drop(send);
            for result in results {
                let (index, outcome) = result?;
                if on_result(index, outcome).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

fn in_this_process() -> Choice {
    let random = process::addresses_are_random().unwrap_or(true);
    Choice {
        isolation: Isolation::None,
        aslr: if random { Aslr::On } else { Aslr::Off },
        sentence: format!(
            "jobs run in this very process, one after the other and without a watchdog, as asked; addresses are {}",
            if random { "random" } else { "fixed" }
        ),
    }
}

/// What the threads of [`Pool::run`] share.
struct HandOut<'a, J> {
    config: &'a Config,
    jobs: Mutex<J>,
    /// Closed on the other side when the pool stops early.
    stopped: BorrowedFd<'a>,
}

/// The index of a job and what became of it, or why there can be none.
type JobResult = Result<(usize, Outcome), Error>;

impl<J: Iterator<Item = (usize, Vec<u8>)>> HandOut<'_, J> {
    /// Keeps one worker busy until there are no more jobs or nobody listens.
    fn serve(&self, place: &mut Option<Worker>, results: &SyncSender<JobResult>) {
        while let Some((index, job)) = self.next_job() {
            let result = match self.attempt(place, job) {
                Ok(Some(outcome)) => Ok((index, outcome)),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let failed = result.is_err();
            if results.send(result).is_err() || failed {
                return;
            }
        }
    }

    fn next_job(&self) -> Option<(usize, Vec<u8>)> {
        // If the iterator panicked on another thread, there are no more jobs.
        let mut jobs = self.jobs.lock().ok()?;
        jobs.next()
    }

    /// Runs a job, on a new worker if the place is empty; `None` if stopped.
    fn attempt(&self, place: &mut Option<Worker>, job: Vec<u8>) -> Result<Option<Outcome>, Error> {
        let mut worker = match place.take() {
            Some(worker) => worker,
            None => {
                let mut worker = Worker::start(self.config)?;
                worker.ready(Some(self.stopped))?;
                worker
            }
        };
        let done = worker.run(job, self.config.watchdog, self.stopped);
        let Done::Outcome { outcome, reusable } = done else { return Ok(None) };
        if reusable {
            *place = Some(worker);
        }
        Ok(Some(outcome))
    }
}

/// How an attempt at a job ended.
enum Done {
    Outcome { outcome: Outcome, reusable: bool },
    Stopped,
}

/// A worker process. Killed and reaped on drop.
#[derive(Debug)]
struct Worker {
    child: Child,
    input: File,
    output: File,
    /// Whether it forks for each job, or is itself the job's process.
    forks: bool,
}

impl Worker {
    fn start(config: &Config) -> Result<Self, Error> {
        let mut child = serve::command(config)
            .and_then(|mut command| command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn())
            .map_err(|error| Error::Start(error.to_string()))?;
        let input = OwnedFd::from(child.stdin.take().expect("it is piped")).into();
        let output = OwnedFd::from(child.stdout.take().expect("it is piped")).into();
        Ok(Self { child, input, output, forks: false })
    }

    /// Waits until the worker is warm.
    fn ready(&mut self, alarm: Option<BorrowedFd<'_>>) -> Result<Choice, Error> {
        let until = Until { timeout: Some(START_MAX), alarm };
        let choice = Frame::read(&self.output, until).and_then(|frame| match frame.kind {
            Kind::Ready => frame.parse::<Choice>(),
            _ => Err(frame.senseless()),
        });
        match choice {
            Ok(choice) => {
                self.forks = choice.isolation == Isolation::Fork;
                Ok(choice)
            }
            Err(NoFrame::Ended) => Err(Error::Start(format!("it ended before it was ready: {}", self.end()?))),
            Err(error) => Err(Error::Start(error.to_string())),
        }
    }

    /// Hands the worker a job and waits for what becomes of it.
    fn run(&mut self, job: Vec<u8>, watchdog: Duration, stopped: BorrowedFd<'_>) -> Done {
        // A failure to write shows again when reading, with the reason.
        let _ = Frame { kind: Kind::Job, body: job }.write(&self.input);
        let told = if self.forks {
            // The worker sees to the watchdog itself.
            let patience = wall_max(watchdog).saturating_add(WATCHDOG_GRACE);
            Frame::read(&self.output, Until { timeout: Some(patience), alarm: Some(stopped) })
        } else {
            read_watched(&self.output, stopped, watchdog, || process::cpu_time_of(self.child.id()))
        };
        let lost = |reason| Outcome::WorkerLost { reason };
        let outcome = match told.and_then(Frame::outcome) {
            Ok(outcome) => return Done::Outcome { outcome, reusable: self.forks },
            Err(NoFrame::Alarmed) => return Done::Stopped,
            Err(NoFrame::Ended) => match self.end() {
                Ok(status) if self.forks => lost(format!("it ended: {status}")),
                Ok(status) => of_the_process(status),
                Err(error) => lost(format!("failed to wait for it: {error}")),
            },
            Err(NoFrame::TimedOut) if !self.forks => Outcome::TimedOut { watchdog },
            Err(error) => lost(error.to_string()),
        };
        Done::Outcome { outcome, reusable: false }
    }

    /// Waits for the end of a worker that has closed its stream.
    fn end(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already, and nobody is left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What became of a job whose process ended without a result.
fn of_the_process(status: ExitStatus) -> Outcome {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Outcome::Died { signal },
        (None, code) => Outcome::Exited { code: code.unwrap_or_default() },
    }
}
