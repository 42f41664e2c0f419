//! The lanes, a graph and a log, and somebody who decides what happens next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use env::{BoxFuture, Core, Env, Executor, Production};
use graph::{EntityId, Millis};
use projection::dump::{Dump, dump};
use projection::event::Event;
use projection::executor::{LanesExecutor, Outlet};
use projection::lanes::{Action, Answer, Config, Failure, Input, Lanes, LanesEffect, Mark, RequestId, Write};
use projection::log::{EventLog, Fed, LogError, LogId, Page, Unread};
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
    on_foreign: projection::lanes::OnForeign::TakeOver,
    batch_lanes_max: 3,
    run_max: 4,
    effects_max: 3,
    buffer_max: 5,
    lanes_max: 4,
    buffered_max: 6,
    page: 3,
    campaign_page: 2,
    backoff_ms: Millis(1),
    backoff_ms_max: Millis(4),
    barrier_timeout_ms: Millis(1_000),
    checkpoint_period_ms: Millis(2),
    revive_period_ms: Millis(60_000),
    left_out_period_ms: Millis(60_000),
    attempts_max: 20,
};

/// What is done every so often, or later, for ever, is not waited for.
const SETTLED_MS: u64 = 20_000;

/// A log in memory, of which the first so many events have been written.
#[derive(Default)]
pub struct MemoryLog(Mutex<Contents>);

#[derive(Clone, Default)]
struct Contents {
    id: LogId,
    events: Vec<Arc<Event>>,
    written: usize,
    /// Where an event is damaged: at which global positions, and whether it still says whose it is.
    damaged: BTreeMap<u64, bool>,
}

impl MemoryLog {
    fn new(events: Vec<Arc<Event>>) -> MemoryLog {
        MemoryLog(Mutex::new(Contents { events, ..Contents::default() }))
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().expect("no test panics with it")
    }

    /// The events that were written.
    pub fn visible(&self) -> Vec<Arc<Event>> {
        let contents = self.contents();
        contents.events[..contents.written].to_vec()
    }

    /// There is another log with these events, all of them written.
    pub fn replace(&self, id: &str, events: Vec<Arc<Event>>) {
        let written = events.len();
        *self.contents() = Contents { id: LogId(id.to_owned()), events, written, damaged: BTreeMap::new() };
    }

    /// The event at this position is damaged; it says whose it is, or not even that.
    pub fn damage(&self, position: u64, says_whose: bool) {
        self.contents().damaged.insert(position, says_whose);
    }

    /// All events are as they were written.
    pub fn repair(&self) {
        self.contents().damaged.clear();
    }

    fn write(&self, count: usize) {
        let mut contents = self.contents();
        contents.written = contents.written.saturating_add(count).min(contents.events.len());
    }
}

impl EventLog for MemoryLog {
    fn stream<'a>(
        &'a self,
        resource: &'a EntityId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Arc<Event>>, LogError>> {
        let contents = self.contents().clone();
        let of_it =
            |(_, event): &(u64, &Arc<Event>)| event.position.resource == *resource && event.position.sequence > after;
        let mut events: Vec<_> = (1..).zip(&contents.events[..contents.written]).filter(of_it).collect();
        let whole = events.iter().take_while(|(position, _)| !contents.damaged.contains_key(position)).count();
        let more = events.len() > limit.min(whole);
        let is_damaged = whole == 0 && more;
        events.truncate(limit.min(whole));
        let items = events.into_iter().map(|(_, event)| event.clone()).collect();
        Box::pin(async move {
            if is_damaged { Err(LogError::Damaged("a bit fell over".to_owned())) } else { Ok(Page { items, more }) }
        })
    }

    fn feed(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Fed, LogError>> {
        let contents = self.contents().clone();
        let last = contents.written as u64;
        let mut fed = Fed { log: contents.id, last, through: after.min(last), ..Fed::default() };
        let behind = usize::try_from(after).expect("a small number");
        for (position, event) in (1..).zip(&contents.events[..contents.written]).skip(behind).take(limit) {
            match contents.damaged.get(&position) {
                None => fed.events.push((position, event.clone())),
                Some(says_whose) => {
                    let place = says_whose.then(|| event.position.clone());
                    fed.unread.push(Unread { position, place, why: "a bit fell over".to_owned() });
                }
            }
            fed.through = position;
        }
        Box::pin(async move { Ok(fed) })
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
    /// What was to be written, in the order in which it was asked for.
    pub writes: Vec<Write>,
    executor: LanesExecutor,
    config: Config,
    pub core: Lanes,
    now: Millis,
    pub pending: Vec<LanesEffect>,
    /// Requests that were made.
    pub asked: std::collections::BTreeSet<RequestId>,
    /// Whether somebody starts it again when it has halted.
    pub supervised: bool,
    /// What processes asked for that are no more.
    pub strays: Vec<LanesEffect>,
}

impl World {
    pub async fn new(graph: Arc<dyn GraphStore>, config: Config, events: Vec<Arc<Event>>) -> World {
        World::on(graph, Arc::new(MemoryLog::new(events)), config).await
    }

    async fn on(graph: Arc<dyn GraphStore>, log: Arc<MemoryLog>, config: Config) -> World {
        World::of(graph, log, config, None).await
    }

    async fn of(graph: Arc<dyn GraphStore>, log: Arc<MemoryLog>, config: Config, own: Option<LogId>) -> World {
        graph.ensure_unique(CONSTRAINTS).await.expect("an empty graph takes constraints");
        let answers = Arc::new(Answers::default());
        let executor =
            LanesExecutor { graph: graph.clone(), log: log.clone(), outlet: answers.clone(), graph_limit: LIMIT };
        let (core, first) = Lanes::go_on(config, own);
        let mut world = World {
            graph,
            log,
            answers,
            marks: Vec::new(),
            writes: Vec::new(),
            executor,
            config,
            core,
            now: Millis(0),
            pending: Vec::new(),
            asked: std::collections::BTreeSet::new(),
            supervised: false,
            strays: Vec::new(),
        };
        world.take(first).await;
        world
    }

    /// Another process on the same graph and the same log.
    pub async fn beside(one: &World) -> World {
        World::on(one.graph.clone(), one.log.clone(), one.config).await
    }

    /// A process on the same graph and the same log, which knows which log was read last.
    pub async fn going_on(one: &World, config: Config, own: Option<LogId>) -> World {
        World::of(one.graph.clone(), one.log.clone(), config, own).await
    }

    /// A process on the same graph, with another log that has all of these events.
    pub async fn of_another_store(one: &World, id: &str, events: Vec<Arc<Event>>) -> World {
        let log = MemoryLog::default();
        log.replace(id, events);
        World::on(one.graph.clone(), Arc::new(log), one.config).await
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
        self.log.write(usize::MAX);
    }

    pub fn write_one(&self) {
        self.log.write(1);
    }

    async fn take(&mut self, step: env::Step<LanesEffect, Mark>) {
        self.marks.extend(step.marks);
        for effect in step.effects {
            if let LanesEffect::Do { action: Action::Apply { writes, .. }, .. } = &effect {
                self.writes.extend_from_slice(writes);
            }
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
        let end = self.log.visible().len() as u64;
        let log = self.log.contents().id.clone();
        let here = self.core.log() == Some(&log) && self.core.own_log() == Some(&log);
        let idle = |effect: &LanesEffect| {
            here && matches!(effect, LanesEffect::Do { action: Action::Feed { after, .. }, .. } if *after == end)
        };
        self.pending.iter().position(|effect| !idle(effect))
    }

    /// So much time passes, and everything happens that has to.
    pub async fn later(&mut self, millis: u64) {
        self.now = Millis(self.now.0 + millis);
        self.tell(Input::Timeout).await;
        self.settle().await;
    }

    /// Lets everything happen that has to, without any more trouble.
    pub async fn settle(&mut self) {
        for _ in 0..100_000 {
            if self.supervised && self.core.status().halted {
                self.crash().await;
            } else if let Some(at) = self.next_useful() {
                self.execute(at).await;
            } else if self.core.poll_timeout().is_some_and(|at| at.0 < self.now.0 + SETTLED_MS) {
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
        assert_eq!(status.parked, reference.poison.len() as u64, "{:?}", self.core.parked());
        assert!(!status.rebuilding);
    }
}
