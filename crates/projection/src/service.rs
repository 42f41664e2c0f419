//! A running projector: the lanes, their driver, a log and a graph, behind one handle.

use std::sync::{Arc, Weak};
use std::time::Duration;

use env::{Env, Handle, Place, Waiting, Watched};
use graph::EntityId;
use serde::{Deserialize, Serialize};
use stores::{GraphError, GraphStore};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::event::{Content, Event, Payload};
use crate::executor::{LanesExecutor, Outlet};
use crate::lanes::{Answer, Applied, Config, Ended, Input, Lanes, Poison, Rejection, RequestId, Scope, Status};
use crate::listing;
use crate::log::{EventLog, LogError, LogId, PAGE_MAX};
use crate::operations::{Alert, Health, Operations, Side, alerts};
use crate::statements::{self, CONSTRAINTS};
use crate::stubs::{Story, Stub, diagnose};
use crate::view::{ReadError, Reader, Referrers, ResourceView};

/// What a projector is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much the lanes do at once, and how patient they are.
    pub lanes: Config,
    /// The log that the process before this one has read last, if there was one: see [`OnForeign`](crate::lanes::OnForeign).
    pub own_log: Option<LogId>,
    /// How long one transaction may take in the graph; the server is told the same.
    pub graph_limit: Duration,
    /// How long one attempt to create the constraints may take; then it is tried again.
    pub prepare_limit: Duration,
    /// How many requests may be open, those included whose clients have gone away; further ones are refused.
    pub requests_max: usize,
    /// The pause between two counts of the stubs, each of which also shows whether the graph is reached.
    pub stubs_period: Duration,
    /// When somebody has to look.
    pub alerts: alerts::Config,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            lanes: Config::default(),
            own_log: None,
            graph_limit: Duration::from_secs(5),
            prepare_limit: Duration::from_secs(300),
            requests_max: 512,
            stubs_period: Duration::from_secs(10),
            alerts: alerts::Config::default(),
        }
    }
}

/// Why a projector did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The graph refuses what the projection rests on.
    #[error("the graph cannot be used: {0}")]
    Graph(GraphError),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nothing was done; the same may be asked again.
    #[error("{0}")]
    Rejected(Rejection),
    /// Too many requests are open: nothing was done.
    #[error("too many requests are open")]
    Overloaded,
    /// The graph was not read.
    #[error("the graph was not read: {0}")]
    Graph(#[from] ReadError),
    /// The log was not read.
    #[error("{0}")]
    Log(#[from] LogError),
    /// Neither the log nor the graph has anything of the resource.
    #[error("neither the log nor the graph has anything of {0}")]
    NoSuchResource(EntityId),
}

impl From<GraphError> for AskError {
    fn from(error: GraphError) -> AskError {
        AskError::Graph(error.into())
    }
}

/// What a reader is told who waits for an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// Whether the graph shows the event: whatever is read from now on does.
    pub applied: bool,
    /// Whether the reader has to do without: it waited in vain, and what it reads may be older.
    pub degraded: bool,
    /// How far the graph shows the resource; null where the graph was not read.
    pub sequence: Option<u64>,
    /// The event that cannot be applied, if that is what stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poison: Option<Poison>,
}

/// A resource that stands still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The resource.
    pub resource: EntityId,
    /// The event that cannot be applied.
    #[serde(flatten)]
    pub poison: Poison,
}

/// A running projector. Cheap to clone.
#[derive(Clone)]
pub struct Projector {
    core: Handle<Watched<Lanes, Operations>>,
    operations: Arc<Operations>,
    waiting: Arc<Waiting<RequestId, Answer>>,
    places: Arc<Semaphore>,
    graph: Arc<dyn GraphStore>,
    log: Arc<dyn EventLog>,
    graph_limit: Duration,
    wait_max: Duration,
    halted: watch::Receiver<Option<String>>,
}

impl Projector {
    /// Prepares the graph and starts the lanes. Waits for the graph if it is not there yet; the log may come later.
    pub async fn start(
        env: Env,
        options: Options,
        graph: Arc<dyn GraphStore>,
        log: Arc<dyn EventLog>,
    ) -> Result<Projector, StartError> {
        prepare(graph.as_ref(), options.prepare_limit).await.map_err(StartError::Graph)?;
        for warning in graph.warnings().await {
            tracing::warn!("the graph: {warning}");
        }
        let config = Config { page: options.lanes.page.min(PAGE_MAX), ..options.lanes };
        let (core, first) = Lanes::go_on(config, options.own_log);
        let operations = Arc::new(Operations::new(options.alerts));
        let waiting = Arc::new(Waiting::new(RequestId));
        let (halt, halted) = watch::channel(None);
        let executor = LanesExecutor {
            graph: graph.clone(),
            log: log.clone(),
            outlet: Arc::new(Clients { waiting: waiting.clone(), halt }),
            graph_limit: options.graph_limit,
        };
        let core = env::drive_watched(&env, core, first, executor, operations.clone());
        let eyes = Eyes { graph: graph.clone(), limit: options.graph_limit, period: options.stubs_period };
        env.spawn(eyes.look(Arc::downgrade(&operations)));
        Ok(Projector {
            core,
            operations,
            waiting,
            places: Arc::new(Semaphore::new(options.requests_max)),
            graph,
            log,
            graph_limit: options.graph_limit,
            wait_max: Duration::from_millis(config.barrier_timeout_ms.0),
            halted,
        })
    }

    /// Its counts and alerts.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Waits until the graph shows an event, for so long at most, and no longer than the lanes wait.
    ///
    /// # Errors
    ///
    /// Whoever waited in vain gets no error but a [`Barrier`] that says so.
    pub async fn when_applied(&self, id: &EntityId, sequence: u64, wait: Duration) -> Result<Barrier, AskError> {
        let wait = wait.min(self.wait_max);
        if wait > Duration::ZERO {
            let place = self.admit()?;
            let resource = id.clone();
            let asked = self.ask(Some(place), |request| Input::WhenApplied { request, resource, sequence });
            match timeout(wait, asked).await {
                Ok(Answer::Applied { sequence }) => {
                    return Ok(Barrier { applied: true, degraded: false, sequence: Some(sequence), poison: None });
                }
                Ok(Answer::NotApplied { .. }) | Err(_) => {}
                Ok(Answer::Rejected(rejection)) => return Err(AskError::Rejected(rejection)),
                Ok(answer) => panic!("the lanes answered a barrier with {answer:?}"),
            }
        }
        // The graph itself has the last word; where it has none, nobody can promise anything.
        let mark = self.reader().applied(id).await;
        self.contacted_graph(&mark);
        let Ok((mark, projection)) = mark else {
            return Ok(Barrier { applied: false, degraded: true, sequence: None, poison: None });
        };
        // What a mark says of another log is no answer.
        let is_known = projection.trusts(&mark);
        let Applied { sequence: shown, poison, .. } = mark;
        let applied = is_known && shown >= sequence;
        Ok(Barrier { applied, degraded: !applied, sequence: Some(shown), poison: poison.filter(|_| !applied) })
    }

    /// Tells it of events that somebody heard of elsewhere, on a bus for example: in whatever order, however often, and
    /// perhaps not all of them. That makes it faster and nothing else: the log is read all the same. They have to be of the
    /// log that is read now: whoever tells of events stops when the log is replaced.
    pub fn hear(&self, events: Vec<Arc<Event>>) {
        self.core.send(Input::Deliver { events });
    }

    /// Rebuilds a resource or all of them from the log. Takes as long as that does, and goes on if the caller leaves.
    ///
    /// # Errors
    ///
    /// Nothing was done, or it is not known of a resource that there is one.
    pub async fn rebuild(&self, scope: Scope) -> Result<Ended, AskError> {
        self.whole(scope, |request, scope| Input::Rebuild { request, scope }).await
    }

    /// Compares a resource or all of them with the log, and puts right what differs. Takes as long as that does, and
    /// goes on if the caller leaves.
    ///
    /// # Errors
    ///
    /// Nothing was done, or it is not known of a resource that there is one.
    pub async fn reconcile(&self, scope: Scope) -> Result<Ended, AskError> {
        self.whole(scope, |request, scope| Input::Reconcile { request, scope }).await
    }

    async fn whole(&self, scope: Scope, input: fn(RequestId, Scope) -> Input) -> Result<Ended, AskError> {
        let place = self.admit()?;
        if let Scope::One(resource) = &scope {
            self.make_sure_of(resource).await?;
        }
        match self.ask(Some(place), |request| input(request, scope)).await {
            Answer::Ended(ended) => Ok(ended),
            Answer::Rejected(rejection) => Err(AskError::Rejected(rejection)),
            answer => panic!("the lanes answered a rebuild or a reconciliation with {answer:?}"),
        }
    }

    async fn make_sure_of(&self, resource: &EntityId) -> Result<(), AskError> {
        let rows = self.graph.execute(statements::look_up(std::slice::from_ref(resource)), self.graph_limit).await?;
        if !rows.iter().all(Vec::is_empty) {
            return Ok(());
        }
        match self.log.stream(resource, 0, 1).await {
            Ok(page) if page.items.is_empty() => Err(AskError::NoSuchResource(resource.clone())),
            // Something is there.
            Ok(_) | Err(LogError::Damaged(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How the lanes are.
    pub async fn status(&self) -> Status {
        match self.ask(None, |request| Input::Inspect { request }).await {
            Answer::Status(status) => status,
            answer => panic!("the lanes answered a question about their status with {answer:?}"),
        }
    }

    /// How the projector is.
    pub async fn health(&self) -> Health {
        let status = self.status().await;
        self.operations.health(status)
    }

    /// A resource as the graph shows it.
    ///
    /// # Errors
    ///
    /// A read has no effect, so every error means only that there is no answer.
    pub async fn resource(&self, id: &EntityId) -> Result<ResourceView, AskError> {
        let _place = self.admit()?;
        let view = self.reader().resource(id).await;
        self.contacted_graph(&view);
        view?.ok_or_else(|| AskError::NoSuchResource(id.clone()))
    }

    /// Up to `limit` of the annotations that link to a resource, after the one named `after`.
    ///
    /// # Errors
    ///
    /// A read has no effect, so every error means only that there is no answer.
    pub async fn referrers(&self, id: &EntityId, after: &str, limit: u32) -> Result<Referrers, AskError> {
        let _place = self.admit()?;
        let page = self.reader().referrers(id, after, limit).await;
        self.contacted_graph(&page);
        page?.ok_or_else(|| AskError::NoSuchResource(id.clone()))
    }

    /// Up to `limit` stubs after this one, each with the reason why it is one, as far as the log says so.
    ///
    /// # Errors
    ///
    /// The graph was not read. A read has no effect, so every error means only that there is no answer.
    pub async fn stubs(&self, after: &str, limit: u32) -> Result<Vec<Stub>, AskError> {
        let _place = self.admit()?;
        let ids = self.listed(&statements::LIST_STUBS, after, limit).await?;
        let marks = self.marks(&ids).await?;
        let (mut stubs, mut silent) = (Vec::new(), None);
        for (resource, applied) in ids.into_iter().zip(marks) {
            // A log that does not answer is not waited for once for each of them.
            let story = match silent.clone() {
                Some(why) => Err(why),
                None => self.story(&resource, applied.sequence).await.map_err(|error| error.to_string()),
            };
            silent = story.as_ref().err().cloned();
            stubs.push(Stub { cause: diagnose(&applied, story), resource });
        }
        Ok(stubs)
    }

    /// What the log says of a resource whose mark is at this sequence.
    async fn story(&self, resource: &EntityId, through: u64) -> Result<Story, LogError> {
        let (mut logged, mut creates) = (0, false);
        loop {
            let page = match self.log.stream(resource, logged, PAGE_MAX).await {
                Err(LogError::Damaged(_)) => return Ok(Story { logged, creates }),
                page => page?,
            };
            for event in &page.items {
                logged = event.position.sequence;
                let created =
                    matches!(event.content, Content::Known(Payload::ResourceCreated(_) | Payload::ResourceCloned(_)));
                creates |= created && logged <= through;
            }
            if !page.more || page.items.is_empty() {
                return Ok(Story { logged, creates });
            }
        }
    }

    /// Up to `limit` resources that stand still, after this one.
    ///
    /// # Errors
    ///
    /// A read has no effect, so every error means only that there is no answer.
    pub async fn parked(&self, after: &str, limit: u32) -> Result<Vec<Parked>, AskError> {
        let _place = self.admit()?;
        let ids = self.listed(&statements::LIST_PARKED, after, limit).await?;
        let marks = self.marks(&ids).await?;
        let parked = ids.into_iter().zip(marks);
        // One that was cleared in between is none any more.
        Ok(parked.filter_map(|(resource, applied)| Some(Parked { resource, poison: applied.poison? })).collect())
    }

    async fn listed(
        &self,
        statement: &'static stores::Statement,
        after: &str,
        limit: u32,
    ) -> Result<Vec<EntityId>, AskError> {
        let keys = listing::keys(self.graph.as_ref(), statement, after, limit, self.graph_limit).await;
        self.contacted_graph(&keys);
        Ok(keys?.iter().filter_map(|key| key.parse().ok()).collect())
    }

    /// The marks of resources, in this order.
    async fn marks(&self, ids: &[EntityId]) -> Result<Vec<Applied>, AskError> {
        let mut marks = Vec::new();
        for id in ids {
            marks.push(self.reader().applied(id).await?.0);
        }
        Ok(marks)
    }

    /// Waits until the process has to end, because the lanes ask for it or because the graph cannot be used any more;
    /// returns why.
    pub async fn halted(&self) -> String {
        let mut halted = self.halted.clone();
        let core = async {
            let reason = halted.wait_for(Option::is_some).await.map(|reason| reason.clone().unwrap_or_default());
            reason.unwrap_or_else(|_| "the lanes' loop ended".to_owned())
        };
        tokio::select! {
            biased;
            reason = core => reason,
            why = self.graph.failed() => format!("the graph: {why}"),
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader { graph: self.graph.as_ref(), limit: self.graph_limit, operations: &self.operations }
    }

    fn contacted_graph<T, E: std::fmt::Display>(&self, result: &Result<T, E>) {
        let result = result.as_ref().map(|_| ()).map_err(ToString::to_string);
        self.operations.contacted(Side::Graph, result);
    }

    /// Takes a place among the open requests, held until the value is dropped, or refuses.
    fn admit(&self) -> Result<Place, AskError> {
        self.places.clone().try_acquire_owned().map(Place::from).map_err(|_| {
            self.operations.refused_for_overload();
            AskError::Overloaded
        })
    }

    async fn ask(&self, place: Option<Place>, input: impl FnOnce(RequestId) -> Input) -> Answer {
        let (request, answer) = self.waiting.register(place);
        self.core.send(input(request));
        answer.await.expect("every request is answered before it is forgotten")
    }
}

/// Makes sure that the graph enforces what the projection rests on.
async fn prepare(graph: &dyn GraphStore, limit: Duration) -> Result<(), GraphError> {
    loop {
        let attempt = timeout(limit, graph.ensure_unique(CONSTRAINTS)).await;
        let attempt = attempt.unwrap_or_else(|_| Err(GraphError::Unknown { why: "no answer in time".to_owned() }));
        match attempt {
            Err(error @ (GraphError::Unknown { .. } | GraphError::Refused { retryable: true, .. })) => {
                tracing::warn!(%error, "waiting for the graph");
                sleep(PREPARE_PAUSE).await;
            }
            ended => return ended,
        }
    }
}

/// The pause between two attempts to prepare the graph.
const PREPARE_PAUSE: Duration = Duration::from_millis(500);

/// Who hears what the lanes have to say.
struct Clients {
    waiting: Arc<Waiting<RequestId, Answer>>,
    halt: watch::Sender<Option<String>>,
}

impl Outlet for Clients {
    fn reply(&self, request: RequestId, answer: Answer) {
        self.waiting.answer(request, answer);
    }

    fn halt(&self, reason: String) {
        self.halt.send_replace(Some(reason));
    }
}

/// Looks at what no event tells of: how many stubs there are. Says which alerts begin or end.
struct Eyes {
    graph: Arc<dyn GraphStore>,
    limit: Duration,
    period: Duration,
}

impl Eyes {
    /// For as long as anybody has the numbers.
    async fn look(self, operations: Weak<Operations>) {
        loop {
            let counted = listing::count_stubs(self.graph.as_ref(), self.limit).await;
            let Some(operations) = operations.upgrade() else { return };
            match counted {
                Ok(count) => {
                    operations.counted_stubs(count);
                    operations.contacted(Side::Graph, Ok(()));
                }
                Err(error) => operations.contacted(Side::Graph, Err(error.to_string())),
            }
            for Alert { alert, firing, detail } in operations.changes() {
                let alert = alert.name();
                if firing {
                    tracing::error!(alert, "ALERT: {detail}");
                } else {
                    tracing::info!(alert, "the alert is over: {detail}");
                }
            }
            drop(operations);
            sleep(self.period).await;
        }
    }
}
