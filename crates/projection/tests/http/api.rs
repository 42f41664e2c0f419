//! What readers and operators are told.

use std::time::Duration;

use projection::http::ProblemType;
use projection::operations::AlertKind;
use projection::service::Options;
use tempfile::{TempDir, tempdir};
use web::server::Serving;
use web::token::Token;

use crate::store::EventStore;
use crate::support::{Running, created, event, id, linked, open, options, unlinked};

async fn start() -> (EventStore, TempDir, Running) {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    (store, folder, projector)
}

#[tokio::test]
async fn a_resource_is_read_with_its_links_and_says_how_fresh_that_is() {
    let (store, _folder, projector) = start().await;
    store.append([created("p/1"), linked("p/1", 2, "q"), created("r"), linked("r", 2, "p/1")]);
    projector.settle(&store).await;
    projector.until(async |projector| projector.operations().is_complete() == Some(true)).await;
    let view = projector.client().resource(&id("p/1")).await.unwrap();
    assert!(!view.stub && view.properties["name"].as_text() == Some("p/1"), "{view:?}");
    let links: Vec<(&str, bool)> =
        view.annotations[&id("a")].links.iter().map(|link| (link.to.as_str(), link.stub)).collect();
    assert_eq!(links, [("q", true)]);
    assert!(!projector.client().resource(&id("r")).await.unwrap().annotations[&id("a")].links[0].stub);
    let freshness = view.freshness;
    assert_eq!((freshness.indexed_up_to, freshness.complete, freshness.rebuilding), (2, Some(true), false));
    assert!(freshness.delay.is_some());
    let stub = projector.client().resource(&id("q")).await.unwrap();
    assert!(stub.stub && stub.properties.is_empty(), "{stub:?}");
    let missing = projector.get("/resources/nobody").await;
    assert_eq!((missing.status, missing.problem().kind), (404, ProblemType::NoSuchResource));
    assert_eq!(projector.get("/resources/a%20b").await.problem().kind, ProblemType::MalformedRequest);
}

#[tokio::test]
async fn a_page_of_what_links_to_a_resource_has_a_tag_that_follows_its_links() {
    let (store, _folder, projector) = start().await;
    let target = "/resources/q/referenced-by";
    store.append([created("q"), created("p")]);
    projector.settle(&store).await;
    let read = async |tag: &str| {
        let reply = projector.get_with(target, &format!("If-None-Match: {tag}\r\n")).await;
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        (reply.status, reply.header("etag").unwrap().to_owned())
    };
    let (status, none) = read("\"x\"").await;
    assert_eq!((status, read(&none).await.0), (200, 304));
    // A link appears, goes, and appears again.
    store.append([linked("p", 2, "q")]);
    projector.settle(&store).await;
    let (status, one) = read(&none).await;
    assert!(status == 200 && one != none);
    let page = projector.client().referrers(&id("q"), "").await.unwrap();
    assert_eq!((page.annotations[0].resource.as_str(), page.annotations[0].annotation.as_str()), ("p", "a"));
    store.append([unlinked("p", 3)]);
    projector.settle(&store).await;
    assert_eq!(read(&one).await, (200, none.clone()), "what is as it was has the tag that it had");
    store.append([linked("p", 4, "q")]);
    projector.settle(&store).await;
    assert_eq!(read(&none).await, (200, one.clone()));
    // Neither what happens to the resource itself nor a rebuild is anything to those who show what links to it.
    store.append([event("q", 2, "resource.archived", &serde_json::json!({}))]);
    projector.settle(&store).await;
    projector.client().rebuild(&projection::lanes::Scope::All).await.unwrap();
    assert_eq!(read(&format!("\"y\", {one}")).await, (304, one));
    assert_eq!(projector.get("/resources/nobody/referenced-by").await.status, 404);
}

#[tokio::test]
async fn what_links_to_a_resource_is_read_in_pages() {
    let (store, _folder, projector) = start().await;
    for name in ["p1", "p2", "p3"] {
        store.append([created(name), linked(name, 2, "q")]);
    }
    projector.settle(&store).await;
    let first = projector.get("/resources/q/referenced-by?limit=2").await.json();
    assert_eq!((first["annotations"].as_array().unwrap().len(), &first["stub"]), (2, &true.into()));
    let next = first["next"].as_str().unwrap().replace('#', "%23");
    let second = projector.get(&format!("/resources/q/referenced-by?limit=2&after={next}")).await.json();
    assert_eq!((&second["annotations"][0]["resource"], &second["next"]), (&"p3".into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn what_was_done_is_counted() {
    let (store, _folder, projector) = start().await;
    store.append([created("p"), linked("p", 2, "q"), created("p")]);
    projector.settle(&store).await;
    let metrics = projector.get("/metrics").await;
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "projector_events_applied_total 2",
        "projector_decisions_total{decision=\"gap\"} 0",
        "projector_decisions_total{decision=\"rebuilt\"} 0",
        "projector_lag_positions 0",
        "projector_low_water 3",
        "projector_halted 0",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line} in {}", metrics.body);
    }
    projector.client().rebuild(&projection::lanes::Scope::One(id("p"))).await.unwrap();
    let metrics = projector.get("/metrics").await.body;
    assert!(metrics.contains("projector_decisions_total{decision=\"rebuilt\"} 1\n"), "{metrics}");
}

/// The rules for those who collect the counts are about counts that there are, and about every alert.
#[tokio::test]
async fn the_rules_for_prometheus_are_about_what_there_is() {
    let (_store, _folder, projector) = start().await;
    let rules = include_str!("../../../../docs/projector-rules.yml");
    let page = projector.get("/metrics").await.body;
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: Vec<&str> = words.filter(|word| word.starts_with("projector_")).collect();
    assert!(named.len() >= 5, "{named:?}");
    for name in named {
        let exists = page.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        assert!(exists, "{name}");
    }
    for alert in AlertKind::ALL {
        assert_eq!(rules.matches(&format!("alert_kind: {}\n", alert.name())).count(), 1, "{alert:?}");
    }
}

#[tokio::test]
async fn only_those_who_know_the_token_are_answered() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let secret = "0123456789abcdef";
    let serving = Serving { token: Some(Token::new(secret).unwrap()), ..Serving::default() };
    let projector = Running::start_with(open(folder.path()).await, &store, options(), serving).await;
    assert_eq!(projector.get("/healthz").await.status, 200);
    for path in projection::http::paths().filter(|path| *path != "/healthz") {
        let reply = projector.get(&path.replace("{id}", "p").replace("{sequence}", "1")).await;
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer realm=\"projector\""));
    }
    projector.client().with_token(secret).unwrap().status().await.unwrap();
    projector.client().with_token("0123456789abcdeX").unwrap().status().await.unwrap_err();
}

#[tokio::test]
async fn too_many_requests_are_refused_and_nothing_is_lost() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let few = Options { requests_max: 1, ..options() };
    let projector = Running::start_with(open(folder.path()).await, &store, few, Serving::default()).await;
    let client = projector.client();
    // Whoever waits has the only place, and keeps it while the lanes have the question.
    let p = id("p");
    let waited = client.when_applied(&p, 1, Duration::from_secs(15));
    let refused = async {
        projector.until(async |projector| projector.status().await.waiting == 1).await;
        let reply = projector.get("/resources/p").await;
        assert_eq!((reply.status, reply.problem().kind), (503, ProblemType::Overloaded));
        assert_eq!(reply.header("retry-after"), Some("1"));
        store.append([created("p")]);
    };
    let (barrier, ()) = tokio::join!(waited, refused);
    assert!(barrier.unwrap().applied);
    assert_eq!(projector.get("/resources/p").await.status, 200);
}

#[tokio::test]
async fn nonsense_is_refused_where_it_stands() {
    let (_store, _folder, projector) = start().await;
    for target in ["/stubs?limit=0", "/applied/p/x", "/applied/p/1?wait=1", "/resources/p/referenced-by?limit=9999"] {
        let reply = projector.get(target).await;
        assert_eq!((reply.status, reply.problem().kind), (400, ProblemType::MalformedRequest), "{target}");
        assert!(reply.problem().at.is_some(), "{target}");
    }
    for (body, status) in [("\"some\"", 400), ("{\"resource\": \"nobody\"}", 404), ("{}", 400)] {
        let length = body.len();
        let request = format!(
            "POST /rebuilds HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        assert_eq!(projector.send(&request).await.status, status, "{body}");
    }
    assert_eq!(projector.get("/nowhere").await.problem().kind, ProblemType::NoSuchRoute);
    assert_eq!(projector.get("/rebuilds").await.problem().kind, ProblemType::MethodNotAllowed);
}
