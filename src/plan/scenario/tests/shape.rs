//! The form of the file: keys, types, figures.

use insta::assert_snapshot;

use super::{read, refusal, step_refusal};
use crate::plan::fake::{Key, Op, Write};
use crate::plan::{
    CutKind, Direction, Expect, Fault, Network, PlannedFault, PointKind, Profile, Scenario, Step, Trigger, Workload,
};

const STORY: &str = r#"# The coordinator dies after the decision.
#
#   Recovery must roll forward.

clients = 2
limit_ms = 20_000
profile = "swarm"
checks = ["atomicity"]
seeds = [1, 18446744073709551615]
sweep = true
steps = [
  # Comments between steps are for the reader.
  { at_ms = 40, client = "c1", do = { create = { id = "alice", value = -1 } } },
  { at_ms = 0, client = "c2", do = { batch = { writes = [{ id = "a", value = 1 }, { id = "b", value = 2 }] } } },
  { at_ms = 1, client = "c2", do = { scale = 2 } },
  { at_ms = 2, client = "c2", do = { link = ["a", "b"] } },
  { at_ms = 3, client = "c2", do = { read = "a" } },
  { at_ms = 4, client = "c2", do = "stop" },
  { at = { point = "commit.decide.after", host = "coordinator" }, fault = { kill = { host = "coordinator", restart_after_ms = 300 } } },
  { at_ms = 400, fault = { cut = { from = "coordinator", to = "graph", kind = "stall", heal_after_ms = 200 } } },
  { at = { disk = 17, host = "coordinator" }, fault = { power_cut = { host = "graph", restart_after_ms = 5 } } },
  { at = { effect = 3, host = "coordinator" }, fault = { pause = { host = "coordinator", for_ms = 50 } } },
  { at = { network = 9, host = "graph" }, fault = { delay = { from = "c1", to = "graph", extra_ms = 1, for_ms = 2 } } },
]

[workload]
operations = 12
keys = 3

[network]
latency_ms_max = 50

[system]
shards = 2

[expect]
marks = ["rolled_forward"]
faults = ["kill", "stall"]
"#;

fn operation(client: &str, at_ms: u64, op: Op) -> Step<Op> {
    Step::Operation { client: client.to_owned(), at_ms, op }
}

fn fault(at: Trigger, fault: Fault) -> Step<Op> {
    Step::Fault(PlannedFault { at, fault })
}

fn coordinator() -> String {
    "coordinator".to_owned()
}

#[test]
fn everything_that_a_file_can_say() {
    let write = |id: &str, value| Write { id: id.to_owned(), value };
    let json = |value: serde_json::Value| value.as_object().cloned().unwrap_or_default();
    let expected = Scenario {
        name: "story".to_owned(),
        about: "The coordinator dies after the decision.\n\n  Recovery must roll forward.".to_owned(),
        clients: vec!["c1".to_owned(), "c2".to_owned()],
        limit_ms: 20_000,
        settle_ms: 30_000,
        supervisor_restart_ms: 200,
        network: Network { tick_ms: 1, latency_ms_min: 1, latency_ms_max: 50 },
        steps: vec![
            operation("c1", 40, Op::Create { id: "alice".to_owned(), value: -1 }),
            operation("c2", 0, Op::Batch { writes: vec![write("a", 1), write("b", 2)], note: None }),
            operation("c2", 1, Op::Scale(2.0)),
            operation("c2", 2, Op::Link("a".to_owned(), "b".to_owned())),
            operation("c2", 3, Op::Read(Key("a".to_owned()))),
            operation("c2", 4, Op::Stop),
            fault(
                Trigger::Point { host: coordinator(), point: "commit.decide.after".to_owned(), nth: 1 },
                Fault::Kill { host: coordinator(), restart_after_ms: 300 },
            ),
            fault(
                Trigger::Ms(400),
                Fault::Cut {
                    from: coordinator(),
                    to: "graph".to_owned(),
                    kind: CutKind::Stall,
                    direction: Direction::Both,
                    heal_after_ms: 200,
                },
            ),
            fault(
                Trigger::Ordinal { host: coordinator(), kind: PointKind::Disk, nth: 17 },
                Fault::PowerCut { host: "graph".to_owned(), restart_after_ms: 5 },
            ),
            fault(
                Trigger::Ordinal { host: coordinator(), kind: PointKind::Effect, nth: 3 },
                Fault::Pause { host: coordinator(), for_ms: 50 },
            ),
            fault(
                Trigger::Ordinal { host: "graph".to_owned(), kind: PointKind::Network, nth: 9 },
                Fault::Delay { from: "c1".to_owned(), to: "graph".to_owned(), extra_ms: 1, for_ms: 2 },
            ),
        ],
        workload: Some(Workload { operations: 12, options: json(serde_json::json!({ "keys": 3 })) }),
        profile: Profile::Swarm,
        system: serde_json::json!({ "shards": 2 }),
        expect: Expect {
            marks: vec!["rolled_forward".to_owned()],
            faults: Some(vec!["kill".to_owned(), "stall".to_owned()]),
        },
        checks: vec!["atomicity".to_owned()],
        seeds: vec![1, u64::MAX],
        sweep: true,
    };
    assert_eq!(read(STORY).unwrap(), expected);
}

#[test]
fn what_is_left_out_has_its_default() {
    let scenario = read("steps = [{ at_ms = 0, client = \"writer\", do = \"stop\" }]").unwrap();
    assert_eq!(scenario.clients, ["writer"]);
    assert_eq!((scenario.limit_ms, scenario.settle_ms, scenario.supervisor_restart_ms), (30_000, 30_000, 200));
    assert_eq!((scenario.network, scenario.profile), (Network::default(), Profile::Calm));
    assert_eq!((scenario.about.as_str(), scenario.system, scenario.workload), ("", serde_json::Value::Null, None));
}

#[test]
fn steps_may_be_out_of_order_and_clients_named_by_steps_or_by_list() {
    let steps = "steps = [{ at_ms = 9, client = \"b\", do = \"stop\" }, { at_ms = 0, client = \"a\", do = \"stop\" }]";
    assert_eq!(read(steps).unwrap().clients, ["b", "a"]);
    assert_eq!(read(&format!("clients = [\"a\", \"b\", \"c\"]\n{steps}")).unwrap().clients, ["a", "b", "c"]);
}

#[test]
fn broken_toml() {
    assert_snapshot!(refusal("clients = 2\nsteps = [\n  { at_ms = 0, client = c1 },\n]\n"), @r#"
    string values must be quoted, expected literal string
     --> scenarios/story.toml:3:25
      |
    3 |   { at_ms = 0, client = c1 },
      |                         ^^
      = help: write a value after `=`; texts stand in double quotes
    "#);
    assert_snapshot!(refusal("clients = 2\nsteps = [\n  { at_ms = 0 }\n"), @r#"
    unclosed array, expected `]`
     --> scenarios/story.toml:3:16
      |
    3 |   { at_ms = 0 }
      |                ^
      = help: close what was opened; every step ends with `},` and the list of steps with `]`
    "#);
    assert_snapshot!(refusal("sweep = true\nsweep = false\n"), @r#"
    duplicate key
     --> scenarios/story.toml:2:1
      |
    2 | sweep = false
      | ^^^^^
      = help: keep one of them
    "#);
    assert_snapshot!(refusal("clients = \n"), @r#"
    string values must be quoted, expected literal string
     --> scenarios/story.toml:1:11
      |
    1 | clients = 
      |           ^
      = help: write a value after `=`; texts stand in double quotes
    "#);
}

#[test]
fn unknown_keys() {
    assert_snapshot!(refusal("clients = 1\nstpes = []\n"), @r#"
    unknown key `stpes`
     --> scenarios/story.toml:2:1
      |
    2 | stpes = []
      | ^^^^^
      = help: did you mean `steps`? known keys: `clients`, `limit_ms`, `settle_ms`, `supervisor_restart_ms`, `profile`, `checks`, `seeds`, `sweep`, `steps`, `workload`, `network`, `system`, `expect`
    "#);
    assert_snapshot!(refusal("[network]\nlatency = 3\n"), @r#"
    unknown key `latency`
     --> scenarios/story.toml:2:1
      |
    2 | latency = 3
      | ^^^^^^^
      = help: known keys: `tick_ms`, `latency_ms_min`, `latency_ms_max`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, clent = \"c1\", do = \"stop\" }"), @r#"
    unknown key `clent`
     --> scenarios/story.toml:3:16
      |
    3 |   { at_ms = 3, clent = "c1", do = "stop" },
      |                ^^^^^
      = help: did you mean `client`? known keys: `at_ms`, `at`, `client`, `do`, `fault`
    "#);
    assert_snapshot!(step_refusal("{ at = { piont = \"begin.before\", host = \"coordinator\" }, fault = { pause = { host = \"coordinator\", for_ms = 1 } } }"), @r#"
    unknown key `piont`
     --> scenarios/story.toml:3:12
      |
    3 |   { at = { piont = "begin.before", host = "coordinator" }, fault = { pause = { host = "coordinator", for_ms = 1 } } },
      |            ^^^^^
      = help: did you mean `point`? known keys: `point`, `effect`, `disk`, `network`, `nth`, `host`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { kill = { host = \"graph\", restart_ms = 9 } } }"), @r#"
    unknown key `restart_ms`
     --> scenarios/story.toml:3:51
      |
    3 |   { at_ms = 3, fault = { kill = { host = "graph", restart_ms = 9 } } },
      |                                                   ^^^^^^^^^^
      = help: did you mean `restart_after_ms`? known keys: `host`, `restart_after_ms`
    "#);
}

#[test]
fn unknown_kinds() {
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { kil = { host = \"graph\", restart_after_ms = 9 } } }"), @r#"
    unknown `fault`: `kil`
     --> scenarios/story.toml:3:26
      |
    3 |   { at_ms = 3, fault = { kil = { host = "graph", restart_after_ms = 9 } } },
      |                          ^^^
      = help: did you mean `kill`? known: `kill`, `power_cut`, `pause`, `cut`, `delay`, `reorder`, `duplicate`, `disk`, `slow_disk`, `bit_rot`, `truncation`, `stale_image`, `forget`, `clock_skew`, `clock_drift`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { cut = { from = \"c1\", to = \"graph\", kind = \"stal\", heal_after_ms = 9 } } }"), @r#"
    unknown `kind`: `stal`
     --> scenarios/story.toml:3:68
      |
    3 |   { at_ms = 3, fault = { cut = { from = "c1", to = "graph", kind = "stal", heal_after_ms = 9 } } },
      |                                                                    ^^^^^^
      = help: did you mean `stall`? known: `stall`, `blackhole`
    "#);
    assert_snapshot!(refusal("profile = \"swam\"\n"), @r#"
    unknown `profile`: `swam`
     --> scenarios/story.toml:1:11
      |
    1 | profile = "swam"
      |           ^^^^^^
      = help: did you mean `swarm`? known: `calm`, `crashes`, `partitions`, `disks`, `media`, `clocks`, `swarm`
    "#);
}

#[test]
fn wrong_types() {
    assert_snapshot!(step_refusal("{ at_ms = \"3\", client = \"c1\", do = \"stop\" }"), @r#"
    `at_ms` cannot be the text "3"
     --> scenarios/story.toml:3:13
      |
    3 |   { at_ms = "3", client = "c1", do = "stop" },
      |             ^^^
      = help: write a whole number from 0 up
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 1.5, client = \"c1\", do = \"stop\" }"), @r#"
    `at_ms` cannot be the number 1.5
     --> scenarios/story.toml:3:13
      |
    3 |   { at_ms = 1.5, client = "c1", do = "stop" },
      |             ^^^
      = help: write a whole number from 0 up
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, client = 1, do = \"stop\" }"), @r#"
    `client` cannot be the number 1
     --> scenarios/story.toml:3:25
      |
    3 |   { at_ms = 3, client = 1, do = "stop" },
      |                         ^
      = help: write a text in double quotes
    "#);
    assert_snapshot!(step_refusal("\"stop\""), @r#"
    an item of `steps` cannot be a text
     --> scenarios/story.toml:3:3
      |
    3 |   "stop",
      |   ^^^^^^
      = help: write a table with the keys `at_ms`, `at`, `client`, `do`, `fault`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = \"kill\" }"), @r#"
    `kill` needs more than its name
     --> scenarios/story.toml:3:24
      |
    3 |   { at_ms = 3, fault = "kill" },
      |                        ^^^^^^
      = help: write `{ kill = { host = …, restart_after_ms = … } }`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = 7 }"), @r#"
    `fault` cannot be a number
     --> scenarios/story.toml:3:24
      |
    3 |   { at_ms = 3, fault = 7 },
      |                        ^
      = help: write one of `kill`, `power_cut`, `pause`, `cut`, `delay`, `reorder`, `duplicate`, `disk`, `slow_disk`, `bit_rot`, `truncation`, `stale_image`, `forget`, `clock_skew`, `clock_drift`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = {} }"), @r#"
    `fault` has 0 names and takes exactly one
     --> scenarios/story.toml:3:24
      |
    3 |   { at_ms = 3, fault = {} },
      |                        ^^
      = help: write one of `kill`, `power_cut`, `pause`, `cut`, `delay`, `reorder`, `duplicate`, `disk`, `slow_disk`, `bit_rot`, `truncation`, `stale_image`, `forget`, `clock_skew`, `clock_drift`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 1979-05-27, client = \"c1\", do = \"stop\" }"), @r#"
    `at_ms` cannot be a date
     --> scenarios/story.toml:3:13
      |
    3 |   { at_ms = 1979-05-27, client = "c1", do = "stop" },
      |             ^^^^^^^^^^
      = help: write times as numbers of milliseconds, or quote the text
    "#);
    assert_snapshot!(refusal("clients = \"two\"\n"), @r#"
    `clients` cannot be the text "two"
     --> scenarios/story.toml:1:11
      |
    1 | clients = "two"
      |           ^^^^^
      = help: write a number from 1 to 100, or an array of names
    "#);
    assert_snapshot!(refusal("clients = 0\n"), @r#"
    `clients` cannot be the number 0
     --> scenarios/story.toml:1:11
      |
    1 | clients = 0
      |           ^
      = help: write a number from 1 to 100, or an array of names
    "#);
    assert_snapshot!(refusal("clients = []\n"), @r#"
    `clients` cannot be empty
     --> scenarios/story.toml:1:11
      |
    1 | clients = []
      |           ^^
      = help: write a number from 1 to 100, or an array of names
    "#);
    assert_snapshot!(refusal("sweep = 1\n"), @r#"
    `sweep` cannot be the number 1
     --> scenarios/story.toml:1:9
      |
    1 | sweep = 1
      |         ^
      = help: write `true` or `false`
    "#);
    assert_snapshot!(refusal("steps = { at_ms = 3 }\n"), @r#"
    `steps` cannot be a table
     --> scenarios/story.toml:1:9
      |
    1 | steps = { at_ms = 3 }
      |         ^^^^^^^^^^^^^
      = help: write an array: `[…]`
    "#);
    assert_snapshot!(refusal("system = \"fast\"\n"), @r#"
    `system` cannot be the text "fast"
     --> scenarios/story.toml:1:10
      |
    1 | system = "fast"
      |          ^^^^^^
      = help: write a table: `{ … }`
    "#);
    assert_snapshot!(refusal("seeds = [1, 99999999999999999999]\n"), @r#"
    an item of `seeds` does not fit into 64 bits
     --> scenarios/story.toml:1:13
      |
    1 | seeds = [1, 99999999999999999999]
      |             ^^^^^^^^^^^^^^^^^^^^
      = help: write a smaller number
    "#);
}

#[test]
fn negative_numbers() {
    assert_snapshot!(step_refusal("{ at_ms = -3, client = \"c1\", do = \"stop\" }"), @r#"
    `at_ms` cannot be the number -3
     --> scenarios/story.toml:3:13
      |
    3 |   { at_ms = -3, client = "c1", do = "stop" },
      |             ^^
      = help: write a whole number from 0 up
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { kill = { host = \"graph\", restart_after_ms = -9 } } }"), @r#"
    `restart_after_ms` cannot be the number -9
     --> scenarios/story.toml:3:70
      |
    3 |   { at_ms = 3, fault = { kill = { host = "graph", restart_after_ms = -9 } } },
      |                                                                      ^^
      = help: write a whole number from 0 up
    "#);
    assert_snapshot!(refusal("seeds = [1, -2]\n"), @r#"
    an item of `seeds` cannot be the number -2
     --> scenarios/story.toml:1:13
      |
    1 | seeds = [1, -2]
      |             ^^
      = help: write a whole number from 0 up
    "#);
}

#[test]
fn operations_that_the_system_does_not_understand() {
    assert_snapshot!(step_refusal("{ at_ms = 3, client = \"c1\", do = { crate = { id = \"alice\", value = 1 } } }"), @r#"
    unknown `do`: `crate`
     --> scenarios/story.toml:3:38
      |
    3 |   { at_ms = 3, client = "c1", do = { crate = { id = "alice", value = 1 } } },
      |                                      ^^^^^
      = help: did you mean `create`? known: `create`, `batch`, `scale`, `link`, `read`, `stop`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, client = \"c1\", do = { create = { id = \"alice\", vlaue = 1 } } }"), @r#"
    unknown key `vlaue`
     --> scenarios/story.toml:3:63
      |
    3 |   { at_ms = 3, client = "c1", do = { create = { id = "alice", vlaue = 1 } } },
      |                                                               ^^^^^
      = help: did you mean `value`? known keys: `id`, `value`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, client = \"c1\", do = { create = { id = \"alice\" } } }"), @r#"
    `create` lacks `value`
     --> scenarios/story.toml:3:47
      |
    3 |   { at_ms = 3, client = "c1", do = { create = { id = "alice" } } },
      |                                               ^^^^^^^^^^^^^^^^
      = help: add `value = …` to `create`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, client = \"c1\", do = { create = { id = 7, value = 1 } } }"), @r#"
    `id` cannot be the number 7
     --> scenarios/story.toml:3:54
      |
    3 |   { at_ms = 3, client = "c1", do = { create = { id = 7, value = 1 } } },
      |                                                      ^
      = help: write a text in double quotes
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, client = \"c1\", do = { batch = { writes = [{ id = \"a\", value = 1 }, { id = \"b\", value = true }] } } }"), @r#"
    `value` cannot be `true`
     --> scenarios/story.toml:3:103
      |
    3 |   { at_ms = 3, client = "c1", do = { batch = { writes = [{ id = "a", value = 1 }, { id = "b", value = true }] } } },
      |                                                                                                       ^^^^
      = help: write a whole number from 0 up
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, client = \"c1\", do = { link = [\"a\"] } }"), @r#"
    `link` cannot be an array of 1
     --> scenarios/story.toml:3:45
      |
    3 |   { at_ms = 3, client = "c1", do = { link = ["a"] } },
      |                                             ^^^^^
      = help: write an array of 2
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, client = \"c1\", do = { scale = inf } }"), @r#"
    `scale` is not a finite number
     --> scenarios/story.toml:3:46
      |
    3 |   { at_ms = 3, client = "c1", do = { scale = inf } },
      |                                              ^^^
      = help: write a finite number
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, client = \"c1\", do = { stop = 1 } }"), @r#"
    `stop` takes nothing
     --> scenarios/story.toml:3:45
      |
    3 |   { at_ms = 3, client = "c1", do = { stop = 1 } },
      |                                             ^
      = help: write `"stop"`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, client = \"c1\", do = \"create\" }"), @r#"
    `create` needs more than its name
     --> scenarios/story.toml:3:36
      |
    3 |   { at_ms = 3, client = "c1", do = "create" },
      |                                    ^^^^^^^^
      = help: write `{ create = { id = …, value = … } }`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, client = \"c1\", do = { stop = {}, read = \"a\" } }"), @r#"
    `do` has 2 names and takes exactly one
     --> scenarios/story.toml:3:36
      |
    3 |   { at_ms = 3, client = "c1", do = { stop = {}, read = "a" } },
      |                                    ^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: write one of `create`, `batch`, `scale`, `link`, `read`, `stop`
    "#);
}

#[test]
fn the_caret_stands_under_its_text_behind_tabs_and_wide_characters() {
    assert_snapshot!(refusal("steps = [\n\t{ at_ms = 0, client = \"größe\", do = \"stpo\" },\n]"), @r#"
    unknown `do`: `stpo`
     --> scenarios/story.toml:2:38
      |
    2 | 	{ at_ms = 0, client = "größe", do = "stpo" },
      | 	                                    ^^^^^^
      = help: did you mean `stop`? known: `create`, `batch`, `scale`, `link`, `read`, `stop`
    "#);
}
