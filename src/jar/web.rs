//! A jar on a web server. Certificates are checked by the root certificates of the image, or those that `SSL_CERT_FILE`
//! and `SSL_CERT_DIR` name; no proxy is used.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::header::LOCATION;
use http::{StatusCode, Uri};
use http_body_util::BodyStream;

use super::Error;
use crate::snapshot::store::Patience;
use crate::snapshot::store::http::{Fault, Http};

/// As many redirects are followed: a release page's, a mirror's, a store's.
const REDIRECTS: usize = 5;

/// An address without its query, in which a signature may be.
pub fn shown(address: &str) -> String {
    address.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Asks for a file, and gives its content as it arrives.
///
/// # Errors
/// [`Error`], in the middle of the content, too.
pub async fn open(address: &str, patience: &Patience) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
    let wrong = |problem| Error::Address { place: shown(address), problem };
    let mut at: Uri = address.parse().map_err(|_| wrong("it is no URL"))?;
    if at.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err(wrong("it must name a host, and no user"));
    }
    for _ in 0..=REDIRECTS {
        let place = shown(&at.to_string());
        let http = Http::new(&at, patience).map_err(|source| Error::Authorities { source })?;
        let of_web = |fault| Error::Web { place: place.clone(), fault };
        let answer = http.get(at.clone()).await.map_err(of_web)?;
        let status = answer.status();
        if status == StatusCode::OK {
            let content = BodyStream::new(answer.into_body()).filter_map(async |frame| match frame {
                Ok(frame) => frame.into_data().ok().map(Ok),
                Err(fault) => Some(Err(fault)),
            });
            return Ok(content
                .map(move |chunk| chunk.map_err(|fault| Error::Web { place: place.clone(), fault }))
                .boxed());
        }
        if !status.is_redirection() {
            return Err(of_web(Fault::Refused { status: status.as_u16(), code: None, region: None }));
        }
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let not_followed = |problem| Error::Redirect { place: place.clone(), problem };
        let to = to.and_then(|to| absolute(&at, to)).ok_or_else(|| not_followed("it names no address"))?;
        if at.scheme_str() == Some("https") && to.scheme_str() != Some("https") {
            return Err(not_followed("it leads from https to another scheme"));
        }
        at = to;
    }
    Err(Error::Redirect { place: shown(address), problem: "there are too many" })
}

/// What a redirect names, which may be only a path.
fn absolute(from: &Uri, to: &str) -> Option<Uri> {
    let to: Uri = match to {
        whole if whole.starts_with("http://") || whole.starts_with("https://") => whole.parse().ok()?,
        path if path.starts_with('/') && !path.starts_with("//") => {
            format!("{}://{}{path}", from.scheme_str()?, from.authority()?).parse().ok()?
        }
        _ => return None,
    };
    to.authority().is_some().then_some(to)
}
