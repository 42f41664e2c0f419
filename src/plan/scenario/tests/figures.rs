//! What can be read and makes no sense, whatever the system.

use insta::assert_snapshot;

use super::{refusal, step_refusal};

#[test]
fn steps_that_say_too_little_or_too_much() {
    assert_snapshot!(step_refusal("{ at_ms = 3 }"), @r#"
    the step neither does anything nor breaks anything
     --> scenarios/story.toml:3:3
      |
    3 |   { at_ms = 3 },
      |   ^^^^^^^^^^^^^
      = help: add `client = "…", do = { … }` or `fault = { … }`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 3, do = \"stop\" }"), @r#"
    the operation lacks its client
     --> scenarios/story.toml:3:3
      |
    3 |   { at_ms = 3, do = "stop" },
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: write `{ at_ms = 0, client = "c1", do = … }`
    "#);
    assert_snapshot!(step_refusal("{ client = \"c1\", do = \"stop\" }"), @r#"
    the operation lacks its time
     --> scenarios/story.toml:3:3
      |
    3 |   { client = "c1", do = "stop" },
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: write `{ at_ms = 0, client = "c1", do = … }`
    "#);
    assert_snapshot!(step_refusal("{ at = { disk = 1, host = \"graph\" }, client = \"c1\", do = \"stop\" }"), @r#"
    an operation is due at a time, not at a point
     --> scenarios/story.toml:3:5
      |
    3 |   { at = { disk = 1, host = "graph" }, client = "c1", do = "stop" },
      |     ^^
      = help: write `at_ms = …`, a time before which the operation does not begin
    "#);
    let kill = "fault = { kill = { host = \"graph\", restart_after_ms = 9 } }";
    assert_snapshot!(step_refusal(&format!("{{ at_ms = 3, client = \"c1\", do = \"stop\", {kill} }}")), @r#"
    a step is an operation or a fault, not both
     --> scenarios/story.toml:3:44
      |
    3 |   { at_ms = 3, client = "c1", do = "stop", fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |                                            ^^^^^
      = help: write two steps, a line each; they may have the same time
    "#);
    assert_snapshot!(step_refusal(&format!("{{ at_ms = 3, client = \"c1\", {kill} }}")), @r#"
    a fault has no client
     --> scenarios/story.toml:3:16
      |
    3 |   { at_ms = 3, client = "c1", fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |                ^^^^^^
      = help: drop `client`: a fault names the hosts it strikes by itself
    "#);
    assert_snapshot!(step_refusal(&format!("{{ {kill} }}")), @r#"
    the fault lacks its trigger
     --> scenarios/story.toml:3:3
      |
    3 |   { fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: add `at_ms = …`, or a point: `at = { point = "…", host = "…" }`
    "#);
    assert_snapshot!(step_refusal(&format!("{{ at_ms = 3, at = {{ disk = 1, host = \"graph\" }}, {kill} }}")), @r#"
    a fault strikes once
     --> scenarios/story.toml:3:16
      |
    3 |   { at_ms = 3, at = { disk = 1, host = "graph" }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |                ^^
      = help: keep one of `at_ms` and `at`
    "#);
    assert_snapshot!(step_refusal(&format!("{{ at = {{ disk = 1, effect = 1, host = \"graph\" }}, {kill} }}")), @r#"
    the trigger must name one point
     --> scenarios/story.toml:3:10
      |
    3 |   { at = { disk = 1, effect = 1, host = "graph" }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: write exactly one of `point = "…"`, `effect = 1`, `disk = 1`, `network = 1`
    "#);
    assert_snapshot!(step_refusal(&format!("{{ at = {{ host = \"graph\" }}, {kill} }}")), @r#"
    the trigger must name one point
     --> scenarios/story.toml:3:10
      |
    3 |   { at = { host = "graph" }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |          ^^^^^^^^^^^^^^^^^^
      = help: write exactly one of `point = "…"`, `effect = 1`, `disk = 1`, `network = 1`
    "#);
    assert_snapshot!(step_refusal(&format!("{{ at = {{ disk = 1 }}, {kill} }}")), @r#"
    the trigger lacks its host
     --> scenarios/story.toml:3:10
      |
    3 |   { at = { disk = 1 }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |          ^^^^^^^^^^^^
      = help: add `host = "…"`: points are counted on each host
    "#);
    assert_snapshot!(step_refusal(&format!("{{ at = {{ disk = 1, nth = 2, host = \"graph\" }}, {kill} }}")), @r#"
    the trigger is counted twice
     --> scenarios/story.toml:3:22
      |
    3 |   { at = { disk = 1, nth = 2, host = "graph" }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |                      ^^^
      = help: drop `nth`: it belongs to a named point, and this one is counted already
    "#);
}

#[test]
fn figures_that_make_no_sense() {
    let op = "steps = [{ at_ms = 0, client = \"c1\", do = \"stop\" }]\n";
    assert_snapshot!(refusal(&format!("limit_ms = 0\n{op}")), @r#"
    `limit_ms` is zero
     --> scenarios/story.toml:1:12
      |
    1 | limit_ms = 0
      |            ^
      = help: write a number of milliseconds from 1 up
    "#);
    assert_snapshot!(refusal(&format!("settle_ms = 0\n{op}")), @r#"
    `settle_ms` is zero
     --> scenarios/story.toml:1:13
      |
    1 | settle_ms = 0
      |             ^
      = help: write a number of milliseconds from 1 up
    "#);
    assert_snapshot!(refusal(&format!("supervisor_restart_ms = 0\n{op}")), @r#"
    `supervisor_restart_ms` is zero
     --> scenarios/story.toml:1:25
      |
    1 | supervisor_restart_ms = 0
      |                         ^
      = help: write a number of milliseconds from 1 up
    "#);
    assert_snapshot!(refusal(&format!("{op}[network]\ntick_ms = 0\n")), @r#"
    `tick_ms` is zero
     --> scenarios/story.toml:3:11
      |
    3 | tick_ms = 0
      |           ^
      = help: write a number of milliseconds from 1 up
    "#);
    assert_snapshot!(refusal(&format!("{op}[network]\nlatency_ms_min = 9\n")), @r#"
    the least latency is 9 ms, the greatest 5 ms
     --> scenarios/story.toml:3:18
      |
    3 | latency_ms_min = 9
      |                  ^
      = help: write `latency_ms_min` no larger than `latency_ms_max`
    "#);
    assert_snapshot!(refusal("clients = 1\n[workload]\noperations = 0\n"), @r#"
    the workload is empty
     --> scenarios/story.toml:3:14
      |
    3 | operations = 0
      |              ^
      = help: write how many operations each client makes, at least 1
    "#);
    assert_snapshot!(refusal("clients = 1\n[workload]\nkeys = 3\n"), @r#"
    `workload` lacks `operations`
     --> scenarios/story.toml:2:1
      |
    2 | [workload]
      | ^^^^^^^^^^
      = help: add `operations = …` to `workload`
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 30_000, client = \"c1\", do = \"stop\" }"), @r#"
    the step is due at 30000 ms, and the run is ended at 30000 ms
     --> scenarios/story.toml:3:13
      |
    3 |   { at_ms = 30_000, client = "c1", do = "stop" },
      |             ^^^^^^
      = help: write an earlier time, or a larger `limit_ms` at the top of the file
    "#);
    assert_snapshot!(step_refusal("{ at_ms = 30_000, fault = { kill = { host = \"graph\", restart_after_ms = 9 } } }"), @r#"
    the step is due at 30000 ms, and the run is ended at 30000 ms
     --> scenarios/story.toml:3:13
      |
    3 |   { at_ms = 30_000, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |             ^^^^^^
      = help: write an earlier time, or a larger `limit_ms` at the top of the file
    "#);
    assert_snapshot!(step_refusal("{ at = { disk = 0, host = \"graph\" }, fault = { kill = { host = \"graph\", restart_after_ms = 9 } } }"), @r#"
    points are counted from 1
     --> scenarios/story.toml:3:19
      |
    3 |   { at = { disk = 0, host = "graph" }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |                   ^
      = help: write a number from 1 up
    "#);
    assert_snapshot!(step_refusal("{ at = { point = \"begin.before\", nth = 0, host = \"coordinator\" }, fault = { kill = { host = \"graph\", restart_after_ms = 9 } } }"), @r#"
    points are counted from 1
     --> scenarios/story.toml:3:42
      |
    3 |   { at = { point = "begin.before", nth = 0, host = "coordinator" }, fault = { kill = { host = "graph", restart_after_ms = 9 } } },
      |                                          ^
      = help: write a number from 1 up
    "#);
}

/// Each duration of each kind of fault.
#[test]
fn durations_of_zero() {
    let durations = [
        ("kill", "restart_after_ms", "host = \"graph\""),
        ("power_cut", "restart_after_ms", "host = \"graph\""),
        ("cut", "heal_after_ms", "from = \"c1\", to = \"graph\", kind = \"stall\""),
        ("delay", "extra_ms", "from = \"c1\", to = \"graph\", for_ms = 1"),
        ("delay", "for_ms", "from = \"c1\", to = \"graph\", extra_ms = 1"),
        ("reorder", "spread_ms", "from = \"c1\", to = \"graph\", for_ms = 1"),
        ("reorder", "for_ms", "from = \"c1\", to = \"graph\", spread_ms = 1"),
        ("duplicate", "for_ms", "client = \"c1\""),
    ];
    for (kind, duration, rest) in durations {
        let told = step_refusal(&format!("{{ at_ms = 3, fault = {{ {kind} = {{ {rest}, {duration} = 0 }} }} }}"));
        assert!(told.starts_with(&format!("`{duration}` is zero\n")), "{told}");
    }
    let pause =
        "{ at = { effect = 1, host = \"coordinator\" }, fault = { pause = { host = \"coordinator\", for_ms = 0 } } }";
    assert_snapshot!(step_refusal(pause), @r#"
    `for_ms` is zero
     --> scenarios/story.toml:3:99
      |
    3 |   { at = { effect = 1, host = "coordinator" }, fault = { pause = { host = "coordinator", for_ms = 0 } } },
      |                                                                                                   ^
      = help: write a number of milliseconds from 1 up
    "#);
}

#[test]
fn a_pause_needs_a_point_of_its_own_host() {
    assert_snapshot!(step_refusal("{ at_ms = 3, fault = { pause = { host = \"coordinator\", for_ms = 9 } } }"), @r#"
    a pause needs a point that somebody reaches
     --> scenarios/story.toml:3:24
      |
    3 |   { at_ms = 3, fault = { pause = { host = "coordinator", for_ms = 9 } } },
      |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: a pause holds whoever reaches a point: write `at = { point = "…", host = "…" }`, or `effect = 1` in place of the point
    "#);
    assert_snapshot!(step_refusal("{ at = { disk = 3, host = \"coordinator\" }, fault = { pause = { host = \"coordinator\", for_ms = 9 } } }"), @r#"
    a pause needs a point that somebody reaches
     --> scenarios/story.toml:3:54
      |
    3 |   { at = { disk = 3, host = "coordinator" }, fault = { pause = { host = "coordinator", for_ms = 9 } } },
      |                                                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = help: a pause holds whoever reaches a point: write `at = { point = "…", host = "…" }`, or `effect = 1` in place of the point
    "#);
    assert_snapshot!(step_refusal("{ at = { point = \"begin.before\", host = \"coordinator\" }, fault = { pause = { host = \"graph\", for_ms = 9 } } }"), @r#"
    the pause on `graph` is triggered by a point of `coordinator`
     --> scenarios/story.toml:3:87
      |
    3 |   { at = { point = "begin.before", host = "coordinator" }, fault = { pause = { host = "graph", for_ms = 9 } } },
      |                                                                                       ^^^^^^^
      = help: write `host = "coordinator"`: who reaches the point is held there
    "#);
}

#[test]
fn clients_that_cannot_be() {
    let op = "steps = [{ at_ms = 0, client = \"c1\", do = \"stop\" }]\n";
    assert_snapshot!(refusal("seeds = [1]\n"), @r#"
    nobody does anything
     --> scenarios/story.toml:1:1
      |
    1 | seeds = [1]
      | ^
      = help: add a step with `client` and `do`, or a `[workload]`
    "#);
    assert_snapshot!(refusal("[workload]\noperations = 3\n"), @r#"
    the workload has no clients
     --> scenarios/story.toml:1:1
      |
    1 | [workload]
      | ^^^^^^^^^^
      = help: add `clients = 2` at the top of the file
    "#);
    assert_snapshot!(refusal("clients = 2\n"), @r#"
    the clients have nothing to do
     --> scenarios/story.toml:1:11
      |
    1 | clients = 2
      |           ^
      = help: add a step with `client` and `do`, or a `[workload]`
    "#);
    assert_snapshot!(refusal(&format!("clients = [\"c1\", \"c1\"]\n{op}")), @r#"
    the client `c1` is named twice
     --> scenarios/story.toml:1:18
      |
    1 | clients = ["c1", "c1"]
      |                  ^^^^
      = help: name it once
    "#);
    assert_snapshot!(refusal(&format!("clients = [\"c1\", \"Bob Ross\"]\n{op}")), @r#"
    `Bob Ross` cannot be the name of a client
     --> scenarios/story.toml:1:18
      |
    1 | clients = ["c1", "Bob Ross"]
      |                  ^^^^^^^^^^
      = help: write a lower-case letter, then lower-case letters, digits, `-` and `_`: it names a host
    "#);
    assert_snapshot!(refusal("steps = [{ at_ms = 0, client = \"\", do = \"stop\" }]"), @r#"
    `` cannot be the name of a client
     --> scenarios/story.toml:1:32
      |
    1 | steps = [{ at_ms = 0, client = "", do = "stop" }]
      |                                ^^
      = help: write a lower-case letter, then lower-case letters, digits, `-` and `_`: it names a host
    "#);
}

#[test]
fn faults_that_would_do_nothing() {
    let refusal = |fault: &str| step_refusal(&format!("{{ at_ms = 3, fault = {{ {fault} }} }}"));
    assert_snapshot!(refusal(r#"disk = { host = "coordinator", kind = "disk_full", percent = 0, for_ms = 9 }"#), @r#"
    `percent` is 0
     --> scenarios/story.toml:3:87
      |
    3 |   { at_ms = 3, fault = { disk = { host = "coordinator", kind = "disk_full", percent = 0, for_ms = 9 } } },
      |                                                                                       ^
      = help: write a number from 1 to 100
    "#);
    assert_snapshot!(refusal(r#"disk = { host = "coordinator", kind = "disk_full", at_most = 0, for_ms = 9 }"#), @r#"
    `at_most` is zero: the fault does nothing
     --> scenarios/story.toml:3:87
      |
    3 |   { at_ms = 3, fault = { disk = { host = "coordinator", kind = "disk_full", at_most = 0, for_ms = 9 } } },
      |                                                                                       ^
      = help: write a number from 1 up
    "#);
    assert_snapshot!(refusal(r#"bit_rot = { host = "coordinator", file = "/data/log", bits = 0, restart_after_ms = 9 }"#), @r#"
    `bits` is zero: the fault does nothing
     --> scenarios/story.toml:3:87
      |
    3 |   { at_ms = 3, fault = { bit_rot = { host = "coordinator", file = "/data/log", bits = 0, restart_after_ms = 9 } } },
      |                                                                                       ^
      = help: write a number from 1 up
    "#);
    assert_snapshot!(refusal(r#"bit_rot = { host = "coordinator", file = "/data/log", after = "", restart_after_ms = 9 }"#), @r#"
    `after` is empty
     --> scenarios/story.toml:3:88
      |
    3 |   { at_ms = 3, fault = { bit_rot = { host = "coordinator", file = "/data/log", after = "", restart_after_ms = 9 } } },
      |                                                                                        ^^
      = help: leave it out to hit the file anywhere
    "#);
    assert_snapshot!(
        refusal(r#"truncation = { host = "coordinator", file = "/data/log", keep_percent = 100, restart_after_ms = 9 }"#),
        @r#"
    `keep_percent` is 100
     --> scenarios/story.toml:3:98
      |
    3 |   { at_ms = 3, fault = { truncation = { host = "coordinator", file = "/data/log", keep_percent = 100, restart_after_ms = 9 } } },
      |                                                                                                  ^^^
      = help: write a number from 0 to 99
    "#
    );
    assert_snapshot!(refusal(r#"forget = { host = "graph", commits = 0, restart_after_ms = 9 }"#), @r#"
    `commits` is zero: the fault does nothing
     --> scenarios/story.toml:3:63
      |
    3 |   { at_ms = 3, fault = { forget = { host = "graph", commits = 0, restart_after_ms = 9 } } },
      |                                                               ^
      = help: write a number from 1 up
    "#);
    assert_snapshot!(refusal(r#"clock_skew = { host = "graph", by_ms = 0, for_ms = 9 }"#), @r#"
    `by_ms` is zero: the fault does nothing
     --> scenarios/story.toml:3:65
      |
    3 |   { at_ms = 3, fault = { clock_skew = { host = "graph", by_ms = 0, for_ms = 9 } } },
      |                                                                 ^
      = help: write a number from 1 up
    "#);
    assert_snapshot!(refusal(r#"clock_drift = { host = "graph", ppm = 0, for_ms = 9 }"#), @r#"
    `ppm` is zero: the fault does nothing
     --> scenarios/story.toml:3:64
      |
    3 |   { at_ms = 3, fault = { clock_drift = { host = "graph", ppm = 0, for_ms = 9 } } },
      |                                                                ^
      = help: write a number from 1 up
    "#);
    assert_snapshot!(refusal(r#"slow_disk = { host = "coordinator", extra_ms = 0, for_ms = 9 }"#), @r#"
    `extra_ms` is zero
     --> scenarios/story.toml:3:73
      |
    3 |   { at_ms = 3, fault = { slow_disk = { host = "coordinator", extra_ms = 0, for_ms = 9 } } },
      |                                                                         ^
      = help: write a number of milliseconds from 1 up
    "#);
}
