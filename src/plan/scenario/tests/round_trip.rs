//! What is printed reads as what it was printed from.

use insta::assert_snapshot;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::read;
use crate::plan::fake::{Fake, Key, Op, Write};
use crate::plan::{
    CutKind, Direction, DiskKind, Expect, FAULT_KINDS, Fault, Network, PlannedFault, PointKind, PrintError, Profile,
    Scenario, Step, Trigger, Workload, expand,
};

const CLIENTS: [&str; 3] = ["c1", "c2", "reader"];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z]{1,8}", 1 => any::<String>()]
}

/// Not empty: what has to be found somewhere.
fn some_text() -> impl Strategy<Value = String> {
    text().prop_filter("nothing is everywhere", |text| !text.is_empty())
}

fn op() -> impl Strategy<Value = Op> {
    let write = (text(), any::<u64>()).prop_map(|(id, value)| Write { id, value });
    prop_oneof![
        (text(), any::<i64>()).prop_map(|(id, value)| Op::Create { id, value }),
        (vec(write, 0..3), option::of(text())).prop_map(|(writes, note)| Op::Batch { writes, note }),
        any::<f64>()
            .prop_filter("TOML would take it, a system's JSON would not", |f| f.is_finite())
            .prop_map(Op::Scale),
        (text(), text()).prop_map(|(from, to)| Op::Link(from, to)),
        text().prop_map(|key| Op::Read(Key(key))),
        Just(Op::Stop),
    ]
}

fn ms() -> impl Strategy<Value = u64> {
    1..20_000_u64
}

fn fault() -> impl Strategy<Value = Fault> {
    let host = text;
    let kind = prop_oneof![Just(CutKind::Stall), Just(CutKind::Blackhole)];
    let direction = prop_oneof![Just(Direction::Both), Just(Direction::OneWay)];
    prop_oneof![
        (host(), ms()).prop_map(|(host, restart_after_ms)| Fault::Kill { host, restart_after_ms }),
        (host(), ms()).prop_map(|(host, restart_after_ms)| Fault::PowerCut { host, restart_after_ms }),
        (host(), host(), kind, direction, ms()).prop_map(|(from, to, kind, direction, ms)| Fault::Cut {
            from,
            to,
            kind,
            direction,
            heal_after_ms: ms
        }),
        (host(), host(), ms(), ms()).prop_map(|(from, to, extra_ms, for_ms)| Fault::Delay {
            from,
            to,
            extra_ms,
            for_ms
        }),
        (host(), host(), ms(), ms()).prop_map(|(from, to, spread_ms, for_ms)| Fault::Reorder {
            from,
            to,
            spread_ms,
            for_ms
        }),
        (host(), ms()).prop_map(|(client, for_ms)| Fault::Duplicate { client, for_ms }),
        disk_fault(),
        (host(), ms(), ms()).prop_map(|(host, extra_ms, for_ms)| Fault::SlowDisk { host, extra_ms, for_ms }),
        (host(), text(), option::of(some_text()), 1..9_u64, ms()).prop_map(
            |(host, file, after, bits, restart_after_ms)| {
                Fault::BitRot { host, file, after, bits, restart_after_ms }
            }
        ),
        (host(), text(), 0..100_u64, ms()).prop_map(|(host, file, keep_percent, restart_after_ms)| Fault::Truncation {
            host,
            file,
            keep_percent,
            restart_after_ms
        }),
        (host(), option::of(text()), ms(), ms()).prop_map(|(host, file, as_of_ms, restart_after_ms)| {
            Fault::StaleImage { host, file, as_of_ms, restart_after_ms }
        }),
        (host(), 1..9_u64, ms()).prop_map(|(host, commits, restart_after_ms)| Fault::Forget {
            host,
            commits,
            restart_after_ms
        }),
        (host(), signed(), ms()).prop_map(|(host, by_ms, for_ms)| Fault::ClockSkew { host, by_ms, for_ms }),
        (host(), signed(), ms()).prop_map(|(host, ppm, for_ms)| Fault::ClockDrift { host, ppm, for_ms }),
    ]
}

fn disk_fault() -> impl Strategy<Value = Fault> {
    let kind = prop_oneof![
        Just(DiskKind::ReadError),
        Just(DiskKind::ShortRead),
        Just(DiskKind::WriteError),
        Just(DiskKind::SyncError),
        Just(DiskKind::DiskFull),
        Just(DiskKind::LyingSync)
    ];
    (text(), kind, 1..=100_u64, option::of(1..9_u64), ms())
        .prop_map(|(host, kind, percent, at_most, for_ms)| Fault::Disk { host, kind, percent, at_most, for_ms })
}

fn signed() -> impl Strategy<Value = i64> {
    any::<i64>().prop_filter("it would do nothing", |size| *size != 0)
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let kind = prop_oneof![Just(PointKind::Effect), Just(PointKind::Disk), Just(PointKind::Network)];
    prop_oneof![
        ms().prop_map(Trigger::Ms),
        (text(), text(), 1..9_u64).prop_map(|(host, point, nth)| Trigger::Point { host, point, nth }),
        (text(), kind, 1..9_u64).prop_map(|(host, kind, nth)| Trigger::Ordinal { host, kind, nth }),
    ]
}

fn step() -> impl Strategy<Value = Step<Op>> {
    let pause = (text(), text(), 1..9_u64, ms()).prop_map(|(host, point, nth, for_ms)| PlannedFault {
        at: Trigger::Point { host: host.clone(), point, nth },
        fault: Fault::Pause { host, for_ms },
    });
    prop_oneof![
        (0..CLIENTS.len(), ms(), op()).prop_map(|(client, at_ms, op)| Step::Operation {
            client: CLIENTS[client].to_owned(),
            at_ms,
            op
        }),
        (trigger(), fault()).prop_map(|(at, fault)| Step::Fault(PlannedFault { at, fault })),
        pause.prop_map(Step::Fault),
    ]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        (-1e9..1e9_f64).prop_map(serde_json::Value::from),
        text().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
            vec((text(), inner), 0..3).prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn options() -> impl Strategy<Value = serde_json::Map<String, serde_json::Value>> {
    vec((text(), json()), 0..3).prop_map(|entries| entries.into_iter().filter(|(key, _)| key != "operations").collect())
}

prop_compose! {
    fn scenario()(
        about in vec("([!-~]([ -~]{0,20}[!-~])?)?", 0..3),
        listed in any::<bool>(),
        figures in (20_000..40_000_u64, ms(), ms()),
        network in (1..9_u64, 0..9_u64, 0..9_u64),
        steps in vec(step(), 0..6),
        workload in (1..99_usize, options()),
        profile in 0..Profile::ALL.len(),
        system in option::of(options()),
        expect in (vec(text(), 0..2), option::of(vec(0..FAULT_KINDS.len(), 0..2))),
        checks in vec(text(), 0..2),
        seeds in vec(any::<u64>(), 0..3),
        sweep in any::<bool>(),
    ) -> Scenario<Op> {
        // Without a list, the clients are those of the steps; the workload keeps a scenario without operations legal.
        let clients = match crate::plan::scenario::default_clients(&steps) {
            named if named.is_empty() || listed => CLIENTS.map(str::to_owned).to_vec(),
            named => named,
        };
        Scenario {
            name: "story".to_owned(),
            about: about.join("\n"),
            clients,
            limit_ms: figures.0,
            settle_ms: figures.1,
            supervisor_restart_ms: figures.2,
            network: Network { tick_ms: network.0, latency_ms_min: network.1, latency_ms_max: network.1 + network.2 },
            steps,
            workload: Some(Workload { operations: workload.0, options: workload.1 }),
            profile: Profile::ALL[profile],
            system: system.map_or(serde_json::Value::Null, serde_json::Value::Object),
            expect: Expect {
                marks: expect.0,
                faults: expect.1.map(|kinds| kinds.into_iter().map(|kind| FAULT_KINDS[kind].to_owned()).collect()),
            },
            checks,
            seeds,
            sweep,
        }
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_what_was_printed(scenario in scenario()) {
        // `to_toml` compares as well; here the text is read once more, by what a person would call.
        let text = scenario.to_toml().unwrap();
        prop_assert_eq!(&Scenario::parse("story.toml", &text).unwrap(), &scenario, "{}", text);
        prop_assert_eq!(Scenario::<Op>::parse("story.toml", &text).unwrap().to_toml().unwrap(), text);
    }

    /// Reading never panics, and every place it tells lies in the text.
    #[test]
    fn damaged_files_are_refused_where_they_are_damaged(
        scenario in scenario(),
        at in any::<prop::sample::Index>(),
        removed in 0..6_usize,
        inserted in "[\\[\\]{}=,\"#\n \\-0a]{0,2}",
    ) {
        let mut text: Vec<char> = scenario.to_toml().unwrap().chars().collect();
        let at = at.index(text.len());
        let end = text.len().min(at + removed);
        text.splice(at..end, inserted.chars());
        let text: String = text.into_iter().collect();
        if let Err(error) = read(&text) {
            prop_assert!(!error.message.is_empty() && !error.remedy.is_empty());
            let location = error.location.clone().unwrap();
            let line = text.split('\n').nth(location.line - 1).unwrap();
            prop_assert_eq!(line.trim_end_matches('\r'), &location.excerpt);
            prop_assert!(location.column <= line.chars().count() + 1, "{}", error);
            prop_assert!(location.caret_len >= 1);
        }
    }

    /// A plan spelled out as a scenario expands to the plan again.
    #[test]
    fn a_spelled_out_plan_is_the_plan(seed in any::<u64>(), profile in 0..Profile::ALL.len()) {
        let text = format!(
            "clients = 2\nprofile = \"{}\"\n[workload]\noperations = 3\n[expect]\nmarks = [\"fenced\"]",
            Profile::ALL[profile].name()
        );
        let plan = expand(&read(&text).unwrap(), &Fake, seed).unwrap();
        let spelled = Scenario::from_plan(&plan);
        let printed = spelled.to_toml().unwrap();
        let again = read(&printed).unwrap();
        prop_assert_eq!(&again, &spelled);
        prop_assert_eq!(expand(&again, &Fake, seed).unwrap(), plan, "{}", printed);
    }
}

#[test]
fn the_canonical_form() {
    let text = r#"
profile = 'calm'
limit_ms = 0x4e20
clients = ["c1", "c2"]
network.latency_ms_max = 9
expect.marks = ['fenced']
[[steps]]
client = "c2"
at_ms = 7
do.batch = { note = 'say "hi"', writes = [{ value = 1, id = "a" }] }
[[steps]]
at = { nth = 2, point = "begin.before", host = "coordinator" }
fault.cut = { from = "c1", to = "graph", kind = "blackhole", direction = "one_way", heal_after_ms = 1_000 }
[[steps]]
at = { nth = 1, point = "begin.before", host = "coordinator" }
[steps.fault.pause]
host = "coordinator"
for_ms = 20
"#;
    let mut scenario = read(text).unwrap();
    scenario.about = "Told in the\ncanonical form.".to_owned();
    assert_snapshot!(scenario.to_toml().unwrap(), @r#"
    # Told in the
    # canonical form.
    clients = 2
    limit_ms = 20000
    steps = [
      { at_ms = 7, client = "c2", do = { batch = { writes = [{ id = "a", value = 1 }], note = 'say "hi"' } } },
      { at = { point = "begin.before", nth = 2, host = "coordinator" }, fault = { cut = { from = "c1", to = "graph", kind = "blackhole", direction = "one_way", heal_after_ms = 1000 } } },
      { at = { point = "begin.before", host = "coordinator" }, fault = { pause = { host = "coordinator", for_ms = 20 } } },
    ]

    [network]
    latency_ms_max = 9

    [expect]
    marks = ["fenced"]
    "#);
}

#[test]
fn what_has_no_form_is_not_printed() {
    let story = || read("steps = [{ at_ms = 0, client = \"c1\", do = \"stop\" }]").unwrap();
    let null = Scenario { system: serde_json::json!({ "list": [null] }), ..story() };
    assert!(matches!(null.to_toml(), Err(PrintError::Formless { .. })), "{:?}", null.to_toml());
    let list = Scenario { system: serde_json::json!([1]), ..story() };
    assert!(matches!(list.to_toml(), Err(PrintError::Formless { .. })), "{:?}", list.to_toml());
    let comment = Scenario { about: "bell: \u{7}".to_owned(), ..story() };
    assert!(matches!(comment.to_toml(), Err(PrintError::Unfaithful(_))), "{:?}", comment.to_toml());
    let late = Step::Operation { client: "c1".to_owned(), at_ms: 30_000, op: Op::Stop };
    let illegal = Scenario { steps: vec![late], ..story() };
    assert!(matches!(illegal.to_toml(), Err(PrintError::Unfaithful(_))), "{:?}", illegal.to_toml());
}

#[test]
fn what_expects_nothing_may_do_nothing() {
    let kill = "steps = [{ at_ms = 5, fault = { kill = { host = \"graph\", restart_after_ms = 5 } } }]\n";
    for text in ["seeds = [7]\n", kill, &format!("clients = [\"c2\"]\n{kill}")] {
        assert!(read(text).is_err(), "a story in which nobody does anything proves nothing");
        let scenario = read(&format!("{text}[expect]\nfaults = []\n")).unwrap();
        let printed = scenario.to_toml().unwrap();
        assert_eq!(read(&printed).unwrap(), scenario, "{printed}");
    }
}
