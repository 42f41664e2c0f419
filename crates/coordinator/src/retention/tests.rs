use env::Core;

use super::*;

const CONFIG: Config = Config { keep: Millis(1_000), period: Millis(100), batch: 3 };

fn forget(running: u64, settled_by: Option<u64>) -> Vec<RetentionEffect> {
    vec![RetentionEffect::Forget { running: Millis(running), settled_by: settled_by.map(Millis), limit: 3 }]
}

#[test]
fn a_pass_comes_every_period_and_counts_from_before_the_start() {
    let mut core = Retention::new(CONFIG, Millis(5_000));
    assert_eq!(core.poll_timeout(), Some(Millis(100)));
    assert_eq!(core.handle(Millis(99), Input::Timeout), Step::new(), "too early");
    assert_eq!(core.handle(Millis(100), Input::Timeout).effects, forget(5_100, Some(4_100)));
    assert_eq!(core.poll_timeout(), None, "one pass at a time");
    assert_eq!(core.handle(Millis(130), Input::Timeout), Step::new());
    assert_eq!(core.handle(Millis(140), Input::Done { removed: 0 }), Step::new());
    assert_eq!(core.poll_timeout(), Some(Millis(240)));
}

#[test]
fn nothing_is_due_before_coordinators_have_been_running_for_long_enough() {
    let mut core = Retention::new(CONFIG, Millis(899));
    assert_eq!(core.handle(Millis(100), Input::Timeout).effects, forget(999, None));
    let mut core = Retention::new(CONFIG, Millis(900));
    assert_eq!(core.handle(Millis(100), Input::Timeout).effects, forget(1_000, Some(0)));
}

#[test]
fn a_full_batch_is_followed_by_another_at_once() {
    let mut core = Retention::new(CONFIG, Millis(5_000));
    core.handle(Millis(100), Input::Timeout);
    let step = core.handle(Millis(110), Input::Done { removed: 3 });
    assert_eq!((step.effects, step.marks), (forget(5_110, Some(4_110)), vec![Mark::Forgot(3)]));
    let step = core.handle(Millis(120), Input::Done { removed: 2 });
    assert_eq!((step.effects, step.marks), (vec![], vec![Mark::Forgot(2)]));
    assert_eq!(core.poll_timeout(), Some(Millis(220)));
}

#[test]
fn a_pass_that_fails_is_made_up_for_by_the_next() {
    let mut core = Retention::new(CONFIG, Millis(5_000));
    core.handle(Millis(100), Input::Timeout);
    let step = core.handle(Millis(150), Input::Failed { reason: "no room".to_owned() });
    assert_eq!((step.effects, step.marks), (vec![], vec![Mark::Postponed]));
    assert_eq!(core.poll_timeout(), Some(Millis(250)));
}

#[test]
fn every_mark_has_its_name() {
    let names: Vec<String> =
        [Mark::Forgot(1), Mark::Postponed].iter().map(|mark| format!("{mark:?}").to_lowercase()).collect();
    assert!(names.iter().zip(Mark::NAMES).all(|(debug, name)| debug.starts_with(name)), "{names:?}");
}
