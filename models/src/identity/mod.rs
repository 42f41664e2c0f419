//! Ids and canonical keys: the production core between two abstract stores, with clients that want the same.
//!
//! Two clients create an entity under the same canonical key, each under a label, so that the
//! transaction makes the id; the first one may delete what it was told it created. The process is
//! killed and recovers, answers are lost, requests to the graph come late.
//!
//! The surroundings are those of the [commit model](crate::commit), and its words are used. What
//! is different: of the stores only ids count, and neither store refuses a second entity with the
//! key when a transaction is decided or finished. Production has an index and a constraint for
//! that; here the lock alone has to do.

mod flaw;
mod properties;
mod state;
mod stores;
mod transition;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use coordinator::commit::Commit;
use graph::{CanonicalKey, EntityId, Kind, Operation, Patch};
use stateright::{Model, Property};

use crate::commit::Action;
use crate::host::{self, Budget, CONFIG};
use crate::taken::{Counting, Taken};

pub use flaw::Flaw;
pub use state::{ClientState, Effect, Process, Progress, State};
pub use stores::{Entry, Graph, Ledger, Script};

/// How large the model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How often each client asks for one of its transactions, at most; below 10.
    pub attempts: u8,
    /// How often the process is killed.
    pub crashes: u8,
    /// How often an answer of a store is lost.
    pub faults: u8,
}

impl Bounds {
    /// Small enough for every change.
    pub const SMALL: Bounds = Bounds { attempts: 2, crashes: 1, faults: 1 };
    /// Large enough for a night.
    pub const LARGE: Bounds = Bounds { attempts: 3, crashes: 2, faults: 1 };
}

/// The first client's creation, the second one's, and the first one's deletion.
const SCRIPTS: [Script; 3] = [0, 1, DELETION];
const DELETION: Script = 2;

/// What happens in it, by kind: no store refuses anything, nobody reads, and nobody's patience ends.
const KINDS: [&str; 8] = ["submit", "execute", "report", "lose", "arrive", "crash", "exit", "restart"];

/// The model.
#[derive(Clone, Debug)]
pub struct IdentityModel {
    bounds: Bounds,
    flaw: Option<Flaw>,
    kind: Kind,
    key: CanonicalKey,
    taken: Taken,
}

impl IdentityModel {
    /// The protocol as it is.
    pub fn new(bounds: Bounds) -> IdentityModel {
        let (kind, key) = ("book".parse().expect("a kind"), "isbn:1".parse().expect("a key"));
        IdentityModel { bounds, flaw: None, kind, key, taken: Taken::of(KINDS) }
    }

    /// The protocol without one of its parts.
    pub fn flawed(bounds: Bounds, flaw: Flaw) -> IdentityModel {
        IdentityModel { flaw: Some(flaw), ..IdentityModel::new(bounds) }
    }

    /// What a client asks for; none as long as it does not know what it would delete.
    fn script(&self, state: &State, script: Script) -> Option<Patch> {
        if script == DELETION {
            let id = state.clients[0].created.clone()?;
            return Some(Patch { operations: vec![Operation::Delete { id }] });
        }
        // A core that is not told the key does not lock it.
        let key = (self.flaw != Some(Flaw::KeyNotLocked)).then(|| self.key.clone());
        let id = EntityId::new("_:new").expect("a label");
        let create = Operation::Create { id, kind: self.kind.clone(), key, properties: [].into() };
        Some(Patch { operations: vec![create] })
    }
}

impl Counting for IdentityModel {
    fn taken(&self) -> &Taken {
        &self.taken
    }
}

impl Model for IdentityModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let (core, _) = Commit::recover(CONFIG, 1, Vec::new()).expect("an empty log has no conflict");
        vec![State {
            process: Some(Process { core: Arc::new(core), effects: BTreeMap::new() }),
            incarnation: 1,
            ledger: Ledger::default(),
            graph: Graph::default(),
            strays: Vec::new(),
            clients: vec![ClientState::default(); SCRIPTS.len()],
            left: Budget { crashes: self.bounds.crashes, faults: self.bounds.faults },
            panicked: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.panicked.is_some() {
            return;
        }
        match &state.process {
            None => actions.push(Action::Host(host::Action::Restart)),
            Some(process) => actions_of_the_process(process, state.left, actions),
        }
        let mut last = None;
        for stray in &state.strays {
            if last.replace(stray) != Some(stray) {
                actions.push(Action::Host(host::Action::Arrive(*stray)));
            }
        }
        if !state.in_service() {
            return;
        }
        for script in SCRIPTS {
            let client = &state.clients[usize::from(script)];
            let open = !client.waiting && client.told.is_none() && client.attempts < self.bounds.attempts;
            if open && self.script(state, script).is_some() {
                actions.push(Action::Submit(script));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        self.taken.count(action.kind());
        let mut next = last.clone();
        let panic = catch_unwind(AssertUnwindSafe(|| self.apply(&mut next, action))).err();
        if let Some(panic) = panic {
            next = last.clone();
            next.panicked = Some(host::message(panic.as_ref()));
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<IdentityModel>> {
        properties::all()
    }

    fn format_action(&self, action: &Action) -> String {
        action.to_string()
    }
}

fn actions_of_the_process(process: &Process, left: Budget, actions: &mut Vec<Action>) {
    let halted = process.core.status().halted;
    for (id, effect) in &process.effects {
        match effect.progress {
            Progress::Executed(_) if !halted => actions.push(Action::Host(host::Action::Report(*id))),
            Progress::Executed(_) => {}
            _ => actions.push(Action::Host(host::Action::Execute(*id))),
        }
        if !halted && left.faults > 0 {
            actions.push(Action::Host(host::Action::Lose(*id)));
        }
    }
    if halted {
        actions.push(Action::Host(host::Action::Exit));
    } else if left.crashes > 0 {
        actions.push(Action::Host(host::Action::Crash));
    }
}
