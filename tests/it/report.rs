//! Pages about runs, as people ask for them. What is on them is tested in a browser: `scripts/report-test`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::run;

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// What the page was given.
fn data(page: &Path) -> Value {
    let page = fs::read_to_string(page).expect("the page is there");
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    let (_, from) = page.split_once("id=\"data\">").expect("it has data");
    let (data, _) = from.split_once("</script>").expect("they end");
    serde_json::from_str(data).expect("they are JSON")
}

#[test]
fn a_failing_run_leaves_a_page_beside_its_capsule_unless_told_not_to() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let failures = folder.path().join("failures");
    let arguments = ["run", "canary", "--seeds", "0", "--no-shrink", "--failures", text(&failures)];
    let rung = run(&arguments);
    assert_eq!(rung.code, 1, "{}{}", rung.stdout, rung.stderr);
    let capsule = rung.stdout.lines().last().and_then(|line| line.strip_prefix("squall replay ")).expect("a command");
    let page = capsule.replace(".capsule.json", ".html");
    assert!(rung.stdout.contains(&format!("report: {page}\n")), "{}", rung.stdout);
    let shown = data(Path::new(&page));
    assert_eq!(shown["replay"], format!("squall replay {capsule}"));
    let first = &shown["violations"][0];
    assert!(page.contains(first["fingerprint"].as_str().expect("a text")), "the page is about its own failure");
    let events = shown["timeline"]["events"]["at_ms"].as_array().expect("events").len();
    assert!(first["event"].as_u64().is_some_and(|event| event < events as u64), "{first}");

    fs::remove_dir_all(&failures).expect("it can be removed");
    let summary = folder.path().join("summary.md");
    fs::write(&summary, "before\n").expect("it can be written");
    assert_eq!(run(&[&arguments[..], &["--no-report", "--summary", text(&summary)]].concat()).code, 1);
    let summary = fs::read_to_string(&summary).expect("it is there");
    assert!(summary.starts_with("before\n## squall: failed\n") && summary.contains("squall replay "), "{summary}");
    let mut files = fs::read_dir(&failures).expect("it is there").map(|file| file.expect("a file").path());
    assert!(files.all(|file| text(&file).ends_with(".capsule.json")));
}

#[test]
fn a_passing_run_can_be_shown_beside_another() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let page = folder.path().join("page.html");
    let scenario = "scenarios/crash_after_decide.toml";
    let other = "scenarios/one_commit.toml";
    let shown = run(&["report", scenario, "--seed", "3", "--against", other, "-o", text(&page)]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.starts_with("Nothing broke: "), "{}", shown.stdout);
    let data = data(&page);
    assert_eq!((&data["scenario"], &data["seed"]), (&"crash_after_decide".into(), &3.into()));
    assert_eq!(data["replay"], format!("squall replay {scenario} --seed 3"));
    let stores = data["stores"].as_array().expect("stores");
    let judged = stores.iter().filter(|store| store["judged"] == true).collect::<Vec<_>>();
    assert_eq!(judged.len(), 2);
    let lines = judged.iter().flat_map(|store| store["lines"].as_array().expect("lines"));
    assert!(lines.map(|line| &line["sign"]).all(|sign| sign == "same"), "{judged:?}");
    let spans = data["timeline"]["spans"].as_array().expect("spans");
    assert!(spans.iter().any(|span| span["kind"] == "down" && span["to"].is_u64()), "{spans:?}");
    assert_eq!(data["against"]["outcome"], "passes");
    assert!(data["against"]["plan"].as_array().is_some_and(|rows| rows.iter().any(|row| row["left"] != row["right"])));
}

#[test]
fn two_seeds_of_a_scenario_can_be_compared() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let page = folder.path().join("page.html");
    let swarm = "scenarios/swarm.toml";
    let compared = ["report", swarm, "--seed", "1", "--against", swarm, "-o", text(&page)];
    for (more, title, differ) in [
        (&[][..], "scenarios/swarm.toml with seed 1", false),
        (&["--against-seed", "2"], "scenarios/swarm.toml with seed 2", true),
    ] {
        let shown = run(&[&compared[..], more].concat());
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        let against = &data(&page)["against"];
        assert_eq!(against["title"], title);
        let rows = against["decisions"].as_array().expect("decisions");
        assert_eq!(rows.iter().any(|row| row["left"] != row["right"]), differ, "{title}");
    }
    let capsule = folder.path().join("it.capsule.json");
    for wrong in [&["--against-seed", "2"][..], &["--against", text(&capsule), "--against-seed", "2"]] {
        let refused = run(&[&["report", swarm], wrong].concat());
        assert_eq!(refused.code, 2, "{}", refused.stderr);
    }
}

#[test]
fn what_a_plan_alone_leads_to_has_no_moment_at_which_it_became_inevitable() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let failures = folder.path().join("failures");
    let rung = run(&["run", "canary", "--seeds", "0", "--no-report", "--failures", text(&failures)]);
    let last = rung.stdout.lines().last().expect("it says what to type next");
    let capsule = last.strip_prefix("squall replay ").expect("it is a command");
    let page = folder.path().join("curve.html");
    let pointed = run(&["pinpoint", capsule, "--runs", "4", "-o", text(&page)]);
    assert_eq!(pointed.code, 1, "{}", pointed.stderr);
    assert!(pointed.stdout.contains("the plan alone leads there"), "{}", pointed.stdout);
    let curve = &data(&page)["curve"];
    assert_eq!((&curve["runs"], &curve["jump"]), (&4.into(), &Value::Null));
    let points = curve["points"].as_array().expect("points");
    assert!(!points.is_empty() && points.iter().all(|point| point["failed"] == 4), "{curve}");
}
