//! Validation and reconciliation, beside transactions and crashes and somebody who changes the
//! stores by hand: the production cores of a pass and of the commit protocol, together.
//!
//! The [host](crate::host) runs the commit core; each pass has a core of its own, which scans
//! the graph, then SQLite, and then has what differs examined or repaired. Every scan, every
//! effect and every message is an action, so that a transaction may come between the scans, and
//! a crash between any two.
//!
//! What is assumed of the surroundings is what [`commit`](crate::commit) assumes, and that
//! somebody who changes a store by hand changes one store at a time.
//!
//! What keeps the model small without hiding anything:
//!
//! - There is one entity, and no link: what has to go first, a pass's own tests are about.
//! - A scan fails as a whole or not at all, and then its pass ends: a crash shows that too.
//! - The process is killed only while a transaction has begun and has no outcome. At any other
//!   time nothing is lost but requests, whose senders may as well never have been served.
//! - The client asks once for each transaction. That a retry has no second effect is what the
//!   model of the commit protocol is for.

mod action;
mod flaw;
mod pass;
mod properties;
mod state;
mod stores;
mod transition;

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::reconcile::{Policy, Task};
use graph::EntityId;
use stateright::{Model, Property};

use crate::host::{self, CONFIG, Host};
use crate::taken::{Counting, Taken};

pub use action::{Action, Beginning, Change, Store};
pub use flaw::Flaw;
pub use state::{Budget, ClientState, Pass, Stage, State, Wrongs};
pub use stores::{Content, Deed, Entry, Graph, Ledger};

/// Who may make a pass, each at most once at a time: all the policies that decide something,
/// which are as opposite as can be, and a validation.
const TASKS: [Task; 4] =
    [Task::Validate, Task::Reconcile(Policy::Log), Task::Reconcile(Policy::Graph), Task::Reconcile(Policy::Sql)];

/// How large the model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How many transactions the client submits, one after another.
    pub transactions: u8,
    /// How often somebody changes a store by hand.
    pub changes: u8,
    /// How many passes are made.
    pub passes: u8,
    /// How often the process is killed.
    pub crashes: u8,
    /// How often a verdict is lost, a request refused, or everybody's patience at its end.
    pub faults: u8,
}

impl Bounds {
    /// Small enough for every change.
    pub const SMALL: Bounds = Bounds { transactions: 1, changes: 1, passes: 2, crashes: 1, faults: 0 };
    /// As small, with a fault in the place of a pass.
    pub const FAULTY: Bounds = Bounds { transactions: 1, changes: 1, passes: 1, crashes: 1, faults: 1 };
    /// Large enough for a night.
    pub const LARGE: Bounds = Bounds { transactions: 1, changes: 1, passes: 2, crashes: 1, faults: 1 };
}

/// The model.
#[derive(Clone, Debug)]
pub struct ReconcileModel {
    bounds: Bounds,
    flaw: Option<Flaw>,
    entity: EntityId,
    taken: Taken,
}

impl ReconcileModel {
    /// Reconciliation as it is.
    pub fn new(bounds: Bounds) -> ReconcileModel {
        ReconcileModel {
            bounds,
            flaw: None,
            entity: EntityId::new("x").expect("an id"),
            taken: Taken::of(
                ["begin", "submit", "tamper", "run", "scan graph", "scan sqlite", "open case"]
                    .into_iter()
                    .chain(host::KINDS),
            ),
        }
    }

    /// Reconciliation without one of its parts.
    pub fn flawed(bounds: Bounds, flaw: Flaw) -> ReconcileModel {
        ReconcileModel { flaw: Some(flaw), ..ReconcileModel::new(bounds) }
    }

    /// How often somebody has changed a store by hand.
    fn changes(&self, state: &State) -> u8 {
        self.bounds.changes - state.left.changes
    }
}

impl Counting for ReconcileModel {
    fn taken(&self) -> &Taken {
        &self.taken
    }
}

impl Model for ReconcileModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let Bounds { transactions, changes, passes, crashes, faults } = self.bounds;
        vec![State {
            begun: false,
            host: Host::new(CONFIG, host::Budget { crashes, faults }),
            ledger: Arc::default(),
            graph: Arc::default(),
            client: ClientState::default(),
            passes: BTreeMap::new(),
            vouched: false,
            left: Budget { transactions, changes, passes },
            wrongs: Wrongs::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What a panic leaves behind means nothing.
        if state.wrongs.panicked.is_some() {
            return;
        }
        if !state.begun {
            actions.extend(Beginning::ALL.map(Action::Begin));
            return;
        }
        let host = state.host.actions().into_iter();
        let happens = |action: &host::Action<Deed>| *action != host::Action::Crash || state.is_touched();
        actions.extend(host.filter(happens).map(Action::Host));
        if state.left.changes > 0 {
            for (store, has) in [(Store::Graph, state.graph.entity), (Store::Sql, state.ledger.row)] {
                actions.push(Action::Tamper(store, Change::Put));
                if has.is_some() {
                    actions.push(Action::Tamper(store, Change::Remove));
                }
            }
        }
        if !state.host.in_service() {
            return;
        }
        if !state.client.waiting && state.left.transactions > 0 {
            let number = self.bounds.transactions - state.left.transactions + 1;
            actions.extend([Deed::Create(number), Deed::Update(number), Deed::Delete].map(Action::Submit));
        }
        for task in TASKS {
            match state.passes.get(&task).map(|pass| &pass.stage) {
                None if state.left.passes > 0 => actions.push(Action::Run(task)),
                None | Some(Stage::Waiting) => {}
                Some(Stage::Scanning) => actions.push(Action::ScanGraph(task)),
                Some(Stage::HalfScanned { .. }) => actions.push(Action::ScanSql(task)),
                Some(Stage::Asking(..)) => actions.push(Action::OpenCase(task)),
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        self.taken.count(action.kind());
        Some(host::attempt(last, |next| self.apply(next, action)).unwrap_or_else(|panic| {
            let mut next = last.clone();
            next.wrongs.panicked = Some(panic);
            next
        }))
    }

    fn properties(&self) -> Vec<Property<ReconcileModel>> {
        properties::all()
    }

    fn format_action(&self, action: &Action) -> String {
        action.to_string()
    }
}
