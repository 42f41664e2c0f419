//! A server that answers only those who know its token.

use coordinator::client::ClientError;
use coordinator::commit::IdempotencyKey;
use coordinator::http::{Limits, Serving, Token, paths};
use coordinator::problem::{At, ProblemType};

use crate::support::{JSON, Server, create};

const TOKEN: &str = "a-token-of-some-length";

async fn guarded() -> Server {
    let token = Some(Token::new(TOKEN).unwrap());
    Server::start_with(|_| {}, Serving { limits: Limits::default(), token }).await
}

#[tokio::test]
async fn without_the_token_there_is_nothing_but_the_health() {
    let server = guarded().await;
    for path in paths().chain(["/nowhere"]) {
        let target = path.replace("{id}", "a").replace("{tx}", "tx-1-1");
        let reply = server.get(&target).await;
        if path == "/healthz" {
            assert_eq!(reply.status, 200);
            continue;
        }
        let problem = reply.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::Unauthorized, 401), "{path}");
        assert_eq!(problem.at, Some(At::Header("authorization".to_owned())));
        assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="coordinator""#));
    }
    assert_eq!(server.post("k", &create("a")).await.problem().kind, ProblemType::Unauthorized);
}

#[tokio::test]
async fn only_the_token_itself_is_let_through() {
    let server = guarded().await;
    let get = async |authorization: &str| {
        server.send(&format!("GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\r\n")).await
    };
    for right in [format!("Authorization: Bearer {TOKEN}\r\n"), format!("authorization: bEARER  {TOKEN} \r\n")] {
        assert_eq!(get(&right).await.status, 200, "{right}");
    }
    for wrong in ["Bearer a-token-of-some-lengt", "Bearer a-token-of-some-length0", "Bearer A-TOKEN-OF-SOME-LENGTH"] {
        let reply = get(&format!("Authorization: {wrong}\r\n")).await;
        assert_eq!(reply.problem().kind, ProblemType::Unauthorized);
        let challenge = r#"Bearer realm="coordinator", error="invalid_token""#;
        assert_eq!(reply.header("www-authenticate"), Some(challenge), "{wrong}");
    }
    let twice = format!("Authorization: Bearer {TOKEN}\r\n").repeat(2);
    for none in [&twice, &format!("Authorization: {TOKEN}\r\n"), "Authorization: Basic YTpi\r\n", "Authorization:\r\n"]
    {
        assert_eq!(get(none).await.problem().kind, ProblemType::Unauthorized, "{none}");
    }
}

#[tokio::test]
async fn a_client_that_knows_it_is_a_client_like_any_other() {
    let server = guarded().await;
    let patch = serde_json::from_str(&create("a")).unwrap();
    let key = IdempotencyKey("k".to_owned());
    let refused = server.client().submit(&key, &patch).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(problem) if problem.kind == ProblemType::Unauthorized));
    let client = server.client().with_token(TOKEN).unwrap();
    client.submit(&key, &patch).await.unwrap();
    assert!(client.read(&"a".parse().unwrap()).await.unwrap().is_some());
    for text in ["", "a b", "a\r\nX: y"] {
        assert!(server.client().with_token(text).is_err(), "{text:?}");
    }
}

#[tokio::test]
async fn a_body_is_not_read_before_it_is_known_who_sends_it() {
    let server = guarded().await;
    let head =
        format!("POST /transactions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{JSON}Content-Length: 9\r\n\r\n");
    assert_eq!(server.send(&head).await.problem().kind, ProblemType::Unauthorized);
}
