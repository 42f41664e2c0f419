//! Which of many failures are kept, and where. What shrinking makes of them is tested with the program.

use super::*;
use crate::plan::fake::{self, Fake, Op};
use crate::plan::{Client, ClientStep};

/// A plan with so many operations.
fn plan(operations: usize) -> Plan<Op> {
    let steps = (0..operations as u64).map(|at_ms| ClientStep { at_ms, op: Op::Stop }).collect();
    Plan { clients: vec![Client { name: "c1".to_owned(), steps }], ..fake::plan() }
}

fn verdict(kinds: &[&str]) -> Verdict {
    let violations = kinds.iter().map(|kind| Violation::new("durability", *kind)).collect();
    Verdict { violations, ..Verdict::default() }
}

fn stored(folder: &Path) -> Vec<usize> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut sizes: Vec<usize> = files.map(|path| parts(&Capsule::load::<Fake>(&path).unwrap().plan)).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn a_failure_has_its_capsule_as_soon_as_its_kind_is_met() {
    let folder = tempfile::tempdir().unwrap();
    let mut kinds: Kinds<Op, usize> = Kinds::new(folder.path());
    kinds.add::<Fake>(&0, &plan(3), &verdict(&[])).unwrap();
    assert!(kinds.is_empty());
    kinds.add::<Fake>(&1, &plan(3), &verdict(&["lost", "torn"])).unwrap();
    assert_eq!((kinds.is_empty(), stored(folder.path())), (false, vec![3, 3]));
    let elsewhere = Plan { scenario: "another".to_owned(), ..plan(2) };
    kinds.add::<Fake>(&2, &elsewhere, &verdict(&["lost"])).unwrap();
    assert_eq!(stored(folder.path()), [2, 3], "one file a kind");
}

#[test]
fn of_each_kind_the_smallest_is_kept_and_the_first_of_equals_whichever_ended_first() {
    let folder = tempfile::tempdir().unwrap();
    let runs = [(0, plan(3), "torn"), (1, plan(2), "lost"), (2, plan(2), "torn"), (3, plan(2), "torn")];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let mut kinds: Kinds<Op, usize> = Kinds::new(folder.path());
        for place in order {
            let (run, plan, kind) = &runs[place];
            kinds.add::<Fake>(run, plan, &verdict(&[kind])).unwrap();
        }
        let mut kept: Vec<_> = kinds.kinds.into_values().map(|kind| (kind.first, kind.run)).collect();
        kept.sort_unstable();
        assert_eq!(kept, [((0, 0), 2), ((1, 0), 1)], "{order:?}");
    }
}

#[test]
fn what_cannot_be_saved_is_told_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let failure = Kinds::new(&file).add::<Fake>(&0, &plan(1), &verdict(&["lost"])).unwrap_err();
    assert_eq!(failure.code, super::super::HARNESS);
    assert!(failure.message.contains("durability") && failure.message.contains("failed to create"), "{failure:?}");
}

#[test]
fn what_shrinking_came_across_replaces_nothing_that_is_as_small() {
    let folder = tempfile::tempdir().unwrap();
    let expected = || Some(Expected::of(&Violation::new("durability", "torn")));
    let other = |operations| Capsule::new::<Fake>(plan(operations), expected(), String::new());
    for (operations, left) in [(3, 3), (4, 3), (2, 2), (3, 2)] {
        save_other::<Fake>(&other(operations), folder.path()).unwrap();
        assert_eq!(stored(folder.path()), [left]);
    }
}

/// A system that is called in another way has that in every command that is printed for it.
#[test]
fn commands_begin_as_the_program_is_called() {
    let found = Failed::new::<Fake>(&plan(1), Violation::new("durability", "lost"), PathBuf::from("failures/it"));
    assert_eq!(found.command(), "squall replay failures/it");
    let theirs = Failed { program: "cargo run --example theirs --", in_full: true, ..found };
    assert_eq!(theirs.command(), "cargo run --example theirs -- replay failures/it");
    let told = theirs.to_string();
    assert!(told.contains("to make it small: cargo run --example theirs -- shrink failures/it"), "{told}");
    assert!(!told.contains("squall"), "{told}");
}

#[test]
fn a_failure_that_does_not_show_again_is_the_harness_s() {
    let found = || Failed::new::<Fake>(&plan(1), Violation::new("durability", "lost"), PathBuf::from("failures/it"));
    let failed = |unrepeated| Failed { unrepeated, ..found() };
    assert_eq!(ended(&[]).unwrap(), PASSED);
    assert_eq!(ended(&[failed(None)]).unwrap(), VIOLATED);
    assert_eq!(ended(&[failed(None), failed(Some("it passed".to_owned()))]).unwrap_err().message, "it passed");
}
