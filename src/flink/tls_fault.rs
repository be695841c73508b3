//! What is wrong with a connection by TLS, and the cure, in words for whoever wrote the spec.

use std::error::Error;
use std::io;

use chrono::{DateTime, Utc};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error as Tls};

use super::tls::{CA, CERTIFICATE, KEY};
use super::transport::CONNECT_TIMEOUT;
use crate::tls;

/// How many names of a certificate are told.
const NAMES: usize = 8;

/// An error of a request in one line. `shows`: the client has a certificate of its own.
pub(super) fn told(error: &(dyn Error + 'static), server_name: &str, shows: bool) -> String {
    if let Some(said) = tls::said(error) {
        return of_tls(said, server_name, shows);
    }
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let kind = inner.downcast_ref::<io::Error>().map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::TimedOut) => format!("no connection by TLS within {} s", CONNECT_TIMEOUT.as_secs()),
        Some(io::ErrorKind::UnexpectedEof) => {
            format!("the connection was closed ({inner}): see that the port of flinkCluster speaks HTTPS")
        }
        _ => inner.to_string(),
    }
}

fn of_tls(error: &Tls, server_name: &str, shows: bool) -> String {
    match error {
        Tls::InvalidCertificate(what) => of_certificate(what, server_name),
        Tls::InvalidMessage(_) => {
            "it does not speak TLS: leave flinkCluster.tls out, or name the port that speaks HTTPS in \
                                   flinkCluster.port"
                .to_owned()
        }
        Tls::AlertReceived(alert) => of_alert(*alert, shows),
        Tls::PeerIncompatible(_) => no_common(&error.to_string()),
        other => format!("TLS: {other}"),
    }
}

fn of_certificate(what: &Certificate, server_name: &str) -> String {
    match what {
        // An authority of the same name with another key has not signed it.
        Certificate::UnknownIssuer | Certificate::BadSignature => format!(
            "its certificate is of an authority that is not trusted: put the certificate of that authority as {CA} into the \
             Secret of flinkCluster.tls.secretRef"
        ),
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            let names = match what {
                Certificate::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
                    presented.iter().take(NAMES).map(|name| plain(name)).collect::<Vec<_>>().join(", ")
                }
                _ => "no name (a CN alone counts for none)".to_owned(),
            };
            format!(
                "its certificate carries {names}, and not {server_name}: set flinkCluster.tls.serverName to a name that it \
                 carries, or give it a certificate for {server_name}"
            )
        }
        Certificate::Expired => "its certificate has expired: renew it".to_owned(),
        Certificate::ExpiredContext { not_after, .. } => {
            format!("its certificate has expired at {}: renew it", time(*not_after))
        }
        Certificate::NotValidYet => "its certificate is not valid yet: see the clocks, or renew it".to_owned(),
        Certificate::NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid before {}: see the clocks, or renew it", time(*not_before))
        }
        Certificate::Revoked => "its certificate was revoked: renew it".to_owned(),
        other => format!("its certificate can't be used ({other}): give it one for a server, signed by an authority"),
    }
}

/// Whether the endpoint ends the handshake for want of a client certificate that it trusts. It reads no request then.
pub(super) fn is_of_client_certificate(error: &Tls) -> bool {
    matches!(error, Tls::AlertReceived(alert) if *alert == Alert::CertificateRequired || is_refusal(*alert))
}

/// The alerts by which a certificate is refused; none of them comes after a handshake.
fn is_refusal(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

/// What the endpoint says of the connection.
fn of_alert(alert: Alert, shows: bool) -> String {
    match alert {
        Alert::CertificateRequired => wants(),
        // Java says so where there is none.
        Alert::BadCertificate if !shows => wants(),
        _ if shows && is_refusal(alert) => {
            format!(
                "it refuses the client certificate ({}): put one that it trusts, and that has not expired, into {CERTIFICATE} \
                 and {KEY} of the Secret of flinkCluster.tls.secretRef",
                word(alert)
            )
        }
        Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
            let more = if shows { String::new() } else { format!("; or {}", wants()) };
            format!("{}{more}", no_common(&word(alert)))
        }
        Alert::UnrecognisedName => {
            "it has no certificate for that name (unrecognised_name): set flinkCluster.tls.serverName to a name that it has"
                .to_owned()
        }
        other => format!("it ends the connection with the TLS alert {}", word(other)),
    }
}

fn wants() -> String {
    format!(
        "it wants a client certificate: put one that it trusts as {CERTIFICATE} and {KEY} into the Secret of \
         flinkCluster.tls.secretRef"
    )
}

fn no_common(why: &str) -> String {
    format!(
        "it has no version or cipher of TLS in common with this client ({why}): allow TLS 1.2 or 1.3 with ECDHE and AES-GCM, in \
         Flink by security.ssl.algorithms: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    )
}

/// As the words of TLS are written.
fn word(alert: Alert) -> String {
    let (mut text, mut last) = (String::new(), ' ');
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() && last.is_ascii_lowercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
        last = letter;
    }
    text
}

/// A name of a certificate, which is written as `DnsName("a")`.
fn plain(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or(name, |(inner, _)| inner);
    inner.trim_matches('"').to_owned()
}

fn time(at: UnixTime) -> String {
    let at = i64::try_from(at.as_secs()).ok().and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
    at.map_or_else(
        || "a time that can't be told".to_owned(),
        |at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    )
}

#[cfg(test)]
#[path = "tls_fault_tests.rs"]
mod tests;
