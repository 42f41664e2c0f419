//! A log and projectors within the process, until there are programs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use env::{BoxFuture, Env, Handle};
use graph::{EntityId, Millis};
use projection::event::Event;
use projection::executor::{LanesExecutor, Outlet};
use projection::lanes::{Answer, Config, Input, Lanes, RequestId};
use projection::log::{EventLog, Fed, LogError, Page};
use stores::GraphStore;
use tokio::sync::{oneshot, watch};

#[derive(Clone, Default)]
pub struct Interim(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    log: Vec<Arc<Event>>,
    handles: BTreeMap<String, (Handle<Lanes>, Arc<Answers>)>,
    next: u64,
}

#[derive(Default)]
pub struct Answers {
    waiting: Mutex<BTreeMap<RequestId, oneshot::Sender<Answer>>>,
    halted: Mutex<Option<watch::Sender<Option<String>>>>,
}

impl Outlet for Answers {
    fn reply(&self, request: RequestId, answer: Answer) {
        if let Some(sender) = self.waiting.lock().unwrap().remove(&request) {
            let _ = sender.send(answer);
        }
    }
    fn halt(&self, reason: String) {
        if let Some(sender) = &*self.halted.lock().unwrap() {
            let _ = sender.send(Some(reason));
        }
    }
}

impl Interim {
    pub fn append(
        &self,
        stream: &EntityId,
        expected: Option<u64>,
        make: impl Fn(u64, usize) -> Event,
        count: usize,
    ) -> Result<(u64, u64, u64), u64> {
        let mut state = self.0.lock().unwrap();
        let head = state.log.iter().filter(|event| event.position.resource == *stream).count() as u64;
        let first = make(head + 1, 0);
        if let Some(at) = state.log.iter().position(|event| event.id == first.id) {
            let sequence = state.log[at].position.sequence;
            return Ok((sequence, sequence + count as u64 - 1, (at + count) as u64));
        }
        if expected.is_some_and(|expected| expected != head) {
            return Err(head);
        }
        for nth in 0..count {
            let event = make(head + 1 + nth as u64, nth);
            state.log.push(Arc::new(event));
        }
        Ok((head + 1, head + count as u64, state.log.len() as u64))
    }

    pub fn dump(&self) -> String {
        let state = self.0.lock().unwrap();
        (1..).zip(&state.log).map(|(position, event)| format!("{}\n", super::log::Stored { position, event: (**event).clone() })).collect()
    }

    pub fn head(&self) -> u64 {
        self.0.lock().unwrap().log.len() as u64
    }

    pub async fn ask(&self, projector: &str, make: impl FnOnce(RequestId) -> Input) -> Option<Answer> {
        let receiver = {
            let mut state = self.0.lock().unwrap();
            state.next += 1;
            let request = RequestId(state.next);
            let (handle, answers) = state.handles.get(projector)?;
            let (sender, receiver) = oneshot::channel();
            answers.waiting.lock().unwrap().insert(request, sender);
            handle.send(make(request));
            receiver
        };
        tokio::time::timeout(Duration::from_millis(1_500), receiver).await.ok()?.ok()
    }

    pub async fn run(&self, name: &str, env: Env, graph: Arc<dyn GraphStore>, limit: Duration, on_unknown: projection::lanes::OnUnknown) -> String {
        while graph.ensure_unique(projection::statements::CONSTRAINTS).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let config = Config {
            on_unknown,
            batch_lanes_max: 3,
            run_max: 4,
            effects_max: 3,
            buffer_max: 8,
            lanes_max: 8,
            page: 8,
            campaign_page: 2,
            backoff_ms: Millis(20),
            backoff_ms_max: Millis(200),
            barrier_timeout_ms: Millis(1_000),
            checkpoint_period_ms: Millis(200),
        };
        let (core, first) = Lanes::start(config);
        let answers = Arc::new(Answers::default());
        let (sender, mut halted) = watch::channel(None);
        *answers.halted.lock().unwrap() = Some(sender);
        let executor = LanesExecutor { graph, log: Arc::new(self.clone()), outlet: answers.clone(), graph_limit: limit };
        let handle = env::drive(&env, core, first, Arc::new(executor));
        self.0.lock().unwrap().handles.insert(name.to_owned(), (handle, answers));
        let reason = halted.wait_for(Option::is_some).await.expect("it is kept").clone();
        reason.unwrap_or_default()
    }
}

impl EventLog for Interim {
    fn stream<'a>(
        &'a self,
        resource: &'a EntityId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Arc<Event>>, LogError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let state = self.0.lock().unwrap();
            let behind = |event: &&Arc<Event>| event.position.resource == *resource && event.position.sequence > after;
            let mut items: Vec<_> = state.log.iter().filter(behind).cloned().collect();
            let more = items.len() > limit;
            items.truncate(limit);
            Ok(Page { items, more })
        })
    }

    fn feed(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Fed, LogError>> {
        Box::pin(async move {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let state = self.0.lock().unwrap();
                let events: Vec<_> =
                    (1..).zip(state.log.iter().cloned()).skip(after as usize).take(limit).collect();
                if let Some((through, _)) = events.last() {
                    return Ok(Fed { through: *through, events });
                }
            }
            Ok(Fed { events: Vec::new(), through: after })
        })
    }

    fn resources<'a>(
        &'a self,
        after: Option<&'a EntityId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<EntityId>, LogError>> {
        let mut all: Vec<EntityId> =
            self.0.lock().unwrap().log.iter().map(|event| event.position.resource.clone()).collect();
        all.sort();
        all.dedup();
        all.retain(|resource| after.is_none_or(|after| resource > after));
        let more = all.len() > limit;
        all.truncate(limit);
        Box::pin(async move { Ok(Page { items: all, more }) })
    }
}
