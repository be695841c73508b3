use rstest::rstest;

use super::*;

#[rstest]
#[case::java_wants_one(Alert::BadCertificate, false, true, "it wants a client certificate: put one")]
#[case::refused(Alert::UnknownCA, true, true, "it refuses the client certificate (unknown_ca)")]
#[case::no_cipher(
    Alert::HandshakeFailure,
    true,
    false,
    "in common with this client (handshake_failure): allow TLS 1.2 or 1.3"
)]
#[case::no_cipher_or_it_wants_one(Alert::HandshakeFailure, false, false, "; or it wants a client certificate")]
#[case::other(Alert::InternalError, true, false, "the TLS alert internal_error")]
fn an_alert_is_told(#[case] alert: Alert, #[case] shows: bool, #[case] before: bool, #[case] expected: &str) {
    let error = Tls::AlertReceived(alert);
    let told = of_tls(&error, "flink", shows);
    assert!(told.contains(expected), "{told}");
    assert_eq!(is_of_client_certificate(&error), before, "whether nothing was read");
}

#[rstest]
#[case::unknown(Certificate::UnknownIssuer, "of an authority that is not trusted")]
#[case::of_the_same_name(Certificate::BadSignature, "of an authority that is not trusted")]
#[case::no_name(Certificate::NotValidForName, "carries no name (a CN alone counts for none), and not flink:")]
#[case::early(
    Certificate::NotValidYetContext {
        time: UnixTime::since_unix_epoch(std::time::Duration::ZERO),
        not_before: UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000)),
    },
    "is not valid before 2027-01-15T08:00:00Z"
)]
#[case::other(Certificate::InvalidPurpose, "can't be used (")]
fn a_certificate_is_told(#[case] what: Certificate, #[case] expected: &str) {
    let told = of_tls(&Tls::InvalidCertificate(what), "flink", false);
    assert!(told.contains(expected), "{told}");
}

/// Wrapped as the layers above do it.
#[test]
fn what_is_wrapped_is_found() {
    let said = io::Error::new(io::ErrorKind::InvalidData, Tls::InvalidCertificate(Certificate::Expired));
    let error = io::Error::other(said);
    assert_eq!(told(&error, "flink", false), "its certificate has expired: renew it");
    let closed = io::Error::from(io::ErrorKind::UnexpectedEof);
    assert!(told(&closed, "flink", false).contains("see that the port of flinkCluster speaks HTTPS"));
}
