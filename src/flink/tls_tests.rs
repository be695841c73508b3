use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rstest::rstest;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion, version};

use super::*;
use crate::flink::{Connector, Error};

/// The name that endpoints are certified for.
const NAME: &str = "flink.shop.svc";

type Authority = CertifiedIssuer<'static, KeyPair>;

/// All authorities of these tests have the same name.
fn authority() -> Authority {
    let mut of = CertificateParams::default();
    of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(of, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, as PEM.
fn certified(by: &Authority, name: &str, expired: bool) -> (String, String) {
    let mut of = CertificateParams::new([name.to_owned()]).unwrap();
    if expired {
        of.not_before = date_time_ymd(2020, 1, 1);
        of.not_after = date_time_ymd(2020, 2, 1);
    }
    let key = KeyPair::generate().unwrap();
    (of.signed_by(&key, by).unwrap().pem(), key.serialize_pem())
}

/// What an endpoint is like.
#[derive(Debug, Clone, Copy)]
enum Endpoint {
    Certified(&'static str),
    Expired,
    /// It wants a client certificate, by this version of TLS.
    Wants(&'static SupportedProtocolVersion),
    /// It speaks HTTP.
    Plain,
}

/// Whom it is told to trust, and to be.
#[derive(Debug, Clone, Copy)]
enum Given {
    Nothing,
    Right,
    /// Another authority of the same name.
    Wrong,
    /// With a client certificate.
    Client,
    /// With one that another authority has signed.
    Stranger,
}

/// The authority of all, and another one.
struct Pki(Authority, Authority);

impl Pki {
    fn new() -> Self {
        Self(authority(), authority())
    }

    fn secret(&self, given: Given) -> Option<BTreeMap<String, Vec<u8>>> {
        let client = match given {
            Given::Nothing => return None,
            Given::Right | Given::Wrong => None,
            Given::Client => Some(certified(&self.0, "operator", false)),
            Given::Stranger => Some(certified(&self.1, "operator", false)),
        };
        let trusted = if matches!(given, Given::Wrong) { &self.1 } else { &self.0 };
        let mut secret = BTreeMap::from([(CA.to_owned(), trusted.pem().into_bytes())]);
        if let Some((certificate, key)) = client {
            secret.extend([(CERTIFICATE.to_owned(), certificate.into()), (KEY.to_owned(), key.into())]);
        }
        Some(secret)
    }

    /// An endpoint, and how many connections were made to it.
    async fn endpoint(&self, endpoint: Endpoint) -> (SocketAddr, Arc<AtomicUsize>) {
        let (certificate, key) = match endpoint {
            Endpoint::Certified(name) => certified(&self.0, name, false),
            Endpoint::Expired => certified(&self.0, NAME, true),
            Endpoint::Wants(_) | Endpoint::Plain => certified(&self.0, NAME, false),
        };
        let versions = match endpoint {
            Endpoint::Wants(version) => vec![version],
            _ => vec![&version::TLS13, &version::TLS12],
        };
        let server = ServerConfig::builder_with_provider(tls::provider()).with_protocol_versions(&versions).unwrap();
        let server = match endpoint {
            Endpoint::Wants(_) => {
                let roots = Arc::new(authorities(self.0.pem().as_bytes()).unwrap());
                let clients = WebPkiClientVerifier::builder_with_provider(roots, tls::provider()).build().unwrap();
                server.with_client_cert_verifier(clients)
            }
            _ => server.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let chain = certificates(certificate.as_bytes(), CERTIFICATE).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server.with_single_cert(chain, key).unwrap()));
        let (listener, connections) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(AtomicUsize::new(0)));
        let (address, counted) = (listener.local_addr().unwrap(), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if matches!(endpoint, Endpoint::Plain) {
                        return answer(client).await;
                    }
                    match acceptor.accept(client).into_fallible().await {
                        Ok(client) => answer(client).await,
                        // What it says would be lost in a connection that is reset.
                        Err((_, mut client)) => drop(client.read_to_end(&mut Vec::new()).await),
                    }
                });
            }
        });
        (address, connections)
    }
}

/// A JobManager without jobs; to what is no request it says so.
async fn answer(mut client: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = Vec::new();
    while let Ok(byte) = client.read_u8().await {
        head.push(byte);
        let refused = head.first().is_some_and(|first| !first.is_ascii_uppercase());
        let answer = match (refused, head.ends_with(b"\r\n\r\n")) {
            (false, false) => continue,
            (false, true) => "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"jobs\":[]}",
            (true, _) => "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        };
        client.write_all(answer.as_bytes()).await.unwrap();
        if refused {
            drop(client.read_to_end(&mut Vec::new()).await);
            return;
        }
        head.clear();
    }
}

async fn asked(address: SocketAddr, tls: Tls) -> Result<usize, Error> {
    let client = Connector::new().unwrap().client(&format!("https://{address}")).over_tls(Some(tls));
    client.jobs().await.map(|jobs| jobs.len())
}

#[rstest]
#[case::right(Endpoint::Certified(NAME), Given::Right, NAME, Ok(()))]
#[case::named(Endpoint::Certified("flink.example"), Given::Right, "flink.example", Ok(()))]
#[case::address(Endpoint::Certified("127.0.0.1"), Given::Right, "127.0.0.1", Ok(()))]
#[case::client_not_asked_for(Endpoint::Certified(NAME), Given::Client, NAME, Ok(()))]
#[case::client(Endpoint::Wants(&version::TLS13), Given::Client, NAME, Ok(()))]
#[case::client_by_1_2(Endpoint::Wants(&version::TLS12), Given::Client, NAME, Ok(()))]
#[case::wrong_authority(
    Endpoint::Certified(NAME),
    Given::Wrong,
    NAME,
    Err("put the certificate of that authority as ca.crt")
)]
#[case::not_of_the_system(
    Endpoint::Certified(NAME),
    Given::Nothing,
    NAME,
    Err("put the certificate of that authority as ca.crt")
)]
#[case::other_name(
    Endpoint::Certified("flink.example"),
    Given::Right,
    NAME,
    Err("its certificate carries flink.example, and not flink.shop.svc: set flinkCluster.tls.serverName")
)]
#[case::expired(
    Endpoint::Expired,
    Given::Right,
    NAME,
    Err("its certificate has expired at 2020-02-01T00:00:00Z: renew it")
)]
#[case::wants_one(Endpoint::Wants(&version::TLS13), Given::Right, NAME, Err("it wants a client certificate: put one"))]
#[case::wants_one_by_1_2(Endpoint::Wants(&version::TLS12), Given::Right, NAME, Err("it wants a client certificate: put one"))]
#[case::stranger(Endpoint::Wants(&version::TLS13), Given::Stranger, NAME, Err("it refuses the client certificate ("))]
#[case::stranger_by_1_2(Endpoint::Wants(&version::TLS12), Given::Stranger, NAME, Err("it refuses the client certificate ("))]
#[case::plain(Endpoint::Plain, Given::Right, NAME, Err("it does not speak TLS: leave flinkCluster.tls out"))]
#[tokio::test]
async fn who_is_spoken_to_by_tls(
    #[case] endpoint: Endpoint,
    #[case] given: Given,
    #[case] name: &str,
    #[case] expected: Result<(), &str>,
) {
    let pki = Pki::new();
    let (address, _) = pki.endpoint(endpoint).await;
    let tls = Tls::new(pki.secret(given).as_ref(), name).unwrap();
    match (asked(address, tls).await, expected) {
        (Ok(jobs), Ok(())) => assert_eq!(jobs, 0),
        (Err(error), Err(expected)) => {
            assert_eq!(error.reason(), "JobManagerUnreachable", "{error}: it has no effect");
            assert!(error.to_string().contains(expected), "{error}");
        }
        (answer, expected) => panic!("{answer:?}, expected {expected:?}"),
    }
}

#[tokio::test]
async fn nobody_there_is_told_as_without_tls() {
    let pki = Pki::new();
    let tls = Tls::new(pki.secret(Given::Right).as_ref(), NAME).unwrap();
    let error = asked("127.0.0.1:1".parse().unwrap(), tls).await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { message, .. } if message.contains("refused")), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear() {
    let pki = Pki::new();
    let (address, connections) = pki.endpoint(Endpoint::Plain).await;
    let tls = Tls::new(pki.secret(Given::Right).as_ref(), NAME).unwrap();
    let client = Connector::new().unwrap().client(&format!("http://{address}")).over_tls(Some(tls));
    assert!(client.jobs().await.is_err());
    assert_eq!(connections.load(Ordering::Relaxed), 0);
}

/// The same content is the same client, with the same connection.
#[tokio::test]
async fn a_rotated_secret_is_another_client() {
    let (before, after) = (Pki::new(), Pki::new());
    let (address, connections) = after.endpoint(Endpoint::Certified(NAME)).await;
    let connector = Connector::new().unwrap();
    let ask = async |pki: &Pki| {
        let tls = connector.tls(pki.secret(Given::Right).as_ref(), NAME).unwrap();
        connector.client(&format!("https://{address}")).over_tls(Some(tls)).jobs().await
    };
    ask(&before).await.unwrap_err();
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    for _ in 0..3 {
        ask(&after).await.unwrap();
    }
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[test]
fn no_more_clients_are_kept_than_the_limit() {
    let (clients, secret) = (Clients::default(), Pki::new().secret(Given::Right));
    let get = |n: usize| clients.get(secret.as_ref(), &format!("flink-{n}.example")).unwrap();
    let first = get(0);
    for n in 0..3 * KEPT {
        get(n);
        assert!(Arc::ptr_eq(&get(0).0, &first.0), "one that is used is not the one to go");
    }
    assert_eq!(clients.0.lock().unwrap().len(), KEPT);
}

#[rstest]
#[case::nothing(&[], "must hold ca.crt, or tls.crt and tls.key")]
#[case::other_keys(&[("token", "CA")], "must hold ca.crt, or tls.crt and tls.key")]
#[case::without_the_key(&[(CA, "CA"), (CERTIFICATE, "CERT")], "has tls.crt and no tls.key")]
#[case::without_the_certificate(&[(CA, "CA"), (KEY, "KEY")], "has tls.key and no tls.crt")]
#[case::empty_authority(&[(CA, "")], "has no certificate in ca.crt")]
#[case::text(&[(CA, "hidden")], "has no certificate in ca.crt")]
#[case::key_as_authority(&[(CA, "KEY")], "has no certificate in ca.crt")]
#[case::half_a_certificate(&[(CA, "CUT")], "has no certificate in ca.crt")]
#[case::no_certificate(&[(CERTIFICATE, "hidden"), (KEY, "KEY")], "has no certificate in tls.crt")]
#[case::no_key(&[(CERTIFICATE, "CERT"), (KEY, "hidden")], "has no private key in tls.key")]
#[case::certificate_as_key(&[(CERTIFICATE, "CERT"), (KEY, "CERT")], "has no private key in tls.key")]
#[case::anothers_key(&[(CERTIFICATE, "CERT"), (KEY, "OTHER")], "has in tls.key another key")]
fn a_secret_that_is_no_use(#[case] holds: &[(&str, &str)], #[case] expected: &str) {
    let pki = Pki::new();
    let (certificate, key) = certified(&pki.0, "operator", false);
    let value = |word: &str| match word {
        "CA" => pki.0.pem(),
        "CERT" => certificate.clone(),
        "KEY" => key.clone(),
        "OTHER" => certified(&pki.0, "operator", false).1,
        "CUT" => certificate[..certificate.len() / 2].to_owned(),
        text => text.to_owned(),
    };
    let secret = holds.iter().map(|(key, word)| ((*key).to_owned(), value(word).into_bytes())).collect();
    let invalid = Tls::new(Some(&secret), NAME).unwrap_err();
    let told = format!("{invalid} {invalid:?}");
    assert!(invalid.is_of_secret() && told.contains(expected), "{told}");
    let inside = key.lines().nth(1).unwrap();
    assert!(!told.contains("hidden") && !told.contains(inside), "{told}");
}

#[test]
fn a_certificate_without_an_authority_trusts_the_system() {
    let (certificate, key) = certified(&authority(), "operator", false);
    let secret = BTreeMap::from([(CERTIFICATE.to_owned(), certificate.into()), (KEY.to_owned(), key.clone().into())]);
    let tls = Tls::new(Some(&secret), NAME).unwrap();
    assert!(tls.0.shows_certificate);
    assert!(!format!("{tls:?}").contains(key.lines().nth(1).unwrap()), "{tls:?}");
}

#[test]
fn a_server_name_is_a_name() {
    let invalid = Tls::new(None, "not a name").unwrap_err();
    assert!(!invalid.is_of_secret() && invalid.to_string().starts_with("'not a name' is neither"), "{invalid}");
}
