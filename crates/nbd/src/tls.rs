//! TLS on both sides: certificates and keys in PEM, and what is made of them.
//!
//! TLS 1.2 and 1.3. A client always knows by whom the server's certificate must be signed and for
//! which name it must be; there is no way to connect without checking. A server may demand
//! certificates of its clients.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::error::{Error, Result};
use crate::stream::Stream;

const DURING: &str = "TLS";

/// How a server does TLS.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    required: bool,
}

/// How a client does TLS.
#[derive(Clone)]
pub struct ClientTls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("required", &self.required).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// A server with this certificate chain and key. With `clients`, only who has a certificate
    /// of one of these authorities may enter. With `required`, nothing is told without TLS.
    pub fn new(chain: &[u8], key: &[u8], clients: Option<&[u8]>, required: bool) -> Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let roots = Arc::new(roots(authorities)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().map_err(unusable)?)
            }
        };
        let config =
            builder.with_single_cert(certificates(chain)?, private_key(key)?).map_err(unusable)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), required })
    }

    /// Whether nothing is told without TLS.
    pub(crate) const fn is_required(&self) -> bool {
        self.required
    }

    pub(crate) async fn accept<S: Stream>(&self, stream: S) -> Result<server::TlsStream<S>> {
        self.acceptor.accept(stream).await.map_err(Error::connection(DURING))
    }
}

impl ClientTls {
    /// A client that trusts servers called `name` with a certificate of one of `authorities`, and
    /// that shows `own` (chain and key) if asked for a certificate.
    pub fn new(authorities: &[u8], own: Option<(&[u8], &[u8])>, name: &str) -> Result<Self> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots(authorities)?);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(certificates(chain)?, private_key(key)?)
                .map_err(unusable)?,
        };
        let name = ServerName::try_from(name.to_owned()).map_err(unusable)?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    pub(crate) async fn connect<S: Stream>(&self, stream: S) -> Result<client::TlsStream<S>> {
        let connected = self.connector.connect(self.name.clone(), stream).await;
        connected.map_err(Error::connection(DURING))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(unusable)?;
    if found.is_empty() {
        return Err(Error::Certificate { what: "there is no certificate in it".to_owned() });
    }
    Ok(found)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    // What the parser says of a key must not be repeated: it may hold some of it.
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| Error::Certificate { what: "there is no private key in it".to_owned() })
}

fn roots(pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(unusable)?;
    }
    Ok(roots)
}

fn unusable(why: impl fmt::Display) -> Error {
    Error::Certificate { what: why.to_string() }
}
