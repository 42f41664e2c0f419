//! What keeps strangers out of an address.

use std::io::Write;
use std::net::SocketAddr;

use env::{Env, Listener};

use super::Failure;
use crate::token::Token;

/// What keeps strangers out.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// What clients have to know.
    pub token: Option<Token>,
    /// The user says that something else keeps them out.
    pub allow_remote: bool,
}

impl Guard {
    /// Refuses an address for which it is not enough, before anything else is done.
    pub fn check(self, address: &str) -> Result<(), Failure> {
        if self.admits(address) { Ok(()) } else { Err(remote(address)) }
    }

    /// Listens, and says where: in the log, and on stdout for whoever started the program.
    pub async fn listen(self, env: &Env, asked_for: &str) -> Result<Box<dyn Listener>, Failure> {
        let listener = env.listen(asked_for).await.map_err(|error| {
            Failure::other(format!("cannot listen on {asked_for}: {error}"))
                .help("name another address with --listen, or port 0 to have one chosen")
        })?;
        let address = listener.local_address();
        // `localhost` is a name like any other: see what became of it.
        if !self.admits(&address) {
            return Err(remote(&format!("{asked_for} ({address})")));
        }
        if !is_loopback(&address) && self.token.is_none() {
            tracing::warn!(
                address,
                "REACHABLE BY OTHER MACHINES WITHOUT AUTHENTICATION: whoever connects can read and change everything"
            );
        } else if !is_loopback(&address) {
            tracing::warn!(address, "the token and everything else go over the network as they are: put TLS in front");
        }
        tracing::info!(address, "serving");
        // Whoever started it may not care where it listens.
        let _ = writeln!(std::io::stdout(), "listening on http://{address}");
        Ok(listener)
    }

    /// Whether it is enough for this address.
    fn admits(self, address: &str) -> bool {
        self.token.is_some() || self.allow_remote || is_loopback(address)
    }
}

/// Whether only this machine reaches it. What is not clear counts as remote.
fn is_loopback(address: &str) -> bool {
    match address.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => address.rsplit_once(':').is_some_and(|(host, _)| host == "localhost"),
    }
}

fn remote(address: &str) -> Failure {
    Failure::input(format!("{address} may be reached by other machines, and there is no authentication")).help(
        "name the environment variable that holds a token with --token-env, listen on 127.0.0.1, or say --allow-remote \
         where the network itself keeps others out",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_loopback_counts_as_such() {
        for address in ["127.0.0.1:7400", "127.8.8.8:0", "[::1]:7400", "localhost:7400"] {
            assert!(is_loopback(address), "{address}");
        }
        for address in ["0.0.0.0:7400", "[::]:7400", "192.168.1.2:7400", "example.org:80", "localhost", ""] {
            assert!(!is_loopback(address), "{address}");
        }
    }
}
