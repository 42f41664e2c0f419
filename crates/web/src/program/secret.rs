//! Secrets, which come from the environment and never from the command line: that is for all to
//! read.

use super::Failure;
use crate::client::NotAToken;
use crate::token::Token;

/// The token that clients have to know, from the variable that the user named.
pub fn token(variable: &str) -> Result<Token, Failure> {
    let help =
        format!("put the output of `openssl rand -hex 32` into {variable}, or name another variable with --token-env");
    Token::new(&read(variable)?).map_err(|error| Failure::input(format!("the token in {variable}: {error}")).help(help))
}

/// A client with the token from the variable that the user named, if any.
pub fn with_token<C>(
    client: C,
    with_token: impl FnOnce(C, &str) -> Result<C, NotAToken>,
    variable: Option<&str>,
) -> Result<C, Failure> {
    let Some(variable) = variable else { return Ok(client) };
    let token = read(variable)?;
    with_token(client, &token).map_err(|error| Failure::input(format!("the token in {variable}: {error}")))
}

fn read(variable: &str) -> Result<String, Failure> {
    std::env::var(variable).map_err(|error| {
        Failure::input(format!("the token: {variable}: {error}"))
            .help(format!("set {variable}, or name another variable with --token-env"))
    })
}
