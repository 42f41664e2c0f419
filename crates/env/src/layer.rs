//! Surroundings that differ from others in a few things.

use std::io;
use std::path::Path;

use graph::Millis;

use crate::claim::{Claim, ClaimError};
use crate::environment::{BoxFuture, Connection, Environment, Listener, Observation, Point};

/// An [`Environment`] that changes some of what another one does, and passes on the rest.
///
/// A test says with it what is special about its process, a network that breaks or a disk in memory, and nothing else.
pub trait Layer: Send + Sync + 'static {
    /// Who does what this layer leaves as it is.
    fn beneath(&self) -> &dyn Environment;

    /// See [`Environment::connect`].
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        self.beneath().connect(address)
    }

    /// See [`Environment::listen`].
    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        self.beneath().listen(address)
    }

    /// See [`Environment::spawn`].
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.beneath().spawn(task);
    }

    /// See [`Environment::blocking`].
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        self.beneath().blocking(work)
    }

    /// See [`Environment::utc_now`].
    fn utc_now(&self) -> Millis {
        self.beneath().utc_now()
    }

    /// See [`Environment::entropy`].
    fn entropy(&self, bytes: &mut [u8]) {
        self.beneath().entropy(bytes);
    }

    /// See [`Environment::vfs`].
    fn vfs(&self) -> Option<&str> {
        self.beneath().vfs()
    }

    /// See [`Environment::persist`].
    fn persist(&self, path: &Path) -> io::Result<()> {
        self.beneath().persist(path)
    }

    /// See [`Environment::claim`].
    fn claim(&self, folder: &Path) -> Result<Claim, ClaimError> {
        self.beneath().claim(folder)
    }

    /// See [`Environment::point`].
    fn point(&self, point: Point) -> BoxFuture<'_, ()> {
        self.beneath().point(point)
    }

    /// See [`Environment::observe`].
    fn observe(&self, core: &'static str, observation: Observation<'_>) {
        self.beneath().observe(core, observation);
    }
}

impl<L: Layer> Environment for L {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        Layer::connect(self, address)
    }

    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Layer::listen(self, address)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        Layer::spawn(self, task);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        Layer::blocking(self, work)
    }

    fn utc_now(&self) -> Millis {
        Layer::utc_now(self)
    }

    fn entropy(&self, bytes: &mut [u8]) {
        Layer::entropy(self, bytes);
    }

    fn vfs(&self) -> Option<&str> {
        Layer::vfs(self)
    }

    fn persist(&self, path: &Path) -> io::Result<()> {
        Layer::persist(self, path)
    }

    fn claim(&self, folder: &Path) -> Result<Claim, ClaimError> {
        Layer::claim(self, folder)
    }

    fn point(&self, point: Point) -> BoxFuture<'_, ()> {
        Layer::point(self, point)
    }

    fn observe(&self, core: &'static str, observation: Observation<'_>) {
        Layer::observe(self, core, observation);
    }
}
