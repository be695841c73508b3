use super::*;

fn s3() -> S3 {
    S3 {
        endpoint: "http://127.0.0.1:7070".into(),
        bucket: "examplebucket".into(),
        access_key: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
    }
}

/// The example "GET Bucket (List Objects)" of the documentation of Signature Version 4.
#[test]
fn a_request_is_signed_as_documented() {
    let date = DateTime::parse_from_rfc3339("2013-05-24T00:00:00Z").unwrap().to_utc();
    let (host, query) = ("examplebucket.s3.amazonaws.com", "max-keys=2&prefix=J");
    let body = hex(&Sha256::digest(b""));
    let header = s3().authorization(&Signed { method: "GET", date, host, path: "/", query, body: &body });
    assert!(header.ends_with("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"), "{header}");
}

/// RFC 4231, test cases 2 and 6 (a key longer than a block).
#[test]
fn hmac_is_right() {
    assert_eq!(
        hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(
        hex(&hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
}

#[test]
fn keys_are_read_from_an_answer() {
    let xml =
        "<R><Prefix>a</Prefix><Contents><Key>a/b/_metadata</Key></Contents><Contents><Key>a/c</Key></Contents></R>";
    assert_eq!(texts(xml, "Key"), ["a/b/_metadata", "a/c"]);
    assert_eq!(encoded("a/b c"), "a%2Fb%20c");
}

#[test]
fn locations_are_those_of_the_bucket() {
    assert_eq!(s3().key("s3://examplebucket/a/b/").unwrap(), "a/b");
    assert!(s3().key("s3://other/a").is_err());
    assert_eq!(s3().url("a"), "s3://examplebucket/a");
}
