//! Secrets, which come from the environment and never from the command line: that is for all to
//! read.

use coordinator::client::Client;
use coordinator::http::Token;

use crate::failure::Failure;

/// The token that clients have to know, from the variable that the user named.
pub fn token(variable: &str) -> Result<Token, Failure> {
    let help =
        format!("put the output of `openssl rand -hex 32` into {variable}, or name another variable with --token-env");
    Token::new(&read(variable)?).map_err(|error| Failure::input(format!("the token in {variable}: {error}")).help(help))
}

/// The client, with the token from the variable that the user named, if any.
pub fn with_token(client: Client, variable: Option<&str>) -> Result<Client, Failure> {
    let Some(variable) = variable else { return Ok(client) };
    let token = read(variable)?;
    client.with_token(&token).map_err(|error| Failure::input(format!("the token in {variable}: {error}")))
}

fn read(variable: &str) -> Result<String, Failure> {
    std::env::var(variable).map_err(|error| {
        Failure::input(format!("the token: {variable}: {error}"))
            .help(format!("set {variable}, or name another variable with --token-env"))
    })
}
