//! Where a Bolt server is and how to talk to it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The port that Bolt servers listen on unless told otherwise.
const DEFAULT_PORT: u16 = 7687;

/// A password that does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The password in clear.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(text: String) -> Password {
        Password(text)
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Password {
        Password(text.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// How a connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Plain,
    /// TLS; the server's certificate must be valid for the host's name.
    Tls {
        /// A PEM file with certificates to trust besides the system's.
        extra_ca: Option<PathBuf>,
    },
}

/// A server and the rules for talking to it.
#[derive(Clone, Debug)]
pub struct BoltOptions {
    /// The host's name or IP address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// With which password.
    pub password: Password,
    /// The database; the server's default if there is none.
    pub database: Option<String>,
    /// How connections are protected.
    pub security: Security,
    /// How many connections may be open at once, at least 1. Callers beyond that wait
    /// their turn, first come first served.
    pub pool_size: usize,
    /// How long opening or checking one connection may take. Only bounds that part of a
    /// call; the call's own limit bounds all of it.
    pub connect_timeout: Duration,
}

impl BoltOptions {
    /// The options that a URL says, with 8 connections and 2 seconds to open one.
    pub fn new(url: &BoltUrl, password: impl Into<Password>) -> BoltOptions {
        BoltOptions {
            host: url.host.clone(),
            port: url.port,
            user: url.user.clone().unwrap_or_else(|| "neo4j".to_owned()),
            password: password.into(),
            database: url.database.clone(),
            security: if url.tls { Security::Tls { extra_ca: None } } else { Security::Plain },
            pool_size: 8,
            connect_timeout: Duration::from_secs(2),
        }
    }

    /// `host:port`, as [`Env::connect`](env::Env::connect) takes it.
    pub(super) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// `bolt://user@host:port/database`, or `bolt+s://…` for TLS. Everything but the host may
/// be left out. There is no place for a password: it would show in process lists and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoltUrl {
    /// Whether it says `bolt+s`.
    pub tls: bool,
    /// The user.
    pub user: Option<String>,
    /// The host's name or IP address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: Option<String>,
}

/// Why a text is not a Bolt URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme.
    #[error("the URL must start with bolt:// or bolt+s://")]
    Scheme,
    /// `bolt+ssc`, which accepts any certificate and so protects from nobody.
    #[error("bolt+ssc is not supported: use bolt+s and trust the server's certificate as an extra CA")]
    AnyCertificate,
    /// `neo4j://`, where the driver is to pick a server of a cluster.
    #[error("neo4j:// routing is not supported: name the writer with bolt:// or bolt+s://")]
    Routing,
    /// `user:password@`.
    #[error("the URL must not contain a password")]
    Password,
    /// No host.
    #[error("the URL names no host")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("{0:?} is not a port")]
    Port(String),
    /// Something after the database, or a character that would need escaping.
    #[error("{0:?} is not a name: use letters, digits and any of - _ .")]
    Name(String),
}

impl FromStr for BoltUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<BoltUrl, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let tls = match scheme {
            "bolt" => false,
            "bolt+s" => true,
            "bolt+ssc" => return Err(UrlError::AnyCertificate),
            "neo4j" | "neo4j+s" | "neo4j+ssc" => return Err(UrlError::Routing),
            _ => return Err(UrlError::Scheme),
        };
        let (authority, database) = match rest.split_once('/') {
            Some((authority, "")) => (authority, None),
            Some((authority, database)) => (authority, Some(name(database)?)),
            None => (rest, None),
        };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(UrlError::Password),
            Some((user, place)) => (Some(name(user)?), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        Ok(BoltUrl { tls, user, host: host.to_owned(), port, database })
    }
}

fn host_and_port(place: &str) -> Result<(&str, u16), UrlError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(UrlError::Host)?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(UrlError::Host)?) })
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return Err(UrlError::Host);
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| UrlError::Port(port.to_owned()))?,
        None => DEFAULT_PORT,
    };
    Ok((host, port))
}

fn name(text: &str) -> Result<String, UrlError> {
    if text.is_empty() || text.chars().any(|c| !c.is_alphanumeric() && !"-_.".contains(c)) {
        return Err(UrlError::Name(text.to_owned()));
    }
    Ok(text.to_owned())
}

/// In the form it is read from.
impl fmt::Display for BoltUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "bolt+s://" } else { "bolt://" })?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') { write!(f, "[{}]", self.host) } else { f.write_str(&self.host) }?;
        write!(f, ":{}", self.port)?;
        if let Some(database) = &self.database {
            write!(f, "/{database}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_who() {
        let url: BoltUrl = "bolt+s://root@graph.example:7000/graph".parse().unwrap();
        assert_eq!(url.to_string(), "bolt+s://root@graph.example:7000/graph");
        assert!(url.tls);
        let options = BoltOptions::new(&url, "secret");
        assert_eq!((options.address().as_str(), options.user.as_str()), ("graph.example:7000", "root"));
        assert_eq!(options.security, Security::Tls { extra_ca: None });
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let url: BoltUrl = "bolt://localhost".parse().unwrap();
        assert_eq!(url.to_string(), "bolt://localhost:7687");
        let options = BoltOptions::new(&url, "secret");
        assert_eq!((options.user.as_str(), options.database, options.security), ("neo4j", None, Security::Plain));
    }

    #[test]
    fn an_ipv6_address_keeps_its_colons() {
        let url: BoltUrl = "bolt://[::1]:7688/g".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port), ("::1", 7688));
        assert_eq!(BoltOptions::new(&url, "").address(), "[::1]:7688");
        assert_eq!(url.to_string().parse(), Ok(url));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| text.parse::<BoltUrl>().unwrap_err();
        assert_eq!(error("localhost:7687"), UrlError::Scheme);
        assert_eq!(error("http://localhost"), UrlError::Scheme);
        assert_eq!(error("neo4j+s://localhost"), UrlError::Routing);
        assert_eq!(error("bolt+ssc://localhost"), UrlError::AnyCertificate);
        assert_eq!(error("bolt://root:secret@localhost"), UrlError::Password);
        assert_eq!(error("bolt://:7687"), UrlError::Host);
        assert_eq!(error("bolt://[::1"), UrlError::Host);
        assert_eq!(error("bolt://localhost:0"), UrlError::Port("0".to_owned()));
        assert_eq!(error("bolt://localhost:99999"), UrlError::Port("99999".to_owned()));
        assert_eq!(error("bolt://localhost/a/b"), UrlError::Name("a/b".to_owned()));
        assert_eq!(error("bolt://@localhost"), UrlError::Name(String::new()));
    }

    #[test]
    fn a_password_does_not_print_itself() {
        let url: BoltUrl = "bolt://localhost".parse().unwrap();
        assert!(!format!("{:?}", BoltOptions::new(&url, "hunter2")).contains("hunter2"));
    }
}
