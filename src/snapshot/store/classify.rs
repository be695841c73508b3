//! What `object_store`'s errors mean here.

use std::io;

use super::error::StoreError;
use super::http::{Fault, sources};
use super::open::{Server, Store};

impl Store {
    /// An error about a place, in this project's words. Nothing of the given error's text is kept, except of the file
    /// system's and that of a connection that was not made.
    pub(super) fn error(&self, place: &str, error: &object_store::Error) -> StoreError {
        let place = place.to_owned();
        match self.server() {
            Server::Files(_) => of_files(place, error),
            Server::Given if matches!(error, object_store::Error::NotFound { .. }) => StoreError::NotFound { place },
            given @ Server::Given => StoreError::Unreachable { endpoint: given.to_string(), cause: error.to_string() },
            Server::S3 { bucket, endpoint, signed } => {
                let endpoint = endpoint.clone();
                match Fault::of(error) {
                    Some(Fault::NoConnection(cause)) => StoreError::Unreachable { endpoint, cause: cause.clone() },
                    Some(fault @ Fault::Untrusted(_)) => StoreError::Unreachable { endpoint, cause: fault.to_string() },
                    Some(Fault::Silent) => self.timed_out(&place, self.patience().answer),
                    Some(Fault::Cut | Fault::Short) => StoreError::ConnectionCut { place, endpoint },
                    Some(Fault::Refused { status, code, region }) => refused(
                        *status,
                        code.as_deref(),
                        region.as_deref(),
                        About { place, endpoint, bucket, signed: *signed },
                    ),
                    Some(Fault::Kept { status, code, .. }) => {
                        let about = About { place, endpoint, bucket, signed: *signed };
                        match refused(*status, code.as_deref(), None, about) {
                            // It came with status 200.
                            StoreError::Refused { place, endpoint, code, .. } => {
                                let word = code.as_deref().unwrap_or("it does not say why");
                                let cure = format!("it keeps this file ({word}): correct that, and try again");
                                StoreError::Refused { place, endpoint, status: None, code, cure }
                            }
                            known => known,
                        }
                    }
                    None if matches!(error, object_store::Error::InvalidPath { .. }) => StoreError::Refused {
                        place,
                        endpoint,
                        status: None,
                        code: None,
                        cure: "an object below it has a name with // or control characters: rename or delete it"
                            .to_owned(),
                    },
                    Some(Fault::Garbled) | None => StoreError::Refused {
                        place,
                        endpoint,
                        status: None,
                        code: None,
                        cure: "its answer is not one of S3: see that the endpoint is that of an S3 server".to_owned(),
                    },
                }
            }
        }
    }
}

impl Store {
    /// An error in the middle of a file, of whose promised bytes only so many were read.
    pub(super) fn error_within(
        &self,
        place: &str,
        error: &object_store::Error,
        promised: u64,
        read: u64,
    ) -> StoreError {
        if Self::ended_early(error) {
            return StoreError::ShortRead { place: place.to_owned(), promised, read };
        }
        self.error(place, error)
    }

    /// A body ended before its promised length: in order, or because there is nothing to ask for where it should go on.
    fn ended_early(error: &object_store::Error) -> bool {
        matches!(Fault::of(error), Some(Fault::Short | Fault::Refused { status: 416, .. }))
    }
}

fn of_files(place: String, error: &object_store::Error) -> StoreError {
    let found = sources(error).find_map(|error| error.downcast_ref::<io::Error>());
    match found {
        Some(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            StoreError::NotFound { place }
        }
        // Not cloned, but made anew: an error of the operating system is a number.
        Some(error) => {
            let source =
                error.raw_os_error().map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error);
            StoreError::Io { place, source }
        }
        // Left are names that are no text, or end in # and digits.
        None => StoreError::Io { place, source: io::ErrorKind::InvalidFilename.into() },
    }
}

struct About<'a> {
    place: String,
    endpoint: String,
    bucket: &'a str,
    signed: bool,
}

/// By S3's code, and where there is none (an answer to HEAD has no body) by HTTP's status.
fn refused(status: u16, code: Option<&str>, region: Option<&str>, about: About<'_>) -> StoreError {
    let About { place, endpoint, bucket, signed } = about;
    let owned = code.map(str::to_owned);
    match (code.unwrap_or_default(), status) {
        ("NoSuchBucket", _) => StoreError::NoSuchBucket { bucket: bucket.to_owned(), endpoint },
        // The second is versitygw's, with status 404.
        ("InvalidAccessKeyId" | "XAdminUserNotFound", _) => StoreError::UnknownAccessKey { place, endpoint },
        ("SignatureDoesNotMatch", _) => StoreError::WrongSecretKey { place, endpoint },
        (code @ ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired"), _) => {
            StoreError::ExpiredToken { place, endpoint, code: code.to_owned() }
        }
        ("RequestTimeTooSkewed", _) => {
            let cure = "its clock and this machine's differ by minutes: set them".to_owned();
            StoreError::Refused { place, endpoint, status: Some(status), code: owned, cure }
        }
        // Any other code says that something else is not there, such as a user: no word about the file.
        ("" | "NoSuchKey" | "NotFound", 404) => StoreError::NotFound { place },
        (_, 401 | 403) => {
            let hint = if signed { "" } else { ", or give the store credentials: it has none" };
            StoreError::AccessDenied { place, endpoint, hint }
        }
        (_, 429 | 500..) => StoreError::ServerError { place, endpoint, status, code: owned },
        (
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
            _,
        )
        | (_, 300..=399) => {
            let of = region.map(|region| format!(", {region}")).unwrap_or_default();
            let cure = format!("set region to that of the bucket{of}");
            StoreError::Refused { place, endpoint, status: Some(status), code: owned, cure }
        }
        _ => {
            let cure = "correct the store's settings by this code".to_owned();
            StoreError::Refused { place, endpoint, status: Some(status), code: owned, cure }
        }
    }
}
