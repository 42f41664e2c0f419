//! TLS: only a server that can prove its name is spoken to.

use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::PrivateKeyDer;
use stores::bolt::client::{BoltGraph, BoltOptions, OptionsError, Security, UNREACHABLE};
use stores::{GraphError, GraphStore};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::world::{LIMIT, World, add, options};

/// A server whose certificate is for that name, and a file with the certificate.
fn world(folder: &TempDir, name: &str) -> (World, PathBuf) {
    let certified = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, certified.cert.pem()).unwrap();
    (World::new().behind(TlsAcceptor::from(Arc::new(config))), path)
}

fn client(world: &World, extra_ca: Option<PathBuf>) -> Result<BoltGraph, OptionsError> {
    BoltGraph::new(world.env(), BoltOptions { security: Security::Tls { extra_ca }, ..options() })
}

#[tokio::test]
async fn a_trusted_server_is_spoken_to() {
    let folder = TempDir::new().unwrap();
    let (world, ca) = world(&folder, "server");
    client(&world, Some(ca)).unwrap().execute(vec![add("a")], LIMIT).await.unwrap();
    assert_eq!(world.names(), ["a"]);
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_nobody_known_is_refused() {
    let folder = TempDir::new().unwrap();
    let (impostor, ca) = world(&folder, "impostor");
    let (stranger, _) = world(&TempDir::new().unwrap(), "server");
    for world in [impostor, stranger] {
        let error = client(&world, Some(ca.clone())).unwrap().execute(vec![add("a")], LIMIT).await.unwrap_err();
        assert!(matches!(&error, GraphError::Refused { code, .. } if code == UNREACHABLE), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
        assert!(world.names().is_empty());
    }
}

#[tokio::test]
async fn plain_text_is_not_tls() {
    let folder = TempDir::new().unwrap();
    let (world, _) = world(&folder, "server");
    let error = world.client().execute(vec![add("a")], LIMIT).await.unwrap_err();
    assert!(matches!(&error, GraphError::Refused { code, .. } if code == UNREACHABLE), "{error}");
}

#[test]
fn a_file_without_certificates_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ca.pem");
    let error = || client(&World::new(), Some(path.clone())).err().unwrap();
    assert!(matches!(error(), OptionsError::Ca { .. }));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(matches!(error(), OptionsError::Ca { .. }));
}
