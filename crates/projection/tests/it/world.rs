//! The lanes, a graph and a log, and somebody who decides what happens next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use env::{BoxFuture, Core, Env, Executor, Production};
use graph::{EntityId, Millis};
use projection::dump::{Dump, dump};
use projection::event::Event;
use projection::executor::{LanesExecutor, Outlet};
use projection::lanes::{Action, Answer, Config, Failure, Input, Lanes, LanesEffect, Mark, RequestId};
use projection::log::{EventLog, Fed, LogError, Page};
use projection::statements::CONSTRAINTS;
use stores::GraphStore;
use stores::embedded::EmbeddedGraph;
use stores::memory::MemoryGraph;
use stores::sqlite::Check;

/// Long enough never to decide a test.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Small, so that everything overflows, and with pauses, so that time has to pass.
pub const TIGHT: Config = Config {
    on_unknown: projection::lanes::OnUnknown::Park,
    batch_lanes_max: 3,
    run_max: 4,
    effects_max: 3,
    buffer_max: 5,
    lanes_max: 4,
    page: 3,
    campaign_page: 2,
    backoff_ms: Millis(1),
    backoff_ms_max: Millis(4),
    barrier_timeout_ms: Millis(1_000),
    checkpoint_period_ms: Millis(2),
};

/// A log in memory, of which the first so many events have been written.
#[derive(Default)]
pub struct MemoryLog {
    pub events: Vec<Arc<Event>>,
    pub written: AtomicUsize,
}

impl MemoryLog {
    pub fn visible(&self) -> &[Arc<Event>] {
        &self.events[..self.written.load(Ordering::Relaxed)]
    }
}

impl EventLog for MemoryLog {
    fn stream<'a>(
        &'a self,
        resource: &'a EntityId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Arc<Event>>, LogError>> {
        let behind = |event: &&Arc<Event>| event.position.resource == *resource && event.position.sequence > after;
        let mut events: Vec<_> = self.visible().iter().filter(behind).cloned().collect();
        let more = events.len() > limit;
        events.truncate(limit);
        Box::pin(async move { Ok(Page { items: events, more }) })
    }

    fn feed(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Fed, LogError>> {
        let after = usize::try_from(after).expect("a small number");
        let events: Vec<_> = (1..).zip(self.visible().iter().cloned()).skip(after).take(limit).collect();
        let through = events.last().map_or(after as u64, |(position, _)| *position);
        Box::pin(async move { Ok(Fed { events, through }) })
    }

    fn resources<'a>(
        &'a self,
        after: Option<&'a EntityId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<EntityId>, LogError>> {
        let mut all: Vec<EntityId> = self.visible().iter().map(|event| event.position.resource.clone()).collect();
        all.sort();
        all.dedup();
        all.retain(|resource| after.is_none_or(|after| resource > after));
        let more = all.len() > limit;
        all.truncate(limit);
        Box::pin(async move { Ok(Page { items: all, more }) })
    }
}

#[derive(Default)]
pub struct Answers(pub Mutex<Vec<(RequestId, Answer)>>);

impl Outlet for Answers {
    fn reply(&self, request: RequestId, answer: Answer) {
        self.0.lock().expect("no test panics with it").push((request, answer));
    }

    fn halt(&self, _: String) {}
}

pub struct World {
    pub graph: Arc<dyn GraphStore>,
    pub log: Arc<MemoryLog>,
    pub answers: Arc<Answers>,
    pub marks: Vec<Mark>,
    executor: LanesExecutor,
    config: Config,
    pub core: Lanes,
    now: Millis,
    pub pending: Vec<LanesEffect>,
    /// Requests that were made.
    pub asked: std::collections::BTreeSet<RequestId>,
    /// What processes asked for that are no more.
    pub strays: Vec<LanesEffect>,
}

impl World {
    pub async fn new(graph: Arc<dyn GraphStore>, config: Config, events: Vec<Arc<Event>>) -> World {
        graph.ensure_unique(CONSTRAINTS).await.expect("an empty graph takes constraints");
        let log = Arc::new(MemoryLog { events, written: AtomicUsize::new(0) });
        let answers = Arc::new(Answers::default());
        let executor =
            LanesExecutor { graph: graph.clone(), log: log.clone(), outlet: answers.clone(), graph_limit: LIMIT };
        let (core, first) = Lanes::start(config);
        let mut world = World {
            graph,
            log,
            answers,
            marks: Vec::new(),
            executor,
            config,
            core,
            now: Millis(0),
            pending: Vec::new(),
            asked: std::collections::BTreeSet::new(),
            strays: Vec::new(),
        };
        world.take(first).await;
        world
    }

    pub async fn in_memory(config: Config, events: Vec<Arc<Event>>) -> World {
        World::new(Arc::new(MemoryGraph::new()), config, events).await
    }

    pub async fn on_sqlite(folder: &tempfile::TempDir, config: Config, events: Vec<Arc<Event>>) -> World {
        let env = Env::new(Production);
        let graph = EmbeddedGraph::open(&env, &folder.path().join("graph.sqlite"), Check::Quick).await;
        World::new(Arc::new(graph.expect("an empty folder")), config, events).await
    }

    pub fn write_all(&self) {
        self.log.written.store(self.log.events.len(), Ordering::Relaxed);
    }

    pub fn write_one(&self) {
        let written = self.log.written.load(Ordering::Relaxed);
        self.log.written.store((written + 1).min(self.log.events.len()), Ordering::Relaxed);
    }

    async fn take(&mut self, step: env::Step<LanesEffect, Mark>) {
        self.marks.extend(step.marks);
        for effect in step.effects {
            match effect {
                LanesEffect::Do { .. } => self.pending.push(effect),
                other => assert!(self.executor.execute(other).await.is_none()),
            }
        }
    }

    pub async fn tell(&mut self, input: Input) {
        let step = self.core.handle(self.now, input);
        self.take(step).await;
    }

    /// The nth pending effect is carried out, and the core is told.
    pub async fn execute(&mut self, at: usize) {
        let effect = self.pending.remove(at);
        let input = self.executor.execute(effect).await.expect("effects are reported on");
        self.tell(input).await;
    }

    /// The core is told that nobody knows; the effect was carried out, or may be later.
    pub async fn lose(&mut self, at: usize, done: bool) {
        let effect = self.pending.remove(at);
        let LanesEffect::Do { id, .. } = &effect else { unreachable!("only such effects are pending") };
        let effect_id = id.clone();
        if done {
            self.executor.execute(effect).await;
        } else {
            self.strays.push(effect);
        }
        self.tell(Input::Failed { effect: effect_id, failure: Failure::Unknown { reason: "lost".into() } }).await;
    }

    pub async fn refuse(&mut self, at: usize, retryable: bool) {
        let LanesEffect::Do { id, .. } = self.pending.remove(at) else { unreachable!("only such effects are pending") };
        let failure = Failure::Refused { reason: "refused".into(), retryable };
        self.tell(Input::Failed { effect: id, failure }).await;
    }

    /// A delayed effect of whoever is no more takes place.
    pub async fn arrive(&mut self, at: usize) {
        let effect = self.strays.remove(at);
        self.executor.execute(effect).await;
    }

    /// The process is gone, and another one starts.
    pub async fn crash(&mut self) {
        self.strays.append(&mut self.pending);
        let (core, first) = Lanes::start(self.config);
        (self.core, self.now) = (core, Millis(0));
        self.take(first).await;
    }

    pub async fn pass_time(&mut self) {
        if let Some(at) = self.core.poll_timeout() {
            self.now = self.now.max(at);
            self.tell(Input::Timeout).await;
        }
    }

    fn next_useful(&self) -> Option<usize> {
        let written = self.log.visible().len() as u64;
        let idle = |effect: &LanesEffect| matches!(effect, LanesEffect::Do { action: Action::Feed { after, .. }, .. } if *after >= written);
        self.pending.iter().position(|effect| !idle(effect))
    }

    /// Lets everything happen that has to, without any more trouble.
    pub async fn settle(&mut self) {
        for _ in 0..100_000 {
            if let Some(at) = self.next_useful() {
                self.execute(at).await;
            } else if self.core.poll_timeout().is_some() {
                self.pass_time().await;
            } else {
                return;
            }
        }
        panic!("it never settles: {:?}", self.core.status());
    }

    pub async fn dump(&self) -> Dump {
        // In one page: of two edges between the same nodes, the end of a page may hide one.
        dump(self.graph.as_ref(), 10_000, LIMIT).await.expect("it is readable")
    }

    /// The whole graph but for the projection's own nodes, or what cannot be read of it.
    pub async fn graph_text(&self) -> String {
        match dump(self.graph.as_ref(), 10_000, LIMIT).await {
            Ok(dump) => dump.graph.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// What must be true once everything has settled.
    pub async fn check(&self) {
        let log: Vec<Event> = self.log.visible().iter().map(|event| (**event).clone()).collect();
        let reference = reference_fold::fold(&log);
        let dump = self.dump().await;
        assert_eq!(dump.graph.to_string(), reference.graph.to_string());
        assert_eq!(projection::dump::dump(self.graph.as_ref(), 3, LIMIT).await.as_ref(), Ok(&dump), "page by page");
        for (resource, mark) in &reference.marks {
            let applied = dump.marks.get(resource).cloned().unwrap_or_default();
            assert_eq!(applied.sequence, *mark, "the mark of {resource}");
            let poison = applied.poison.as_ref().map(|poison| poison.sequence);
            assert_eq!(poison, reference.poison.get(resource).copied(), "the poison of {resource}");
            assert!(!applied.partial, "{resource} is whole");
        }
        let status = self.core.status();
        assert_eq!((status.lanes, status.buffered, status.waiting), (0, 0, 0), "idle lanes are forgotten: {status:?}");
        assert_eq!(status.low_water, log.len() as u64, "nothing is held back");
        assert_eq!(status.parked, reference.poison.len() as u64);
        assert!(!status.rebuilding);
    }
}
