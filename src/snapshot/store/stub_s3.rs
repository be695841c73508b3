//! A small S3 for tests and benchmarks, in this process: one bucket in memory, and faults on demand. It writes HTTP by
//! hand, because an HTTP library would not break its own rules.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does in place of answering.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "the benchmark has no faults")]
pub enum Fault {
    /// Nothing, for ever.
    Hang,
    /// Answers so many bytes of the body, and then nothing.
    Stall(usize),
    /// Closes the connection without a byte.
    Close,
    /// Answers so many bytes of the body, and resets the connection.
    Reset(usize),
    /// Answers so many bytes of the body, and closes the connection in order: the length that it told was a lie.
    End(usize),
    /// One byte of the body at a time, with a pause after each.
    Drip(Duration),
    /// An error of S3. Its body repeats all that the request was signed with, as some servers do.
    Status(u16, &'static str),
    /// A page of HTML with status 200.
    Html,
    /// This with status 200, and does nothing.
    Says(&'static str),
}

struct Rule {
    /// Empty: any.
    method: &'static str,
    /// So many that it would strike are spared first.
    spared: usize,
    part: String,
    times: usize,
    fault: Fault,
}

struct State {
    bucket: String,
    /// Requests must be signed with it. `None`: they must not be signed.
    access_key: Option<String>,
    page: usize,
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Written a year before the others.
    old: Mutex<BTreeSet<String>>,
    /// Never deleted.
    kept: Mutex<BTreeSet<String>>,
    rules: Mutex<Vec<Rule>>,
    requests: Mutex<Vec<String>>,
    uploads: Mutex<Uploads>,
}

/// Objects that are uploaded in parts.
#[derive(Default)]
struct Uploads {
    begun: usize,
    /// Their parts, by number.
    open: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
}

/// The least that a part has, unless it is the last one, in bytes.
const LEAST_PART: usize = 5 * 1024 * 1024;

/// The server; it ends with its runtime.
pub struct Stub {
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    state: Arc<State>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(dead_code, reason = "the benchmark uses only some")]
impl Stub {
    /// `page`: how many objects it lists at a time.
    pub async fn start(bucket: &str, access_key: Option<&str>, page: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State {
            bucket: bucket.to_owned(),
            access_key: access_key.map(str::to_owned),
            page,
            objects: Mutex::default(),
            old: Mutex::default(),
            kept: Mutex::default(),
            rules: Mutex::default(),
            requests: Mutex::default(),
            uploads: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { endpoint, state })
    }

    pub fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        lock(&self.state.objects).insert(key.to_owned(), content.into());
    }

    /// An object becomes a year old.
    pub fn age(&self, key: &str) {
        lock(&self.state.old).insert(key.to_owned());
    }

    pub fn remove(&self, key: &str) {
        lock(&self.state.objects).remove(key);
    }

    pub fn keys(&self) -> Vec<String> {
        lock(&self.state.objects).keys().cloned().collect()
    }

    pub fn content(&self, key: &str) -> Option<Vec<u8>> {
        lock(&self.state.objects).get(key).cloned()
    }

    /// Uploads in parts that were neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        lock(&self.state.uploads).open.len()
    }

    /// The next requests of this method whose path or query has this part.
    pub fn fail(&self, method: &'static str, part: &str, times: usize, fault: Fault) {
        lock(&self.state.rules).push(Rule { method, spared: 0, part: part.to_owned(), times, fault });
    }

    /// The n-th request from now on, counted from 0, whatever it is.
    pub fn fail_nth(&self, n: usize, fault: Fault) {
        lock(&self.state.rules).push(Rule { method: "", spared: n, part: String::new(), times: 1, fault });
    }

    /// Requests are answered again.
    pub fn recover(&self) {
        lock(&self.state.rules).clear();
    }

    /// An object can't be deleted.
    pub fn keep(&self, key: &str) {
        lock(&self.state.kept).insert(key.to_owned());
    }

    /// All can be deleted again.
    pub fn release(&self) {
        lock(&self.state.kept).clear();
    }

    /// Method, path and query of every request, decoded.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.state.requests).clone()
    }
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: String::new(), body: body.into() }
    }

    fn error(status: u16, code: &str, request: &Request) -> Self {
        let echo: Vec<_> = request.headers.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
        let echo = echo.concat();
        Self::new(
            status,
            format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>no</Message>{echo}</Error>"),
        )
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    stream.set_nodelay(true).ok();
    let mut buffer = Vec::new();
    while let Ok(Some(request)) = receive(&mut stream, &mut buffer).await {
        let target = format!("{} {} {:?}", request.method, request.path, request.query);
        lock(&state.requests).push(target.clone());
        let fault = lock(&state.rules).iter_mut().find_map(|rule| {
            let method = rule.method.is_empty() || rule.method == request.method;
            let hit = rule.times > 0 && method && target.contains(&rule.part);
            if hit && rule.spared > 0 {
                rule.spared -= 1;
                return None;
            }
            hit.then(|| {
                rule.times -= 1;
                rule.fault
            })
        });
        let answer = match fault {
            Some(Fault::Status(status, code)) => Answer::error(status, code, &request),
            Some(Fault::Html) => Answer::new(200, "<html><body>hello</body></html>"),
            Some(Fault::Says(text)) => Answer::new(200, text),
            _ => answer(&state, &request),
        };
        let head = request.method == "HEAD";
        let Answer { status, headers, body } = answer;
        let begin = format!("HTTP/1.1 {status} Stub\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        let sent = match fault {
            Some(Fault::Close) => return,
            Some(Fault::Hang) => return std::future::pending().await,
            Some(Fault::Stall(n) | Fault::Reset(n) | Fault::End(n)) => {
                let part = [begin.as_bytes(), body.get(..n).unwrap_or(&body)].concat();
                stream.write_all(&part).await.ok();
                match fault {
                    Some(Fault::Stall(_)) => std::future::pending().await,
                    Some(Fault::Reset(_)) => {
                        stream.set_zero_linger().ok();
                        return;
                    }
                    _ => return,
                }
            }
            Some(Fault::Drip(pause)) => {
                let mut sent = stream.write_all(begin.as_bytes()).await;
                for byte in body {
                    tokio::time::sleep(pause).await;
                    sent = sent.and(stream.write_all(&[byte]).await);
                }
                sent
            }
            _ if head => stream.write_all(begin.as_bytes()).await,
            _ => stream.write_all(&[begin.into_bytes(), body].concat()).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// `None`: the client has closed the connection.
async fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default());
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer.drain(..length).collect();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = pairs.map(|(k, v)| (decode(k), decode(v))).collect();
    Ok(Some(Request { method, path: decode(path), query, headers, body }))
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let code: Vec<u8> = rest.by_ref().take(2).collect();
                let code = std::str::from_utf8(&code).ok().and_then(|code| u8::from_str_radix(code, 16).ok());
                out.push(code.unwrap_or(b'?'));
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn answer(state: &State, request: &Request) -> Answer {
    if let Some(key) = &state.access_key {
        let Some(signed) = request.headers.get("authorization") else {
            return Answer::error(403, "AccessDenied", request);
        };
        if !signed.contains(&format!("Credential={key}/")) {
            return Answer::error(403, "InvalidAccessKeyId", request);
        }
    } else if request.headers.contains_key("authorization") {
        return Answer::error(403, "InvalidAccessKeyId", request);
    }
    let path = request.path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    if bucket != state.bucket {
        return Answer::error(404, "NoSuchBucket", request);
    }
    let mut objects = lock(&state.objects);
    match request.method.as_str() {
        "GET" if key.is_empty() => list(&objects, &lock(&state.old), request, state.page),
        "GET" | "HEAD" => {
            objects.get(key).map_or_else(|| Answer::error(404, "NoSuchKey", request), |c| get(c, request))
        }
        "POST" | "PUT" | "DELETE" if ["uploads", "uploadId"].iter().any(|name| request.query.contains_key(*name)) => {
            upload(&mut objects, &mut lock(&state.uploads), key, request)
        }
        "PUT" => {
            objects.insert(key.to_owned(), request.body.clone());
            Answer { headers: "ETag: \"1\"\r\n".to_owned(), ..Answer::new(200, "") }
        }
        "POST" if key.is_empty() && request.query.contains_key("delete") => {
            delete(&mut objects, &lock(&state.kept), request)
        }
        "DELETE" if lock(&state.kept).contains(key) => Answer::error(403, "AccessDenied", request),
        "DELETE" => {
            objects.remove(key);
            Answer::new(204, "")
        }
        _ => Answer::error(405, "MethodNotAllowed", request),
    }
}

/// At most as many as S3 deletes at a time.
fn delete(objects: &mut BTreeMap<String, Vec<u8>>, kept: &BTreeSet<String>, request: &Request) -> Answer {
    let body = String::from_utf8_lossy(&request.body);
    let keys: Vec<_> = body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>")).collect();
    if keys.is_empty() || keys.len() > 1000 {
        return Answer::error(400, "MalformedXML", request);
    }
    let mut xml = vec!["<?xml version=\"1.0\"?>\n<DeleteResult>".to_owned()];
    for (escaped, _) in keys {
        let key = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        xml.push(if kept.contains(&key) {
            let echo = format!("{:?}", request.headers).replace(['<', '>', '&'], "");
            format!("<Error><Key>{escaped}</Key><Code>AccessDenied</Code><Message>{echo}</Message></Error>")
        } else {
            objects.remove(&key);
            format!("<Deleted><Key>{escaped}</Key></Deleted>")
        });
    }
    xml.push("</DeleteResult>".to_owned());
    Answer::new(200, xml.concat())
}

/// A step of an upload in parts.
fn upload(objects: &mut BTreeMap<String, Vec<u8>>, uploads: &mut Uploads, key: &str, request: &Request) -> Answer {
    if request.query.contains_key("uploads") {
        uploads.begun += 1;
        let id = uploads.begun.to_string();
        let xml = format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
        uploads.open.insert(id, BTreeMap::new());
        return Answer::new(200, xml);
    }
    let id = request.query.get("uploadId").map(String::as_str).unwrap_or_default();
    let Some(parts) = uploads.open.get_mut(id) else { return Answer::error(404, "NoSuchUpload", request) };
    match request.method.as_str() {
        "PUT" => {
            let number = request.query.get("partNumber").and_then(|number| number.parse().ok()).unwrap_or_default();
            parts.insert(number, request.body.clone());
            Answer { headers: "ETag: \"1\"\r\n".to_owned(), ..Answer::new(200, "") }
        }
        "POST" => {
            if parts.values().rev().skip(1).any(|part| part.len() < LEAST_PART) {
                return Answer::error(400, "EntityTooSmall", request);
            }
            let content = parts.values().flatten().copied().collect();
            objects.insert(key.to_owned(), content);
            uploads.open.remove(id);
            Answer::new(200, "<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>")
        }
        _ => {
            uploads.open.remove(id);
            Answer::new(204, "")
        }
    }
}

fn get(content: &[u8], request: &Request) -> Answer {
    let etag = "ETag: \"1\"\r\n".to_owned();
    let range = request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((from, to)) = range else {
        return Answer { headers: etag, ..Answer::new(200, content) };
    };
    let (from, to) = (from.parse().unwrap_or(0), to.parse().map_or(content.len(), |to: usize| to + 1));
    match content.get(from..to.min(content.len())) {
        Some(part) if !part.is_empty() => {
            let headers = format!("{etag}Content-Range: bytes {from}-{}/{}\r\n", from + part.len() - 1, content.len());
            Answer { headers, ..Answer::new(206, part) }
        }
        _ => Answer::error(416, "InvalidRange", request),
    }
}

fn list(objects: &BTreeMap<String, Vec<u8>>, old: &BTreeSet<String>, request: &Request, page: usize) -> Answer {
    let query = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
    let (prefix, after) = (query("prefix"), query("continuation-token").max(query("start-after")));
    let mut below = objects
        .range(prefix.to_owned()..)
        .filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after)
        .peekable();
    let mut xml = vec!["<?xml version=\"1.0\"?>\n<ListBucketResult>".to_owned()];
    let mut last = String::new();
    for (key, content) in below.by_ref().take(page) {
        let escaped = key.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let year = if old.contains(key) { 2025 } else { 2026 };
        xml.push(format!(
            "<Contents><Key>{escaped}</Key><LastModified>{year}-01-01T00:00:00.000Z</LastModified><ETag>\"1\"</ETag>\
             <Size>{}</Size></Contents>",
            content.len()
        ));
        last = escaped;
    }
    if below.peek().is_some() {
        xml.push(format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"));
    }
    xml.push("</ListBucketResult>".to_owned());
    Answer::new(200, xml.concat())
}
