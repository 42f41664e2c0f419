//! Rebuilding or reconciling all: resource by resource, a page of them at a time.

use std::collections::BTreeSet;
use std::ops::Bound;

use graph::{EntityId, Millis};

use super::core::{Lanes, LanesStep, StepExt, Timer};
use super::lane::{Owner, Stage, TaskKind};
use super::messages::{
    Action, Answer, EffectId, Ended, LEFT_OUT_MAX, LeftOut, Listing, Mark, Rejection, RequestId, Scope,
};

/// A walk over all resources, several times.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Campaign {
    /// Who wants to know; nobody, if an earlier process began it.
    pub request: Option<RequestId>,
    phase: Phase,
    /// How far this walk has come, and whether there is more.
    after: Option<EntityId>,
    more: bool,
    /// The resources at work.
    open: BTreeSet<EntityId>,
    ended: Ended,
}

/// What a campaign has left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outstanding {
    /// What is still to be done.
    pub kind: TaskKind,
    /// Why it was not.
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    /// The generation of all is being raised.
    Raise,
    /// First pass of a rebuild: what the log has gets its node.
    Nodes(u64),
    /// Second pass: all of it.
    Edges(u64),
    /// What the graph has and the log has not.
    Leftovers(u64),
    /// The end of the rebuild is being written down.
    Close(u64),
    /// A reconciliation: what the log has, and then what the graph has.
    Compare(Listing),
    /// What was left out is tried again; the rebuild of that generation ends with it.
    Again(Option<u64>),
}

impl Phase {
    fn walk(self) -> Option<(Listing, TaskKind)> {
        match self {
            Phase::Nodes(generation) => Some((Listing::Log, TaskKind::Nodes(generation))),
            Phase::Edges(generation) => Some((Listing::Log, TaskKind::Edges(generation))),
            Phase::Leftovers(generation) => Some((Listing::Graph, TaskKind::Edges(generation))),
            Phase::Compare(listing) => Some((listing, TaskKind::Reconcile)),
            Phase::Raise | Phase::Close(_) | Phase::Again(_) => None,
        }
    }
}

impl Campaign {
    fn new(request: Option<RequestId>, phase: Phase) -> Campaign {
        Campaign { request, phase, after: None, more: true, open: BTreeSet::new(), ended: Ended::default() }
    }

    /// Whether it comes by every resource that is partial.
    pub fn will_finish_partial(&self) -> bool {
        matches!(self.phase, Phase::Raise | Phase::Nodes(_))
    }

    /// From its beginning: what was done is of another log.
    pub fn restart(&mut self) {
        let first = match self.phase {
            Phase::Compare(_) => Phase::Compare(Listing::Log),
            Phase::Again(generation) => Phase::Again(generation),
            Phase::Raise | Phase::Nodes(_) | Phase::Edges(_) | Phase::Leftovers(_) | Phase::Close(_) => Phase::Raise,
        };
        *self = Campaign::new(self.request, first);
    }

    fn begin(&mut self, phase: Phase) {
        (self.phase, self.after, self.more) = (phase, None, true);
    }
}

impl Lanes {
    pub(super) fn rebuild(&mut self, now: Millis, request: RequestId, scope: Scope, step: &mut LanesStep) {
        match scope {
            Scope::One(resource) => {
                self.assign(now, &resource, TaskKind::Rebuild, Owner::Request(request), step);
            }
            Scope::All => self.launch(request, Phase::Raise, step),
        }
    }

    pub(super) fn reconcile(&mut self, now: Millis, request: RequestId, scope: Scope, step: &mut LanesStep) {
        match scope {
            Scope::One(resource) => {
                self.assign(now, &resource, TaskKind::Reconcile, Owner::Request(request), step);
            }
            Scope::All => self.launch(request, Phase::Compare(Listing::Log), step),
        }
    }

    fn launch(&mut self, request: RequestId, phase: Phase, step: &mut LanesStep) {
        if self.campaign.is_some() {
            step.reply(request, Answer::Rejected(Rejection::Busy));
        } else {
            self.campaign = Some(Campaign::new(Some(request), phase));
        }
    }

    /// A rebuild that an earlier process began: what it did already is found done.
    pub(super) fn resume(&mut self, generation: u64) {
        let request = self.campaign.take().and_then(|campaign| campaign.request);
        self.campaign = Some(Campaign::new(request, Phase::Nodes(generation)));
    }

    pub(super) fn raised(&mut self, generation: u64, step: &mut LanesStep) {
        step.marks.push(Mark::Raised(generation));
        let projection = self.projection.as_mut().expect("it was opened before it was raised");
        (projection.generation, projection.rebuilding) = (generation, true);
        self.campaign.as_mut().expect("it was raised for a campaign").begin(Phase::Nodes(generation));
    }

    /// Asks for the next resources once those before are done, and for the next phase after the last.
    pub(super) fn pump_campaign(&mut self, now: Millis, step: &mut LanesStep) {
        let limit = self.config.campaign_page;
        let Some(campaign) = &mut self.campaign else { return };
        if !campaign.open.is_empty() {
            return;
        }
        if !campaign.more {
            match campaign.phase {
                Phase::Nodes(generation) => campaign.begin(Phase::Edges(generation)),
                Phase::Edges(generation) => campaign.begin(Phase::Leftovers(generation)),
                Phase::Compare(Listing::Log) => campaign.begin(Phase::Compare(Listing::Graph)),
                // What could not be put right stays to be done.
                Phase::Leftovers(generation) | Phase::Again(Some(generation))
                    if !self.left_out.values().any(|out| out.kind != TaskKind::Reconcile) =>
                {
                    campaign.begin(Phase::Close(generation));
                }
                _ => return self.end_campaign(now, step),
            }
            self.wake_partial(now, step);
        }
        let Some(campaign) = &self.campaign else { return };
        match campaign.phase {
            Phase::Raise => self.solo(EffectId::Raise, Action::Raise, step),
            Phase::Close(generation) => self.solo(EffectId::Close, Action::Close { generation }, step),
            Phase::Again(_) => self.walk_left_out(now, step),
            phase => {
                let (listing, _) = phase.walk().expect("all other phases are walks");
                let list = Action::List { listing, after: campaign.after.clone(), limit };
                self.solo(EffectId::List(listing), list, step);
            }
        }
    }

    /// Lanes that wait for the second pass, and that it may not come by: what it does not list it
    /// does not finish.
    fn wake_partial(&mut self, now: Millis, step: &mut LanesStep) {
        let waiting: Vec<EntityId> = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.stage == Stage::BetweenPasses)
            .map(|(resource, _)| resource.clone())
            .collect();
        for resource in waiting {
            self.lanes.get_mut(&resource).expect("just looked at").stage = Stage::Idle;
            self.advance(now, &resource, step);
        }
    }

    pub(super) fn listed(
        &mut self,
        now: Millis,
        listing: Listing,
        resources: Vec<EntityId>,
        more: bool,
        step: &mut LanesStep,
    ) {
        let campaign = self.campaign.as_mut().expect("it was listed for a campaign");
        let (wanted, task) = campaign.phase.walk().expect("it was listed for a walk");
        assert_eq!(listing, wanted, "something else was listed than what was asked for");
        campaign.more = more && !resources.is_empty();
        campaign.after = resources.last().cloned().or_else(|| campaign.after.take());
        campaign.open.extend(resources.iter().cloned());
        for resource in resources {
            self.assign(now, &resource, task, Owner::Campaign, step);
        }
    }

    /// One of the resources at work is done, or left out.
    pub(super) fn campaign_worked(&mut self, resource: &EntityId, kind: TaskKind, outcome: Result<bool, String>) {
        let campaign = self.campaign.as_mut().expect("a campaign's tasks end before it does");
        campaign.open.remove(resource);
        // Each resource is looked at in several walks, and counts in one of them.
        let counts = matches!(campaign.phase, Phase::Edges(_) | Phase::Compare(Listing::Log));
        campaign.ended.resources += u64::from(counts);
        campaign.ended.differing += u64::from(outcome == Ok(true));
        let before = self.left_out.get(resource).map(|out| out.kind);
        match outcome {
            // Whoever is to be rebuilt is not done with a comparison.
            Err(_) if kind == TaskKind::Reconcile && before.is_some_and(|before| before != kind) => {}
            Err(why) => {
                self.left_out.insert(resource.clone(), Outstanding { kind: kind.outstanding(), why });
            }
            Ok(_) if kind == TaskKind::Reconcile && before != Some(kind) => {}
            Ok(_) if matches!(kind, TaskKind::Nodes(_)) => {}
            Ok(_) => {
                self.left_out.remove(resource);
            }
        }
    }

    /// The next of those that were left out, or the end.
    fn walk_left_out(&mut self, now: Millis, step: &mut LanesStep) {
        let campaign = self.campaign.as_mut().expect("it is a phase of one");
        let from = campaign.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.left_out.range((from, Bound::Unbounded)).take(self.config.campaign_page);
        let page: Vec<(EntityId, TaskKind)> = behind.map(|(resource, out)| (resource.clone(), out.kind)).collect();
        campaign.more = !page.is_empty();
        campaign.after = page.last().map(|(resource, _)| resource.clone());
        campaign.open.extend(page.iter().map(|(resource, _)| resource.clone()));
        if page.is_empty() {
            return self.pump_campaign(now, step);
        }
        for (resource, kind) in page {
            self.assign(now, &resource, kind, Owner::Campaign, step);
        }
    }

    /// The time has come for what was left out.
    pub(super) fn retry_left_out(&mut self, now: Millis) {
        if self.left_out.is_empty() {
            return;
        }
        if self.campaign.is_some() {
            return self.retry_later(now);
        }
        let unfinished = self.projection.as_ref().filter(|projection| projection.rebuilding);
        let generation = unfinished.map(|projection| projection.generation);
        self.campaign = Some(Campaign::new(None, Phase::Again(generation)));
    }

    fn retry_later(&mut self, now: Millis) {
        let pause = self.config.left_out_period_ms;
        if pause > Millis::ZERO && !self.left_out.is_empty() {
            self.timers.retain(|(_, timer)| *timer != Timer::LeftOut);
            self.timers.insert((now + pause, Timer::LeftOut));
        }
    }

    pub(super) fn closed(&mut self, now: Millis, step: &mut LanesStep) {
        let projection = self.projection.as_mut().expect("it was opened before it was closed");
        projection.rebuilding = false;
        step.marks.push(Mark::Closed(projection.generation));
        self.end_campaign(now, step);
    }

    fn end_campaign(&mut self, now: Millis, step: &mut LanesStep) {
        let campaign = self.campaign.take().expect("it has ended");
        let compared = matches!(campaign.phase, Phase::Compare(_));
        if let Some(request) = campaign.request {
            let out = self.left_out.iter().filter(|(_, out)| (out.kind == TaskKind::Reconcile) == compared);
            let named = out.clone().take(LEFT_OUT_MAX);
            let left_out = named.map(|(resource, out)| LeftOut { resource: resource.clone(), why: out.why.clone() });
            let (failed, left_out) = (out.clone().count() as u64, left_out.collect());
            step.reply(request, Answer::Ended(Ended { failed, left_out, ..campaign.ended }));
        }
        self.retry_later(now);
    }
}
