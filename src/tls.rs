//! TLS as a client: whose certificates are trusted, and what an error of it is.

use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};

use hyper_rustls::ConfigBuilderExt as _;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};

/// Trusts the authorities of the system, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Read once: they take half a
/// MiB.
///
/// # Errors
/// If there are none.
pub(crate) fn of_the_system() -> io::Result<ClientConfig> {
    static TLS: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(tls) = TLS.get() {
        return Ok(tls.clone());
    }
    let tls = versions()?.with_native_roots()?.with_no_client_auth();
    Ok(TLS.get_or_init(|| tls).clone())
}

/// Trusts these, and no other.
///
/// # Errors
/// If no version of TLS can be spoken, which this build rules out.
pub(crate) fn trusting(authorities: RootCertStore) -> io::Result<ClientConfig> {
    Ok(versions()?.with_root_certificates(authorities).with_no_client_auth())
}

/// Who encrypts and signs.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn versions() -> io::Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(io::Error::other)
}

/// What TLS says is wrong, if that is where an error comes from. Each layer above it wraps what it gets in an
/// [`io::Error`], whose sources begin behind what it wraps.
pub(crate) fn said<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    std::iter::successors(Some(error), |error| -> Option<&'a (dyn Error + 'static)> { (*error).source() }).find_map(
        |error| {
            let wrapped = || said(error.downcast_ref::<io::Error>()?.get_ref()?);
            error.downcast_ref::<rustls::Error>().or_else(wrapped)
        },
    )
}
