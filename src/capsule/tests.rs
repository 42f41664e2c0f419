use std::io::ErrorKind;

use proptest::prelude::*;

use super::*;
use crate::plan::fake::{Fake, Op};
use crate::plan::{expand, parse_for};

fn capsule(seed: u64) -> Capsule<Op> {
    let text = "clients = 2\nprofile = \"swarm\"\n[workload]\noperations = 3\n";
    let scenario = parse_for::<Fake>("scenarios/two clients.toml", text).unwrap();
    let plan = expand(&scenario, &Fake, seed).unwrap();
    let fingerprint = Fingerprint::of("atomicity", "orphan");
    let expected = Expected { property: "atomicity".to_owned(), fingerprint };
    Capsule::new::<Fake>(plan, Some(expected), "5ca1ab1e".to_owned())
}

/// What loading a file of this text says, with the folder left out.
fn refusal(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it.capsule.json");
    fs::write(&path, text).unwrap();
    let error = Capsule::load::<Fake>(&path).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

fn json(capsule: &Capsule<Op>) -> Value {
    serde_json::to_value(capsule).unwrap()
}

#[test]
fn what_is_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("not/there/yet");
    for seed in [0, 1, u64::MAX] {
        let saved = capsule(seed);
        let path = saved.save(&folder).unwrap();
        assert_eq!(Capsule::load::<Fake>(&path).unwrap(), saved);
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), saved.file_name());
    }
    // One failure, one file, whatever the seed; and nothing temporary is left.
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn the_name_tells_scenario_and_failure() {
    let fingerprint = Fingerprint::of("atomicity", "orphan");
    assert_eq!(capsule(3).file_name(), format!("two-clients-{fingerprint}.capsule.json"));
    assert_eq!(Capsule { expected: None, ..capsule(3) }.file_name(), "two-clients-seed-3.capsule.json");
}

#[test]
fn a_plan_that_was_edited_is_known_and_one_that_was_only_written_in_another_way_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let edited = |value: &Value| {
        let path = folder.path().join("it.capsule.json");
        // In one line, unlike squall.
        fs::write(&path, value.to_string()).unwrap();
        Capsule::load::<Fake>(&path).unwrap().edited
    };
    let mut stored = json(&capsule(1));
    assert!(!edited(&stored));
    stored["digest"] = "0".into();
    stored["decisions"] = serde_json::json!(["3 ms coordinator input it"]);
    assert!(!edited(&stored), "that is not the plan");
    let steps = stored["plan"]["clients"][0]["steps"].as_array_mut().unwrap();
    steps[0]["at_ms"] = 4_711.into();
    assert!(edited(&stored));
    stored.as_object_mut().unwrap().remove("plan_digest");
    assert!(!edited(&stored), "an older squall did not write how it was");
}

#[test]
fn a_file_is_replaced_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = capsule(1).save(folder.path()).unwrap();
    capsule(2).save(folder.path()).unwrap();
    assert_eq!(Capsule::load::<Fake>(&path).unwrap(), capsule(2));
    // A folder stands where the file should go: the rename fails, and the temporary file goes away again.
    fs::remove_file(&path).unwrap();
    fs::create_dir_all(path.join("inside")).unwrap();
    let error = capsule(3).save(folder.path()).unwrap_err();
    assert!(matches!(&error, CapsuleError::Io { action: "put in its place", .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for below in ["", "capsules"] {
        let error = capsule(1).save(&file.join(below)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("failed to create the folder {}", file.display())), "{error}");
        assert!(error.ends_with("; a file stands where a folder is needed"), "{error}");
    }
}

#[test]
fn full_disks_and_forbidden_folders_come_with_advice() {
    for (kind, advice) in [
        (ErrorKind::StorageFull, "; make room, or name a folder on another disk"),
        (ErrorKind::QuotaExceeded, "; make room, or name a folder on another disk"),
        (ErrorKind::PermissionDenied, "; name a folder that can be written"),
        (ErrorKind::ReadOnlyFilesystem, "; name a folder that can be written"),
    ] {
        let error = CapsuleError::Io { action: "write", path: PathBuf::from("failures/x"), error: kind.into() };
        assert_eq!(error.to_string(), format!("failed to write failures/x: {kind}{advice}"));
    }
}

#[test]
fn a_file_that_is_not_there_is_told_so() {
    let error = Capsule::load::<Fake>(Path::new("no/such.capsule.json")).unwrap_err().to_string();
    assert!(error.starts_with("failed to read no/such.capsule.json: "), "{error}");
}

#[test]
fn truncated_files() {
    let text = serde_json::to_string_pretty(&capsule(1)).unwrap();
    for length in [0, 1, text.len() / 3, text.len() / 2, text.len() - 1] {
        let told = refusal(&text[..length]);
        assert!(told.starts_with("it.capsule.json:"), "{told}");
        assert!(told.ends_with(": the capsule ends too early; copy it again or make it anew"), "{told}");
    }
    assert!(refusal(&text[..text.len() - 2]).starts_with(&format!("it.capsule.json:{}:", text.lines().count() - 1)));
}

#[test]
fn broken_files() {
    insta::assert_snapshot!(refusal("{\n  \"format\": 1,\n  oops\n}"), @r#"it.capsule.json:3:3: the capsule is broken: key must be a string"#);
    let text = serde_json::to_string_pretty(&capsule(1)).unwrap();
    insta::assert_snapshot!(refusal(&text.replacen("\"digest\"", "\"digset\"", 1)), @r#"it.capsule.json:9:10: the capsule is broken: unknown field `digset`, expected one of `format`, `squall_version`, `system`, `expected`, `digest`, `plan_digest`, `plan`, `passing`, `decisions`"#);
    insta::assert_snapshot!(refusal(&text.replacen("\"seed\": 1,", "\"seed\": -1,", 1)), @r#"it.capsule.json:14:14: the capsule is broken: invalid value: integer `-1`, expected u64"#);
    insta::assert_snapshot!(refusal(&text.replacen("\"create\"", "\"crate\"", 1)), @r#"it.capsule.json:30:21: the capsule is broken: unknown variant `crate`, expected one of `create`, `batch`, `scale`, `link`, `read`, `stop`"#);
    insta::assert_snapshot!(refusal(&text.replacen("\"fingerprint\": \"", "\"fingerprint\": \"z", 1)), @r#"it.capsule.json:8:3: the capsule is broken: invalid digit found in string"#);
    insta::assert_snapshot!(refusal(&format!("{text}{text}")), @r#"it.capsule.json:167:2: the capsule is broken: trailing characters"#);
}

#[test]
fn plans_that_name_what_is_not_there() {
    let edited = |pointer: &str, value: Value| {
        let mut capsule = json(&capsule(1));
        capsule["plan"]["faults"] = serde_json::json!([
            { "at": { "ms": 5 }, "fault": { "kill": { "host": "graph", "restart_after_ms": 5 } } },
            {
                "at": { "point": { "host": "coordinator", "point": "begin.before", "nth": 1 } },
                "fault": { "pause": { "host": "coordinator", "for_ms": 5 } },
            },
        ]);
        capsule["plan"]["checks"] = serde_json::json!(["atomicity"]);
        capsule["plan"]["system"] = serde_json::json!({});
        *capsule["plan"].pointer_mut(pointer).unwrap() = value;
        refusal(&capsule.to_string())
    };
    insta::assert_snapshot!(edited("/faults/0/fault/kill/host", "graf".into()), @"
    unknown host `graf`
     --> it.capsule.json: plan.faults[0].fault.kill.host
      = help: did you mean `graph`? hosts: `coordinator`, `graph`
    ");
    insta::assert_snapshot!(edited("/faults/1/at/point/point", "begin.after".into()), @"
    unknown point `begin.after` on `coordinator`
     --> it.capsule.json: plan.faults[1].at.point.point
      = help: did you mean `begin.before`? points: `begin.before`, `commit.decide.before`, `commit.decide.after`
    ");
    insta::assert_snapshot!(edited("/faults/1/at/point/nth", 0.into()), @"
    points are counted from 1
     --> it.capsule.json: plan.faults[1].at.point.nth
      = help: write a number from 1 up
    ");
    insta::assert_snapshot!(edited("/checks/0", "atomicty".into()), @"
    unknown check `atomicty`
     --> it.capsule.json: plan.checks[0]
      = help: did you mean `atomicity`? checks: `atomicity`, `durability`
    ");
    insta::assert_snapshot!(edited("/network/tick_ms", 0.into()), @"
    `tick_ms` is zero
     --> it.capsule.json: plan.network.tick_ms
      = help: write a number of milliseconds from 1 up
    ");
    insta::assert_snapshot!(edited("/system", serde_json::json!({ "shard": 2 })), @"
    unknown option `shard`: the system takes `shards`
     --> it.capsule.json: plan.system
      = help: correct the option
    ");
}

#[test]
fn foreign_files() {
    insta::assert_snapshot!(refusal("[1, 2]"), @r#"it.capsule.json is not a capsule: it is no JSON object"#);
    insta::assert_snapshot!(refusal("{\"name\": \"squall\", \"version\": 3}"), @r#"it.capsule.json is not a capsule: missing field `format` at line 1 column 32"#);
    insta::assert_snapshot!(refusal("# a scenario\nsteps = []\n"), @r#"it.capsule.json is not a capsule: it is no JSON object"#);
}

#[test]
fn files_of_the_future_and_of_other_systems() {
    let mut future = json(&capsule(1));
    future["format"] = 2.into();
    future["squall_version"] = "9.1.0".into();
    future["what nobody thought of yet"] = true.into();
    insta::assert_snapshot!(refusal(&future.to_string()), @r#"it.capsule.json has a capsule of form 2; this squall reads form 1: replay it with squall 9.1.0, which wrote it"#);
    let mut future_plan = json(&capsule(1));
    future_plan["plan"]["format"] = 7.into();
    future_plan["plan"]["faults"] = "in words".into();
    future_plan["squall_version"] = "9.1.0".into();
    insta::assert_snapshot!(refusal(&future_plan.to_string()), @r#"it.capsule.json has a plan of form 7; this squall reads form 1: replay it with squall 9.1.0, which wrote it"#);
    let mut other = json(&capsule(1));
    other["system"] = "register".into();
    insta::assert_snapshot!(refusal(&other.to_string()), @r#"it.capsule.json is about the system `register`; this program tests `fake`: replay it with the other"#);
}

proptest! {
    /// A file that ends too early, and not as it should, is refused wherever that is; and never by a panic.
    #[test]
    fn damage_is_found(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.capsule.json");
        let mut text = serde_json::to_vec_pretty(&capsule(1)).unwrap();
        let at = at.index(text.len());
        let harmless = text[at] == byte && at + 1 == text.len();
        text.truncate(at + 1);
        text[at] = byte;
        fs::write(&path, text).unwrap();
        prop_assert_eq!(Capsule::load::<Fake>(&path).is_ok(), harmless);
    }
}
