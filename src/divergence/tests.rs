//! Each source is named by what shows it, and not by what shows another.

use super::*;

const UTC: Duration = Duration::from_millis(1_790_000_000_123);
const MONOTONIC: Duration = Duration::from_millis(54_321_000);

fn link(text: &str, digest: u64, around: Around) -> Link {
    Link { at_ms: 10 * digest, host: "server".to_owned(), text: text.to_owned(), digest, around }
}

/// The source of a difference between two texts, the second of which has this around it.
fn source(texts: [&str; 2], around: Around, control: Control) -> Source {
    let [first, second] = texts;
    let same = link("same", 1, Around::default());
    let chains = [[same.clone(), link(first, 2, Around::default())], [same, link(second, 3, around)]];
    let divergence = Divergence::between(&chains[0], &chains[1]).expect("they differ");
    divergence.source(Circumstances { control, utc: UTC, monotonic: MONOTONIC })
}

#[test]
fn the_first_difference_is_found_wherever_it_is() {
    let chain: Vec<Link> = (0..4).map(|n| link("same", n, Around::default())).collect();
    assert_eq!(Divergence::between(&chain, &chain), None);
    assert_eq!(Divergence::between(&[], &[]), None);

    let other_bytes = [chain[0].clone(), chain[1].clone(), link("same", 9, Around::default())];
    let found = Divergence::between(&chain, &other_bytes).expect("they differ");
    assert_eq!((found.place, found.before), (2, Some(&chain[1])));

    let shorter = Divergence::between(&chain, &chain[..3]).expect("they differ");
    assert_eq!((shorter.place, shorter.first, shorter.second), (3, Some(&chain[3]), None));
    let text = shorter.to_string();
    assert!(text.contains("on server at 30 ms") && text.contains("has nothing more"), "{text}");

    // What was noticed is evidence, not a difference.
    let noticed = [link("same", 0, Around { threads: 1, ..Around::default() })];
    assert_eq!(Divergence::between(&chain[..1], &noticed), None);
}

#[test]
fn what_was_noticed_names_the_source() {
    let named = |around| source(["a", "b"], around, Control::Different);
    let none = Around::default();
    assert_eq!(named(Around { from_elsewhere: true, ..none }), Source::Thread(Evidence::Recorded));
    assert_eq!(named(Around { threads: 2, reads: 1, ..none }), Source::Thread(Evidence::Alive(2)));
    assert_eq!(named(Around { passed_through: 3, ..none }), Source::Thread(Evidence::Drew(3)));
    assert_eq!(named(Around { cpu_elsewhere_us: 80, ..none }), Source::Thread(Evidence::Ran(80)));
    assert_eq!(named(Around { cpu_elsewhere_us: 5, ..none }), Source::Unseen);
    assert_eq!(named(Around { reads: 1, ..none }), Source::Read(1));
    // Asking the simulation is what software should do.
    assert_eq!(named(Around { answered: 7, ..none }), Source::Unseen);
}

#[test]
fn a_clock_is_recognised_by_what_it_shows() {
    let named = |first: u64, second: u64| {
        let texts = [first, second].map(|number| format!("stamp {number} of 3"));
        source([&texts[0], &texts[1]], Around::default(), Control::Different)
    };
    let now = UTC.as_millis() as u64;
    assert_eq!(named(now - 300, now - 200), Source::Clock(Shown::Utc));
    assert_eq!(named(now / 1000 - 3, now / 1000 - 2), Source::Clock(Shown::Utc));
    let monotonic = MONOTONIC.as_nanos() as u64;
    assert_eq!(named(monotonic - 5_000_000, monotonic - 7), Source::Clock(Shown::Monotonic));
    assert_eq!(named(17, 18), Source::Unseen, "small numbers are no clocks");
    assert_eq!(named(now - 300, 17), Source::Unseen, "one side alone is a coincidence");
    assert_eq!(named(now + 5_000, now + 6_000), Source::Unseen, "the future was not read");
}

#[test]
fn the_control_tells_addresses_from_the_unseen() {
    let named = |control| source(["a", "b"], Around::default(), control);
    assert_eq!(named(Control::Same), Source::Addresses);
    assert_eq!(named(Control::Different), Source::Unseen);
    assert_eq!(named(Control::Unknown), Source::AddressesOrUnseen);
}

#[test]
fn both_sides_are_shown() {
    let around = |answered| Around { answered, ..Around::default() };
    let (one, other) = ([link("Effect a", 4, around(3))], [link("Effect b", 4, around(5))]);
    let text = Divergence::between(&one, &other).expect("they differ").to_string();
    for part in ["record 0", "on server at 40 ms", "Effect a", "Effect b", "3 times, the other 5"] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}
