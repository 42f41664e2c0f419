//! Reading a log over HTTP.

use env::{Env, Production};
use projection::event::Content;
use projection::log::{EventLog, LogError};

use crate::store::{EventStore, Mood};
use crate::support::{created, http_log, id, linked, unlinked};

#[tokio::test]
async fn pages_of_each_kind_are_read_to_their_ends() {
    let store = EventStore::start().await;
    store.append([created("p"), created("q/1"), linked("p", 2, "q/1"), unlinked("p", 3)]);
    let log = http_log(Env::new(Production), &store);
    let fed = log.feed(0, 3).await.unwrap();
    let positions: Vec<u64> = fed.events.iter().map(|(position, _)| *position).collect();
    assert_eq!((positions, fed.through), (vec![1, 2, 3], 3));
    let fed = log.feed(4, 3).await.unwrap();
    assert_eq!((fed.events.len(), fed.through), (0, 4), "it waited for a while, and there was none");
    let page = log.stream(&id("p"), 1, 1).await.unwrap();
    assert_eq!((page.items[0].position.sequence, page.items.len(), page.more), (2, 1, true));
    let page = log.stream(&id("q/1"), 0, 9).await.unwrap();
    assert_eq!((page.items.len(), page.more), (1, false), "a slash in an id is none in the path");
    let page = log.resources(None, 1).await.unwrap();
    assert_eq!((page.items.as_slice(), page.more), (&[id("p")][..], true));
    let page = log.resources(Some(&id("p")), 9).await.unwrap();
    assert_eq!((page.items, page.more), (vec![id("q/1")], false));
}

#[tokio::test]
async fn whoever_waits_for_an_event_has_it_as_soon_as_it_is_there() {
    let store = EventStore::start().await;
    let log = http_log(Env::new(Production), &store);
    let read = async {
        loop {
            let fed = log.feed(0, 9).await.unwrap();
            if !fed.events.is_empty() {
                return fed;
            }
        }
    };
    let (fed, ()) = tokio::join!(read, async { store.append([created("p")]) });
    assert_eq!((fed.events.len(), fed.through), (1, 1));
}

#[tokio::test]
async fn what_contradicts_itself_is_no_answer() {
    let store = EventStore::start().await;
    store.append([created("p"), linked("p", 2, "q"), created("q")]);
    store.set(Mood::Confused);
    let fresh = || http_log(Env::new(Production), &store);
    let errors = [
        fresh().feed(0, 9).await.unwrap_err(),
        fresh().stream(&id("p"), 0, 9).await.unwrap_err(),
        fresh().resources(None, 9).await.unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("contradicts itself"), "{error}");
    }
}

/// A page may be short because of its bytes: the log says where it ends.
#[tokio::test]
async fn a_page_says_which_log_it_is_of_and_where_that_ends() {
    let store = EventStore::start().await;
    store.append([created("p"), created("q"), created("r")]);
    store.cut_pages(2);
    let log = http_log(Env::new(Production), &store);
    let fed = log.feed(0, 9).await.unwrap();
    assert_eq!((fed.events.len(), fed.through, fed.last, fed.log.0.as_str()), (2, 2, 3, "first"));
    // One that was restored ends before that, and is no contradiction.
    store.replace("second", [created("p")]);
    let fed = log.feed(2, 9).await.unwrap();
    assert_eq!((fed.events.len(), fed.through, fed.last, fed.log.0.as_str()), (0, 1, 1, "second"));
}

/// A store that says what is damaged of it is there: nobody else has to wait.
#[tokio::test]
async fn a_damaged_event_is_no_reason_to_leave_the_store_alone() {
    let store = EventStore::start().await;
    store.append([created("p"), linked("p", 2, "q"), created("q")]);
    store.damage(2);
    // Whoever met a pause here would not be answered.
    let options = projection::log::HttpLogOptions {
        backoff: std::time::Duration::from_secs(3_600),
        backoff_max: std::time::Duration::from_secs(3_600),
        ..projection::log::HttpLogOptions::default()
    };
    let log = projection::log::HttpLog::new(Env::new(Production), &store.address, options, Ok::<_, ()>).unwrap();
    let page = log.stream(&id("p"), 0, 9).await.unwrap();
    assert_eq!((page.items.len(), page.more), (1, true), "what is before it is read");
    let error = log.stream(&id("p"), 1, 9).await.unwrap_err();
    assert_eq!(error, LogError::Damaged("a bit fell over".to_owned()));
    assert_eq!(log.stream(&id("q"), 0, 9).await.unwrap().items.len(), 1);
    let fed = log.feed(0, 9).await.unwrap();
    let positions: Vec<u64> = fed.events.iter().map(|(position, _)| *position).collect();
    assert_eq!((positions, fed.through), (vec![1, 3], 3));
    let [unread] = fed.unread.as_slice() else { panic!("{:?}", fed.unread) };
    assert_eq!((unread.position, unread.place.as_ref().map(ToString::to_string)), (2, Some("p@2".to_owned())));
}

/// One event that cannot be understood, however deeply nested, says nothing about the others of its page.
#[tokio::test]
async fn the_events_of_a_page_are_read_one_by_one() {
    let store = EventStore::start().await;
    store.append([created("p"), linked("p", 2, "q"), linked("p", 3, "q"), created("q")]);
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    store.send_raw(2, &format!(r#"{{"resourceId": "p", "payload": {deep}, "metadata": {{"sequenceNumber": 2}}}}"#));
    store.send_raw(3, r#"{"resourceId": "no id ", "metadata": {}}"#);
    let log = http_log(Env::new(Production), &store);
    let fed = log.feed(0, 9).await.unwrap();
    let places: Vec<String> = fed.events.iter().map(|(_, event)| event.position.to_string()).collect();
    assert_eq!(places, ["p@1", "p@2", "q@1"]);
    let Content::Malformed { why, .. } = &fed.events[1].1.content else { panic!("{:?}", fed.events[1]) };
    assert!(why.contains("recursion limit exceeded"), "{why}");
    assert_eq!((fed.unread.len(), fed.unread[0].position, &fed.unread[0].place), (1, 3, &None));
    // In its stream it is known whose it is.
    let page = log.stream(&id("p"), 0, 9).await.unwrap();
    assert_eq!(page.items.len(), 3);
    assert!(page.items[1..].iter().all(|event| matches!(event.content, Content::Malformed { .. })));
    assert_eq!(page.items[2].position.to_string(), "p@3");
}

/// Whoever is in a hurry is not made to wait for a store that just failed; the feed waits, and finds it well again.
#[tokio::test]
async fn a_store_that_failed_is_left_alone_for_a_while() {
    let store = EventStore::start().await;
    store.append([created("p")]);
    store.set(Mood::Down);
    let options = projection::log::HttpLogOptions {
        backoff: std::time::Duration::from_secs(1),
        ..projection::log::HttpLogOptions::default()
    };
    let log = projection::log::HttpLog::new(Env::new(Production), &store.address, options, Ok::<_, ()>).unwrap();
    let error = log.stream(&id("p"), 0, 9).await.unwrap_err();
    assert!(error.to_string().contains("Down: for a while"), "{error}");
    store.set(Mood::Willing);
    let error = log.stream(&id("p"), 0, 9).await.unwrap_err();
    assert!(error.to_string().contains("not reached a moment ago"), "{error}");
    assert_eq!(log.feed(0, 9).await.unwrap().events.len(), 1);
    assert_eq!(log.stream(&id("p"), 0, 9).await.unwrap().items.len(), 1);
}
