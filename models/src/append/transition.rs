//! What each action does.

use std::sync::Arc;

use coordinator::commit::{
    AbortReason, Action as Asked, Answer, Decision, EffectId, Failure, Input, Intent, Report, RequestId,
};
use coordinator::events::Appended;
use graph::{Patch, Refusal};

use super::action::Action;
use super::flaw::Flaw;
use super::state::{Host, State, Told};
use super::{AppendModel, Client, TRANSACTION};
use crate::host::{GraphRequest, Hosting, NOW, Progress, Work, outcome};

/// Requests are numbered from ten times the client.
const REQUESTS_PER_CLIENT: u64 = 10;

impl AppendModel {
    pub(super) fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Ask(client) => self.ask(state, client),
            Action::Read => read(state),
            Action::Host(action) => self.take_step(state, action),
        }
    }

    fn ask(&self, state: &mut State, client: Client) {
        let asking = &mut state.clients[usize::from(client)];
        asking.attempts += 1;
        asking.waiting = true;
        asking.told = Told::Nothing;
        let request = RequestId(u64::from(client) * REQUESTS_PER_CLIENT + u64::from(asking.attempts));
        if client == TRANSACTION {
            self.tell(state, NOW, Input::Submit { request, submission: self.submission.clone() });
            return;
        }
        let append = self.appends[usize::from(client) - 1].clone();
        if self.flaw == Some(Flaw::AppendWithoutLock) {
            self.start(state, EffectId::Append(request), Asked::Append(append));
        } else {
            self.tell(state, NOW, Input::Append { request, append });
        }
    }
}

/// A page as long as need be: what is there at this moment.
fn read(state: &mut State) {
    state.reader.reads += 1;
    let new = state.ledger.events.range(state.reader.through + 1..);
    let new: Vec<_> = new.map(|(position, event)| (*position, event.id.clone())).collect();
    state.reader.through = state.ledger.last_position();
    state.reader.seen.extend(new);
}

fn client_of(request: RequestId) -> Client {
    Client::try_from(request.0 / REQUESTS_PER_CLIENT).expect("few clients")
}

impl Hosting for AppendModel {
    type State = State;
    type Patch = ();
    type Half = ();

    fn host(state: &mut State) -> &mut Host {
        &mut state.host
    }

    fn name_patch(&self, patch: &Patch) {
        assert_eq!(*patch, self.submission.patch, "the core asks for what the client asked for");
    }

    fn unresolved(&self, state: &State) -> Vec<Intent> {
        let unresolved = state.ledger.log.iter().filter(|(_, entry)| entry.outcome.is_none());
        let intents = unresolved.map(|(tx, _)| {
            let script = self.submission.clone();
            Intent::new(*tx, script.key, script.hash, &script.patch)
        });
        intents.collect()
    }

    fn execute(&self, state: &mut State, work: Work<()>, _: Progress<()>) -> Progress<()> {
        let (stream, event) = self.wanted(TRANSACTION);
        let ledger = &mut state.ledger;
        Progress::Executed(match work {
            Work::Intend(tx, ()) => {
                let fix_position = self.flaw == Some(Flaw::PositionAtIntent);
                Ok(Arc::make_mut(ledger).intend(tx, stream, event, fix_position))
            }
            Work::Finish(tx, decision) => Ok(Arc::make_mut(ledger).finish(tx, &decision, stream, event)),
            Work::Append(request) => {
                let append = &self.appends[usize::from(client_of(request)) - 1];
                Ok(Report::Appended(Arc::make_mut(ledger).append(append)))
            }
            Work::Graph(GraphRequest::Decide(tx, ())) => match Arc::make_mut(&mut state.markers).insert(tx, true) {
                None => Ok(Report::Decided),
                Some(standing) => {
                    Arc::make_mut(&mut state.markers).insert(tx, standing);
                    Err(Failure::Constraint)
                }
            },
            Work::Graph(GraphRequest::Fence(tx)) => {
                let committed = *Arc::make_mut(&mut state.markers).entry(tx).or_insert(false);
                Ok(Report::Fenced { committed })
            }
            work @ (Work::Graph(GraphRequest::FenceCommit(_)) | Work::Read) => panic!("nobody asked for {work:?}"),
        })
    }

    fn report(&self, state: &mut State, id: EffectId, result: Result<Report, Failure>) {
        if let (Some(Flaw::AppendWithoutLock), EffectId::Append(request)) = (self.flaw, id) {
            let Ok(Report::Appended(appended)) = result else { panic!("{id:?} ended in {result:?}") };
            return self.answer(state, request, Answer::Appended(appended));
        }
        self.tell(state, NOW, outcome(id, result));
    }

    fn answer(&self, state: &mut State, request: RequestId, answer: Answer) {
        let client = &mut state.clients[usize::from(client_of(request))];
        // Nobody is answered twice, or for an attempt that ended.
        let asked = client.waiting && u64::from(client.attempts) == request.0 % REQUESTS_PER_CLIENT;
        state.wrongs.untrue |= !asked;
        client.waiting = false;
        client.told = match answer {
            Answer::Settled(settled) => match settled.decision {
                Decision::Committed => Told::There(None),
                Decision::Aborted { reason: AbortReason::Refused(Refusal::EventExists(_)) } => Told::IdTaken,
                Decision::Aborted { .. } => Told::Aborted,
            },
            Answer::Appended(Appended::New(placed)) => Told::There(Some(placed.first)),
            Answer::Appended(Appended::Repeated(placed)) => Told::Repeated(placed.first),
            Answer::Appended(Appended::EventIdReused(_)) => Told::IdTaken,
            Answer::Rejected(_) => Told::Rejected,
            Answer::Unknown(_) => {
                client.in_doubt = true;
                Told::Nothing
            }
            _ => {
                state.wrongs.untrue = true;
                Told::Nothing
            }
        };
    }

    fn hang_up(&self, state: &mut State) {
        for client in state.clients.iter_mut().filter(|client| client.waiting) {
            client.waiting = false;
            client.in_doubt = true;
        }
    }
}
