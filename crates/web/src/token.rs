//! Who may talk to the server: whoever knows its token (RFC 6750).

use std::fmt;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::{At, Problem, ProblemType, Refusal, Refused};

/// The only path that needs no token: whoever restarts the process has to reach it.
pub const OPEN_PATH: &str = "/healthz";

/// How many characters a token has at least.
pub const TOKEN_CHARS_MIN: usize = 16;

/// How many characters a token has at most.
pub const TOKEN_CHARS_MAX: usize = 512;

/// A secret that a client has to know. Only its SHA-256 is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; 32]);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Fewer than [`TOKEN_CHARS_MIN`] characters, or more than [`TOKEN_CHARS_MAX`].
    #[error("a token has {TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX} characters, this one has {0}")]
    Length(usize),
    /// A character that the header does not carry as it is.
    #[error("a token consists of visible ASCII characters without spaces")]
    Character,
}

impl Token {
    /// Checks the characters and the length. How hard it is to guess is up to who draws it.
    pub fn new(text: &str) -> Result<Token, TokenError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Character);
        }
        if !(TOKEN_CHARS_MIN..=TOKEN_CHARS_MAX).contains(&text.len()) {
            return Err(TokenError::Length(text.len()));
        }
        Ok(Token(digest(text.as_bytes())))
    }

    /// Takes the same time whatever was presented: digests have one length, and are compared in full.
    fn is(&self, presented: &[u8]) -> bool {
        self.0.ct_eq(&digest(presented)).into()
    }
}

/// Nothing of it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// What stands at the door of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    /// What a client has to know; none lets everybody in.
    pub token: Option<Token>,
    /// What the token is for, as the challenge says it.
    pub realm: &'static str,
}

/// Lets requests through that have the token, if there is one.
pub(crate) async fn require<K: ProblemType>(State(door): State<Door>, request: Request, next: Next) -> Response {
    let Door { token, realm } = door;
    match token {
        Some(token) if request.uri().path() != OPEN_PATH => match check(token, request.headers()) {
            Ok(()) => next.run(request).await,
            Err(reason) => refuse::<K>(reason, realm),
        },
        _ => next.run(request).await,
    }
}

/// What stands before the token; in any case.
const SCHEME: &[u8] = b"Bearer ";

/// Why a request is not let through.
#[derive(Clone, Copy)]
enum Reason {
    /// It does not say who it is.
    Missing,
    /// What it says is not the token.
    Wrong,
}

fn check(token: Token, headers: &HeaderMap) -> Result<(), Reason> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Reason::Missing) };
    let presented = match value.as_bytes().split_at_checked(SCHEME.len()) {
        Some((scheme, presented)) if scheme.eq_ignore_ascii_case(SCHEME) => presented,
        _ => return Err(Reason::Missing),
    };
    if token.is(presented.trim_ascii()) { Ok(()) } else { Err(Reason::Wrong) }
}

fn refuse<K: ProblemType>(reason: Reason, realm: &str) -> Response {
    let (detail, challenge) = match reason {
        Reason::Missing => (
            "send Authorization: Bearer TOKEN, with the token that the server was started with",
            format!(r#"Bearer realm="{realm}""#),
        ),
        Reason::Wrong => {
            ("the token is not that of the server", format!(r#"Bearer realm="{realm}", error="invalid_token""#))
        }
    };
    let refusal = Refusal::new(Refused::Unauthorized, detail).at(At::Header(AUTHORIZATION.to_string()));
    let mut response = Problem::<K>::from(refusal).into_response();
    let challenge = HeaderValue::from_str(&challenge).expect("the name of a realm is visible ASCII");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_short_and_has_no_spaces() {
        assert_eq!(Token::new(&"t".repeat(15)), Err(TokenError::Length(15)));
        assert_eq!(Token::new(&"t".repeat(513)), Err(TokenError::Length(513)));
        for text in ["a token of words", "tokentokentoken\n", "tökentokentokentoken"] {
            assert_eq!(Token::new(text), Err(TokenError::Character), "{text:?}");
        }
        assert!(Token::new(&"t".repeat(16)).is_ok());
    }

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(token.is(b"0123456789abcdef"));
        for text in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0"] {
            assert!(!token.is(text.as_bytes()), "{text:?}");
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
