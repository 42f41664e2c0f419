//! The shape of a protocol: a plain value that is told things and asks for things.

use std::fmt;

use graph::Millis;

/// What one call to [`Core::handle`] asks for and what it decided.
///
/// Effects may be carried out in any order and at the same time: a core asks for an
/// effect that depends on another only after it was told that the other is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<E, M> {
    /// What is to be done.
    pub effects: Vec<E>,
    /// Which decisions were made: logged in production, coverage in tests.
    pub marks: Vec<M>,
}

impl<E, M> Step<E, M> {
    /// Nothing to do, nothing decided.
    pub fn new() -> Step<E, M> {
        Step { effects: Vec::new(), marks: Vec::new() }
    }
}

impl<E, M> Default for Step<E, M> {
    fn default() -> Step<E, M> {
        Step::new()
    }
}

/// Something a core asks for.
pub trait Effect: fmt::Debug + Send + 'static {
    /// The kind of effect in one word: the middle of a point's name.
    fn name(&self) -> &'static str;
}

/// A protocol as a sans-IO state machine: no clock, no randomness, no I/O.
pub trait Core: Send + 'static {
    /// The protocol's name: the first part of a point's name.
    const NAME: &'static str;
    /// What it can be told.
    type Input: fmt::Debug + Send + 'static;
    /// What it can ask for.
    type Effect: Effect;
    /// The decisions it can make.
    type Mark: fmt::Debug + Send + 'static;

    /// Advances the protocol by one input. Never blocks.
    fn handle(&mut self, now: Millis, input: Self::Input) -> Step<Self::Effect, Self::Mark>;

    /// The next time [`handle`](Self::handle) must see [`timeout`](Self::timeout).
    ///
    /// May change after any call to `handle`.
    fn poll_timeout(&self) -> Option<Millis>;

    /// The input that says that the time asked for has come.
    fn timeout() -> Self::Input;
}
