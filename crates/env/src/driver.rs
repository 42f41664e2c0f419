//! The loop that runs any core.

use std::future::Future;
use std::sync::Arc;

use graph::Millis;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

use crate::core::{Core, Effect, Step};
use crate::environment::{Env, Observation, Point, When};

/// Carries out the effects of a core.
pub trait Executor<C: Core>: Send + Sync + 'static {
    /// Carries out one effect and returns the input that reports on it, if it has one.
    ///
    /// Called for many effects at the same time.
    fn execute(&self, effect: C::Effect) -> impl Future<Output = Option<C::Input>> + Send;
}

/// Feeds inputs to a running core.
pub struct Handle<C: Core> {
    inputs: mpsc::UnboundedSender<C::Input>,
}

impl<C: Core> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Handle { inputs: self.inputs.clone() }
    }
}

impl<C: Core> Handle<C> {
    /// Gives the core an input. Ignored once the core's process is ending.
    pub fn send(&self, input: C::Input) {
        let _ = self.inputs.send(input);
    }
}

/// Runs a core in the background, starting with what `first` asks for.
///
/// The core's clock counts from the moment of this call and follows tokio's, which never
/// goes back. The loop ends when the last [`Handle`] is gone and nothing is in flight.
pub fn drive<C: Core, X: Executor<C>>(
    env: &Env,
    core: C,
    first: Step<C::Effect, C::Mark>,
    executor: Arc<X>,
) -> Handle<C> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let weak = sender.downgrade();
    let driver = Driver { env: env.clone(), core, executor, inputs: weak, started: Instant::now() };
    env.spawn(driver.run(first, receiver));
    Handle { inputs: sender }
}

/// How many messages may come before a time-out that is due: under load there is always one
/// more, and nobody would ever be told that time is up.
const OVERDUE_MAX: u32 = 64;

/// How many messages are handled at most before the core is asked for its next time-out. One
/// would do, but a core may have to go through all that is open to say, and after a crash
/// that can be very much.
const BURST_MAX: u32 = 64;

struct Driver<C: Core, X> {
    env: Env,
    core: C,
    executor: Arc<X>,
    inputs: mpsc::WeakUnboundedSender<C::Input>,
    started: Instant,
}

impl<C: Core, X: Executor<C>> Driver<C, X> {
    async fn run(mut self, first: Step<C::Effect, C::Mark>, mut receiver: mpsc::UnboundedReceiver<C::Input>) {
        self.carry_out(first);
        // Messages since there was no time-out due.
        let mut overdue = 0;
        loop {
            let deadline = self.core.poll_timeout().map(|at| self.started + Duration::from_millis(at.0));
            if deadline.is_none_or(|deadline| deadline > Instant::now()) {
                overdue = 0;
            }
            let input = if overdue > OVERDUE_MAX {
                overdue = 0;
                C::timeout()
            } else {
                let Some(input) = next::<C>(&mut receiver, deadline).await else { break };
                input
            };
            self.give(input);
            overdue += 1;
            for _ in 1..BURST_MAX {
                let Ok(input) = receiver.try_recv() else { break };
                self.give(input);
                overdue += 1;
            }
        }
    }

    fn give(&mut self, input: C::Input) {
        self.env.observe(C::NAME, Observation::Input(&input));
        let step = self.core.handle(self.now(), input);
        self.carry_out(step);
    }

    fn now(&self) -> Millis {
        let elapsed = self.started.elapsed();
        Millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    fn carry_out(&self, step: Step<C::Effect, C::Mark>) {
        for mark in &step.marks {
            self.env.observe(C::NAME, Observation::Mark(mark));
        }
        // Holding a sender for as long as an effect runs keeps the loop alive for its result.
        let sender = self.inputs.upgrade();
        for effect in step.effects {
            self.env.observe(C::NAME, Observation::Effect(&effect));
            let (env, executor, sender) = (self.env.clone(), self.executor.clone(), sender.clone());
            let name = effect.name();
            let point = move |when| Point { core: C::NAME, effect: name, when };
            self.env.spawn(async move {
                env.point(point(When::Before)).await;
                let report = executor.execute(effect).await;
                env.point(point(When::After)).await;
                if let (Some(input), Some(sender)) = (report, sender) {
                    // The loop outlives every sender.
                    let _ = sender.send(input);
                }
            });
        }
    }
}

/// The next input: a message, or the time-out that the core asked for.
async fn next<C: Core>(
    receiver: &mut mpsc::UnboundedReceiver<C::Input>,
    deadline: Option<Instant>,
) -> Option<C::Input> {
    let Some(deadline) = deadline else {
        return receiver.recv().await;
    };
    tokio::select! {
        // Messages first: what has already happened must not be reported as late.
        biased;
        input = receiver.recv() => input,
        () = tokio::time::sleep_until(deadline) => Some(C::timeout()),
    }
}
