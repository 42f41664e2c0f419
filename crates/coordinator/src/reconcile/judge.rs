//! What to do about one difference. Pure: evidence in, verdict out.
//!
//! Whether an entity or a link *exists* is for its events to say, whatever policy is chosen: no
//! policy deletes what a transaction committed, and none brings back what one deleted. Within
//! that the policies `graph` and `sql` choose what it *is*, and what becomes of that of which
//! no event ever spoke. Only a person may go further.

use std::fmt;
use std::str::FromStr;

use graph::{Content, EntityId, Operation, TxId};
use serde::{Deserialize, Serialize};

use super::evidence::{Divergence, Evidence, Held, Logged, Rival};

/// Who is right where the stores differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The events: what the committed transactions say, whatever became of the stores.
    #[default]
    Log,
    /// The graph, as far as the events let it.
    Graph,
    /// The rows in SQLite, as far as the events let them.
    Sql,
    /// Nobody: every difference is put before a person.
    Quarantine,
}

/// Whom a person has found to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// The events.
    Log,
    /// The graph.
    Graph,
    /// The rows in SQLite.
    Sql,
}

/// By what right something is repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A policy's.
    Policy(Policy),
    /// A person's, who has looked at this very case.
    Operator(Authority),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the stores agree.
    Agreed,
    /// This, in both stores.
    Restore(Operation),
    /// Somebody has to look.
    Undecided(Reason),
}

/// Why nothing was decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The policy decides nothing.
    #[error("the policy leaves every difference to a person")]
    Quarantined,
    /// The events cannot be read.
    #[error("its events cannot be read: {0}")]
    LogUnreadable(String),
    /// What the graph has is to win, and cannot be read.
    #[error("what the graph has cannot be read: {0}")]
    GraphUnreadable(String),
    /// It was committed, and the policy would delete it.
    #[error("{0} committed it, and a policy does not delete it")]
    WouldDelete(TxId),
    /// It was deleted, and the policy would bring it back.
    #[error("{0} removed it, and a policy does not bring it back")]
    WouldResurrect(TxId),
    /// It is to go and still has links.
    #[error("it is to go, and links of it are still there")]
    StillLinked,
    /// It is to be, and another entity has its canonical key.
    #[error("its canonical key belongs to entity {0}")]
    KeyTaken(EntityId),
    /// Both stores have the same, and the events something else: two accounts against the one that
    /// nothing overwrites.
    #[error("both stores have the same, and its events say otherwise")]
    Unaccounted,
    /// A link is to be, and one of its ends is missing.
    #[error("an end of the link is missing")]
    NoEnd,
}

impl Reason {
    /// Whether what is in the way may be gone once other differences are repaired.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Reason::StillLinked | Reason::KeyTaken(_))
    }
}

/// Decides.
pub fn judge(order: Order, evidence: &Evidence) -> Verdict {
    if evidence.agrees() {
        return Verdict::Agreed;
    }
    let content = match winner(order, evidence) {
        Ok(content) => content,
        Err(reason) => return Verdict::Undecided(reason),
    };
    match &content {
        None if evidence.linked => return Verdict::Undecided(Reason::StillLinked),
        Some(_) if evidence.loose => return Verdict::Undecided(Reason::NoEnd),
        Some(content) => {
            let same = |rival: &&Rival| rival.kind == content.kind && Some(&rival.key) == content.key.as_ref();
            if let Some(rival) = evidence.rivals.iter().find(same) {
                return Verdict::Undecided(Reason::KeyTaken(rival.by.clone()));
            }
        }
        _ => {}
    }
    let logged = match &evidence.log {
        Logged::Present { content: logged, .. } => content.as_ref() == Some(logged),
        Logged::Never | Logged::Removed { .. } => content.is_none(),
        // An event that says it anew is what the next reader can start from.
        Logged::Unreadable(_) => false,
    };
    Verdict::Restore(Operation::Restore { subject: evidence.subject.clone(), content, logged })
}

fn winner(order: Order, evidence: &Evidence) -> Result<Option<Content>, Reason> {
    let (authority, by_policy) = match order {
        Order::Policy(Policy::Log) => (Authority::Log, true),
        Order::Policy(Policy::Graph) => (Authority::Graph, true),
        Order::Policy(Policy::Sql) => (Authority::Sql, true),
        Order::Policy(Policy::Quarantine) => return Err(Reason::Quarantined),
        Order::Operator(authority) => (authority, false),
    };
    if let (true, Logged::Unreadable(why)) = (by_policy, &evidence.log) {
        return Err(Reason::LogUnreadable(why.clone()));
    }
    let content = match authority {
        Authority::Log => match &evidence.log {
            Logged::Never | Logged::Removed { .. } => None,
            Logged::Present { content, .. } => Some(content.clone()),
            Logged::Unreadable(why) => return Err(Reason::LogUnreadable(why.clone())),
        },
        Authority::Graph => match &evidence.graph {
            Held::Absent => None,
            Held::Present(content) => Some(content.clone()),
            Held::Unreadable(why) => return Err(Reason::GraphUnreadable(why.clone())),
        },
        Authority::Sql => evidence.sql.clone(),
    };
    if by_policy
        && evidence.divergence() == Some(Divergence::Unaccounted)
        && evidence.log.content() != evidence.sql.as_ref()
    {
        return Err(Reason::Unaccounted);
    }
    match (&evidence.log, &content) {
        (Logged::Present { tx, .. }, None) if by_policy => Err(Reason::WouldDelete(*tx)),
        (Logged::Removed { tx }, Some(_)) if by_policy => Err(Reason::WouldResurrect(*tx)),
        _ => Ok(content),
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Policy::Log => "log",
            Policy::Graph => "graph",
            Policy::Sql => "sql",
            Policy::Quarantine => "quarantine",
        })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Authority::Log => "log",
            Authority::Graph => "graph",
            Authority::Sql => "sql",
        })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Policy(policy) => write!(f, "policy:{policy}"),
            Order::Operator(authority) => write!(f, "operator:{authority}"),
        }
    }
}

/// The text is none of the words that it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {0}")]
pub struct UnknownWord(pub(crate) &'static str);

impl FromStr for Policy {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Policy, UnknownWord> {
        let all = [Policy::Log, Policy::Graph, Policy::Sql, Policy::Quarantine];
        all.into_iter().find(|policy| policy.to_string() == text).ok_or(UnknownWord("log, graph, sql, quarantine"))
    }
}

impl FromStr for Authority {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Authority, UnknownWord> {
        let all = [Authority::Log, Authority::Graph, Authority::Sql];
        all.into_iter().find(|authority| authority.to_string() == text).ok_or(UnknownWord("log, graph, sql"))
    }
}

#[cfg(test)]
mod tests {
    use graph::{Subject, Value};

    use super::*;

    const TX: TxId = TxId { incarnation: 1, serial: 7 };
    const POLICIES: [Policy; 4] = [Policy::Log, Policy::Graph, Policy::Sql, Policy::Quarantine];

    fn content(value: i64) -> Content {
        let properties = [("value".to_owned(), Value::Int(value))].into();
        Content { kind: "thing".parse().unwrap(), key: None, properties }
    }

    fn held(value: Option<i64>) -> Held {
        value.map_or(Held::Absent, |value| Held::Present(content(value)))
    }

    fn evidence(graph: Option<i64>, sql: Option<i64>, log: Logged) -> Evidence {
        let subject = Subject::Entity("a".parse().unwrap());
        Evidence {
            subject,
            graph: held(graph),
            sql: sql.map(content),
            log,
            linked: false,
            loose: false,
            rivals: Vec::new(),
            unaccounted: Vec::new(),
        }
    }

    fn logged(value: i64) -> Logged {
        Logged::Present { content: content(value), tx: TX }
    }

    /// What comes of it: the value, and whether the events say so already.
    fn outcome(order: Order, evidence: &Evidence) -> Result<(Option<Content>, bool), Reason> {
        match judge(order, evidence) {
            Verdict::Restore(Operation::Restore { subject, content, logged }) => {
                assert_eq!(subject, evidence.subject);
                Ok((content, logged))
            }
            Verdict::Undecided(reason) => Err(reason),
            verdict => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn what_agrees_is_left_alone_whatever_the_events_say() {
        for order in POLICIES.map(Order::Policy).into_iter().chain([Order::Operator(Authority::Graph)]) {
            for log in [Logged::Never, logged(9), Logged::Unreadable("torn".to_owned())] {
                assert_eq!(judge(order, &evidence(Some(1), Some(1), log.clone())), Verdict::Agreed);
                assert_eq!(judge(order, &evidence(None, None, log)), Verdict::Agreed);
            }
        }
    }

    #[test]
    fn a_row_gets_back_what_its_events_say_of_it_and_no_policy_turns_both_stores_against_the_events() {
        let doubtful = |name: &str, log| {
            let unaccounted = vec![name.to_owned()];
            Evidence { unaccounted, ..evidence(Some(1), Some(1), log) }
        };
        let label = doubtful("version", logged(1));
        assert_eq!((label.divergence(), label.fields()), (Some(Divergence::Unaccounted), vec!["version".to_owned()]));
        for policy in [Policy::Log, Policy::Graph, Policy::Sql] {
            assert_eq!(outcome(Order::Policy(policy), &label), Ok((Some(content(1)), true)));
            for log in [logged(2), Logged::Never, Logged::Removed { tx: TX }] {
                assert_eq!(outcome(Order::Policy(policy), &doubtful("content", log)), Err(Reason::Unaccounted));
            }
            let torn = doubtful("events", Logged::Unreadable("torn".to_owned()));
            assert_eq!(outcome(Order::Policy(policy), &torn), Err(Reason::LogUnreadable("torn".to_owned())));
        }
        let other = doubtful("content", logged(2));
        assert_eq!(outcome(Order::Policy(Policy::Quarantine), &label), Err(Reason::Quarantined));
        assert_eq!(outcome(Order::Operator(Authority::Log), &other), Ok((Some(content(2)), true)));
        assert_eq!(outcome(Order::Operator(Authority::Sql), &other), Ok((Some(content(1)), false)));
    }

    #[test]
    fn each_policy_has_its_winner() {
        let differ = evidence(Some(1), Some(2), logged(3));
        let won = |policy| outcome(Order::Policy(policy), &differ);
        assert_eq!(won(Policy::Log), Ok((Some(content(3)), true)));
        assert_eq!(won(Policy::Graph), Ok((Some(content(1)), false)));
        assert_eq!(won(Policy::Sql), Ok((Some(content(2)), false)));
        assert_eq!(won(Policy::Quarantine), Err(Reason::Quarantined));
    }

    #[test]
    fn no_policy_deletes_what_was_committed_or_brings_back_what_was_deleted() {
        let forgotten = evidence(None, Some(2), logged(2));
        assert_eq!(outcome(Order::Policy(Policy::Log), &forgotten), Ok((Some(content(2)), true)));
        assert_eq!(outcome(Order::Policy(Policy::Graph), &forgotten), Err(Reason::WouldDelete(TX)));
        assert_eq!(outcome(Order::Operator(Authority::Graph), &forgotten), Ok((None, false)));
        let undead = evidence(Some(1), None, Logged::Removed { tx: TX });
        assert_eq!(outcome(Order::Policy(Policy::Log), &undead), Ok((None, true)));
        assert_eq!(outcome(Order::Policy(Policy::Graph), &undead), Err(Reason::WouldResurrect(TX)));
        assert_eq!(outcome(Order::Operator(Authority::Graph), &undead), Ok((Some(content(1)), false)));
    }

    #[test]
    fn what_no_event_speaks_of_goes_by_the_policy() {
        let stranger = evidence(Some(1), None, Logged::Never);
        assert_eq!(outcome(Order::Policy(Policy::Log), &stranger), Ok((None, true)));
        assert_eq!(outcome(Order::Policy(Policy::Sql), &stranger), Ok((None, true)));
        assert_eq!(outcome(Order::Policy(Policy::Graph), &stranger), Ok((Some(content(1)), false)));
    }

    #[test]
    fn no_policy_decides_without_the_events_and_a_person_may() {
        let torn = evidence(Some(1), Some(2), Logged::Unreadable("torn".to_owned()));
        for policy in [Policy::Log, Policy::Graph, Policy::Sql] {
            assert_eq!(outcome(Order::Policy(policy), &torn), Err(Reason::LogUnreadable("torn".to_owned())));
        }
        assert_eq!(outcome(Order::Operator(Authority::Sql), &torn), Ok((Some(content(2)), false)));
        let unread = Evidence { graph: Held::Unreadable("two".to_owned()), ..evidence(None, Some(2), logged(2)) };
        assert_eq!(outcome(Order::Operator(Authority::Graph), &unread), Err(Reason::GraphUnreadable("two".to_owned())));
        assert_eq!(outcome(Order::Policy(Policy::Log), &unread), Ok((Some(content(2)), true)));
    }

    #[test]
    fn nobody_takes_a_key_from_an_entity_that_has_got_it_since() {
        let keyed = Content { key: Some("isbn:1".parse().unwrap()), ..content(1) };
        let log = Logged::Present { content: keyed.clone(), tx: TX };
        let rival = |kind: &str, key: &str| {
            let (kind, key, by) = (kind.parse().unwrap(), key.parse().unwrap(), "b".parse().unwrap());
            Evidence { rivals: vec![Rival { kind, key, by }], ..evidence(None, None, log.clone()) }
        };
        for order in [Order::Policy(Policy::Log), Order::Operator(Authority::Log)] {
            let lost = Evidence { graph: Held::Present(content(1)), ..rival("thing", "isbn:1") };
            assert_eq!(outcome(order, &lost), Err(Reason::KeyTaken("b".parse().unwrap())));
            for (kind, key) in [("thing", "isbn:2"), ("other", "isbn:1")] {
                let other = Evidence { graph: Held::Present(content(1)), ..rival(kind, key) };
                assert_eq!(outcome(order, &other), Ok((Some(keyed.clone()), true)));
            }
        }
        let differ = Evidence { sql: Some(keyed), ..evidence(Some(1), None, log.clone()) };
        assert_eq!(differ.fields(), ["canonical_key"]);
    }

    #[test]
    fn links_keep_their_ends() {
        let stranger = Evidence { linked: true, ..evidence(Some(1), None, Logged::Never) };
        assert_eq!(outcome(Order::Policy(Policy::Log), &stranger), Err(Reason::StillLinked));
        let subject = serde_json::from_str(r#"{"link":{"from":"a","kind":"thing","to":"b"}}"#).unwrap();
        let lost = Evidence { subject, loose: true, ..evidence(None, Some(2), logged(2)) };
        assert_eq!(outcome(Order::Policy(Policy::Log), &lost), Err(Reason::NoEnd));
    }

    #[test]
    fn the_fields_that_differ_are_named() {
        let mut differ = evidence(Some(1), Some(1), Logged::Never);
        assert_eq!(differ.fields(), Vec::<String>::new());
        let Some(sql) = &mut differ.sql else { unreachable!() };
        sql.kind = "robot".parse().unwrap();
        sql.properties.insert("x".to_owned(), Value::Bool(true));
        assert_eq!(differ.fields(), ["kind", "x"]);
    }
}
