//! What is settled is kept for as long as it was promised, whatever the time of day does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use coordinator::commit::{Answer, Settled};
use coordinator::service::{Coordinator, Options};
use graph::{Millis, TxId};

use crate::world::{World, commit};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn an_hour() -> Options {
    let mut options = Options::new("/data");
    options.retention.keep = Millis(60 * 60 * 1_000);
    options
}

async fn is_kept(coordinator: &Coordinator, tx: TxId) -> bool {
    match coordinator.outcome(tx).await {
        Answer::Settled(Settled { .. }) => true,
        Answer::NoSuchTransaction(_) => false,
        answer => panic!("{answer:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_day_decides_nothing() {
    let world = World::new(30);
    let coordinator = world.start_with(an_hour()).await.unwrap();
    let tx = commit(&coordinator, "a").await;
    for year in [1, 60, 0, 100] {
        world.utc_ms.store(year * 365 * 24 * 3_600_000, Ordering::Relaxed);
        tokio::time::sleep(HOUR / 5).await;
        assert!(is_kept(&coordinator, tx).await, "{year}");
    }
    // The clock stands still from now on.
    tokio::time::sleep(HOUR / 5 + Duration::from_secs(120)).await;
    assert!(!is_kept(&coordinator, tx).await, "an hour has gone by");
    assert!(matches!(coordinator.read("a".parse().unwrap()).await, Answer::Entity(Some(_))), "what it did stays");
}

#[tokio::test(start_paused = true)]
async fn a_crash_makes_records_live_longer_and_never_shorter() {
    let world = World::new(31);
    let coordinator = world.start_with(an_hour()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let tx = commit(&coordinator, "a").await;
    world.kill(coordinator);
    // Sixty processes of a minute and a half each: a pass comes once in each of them.
    for _ in 0..59 {
        let coordinator = world.start_with(an_hour()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert!(is_kept(&coordinator, tx).await);
        world.kill(coordinator);
    }
    let coordinator = world.start_with(an_hour()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert!(!is_kept(&coordinator, tx).await);
}

/// Their markers stay in the graph, and a start must not take them for those of lost records.
#[tokio::test(start_paused = true)]
async fn forgotten_records_alarm_nobody() {
    let world = World::new(32);
    let coordinator = world.start_with(an_hour()).await.unwrap();
    let mut old = Vec::new();
    for number in 0..200 {
        old.push(commit(&coordinator, &format!("old-{number}")).await);
    }
    tokio::time::sleep(HOUR + Duration::from_secs(120)).await;
    let new = commit(&coordinator, "new").await;
    for tx in &old {
        assert!(!is_kept(&coordinator, *tx).await, "{tx}: several batches in one pass");
    }
    world.kill(coordinator);
    let coordinator = world.start_with(an_hour()).await.unwrap();
    assert_eq!(coordinator.findings(), []);
    assert!(is_kept(&coordinator, new).await);
}
