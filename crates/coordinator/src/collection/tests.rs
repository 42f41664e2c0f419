mod gaps;

use env::Core;

use super::*;

const CONFIG: Config = Config { period: Millis(100), grace: Millis(30), batch: 3 };

#[test]
fn nothing_is_removed_before_the_floor_has_risen_and_the_grace_is_over() {
    let mut core = Collection::new(CONFIG);
    assert_eq!(core.handle(Millis(99), Input::Timeout), Step::new(), "too early");
    assert_eq!(core.handle(Millis(100), Input::Timeout).effects, [CollectionEffect::Raise]);
    assert_eq!(core.poll_timeout(), None, "one thing at a time");
    assert_eq!(core.handle(Millis(110), Input::Raised { pending: true }), Step::new());
    assert_eq!(core.poll_timeout(), Some(Millis(140)));
    assert_eq!(core.handle(Millis(139), Input::Timeout), Step::new(), "the grace is not over");
    assert_eq!(core.handle(Millis(140), Input::Timeout).effects, [CollectionEffect::Collect { limit: 3 }]);
    let step = core.handle(Millis(150), Input::Collected { markers: 3, more: true });
    assert_eq!((step.effects, step.marks), (vec![CollectionEffect::Collect { limit: 3 }], vec![Mark::Collected(3)]));
    let step = core.handle(Millis(160), Input::Collected { markers: 0, more: false });
    assert_eq!((step, core.poll_timeout()), (Step::new(), Some(Millis(260))));
}

#[test]
fn where_nothing_is_below_the_floor_the_next_pass_comes_at_its_time() {
    let mut core = Collection::new(CONFIG);
    core.handle(Millis(100), Input::Timeout);
    assert_eq!(core.handle(Millis(110), Input::Raised { pending: false }), Step::new());
    assert_eq!(core.poll_timeout(), Some(Millis(210)));
}

/// Whatever failed: the floor is raised and the grace waited for again.
#[test]
fn a_pass_that_fails_begins_again_from_the_floor() {
    for collecting in [false, true] {
        let mut core = Collection::new(CONFIG);
        core.handle(Millis(100), Input::Timeout);
        if collecting {
            core.handle(Millis(110), Input::Raised { pending: true });
            core.handle(Millis(140), Input::Timeout);
        }
        let step = core.handle(Millis(150), Input::Failed { reason: "no answer".to_owned() });
        assert_eq!(step.marks, [Mark::Uncollected]);
        assert_eq!(core.handle(Millis(250), Input::Timeout).effects, [CollectionEffect::Raise]);
    }
}

#[test]
fn every_mark_has_its_name() {
    let names: Vec<String> =
        [Mark::Collected(1), Mark::Uncollected].iter().map(|mark| format!("{mark:?}").to_lowercase()).collect();
    assert!(names.iter().zip(Mark::NAMES).all(|(debug, name)| debug.starts_with(name)), "{names:?}");
}
