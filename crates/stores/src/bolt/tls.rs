//! TLS around a connection.

use std::io;
use std::path::Path;
use std::sync::Arc;

use env::Connection;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::client::OptionsError;

/// Wraps connections to one server.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// Trusts the system's certificates and those in the file, and expects the server to
    /// be called `host`.
    pub(super) fn new(host: &str, extra_ca: Option<&Path>) -> Result<Tls, OptionsError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| OptionsError::ServerName(host.to_owned()))?;
        let mut roots = RootCertStore::empty();
        // A certificate of the system's that cannot be read is one authority less, no more.
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "failed to load a certificate of the system");
        }
        roots.add_parsable_certificates(system.certs);
        if let Some(path) = extra_ca {
            for certificate in read_certificates(path)? {
                roots.add(certificate).map_err(|error| unusable(path, &error))?;
            }
        }
        if roots.is_empty() {
            return Err(OptionsError::NothingTrusted);
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Tls { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Shakes hands and checks the server's certificate.
    pub(super) async fn wrap(&self, connection: Connection) -> io::Result<Connection> {
        let stream = self.connector.connect(self.name.clone(), connection).await?;
        Ok(Box::new(stream))
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OptionsError> {
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| unusable(path, &error))?;
    if certificates.is_empty() {
        return Err(unusable(path, &"it contains no certificate"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> OptionsError {
    OptionsError::Ca { path: path.to_owned(), why: why.to_string() }
}
