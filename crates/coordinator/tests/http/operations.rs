//! What those see who run it: metrics, alerts, and the documents made for them.

use std::collections::BTreeSet;
use std::path::Path;

use coordinator::http::Alerts;
use coordinator::operations::AlertKind;

use crate::support::{Mood, Reply, Server, create};

/// The value of a series; its labels as the page writes them.
#[track_caller]
fn value(page: &Reply, series: &str) -> f64 {
    let found = page.body().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {series} in\n{}", page.body())).parse().unwrap()
}

#[tokio::test]
async fn what_clients_were_told_is_what_was_counted() {
    let server = Server::start().await;
    for (key, id) in [("k1", "a"), ("k2", "b"), ("k1", "a"), ("k3", "a"), ("k3", "a"), ("k1", "b")] {
        server.post(key, &create(id)).await;
    }
    server.get("/entities/a").await;
    server.get("/entities/z").await;
    server.mood.send_replace(Mood::Unwilling);
    server.post("k4", &create("c")).await;
    let page = server.get("/metrics").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    for (series, expected) in [
        ("coordinator_transactions_total{outcome=\"committed\"}", 2.0),
        ("coordinator_transactions_total{outcome=\"refused\"}", 1.0),
        ("coordinator_transactions_total{outcome=\"graph_refused\"}", 1.0),
        ("coordinator_transactions_total{outcome=\"fenced\"}", 0.0),
        ("coordinator_requests_total{request=\"transaction\",answer=\"committed\"}", 2.0),
        ("coordinator_requests_total{request=\"transaction\",answer=\"repeated\"}", 2.0),
        ("coordinator_requests_total{request=\"transaction\",answer=\"refused\"}", 1.0),
        ("coordinator_requests_total{request=\"transaction\",answer=\"key_reused\"}", 1.0),
        ("coordinator_requests_total{request=\"read\",answer=\"found\"}", 1.0),
        ("coordinator_requests_total{request=\"read\",answer=\"absent\"}", 1.0),
        ("coordinator_decisions_total{decision=\"deduplicated\"}", 2.0),
        ("coordinator_id_conflicts_total{kind=\"entity\"}", 1.0),
        ("coordinator_id_conflicts_total{kind=\"key\"}", 1.0),
        ("coordinator_request_duration_seconds_count{request=\"transaction\"}", 7.0),
        ("coordinator_transaction_duration_seconds_bucket{le=\"+Inf\"}", 4.0),
        ("coordinator_in_doubt", 0.0),
        ("coordinator_halted", 0.0),
        ("coordinator_checks_total{check=\"start\",result=\"passed\"}", 1.0),
        ("coordinator_alert_firing{alert=\"id_conflict\"}", 1.0),
        ("coordinator_alert_firing{alert=\"failure_rate\"}", 0.0),
    ] {
        assert_eq!(value(&page, series), expected, "{series}");
    }
}

#[tokio::test]
async fn the_page_is_one_that_prometheus_reads() {
    let server = Server::start().await;
    server.post("k1", &create("a")).await;
    let page = server.get("/metrics").await;
    let (mut typed, mut series) = (BTreeSet::new(), BTreeSet::new());
    let mut metric = String::new();
    for line in page.body().lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(typed.insert(name.to_owned()), "{name} comes twice");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            metric = name.to_owned();
        } else if !line.starts_with("# HELP ") {
            let (name, number) = line.rsplit_once(' ').unwrap();
            assert!(number.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            assert!(name.starts_with(&metric), "{line} stands under {metric}");
            assert!(series.insert(name.to_owned()), "{name} comes twice");
        }
    }
    assert!(typed.len() >= 20, "{typed:?}");
}

#[tokio::test]
async fn stores_that_differ_are_an_alert() {
    let server = Server::start().await;
    server.post("k1", &create("a")).await;
    let alerts: Alerts = serde_json::from_value(server.get("/alerts").await.json()).unwrap();
    assert_eq!((alerts.firing, alerts.alerts.len()), (0, AlertKind::ALL.len()));
    let ledger = rusqlite::Connection::open(server.data.path().join(coordinator::LEDGER_FILE)).unwrap();
    ledger.execute("DELETE FROM entity", []).unwrap();
    assert_eq!(server.get("/entities/a").await.status, 503);
    let alerts: Alerts = serde_json::from_value(server.get("/alerts").await.json()).unwrap();
    let [alert] = alerts.alerts.into_iter().filter(|alert| alert.firing).collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(alert.alert, AlertKind::CheckFailed);
    assert!(alert.detail.contains("only the graph has entity a"), "{}", alert.detail);
    // What fits SQLite and not the graph is another sign of it.
    server.post("k2", &create("a")).await;
    assert_eq!(value(&server.get("/metrics").await, "coordinator_store_differences_total"), 2.0);
}

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)).unwrap()
}

/// The words of a text that begin like a metric of ours.
fn metrics_named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("coordinator_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_metric_that_the_documents_name_exists() {
    let server = Server::start().await;
    let page = server.get("/metrics").await;
    let exist: BTreeSet<String> =
        page.body().lines().filter(|line| !line.starts_with('#')).flat_map(metrics_named).collect();
    for name in ["prometheus-rules.yml", "grafana-dashboard.json"] {
        let named = metrics_named(&document(name));
        assert!(named.len() >= 5, "{name} names {named:?}");
        let missing: Vec<&String> = named.difference(&exist).collect();
        assert!(missing.is_empty(), "{name} names {missing:?}");
    }
}

#[tokio::test]
async fn every_label_that_the_documents_ask_for_exists() {
    let server = Server::start().await;
    let page = server.get("/metrics").await;
    for name in ["prometheus-rules.yml", "grafana-dashboard.json"] {
        let text = document(name).replace("\\\"", "\"");
        for label in ["answer", "decision"] {
            for (_, rest) in
                text.match_indices(&format!("{label}=~\"")).map(|(at, found)| text.split_at(at + found.len()))
            {
                for wanted in rest.split('"').next().unwrap().split('|') {
                    assert!(page.body().contains(&format!("{label}=\"{wanted}\"")), "{name}: {label} {wanted}");
                }
            }
        }
    }
}

#[test]
fn every_alert_is_among_the_rules() {
    let rules = document("prometheus-rules.yml");
    for alert in AlertKind::ALL {
        let label = format!("alert_kind: {}\n", alert.name());
        assert_eq!(rules.matches(&label).count(), 1, "{label}");
    }
    assert_eq!(rules.matches("alert_kind: ").count(), AlertKind::ALL.len());
}

#[test]
fn the_dashboard_is_json_with_panels_that_do_not_overlap() {
    let dashboard: serde_json::Value = serde_json::from_str(&document("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for cell in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(taken.insert(cell) && cell.0 < 24, "{} at {cell:?}", panel["title"]);
        }
    }
}
