//! Watching a core at work, from between it and its driver.

use std::future::Future;
use std::sync::Arc;

use graph::Millis;

use crate::core::{Core, Step};
use crate::driver::{self, Executor, Handle};
use crate::environment::Env;

/// Somebody who is told everything that a core is told and answers.
pub trait Watch<C: Core>: Send + Sync + 'static {
    /// The core is about to be told this.
    fn input(&self, now: Millis, input: &C::Input);

    /// This is what it answered, and how it is now.
    fn step(&self, now: Millis, core: &C, step: &Step<C::Effect, C::Mark>);
}

/// A core that is watched. It is the same core to its driver.
pub struct Watched<C, W> {
    core: C,
    watch: Arc<W>,
}

/// Runs a core in the background, as [`drive`](driver::drive) does, and has it watched from its first step on.
pub fn drive_watched<C: Core, W: Watch<C>, X: Executor<C>>(
    env: &Env,
    core: C,
    first: Step<C::Effect, C::Mark>,
    executor: X,
    watch: Arc<W>,
) -> Handle<Watched<C, W>> {
    watch.step(Millis::ZERO, &core, &first);
    driver::drive(env, Watched { core, watch }, first, Arc::new(Unwatched(executor)))
}

/// The executor of a core, for the same core when it is watched.
struct Unwatched<X>(X);

impl<C: Core, W: Watch<C>, X: Executor<C>> Executor<Watched<C, W>> for Unwatched<X> {
    fn execute(&self, effect: C::Effect) -> impl Future<Output = Option<C::Input>> + Send {
        self.0.execute(effect)
    }
}

impl<C: Core, W: Watch<C>> Core for Watched<C, W> {
    const NAME: &'static str = C::NAME;
    type Input = C::Input;
    type Effect = C::Effect;
    type Mark = C::Mark;

    fn handle(&mut self, now: Millis, input: C::Input) -> Step<C::Effect, C::Mark> {
        self.watch.input(now, &input);
        let step = self.core.handle(now, input);
        self.watch.step(now, &self.core, &step);
        step
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.core.poll_timeout()
    }

    fn timeout() -> C::Input {
        C::timeout()
    }
}
