//! Reading a log over HTTP.

use env::{Env, Production};
use projection::log::EventLog;

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
