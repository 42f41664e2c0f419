//! The whole system: the coordinator, whose log is the truth, and the projector, whose graph says what the log says.
//!
//! Both are real processes. Clients append events, by themselves and in transactions, while one program after the other
//! is killed with SIGKILL and started again on what it left. At the end the log is read over HTTP and folded by the
//! reference, and compared with the projector's graph as it is on disk or on the server; with its marks; and with what
//! the clients were told. Nothing in here waits for a clock to decide what is right.
//!
//! It runs on embedded graphs, one for each program, and on the server that `SQUALL_BOLT_URL` names, if there is one, where
//! both share a graph: see `docs/real-graph.md`. The programs are those that cargo built last; `cargo test` of the whole
//! workspace builds them, and so does `cargo build -p coordinator -p projection`.

mod program;
mod workload;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use env::{Env, Production};
use futures_util::future::{join, join_all};
use program::Program;
use projection::dump::{Dump, dump};
use projection::event::Event;
use projection::operations::Health;
use testbed::{LIMIT, Server, Target, say};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use workload::{CLIENTS, STEPS, Told, Writer};

/// How often each of the programs is killed.
const KILLS: u64 = 3;

/// How many steps clients take from one kill, or start, to the next.
const STEPS_BETWEEN: u64 = 20;

// The last start falls while clients are still at work: each round has a kill and a start of the projector and a kill of
// the coordinator.
const _: () = assert!(3 * KILLS * STEPS_BETWEEN < CLIENTS * STEPS);

/// Longer than the coordinator's own time-out for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// When the test is given up because the projector does not come to the end of the log.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks at its status.
const LOOK: Duration = Duration::from_millis(20);

/// How many events are read from the log at once.
const PAGE: u32 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_graph_says_what_the_log_says_whoever_was_killed_on_embedded_graphs() {
    everything(Target::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_graph_says_what_the_log_says_whoever_was_killed_on_a_real_server() {
    if let Some(server) = Server::from_environment("the system test").await {
        everything(Target::Server(server)).await;
    }
}

async fn everything(target: Target) {
    let started = Instant::now();
    let mut folder = tempfile::tempdir().expect("a folder for the test");
    folder.disable_cleanup(true);
    eprintln!("{} is kept if this fails: the data folders and the log of each process", folder.path().display());
    let env = Env::new(Production);
    target.make_ready(&env).await;

    let mut coordinator = coordinator(&env, folder.path(), &target);
    coordinator.start().await;
    let client = coordinator::client::Client::new(env.clone(), coordinator.address(), ANSWER_TIMEOUT);
    let mut projector = projector(&env, folder.path(), &target, coordinator.address());
    projector.start().await;

    let setup = Writer::set_up(client.clone()).await;
    let steps = watch::Sender::new(0);
    let writers = join_all((0..CLIENTS).map(|number| Writer::new(client.clone(), number).run(&steps)));
    let killed = kill_again_and_again(&mut coordinator, &mut projector, steps.subscribe());
    let (told, ()) = join(writers, killed).await;
    let told = told.into_iter().fold(setup, Told::merge);

    let log = read_log(&client).await;
    let health =
        settled(&projection::client::Client::new(env.clone(), projector.address(), ANSWER_TIMEOUT), log.len()).await;
    assert_eq!((health.status.parked, health.status.rebuilding), (0, false), "{health:?}");
    let validated = client.validate().await.expect("it can be asked");
    assert!(validated.complete && validated.findings.is_empty(), "{validated:?}");
    assert_eq!(validated.entities, told.entities.len() as u64, "{validated:?}");
    projector.stop().await;
    coordinator.stop().await;

    let store = target.open(&env, &folder.path().join("projector")).await;
    let shown = dump(store.as_ref(), 10_000, LIMIT).await.expect("the graph is readable");
    assert_eq!(disagreements(&log, &shown, &told), Vec::<String>::new(), "on {}", target.name());

    target.leave_empty(&env).await;
    folder.disable_cleanup(false);
    say(&format!(
        "the system on {}: {} events of {CLIENTS} clients, {} of them in transactions; each program was killed {KILLS} times; \
         {} requests and {} transactions made again; {} ms",
        target.name(),
        log.len(),
        told.entities.len(),
        told.again,
        told.aborted,
        started.elapsed().as_millis()
    ));
}

fn coordinator(env: &Env, folder: &Path, target: &Target) -> Program {
    let data = folder.join("coordinator").display().to_string();
    let arguments = ["serve", "--data", &data, "--graph", &target.argument(), "--answer-timeout-ms", "3000"];
    Program::new(env, "coordinator", arguments.map(str::to_owned).into(), target.password(), folder)
}

fn projector(env: &Env, folder: &Path, target: &Target, events: &str) -> Program {
    let (data, events) = (folder.join("projector").display().to_string(), format!("http://{events}"));
    let arguments = ["run", "--data", &data, "--graph", &target.argument(), "--events", &events];
    Program::new(env, "projector", arguments.map(str::to_owned).into(), target.password(), folder)
}

/// While the clients work. The projector stays away for a while each time, so that it has something to catch up with.
async fn kill_again_and_again(coordinator: &mut Program, projector: &mut Program, mut steps: watch::Receiver<u64>) {
    let mut due = 0;
    let mut later = async || {
        due += STEPS_BETWEEN;
        steps.wait_for(|count| *count >= due).await.expect("clients are at work");
    };
    for _ in 0..KILLS {
        later().await;
        projector.kill();
        later().await;
        projector.start().await;
        later().await;
        coordinator.kill();
        coordinator.start().await;
    }
}

/// The whole log, as anybody reads it. Its positions are without gaps.
async fn read_log(client: &coordinator::client::Client) -> Vec<Event> {
    let mut log = Vec::new();
    loop {
        let page = client.feed(log.len() as u64, PAGE, Duration::ZERO).await.expect("the log is readable");
        if page.events.is_empty() {
            return log;
        }
        for entry in page.events {
            assert_eq!(entry.position, log.len() as u64 + 1, "the position of {:?}", entry.event);
            let envelope = serde_json::to_value(entry.event).expect("an envelope is always valid JSON");
            log.push(serde_json::from_value(envelope).expect("both programs know the same envelope"));
        }
    }
}

/// Waits until the projector says that its graph shows the log to its end.
async fn settled(client: &projection::client::Client, end: usize) -> Health {
    let begun = Instant::now();
    loop {
        let health = client.status().await.expect("it answers");
        if health.status.low_water == end as u64 && health.status.lanes == 0 {
            return health;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not come to {end}: {health:?}");
        sleep(LOOK).await;
    }
}

/// What is not as it has to be: between the log and the graph, between the log and the marks, and between the log and what
/// clients were told.
fn disagreements(log: &[Event], shown: &Dump, told: &Told) -> Vec<String> {
    let reference = reference_fold::fold(log);
    let mut found = Vec::new();
    let (expected, actual) = (reference.graph.to_string(), shown.graph.to_string());
    let (expected, actual): (BTreeSet<&str>, BTreeSet<&str>) = (expected.lines().collect(), actual.lines().collect());
    found.extend(expected.difference(&actual).map(|line| format!("the graph lacks {line}")));
    found.extend(actual.difference(&expected).map(|line| format!("the graph has {line}")));
    for (resource, mark) in &reference.marks {
        let applied = shown.marks.get(resource).cloned().unwrap_or_default();
        if (applied.sequence, applied.poison.is_some()) != (*mark, false) {
            found.push(format!("the mark of {resource} is {applied:?}, the log has {mark}"));
        }
    }
    let logged: BTreeSet<String> = log.iter().map(|event| event.id.to_string()).collect();
    if logged.len() != log.len() {
        found.push(format!("{} events have {} ids", log.len(), logged.len()));
    }
    found.extend(told.events.difference(&logged).map(|id| format!("{id} was acknowledged and is not in the log")));
    found.extend(logged.difference(&told.events).map(|id| format!("{id} is in the log and was not acknowledged")));
    found
}

mod disagreements_are_seen {
    use super::*;

    fn log() -> Vec<Event> {
        let event = |sequence: u64, kind: &str, payload: serde_json::Value| {
            let envelope = serde_json::json!({
                "id": format!("e{sequence}"), "type": kind, "timestamp": "t", "resourceId": "r", "userId": "u",
                "version": 1, "payload": payload, "metadata": { "sequenceNumber": sequence },
            });
            serde_json::from_value(envelope).expect("an event")
        };
        let created = serde_json::json!({ "name": "r", "format": "f", "contentChecksum": "c", "entityTypes": [] });
        vec![event(1, "resource.created", created), event(2, "resource.archived", serde_json::json!({}))]
    }

    /// What is found once something was made wrong in what fits the log.
    fn found(change: impl FnOnce(&mut Vec<Event>, &mut Dump, &mut Told)) -> Vec<String> {
        let mut log = log();
        let reference = reference_fold::fold(&log);
        let applied = projection::lanes::Applied { sequence: 2, ..Default::default() };
        let marks = reference.marks.keys().map(|resource| (resource.clone(), applied.clone())).collect();
        let mut shown = Dump { graph: reference.graph, marks };
        let events = log.iter().map(|event| event.id.to_string()).collect();
        let mut told = Told { events, ..Told::default() };
        change(&mut log, &mut shown, &mut told);
        disagreements(&log, &shown, &told)
    }

    #[test]
    fn none_where_all_is_as_it_has_to_be() {
        assert_eq!(found(|_, _, _| ()), Vec::<String>::new());
    }

    #[test]
    fn an_event_that_the_graph_does_not_show() {
        let before = reference_fold::fold(&log()[..1]).graph;
        let found = found(|_, shown, _| shown.graph = before);
        let [lacks, has] = found.as_slice() else { panic!("{found:?}") };
        assert!(lacks.starts_with("the graph lacks") && lacks.contains("archived"), "{lacks}");
        assert!(has.starts_with("the graph has") && has.contains("archived"), "{has}");
    }

    #[test]
    fn a_mark_that_is_behind() {
        let found = found(|_, shown, _| shown.marks.clear());
        assert!(matches!(found.as_slice(), [mark] if mark.starts_with("the mark of r")), "{found:?}");
    }

    #[test]
    fn an_acknowledgement_that_was_lost_and_an_event_that_nobody_wrote() {
        let found = found(|_, _, told| {
            told.events.remove("e2");
            told.events.insert("e3".to_owned());
        });
        assert_eq!(found, ["e3 was acknowledged and is not in the log", "e2 is in the log and was not acknowledged"]);
    }
}
