use super::*;

fn event(id: &str) -> NewEvent {
    let text = format!(r#"{{"id":"{id}","type":"noted","userId":"ann","version":1}}"#);
    serde_json::from_str(&text).unwrap()
}

fn append(stream: &str, events: Vec<NewEvent>) -> Append {
    Append { stream: stream.parse().unwrap(), expected: None, events }
}

#[test]
fn an_append_is_checked_before_anybody_hears_of_it() {
    let said = |append: Append| append.validate().unwrap_err().to_string();
    assert_eq!(append("s", vec![event("a"), event("b")]).validate(), Ok(()));
    assert_eq!(said(append("s", vec![])), "events: there is none to append");
    let many = (0..=EVENTS_MAX).map(|number| event(&number.to_string())).collect();
    assert_eq!(said(append("s", many)), "events: at most 100 are appended at once, and here are 101: split them");
    assert!(said(append("_:s", vec![event("a")])).contains("is a label"));
    assert_eq!(
        said(append("s", vec![event("a"), event("b"), event("a")])),
        "events[2]: a is the id of an event before it"
    );
    let blank = NewEvent { user_id: String::new(), ..event("b") };
    assert_eq!(said(append("s", vec![event("a"), blank])), "events[1]: `userId` has 1 to 200 bytes, this one has 0");
}

#[test]
fn the_hash_is_of_the_content_and_of_the_stream() {
    let (s, r) = ("s".parse().unwrap(), "r".parse().unwrap());
    let hash = content_hash(&s, &event("a"));
    assert_eq!(hash, content_hash(&s, &event("a")));
    assert_ne!(hash, content_hash(&r, &event("a")));
    assert_ne!(hash, content_hash(&s, &NewEvent { payload: serde_json::json!({}).into(), ..event("a") }));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_reader_is_woken_by_what_it_waits_for_and_by_nothing_else() {
    let feed = Feed::new(3, 2);
    let started = tokio::time::Instant::now();
    feed.wait(2, WAIT_MAX).await;
    assert!(started.elapsed().is_zero(), "it is there already");
    let woken = async {
        feed.wait(4, WAIT_MAX).await;
        started.elapsed()
    };
    let (woken, ()) = tokio::join!(woken, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        feed.announce(4);
        tokio::time::sleep(Duration::from_secs(1)).await;
        feed.announce(3);
        feed.announce(5);
    });
    assert_eq!(woken, Duration::from_secs(2));
    assert_eq!(feed.last(), 5);
    feed.wait(5, WAIT_MAX).await;
    assert_eq!(started.elapsed(), Duration::from_secs(2) + WAIT_MAX);
    feed.end();
    feed.wait(5, WAIT_MAX).await;
    assert_eq!(started.elapsed(), Duration::from_secs(2) + WAIT_MAX, "nobody waits any more");
}

#[test]
fn there_are_places_for_so_many_readers() {
    let feed = Feed::new(0, 2);
    let places = [feed.admit(), feed.admit()];
    assert!(places.iter().all(Option::is_some) && feed.admit().is_none());
    assert_eq!(feed.waiting(), 2);
    drop(places);
    assert!(feed.admit().is_some() && feed.waiting() == 0);
}
