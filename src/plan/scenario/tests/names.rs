//! Names are resolved against the system.

use insta::assert_snapshot;

use super::{read, refusal, step_refusal};
use crate::plan::fake::Fake;
use crate::plan::{Topology, load};

const OP: &str = "steps = [{ at_ms = 0, client = \"c1\", do = \"stop\" }]\n";

#[test]
fn unknown_hosts() {
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { kill = { host = \"cordinator\", restart_after_ms = 9 } } }"), @r#"
    unknown host `cordinator`
     --> scenarios/story.toml:3:42
      |
    3 |   { at_ms = 3, fault = { kill = { host = "cordinator", restart_after_ms = 9 } } },
      |                                          ^^^^^^^^^^^^
      = help: did you mean `coordinator`? hosts: `coordinator`, `graph`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { power_cut = { host = \"c1\", restart_after_ms = 9 } } }"), @r#"
    unknown host `c1`
     --> scenarios/story.toml:3:47
      |
    3 |   { at_ms = 3, fault = { power_cut = { host = "c1", restart_after_ms = 9 } } },
      |                                               ^^^^
      = help: hosts: `coordinator`, `graph`
    "#);
    assert_snapshot!(step_refusal("{ at = { disk = 1, host = \"gaph\" }, fault = { kill = { host = \"graph\", restart_after_ms = 9 } } }"), @r#"
    unknown host `gaph`
     --> scenarios/story.toml:3:29
      |
    3 |   { at = { disk = 1, host = "gaph" }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |                             ^^^^^^
      = help: did you mean `graph`? hosts: `coordinator`, `graph`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { cut = { from = \"c2\", to = \"graph\", kind = \"stall\", heal_after_ms = 9 } } }"), @r#"
    unknown host `c2`
     --> scenarios/story.toml:3:41
      |
    3 |   { at_ms = 3, fault = { cut = { from = "c2", to = "graph", kind = "stall", heal_after_ms = 9 } } },
      |                                         ^^^^
      = help: did you mean `c1`? hosts: `coordinator`, `graph`, `c1`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { reorder = { from = \"c1\", to = \"graf\", spread_ms = 1, for_ms = 9 } } }"), @r#"
    unknown host `graf`
     --> scenarios/story.toml:3:56
      |
    3 |   { at_ms = 3, fault = { reorder = { from = "c1", to = "graf", spread_ms = 1, for_ms = 9 } } },
      |                                                        ^^^^^^
      = help: did you mean `graph`? hosts: `coordinator`, `graph`, `c1`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { delay = { from = \"graph\", to = \"graph\", extra_ms = 1, for_ms = 9 } } }"), @r#"
    a link from `graph` to itself
     --> scenarios/story.toml:3:57
      |
    3 |   { at_ms = 3, fault = { delay = { from = "graph", to = "graph", extra_ms = 1, for_ms = 9 } } },
      |                                                         ^^^^^^^
      = help: write two different hosts
    "#);
}

#[test]
fn unknown_points() {
    let kill = "fault = { kill = { host = \"graph\", restart_after_ms = 9 } }";
    assert_snapshot!(step_refusal(&format!("{{ at = {{ point = \"commit.decided.after\", host = \"coordinator\" }}, {kill} }}")), @r#"
    unknown point `commit.decided.after` on `coordinator`
     --> scenarios/story.toml:3:20
      |
    3 |   { at = { point = "commit.decided.after", host = "coordinator" }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |                    ^^^^^^^^^^^^^^^^^^^^^^
      = help: did you mean `commit.decide.after`? points: `begin.before`, `commit.decide.before`, `commit.decide.after`
    "#);
    assert_snapshot!(step_refusal(&format!("{{ at = {{ point = \"begin.before\", host = \"graph\" }}, {kill} }}")), @r#"
    unknown point `begin.before` on `graph`
     --> scenarios/story.toml:3:20
      |
    3 |   { at = { point = "begin.before", host = "graph" }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |                    ^^^^^^^^^^^^^^
      = help: there are no points here
    "#);
    assert_snapshot!(step_refusal(&format!("{{ at = {{ point = \"begin.before\", host = \"c1\" }}, {kill} }}")), @r#"
    unknown host `c1`
     --> scenarios/story.toml:3:43
      |
    3 |   { at = { point = "begin.before", host = "c1" }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |                                           ^^^^
      = help: hosts: `coordinator`, `graph`
    "#);
}

#[test]
fn unknown_clients() {
    let op = "steps = [{ at_ms = 0, client = \"reeder\", do = \"stop\" }]\n";
    assert_snapshot!(refusal(&format!("clients = [\"writer\", \"reader\"]\n{op}")), @r#"
    unknown client `reeder`
     --> scenarios/story.toml:2:32
      |
    2 | steps = [{ at_ms = 0, client = "reeder", do = "stop" }]
      |                                ^^^^^^^^
      = help: did you mean `reader`? clients: `writer`, `reader`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { duplicate = { client = \"graph\", for_ms = 9 } } }"), @r#"
    unknown client `graph`
     --> scenarios/story.toml:3:49
      |
    3 |   { at_ms = 3, fault = { duplicate = { client = "graph", for_ms = 9 } } },
      |                                                 ^^^^^^^
      = help: clients: `c1`
    "#);
    assert_snapshot!(refusal("steps = [{ at_ms = 0, client = \"graph\", do = \"stop\" }]\n"), @r#"
    the client `graph` has the name of a host
     --> scenarios/story.toml:1:32
      |
    1 | steps = [{ at_ms = 0, client = "graph", do = "stop" }]
      |                                ^^^^^^^
      = help: give the client another name
    "#);
    assert_snapshot!(refusal(&format!("clients = [\"c1\", \"graph\"]\n{OP}")), @r#"
    the client `graph` has the name of a host
     --> scenarios/story.toml:1:18
      |
    1 | clients = ["c1", "graph"]
      |                  ^^^^^^^
      = help: give the client another name
    "#);
}

#[test]
fn hosts_that_lack_what_a_fault_damages() {
    let refusal = |fault: &str| step_refusal(&format!("{{ at_ms = 3, fault = {{ {fault} }} }}"));
    assert_snapshot!(
        refusal(r#"bit_rot = { host = "coordinator", file = "/data/lug", bits = 1, restart_after_ms = 9 }"#),
        @r#"
    unknown file `/data/lug` on `coordinator`
     --> scenarios/story.toml:3:67
      |
    3 |   { at_ms = 3, fault = { bit_rot = { host = "coordinator", file = "/data/lug", bits = 1, restart_after_ms = 9 } } },
      |                                                                   ^^^^^^^^^^^
      = help: did you mean `/data/log`? files: `/data/log`
    "#
    );
    assert_snapshot!(refusal(r#"stale_image = { host = "graph", as_of_ms = 1, restart_after_ms = 9 }"#), @r#"
    `graph` keeps no files
     --> scenarios/story.toml:3:49
      |
    3 |   { at_ms = 3, fault = { stale_image = { host = "graph", as_of_ms = 1, restart_after_ms = 9 } } },
      |                                                 ^^^^^^^
      = help: name a host that does
    "#);
    assert_snapshot!(refusal(r#"disk = { host = "graph", kind = "sync_error", for_ms = 9 }"#), @r#"
    `graph` keeps no files
     --> scenarios/story.toml:3:42
      |
    3 |   { at_ms = 3, fault = { disk = { host = "graph", kind = "sync_error", for_ms = 9 } } },
      |                                          ^^^^^^^
      = help: name a host that does
    "#);
    assert_snapshot!(refusal(r#"forget = { host = "coordinator", commits = 1, restart_after_ms = 9 }"#), @r#"
    the store of `coordinator` cannot forget what it acknowledged
     --> scenarios/story.toml:3:44
      |
    3 |   { at_ms = 3, fault = { forget = { host = "coordinator", commits = 1, restart_after_ms = 9 } } },
      |                                            ^^^^^^^^^^^^^
      = help: name a host whose store can
    "#);
}

#[test]
fn unknown_marks_and_checks() {
    assert_snapshot!(refusal(&format!("{OP}[expect]\nmarks = [\"fenced\", \"rolled_foward\"]\n")), @r#"
    unknown mark `rolled_foward`
     --> scenarios/story.toml:3:20
      |
    3 | marks = ["fenced", "rolled_foward"]
      |                    ^^^^^^^^^^^^^^^
      = help: did you mean `rolled_forward`? marks: `rolled_forward`, `fenced`, `refused_to_work`, `unsynced_kept`, `unsynced_lost`, `unsynced_torn`
    "#);
    assert_snapshot!(refusal(&format!("checks = [\"durability\", \"linearizability\"]\n{OP}")), @r#"
    unknown check `linearizability`
     --> scenarios/story.toml:1:25
      |
    1 | checks = ["durability", "linearizability"]
      |                         ^^^^^^^^^^^^^^^^^
      = help: checks: `atomicity`, `durability`
    "#);
}

#[test]
fn expected_faults_must_be_possible() {
    assert_snapshot!(refusal(&format!("{OP}[expect]\nfaults = [\"kil\"]\n")), @r#"
    unknown fault `kil`
     --> scenarios/story.toml:3:11
      |
    3 | faults = ["kil"]
      |           ^^^^^
      = help: did you mean `kill`? faults: `kill`, `power_cut`, `pause`, `stall`, `blackhole`, `one_way_cut`, `delay`, `reorder`, `duplicate`, `read_error`, `short_read`, `write_error`, `sync_error`, `disk_full`, `lying_sync`, `slow_disk`, `bit_rot`, `truncation`, `stale_image`, `forget`, `clock_skew`, `clock_drift`
    "#);
    assert_snapshot!(refusal(&format!("profile = \"partitions\"\n{OP}[expect]\nfaults = [\"stall\", \"kill\"]\n")), @r#"
    nothing in this scenario makes a `kill`
     --> scenarios/story.toml:4:20
      |
    4 | faults = ["stall", "kill"]
      |                    ^^^^^^
      = help: add a step with this fault or a profile that draws it, or do not expect it
    "#);
}

#[test]
fn what_the_system_refuses_is_told_at_the_option_it_names() {
    assert_snapshot!(refusal(&format!("{OP}[system]\nshards = 2\nspeed = 3\n")), @r#"
    unknown option `speed`: the system takes `shards`
     --> scenarios/story.toml:4:1
      |
    4 | speed = 3
      | ^^^^^
      = help: correct the option below `[system]`
    "#);
    assert_snapshot!(refusal("clients = 1\n[workload]\noperations = 2\nkeys = \"many\"\n"), @r#"
    keys takes a number
     --> scenarios/story.toml:4:1
      |
    4 | keys = "many"
      | ^^^^
      = help: correct the option below `[workload]`
    "#);
    assert_snapshot!(refusal("clients = 1\n[workload]\noperations = 2\nchecks = [\"durability\"]\n"), @r#"
    unknown option `checks`: the workload takes `keys`
     --> scenarios/story.toml:4:1
      |
    4 | checks = ["durability"]
      | ^^^^^^
      = help: a key below `[workload]` belongs to that table: move this one above the first `[…]`
    "#);
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let missing = load::<Fake>(&folder.path().join("none.toml")).unwrap_err();
    assert!(missing.message.starts_with("the file cannot be read: "), "{missing}");
    assert_eq!(missing.location, None);
    let path = folder.path().join("latin1.toml");
    std::fs::write(&path, b"# gr\xfc\xdfe\n").unwrap();
    let latin1 = load::<Fake>(&path).unwrap_err();
    assert_eq!(latin1.to_string(), {
        format!("byte 4 of the file is not UTF-8\n --> {}\n  = help: store the file as UTF-8", path.display())
    });
    std::fs::write(&path, OP).unwrap();
    assert_eq!(load::<Fake>(&path).unwrap().name, "latin1");
}

#[test]
fn all_faults_of_steps_and_profile_are_expected_unless_some_are_named() {
    let topology = Topology::of(&Fake);
    let kill = "{ at_ms = 3, fault = { kill = { host = \"graph\", restart_after_ms = 9 } } }";
    let file = format!("steps = [{{ at_ms = 0, client = \"c1\", do = \"stop\" }}, {kill}]\n");
    let expected = |text: &str| read(text).unwrap().expected_faults(&topology).into_iter().collect::<Vec<_>>();
    assert_eq!(expected(&file), ["kill"]);
    assert_eq!(expected(&format!("profile = \"partitions\"\n{file}")), ["blackhole", "kill", "one_way_cut", "stall"]);
    assert_eq!(expected(&format!("profile = \"partitions\"\n{file}[expect]\nfaults = [\"stall\"]")), ["stall"]);
    assert!(expected(&format!("{file}[expect]\nfaults = []")).is_empty());
}
