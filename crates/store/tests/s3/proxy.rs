//! A proxy that misbehaves as object stores do, by plan or by seed (P21).
//!
//! One request per connection, whole bodies in memory: slow, small, and able to spoil anything.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use cbr_store::backend::OBJECT_BYTES_MAX;

/// What goes wrong with a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Toxic {
    /// 503 SlowDown; nothing happens.
    Busy,
    /// It happens; the answer is 500.
    ErrorAfter,
    /// It happens; no answer ever comes.
    SilenceAfter,
    /// The connection ends before anything happens.
    CutBefore,
    /// It happens; the connection ends without an answer.
    CutAfter,
    /// The body of the answer ends in the middle.
    Truncated,
    /// A byte of an object is another one, with status 200.
    WrongBody,
    /// A page for people instead of the answer, with status 200; nothing happens.
    Page,
    /// A listing as it was when it was first asked for.
    StaleListing,
    /// A listing without its second half, as if that were all.
    PartialListing,
    /// The object is not there, although it is.
    NotFound,
    /// The bucket is not there.
    NoBucket,
    /// 409 for a put; nothing happens.
    Conflict,
    /// A redirect to somewhere else.
    Redirect,
    /// 400 that says nothing about what was asked.
    BadRequest,
    /// An object that claims to be larger than any is.
    Oversized,
}

/// Every toxic a store may show now and then.
pub(crate) const TRANSIENT: [Toxic; 10] = [
    Toxic::Busy,
    Toxic::ErrorAfter,
    Toxic::CutBefore,
    Toxic::CutAfter,
    Toxic::Truncated,
    Toxic::WrongBody,
    Toxic::Page,
    Toxic::StaleListing,
    Toxic::PartialListing,
    Toxic::Conflict,
];

#[derive(Clone)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    upstream: SocketAddr,
    root: Option<PathBuf>,
    state: Mutex<State>,
    /// The server behind checks a condition and writes without a lock: it is one at a time here.
    puts: Mutex<()>,
}

#[derive(Default)]
struct State {
    planned: VecDeque<Toxic>,
    seeded: Option<(u64, u64, Vec<Toxic>)>,
    ignores_conditions: bool,
    listings: HashMap<String, Answer>,
    hits: HashMap<Toxic, u64>,
    requests: Vec<String>,
}

struct Request {
    method: String,
    target: String,
    head: String,
    body: Vec<u8>,
}

#[derive(Clone)]
struct Answer {
    status: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Proxy {
    /// Before the server at `upstream`; if its bucket's objects are files in `root`, it can be made to
    /// overwrite.
    pub(crate) fn start(upstream: SocketAddr, root: Option<PathBuf>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (state, puts) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { address, upstream, root, state, puts });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || {
                    // A client that goes away in the middle is its own business.
                    let _ = shared.serve(socket.unwrap());
                });
            }
        });
        Self { shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// The next requests fail like this, one each.
    pub(crate) fn plan(&self, toxics: &[Toxic]) {
        self.shared.lock().planned.extend(toxics);
    }

    /// About one request in `one_in` fails, as `seed` decides.
    pub(crate) fn seed(&self, seed: u64, one_in: u64, toxics: &[Toxic]) {
        let word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        self.shared.lock().seeded = Some((word, one_in, toxics.to_vec()));
    }

    /// Puts overwrite from now on, as with stores that ignore `If-None-Match`.
    pub(crate) fn ignore_conditions(&self) {
        self.shared.lock().ignores_conditions = true;
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        let mut state = self.shared.lock();
        state.planned.clear();
        state.seeded = None;
    }

    /// How often each toxic really did something.
    pub(crate) fn hits(&self) -> HashMap<Toxic, u64> {
        self.shared.lock().hits.clone()
    }

    /// `METHOD target` of every request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.clone()
    }
}

impl State {
    fn next(&mut self) -> Option<Toxic> {
        if let Some(toxic) = self.planned.pop_front() {
            return Some(toxic);
        }
        let (word, one_in, toxics) = self.seeded.as_mut()?;
        let mut step = || {
            *word ^= *word >> 12;
            *word ^= *word << 25;
            *word ^= *word >> 27;
            word.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
        };
        if !step().is_multiple_of(*one_in) {
            return None;
        }
        let pick = usize::try_from(step()).unwrap() % toxics.len();
        Some(toxics[pick])
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, mut socket: TcpStream) -> std::io::Result<()> {
        let Some(request) = Request::read(&mut socket)? else { return Ok(()) };
        let toxic = {
            let mut state = self.lock();
            state.requests.push(format!("{} {}", request.method, request.target));
            state.next()
        };
        self.answer(&mut socket, &request, toxic)
    }

    fn answer(
        &self,
        socket: &mut TcpStream,
        request: &Request,
        toxic: Option<Toxic>,
    ) -> std::io::Result<()> {
        if toxic == Some(Toxic::CutBefore) {
            self.hit(Toxic::CutBefore);
            return Ok(());
        }
        if let Some(toxic) = toxic
            && let Some(instead) = self.instead(request, toxic)
        {
            self.hit(toxic);
            return instead.send(socket);
        }
        let mut answer = self.forward(request)?;
        match toxic {
            Some(Toxic::ErrorAfter) => {
                answer = Answer::error("500 Internal Server Error", "InternalError");
            }
            Some(Toxic::CutAfter) => {
                self.hit(Toxic::CutAfter);
                return Ok(());
            }
            Some(Toxic::SilenceAfter) => {
                self.hit(Toxic::SilenceAfter);
                // Until the client gives up.
                let _ = socket.read(&mut [0; 1]);
                return Ok(());
            }
            Some(Toxic::Truncated) if !answer.body.is_empty() => {
                self.hit(Toxic::Truncated);
                return answer.send_half(socket);
            }
            Some(Toxic::WrongBody)
                if request.is_object_read() && answer.is_success() && !answer.body.is_empty() =>
            {
                let middle = answer.body.len() / 2;
                answer.body[middle] ^= 0x40;
            }
            Some(Toxic::Oversized) if answer.is_success() && !request.is_listing() => {
                answer.headers.retain(|(name, _)| name != "content-length");
                let claim = (OBJECT_BYTES_MAX + 1).to_string();
                answer.headers.push(("content-length".to_owned(), claim));
            }
            Some(Toxic::PartialListing) if request.is_listing() && answer.halve_listing() => {}
            Some(Toxic::StaleListing) if self.make_stale(request, &mut answer) => {}
            _ => {
                self.remember(request, &answer);
                return answer.send(socket);
            }
        }
        self.hit(toxic.unwrap());
        answer.send(socket)
    }

    fn hit(&self, toxic: Toxic) {
        *self.lock().hits.entry(toxic).or_default() += 1;
    }

    /// What is answered instead of asking the server.
    fn instead(&self, request: &Request, toxic: Toxic) -> Option<Answer> {
        let is_put = request.method == "PUT";
        Some(match toxic {
            Toxic::Busy => Answer::error("503 Slow Down", "SlowDown"),
            Toxic::Conflict if is_put => {
                Answer::error("409 Conflict", "ConditionalRequestConflict")
            }
            Toxic::NotFound if !request.is_listing() && !is_put => {
                Answer::error("404 Not Found", "NoSuchKey")
            }
            Toxic::NoBucket => Answer::error("404 Not Found", "NoSuchBucket"),
            Toxic::BadRequest => Answer::error("400 Bad Request", "InvalidRequest"),
            // A deletion that only seems to happen leaves something behind; it loses nothing.
            Toxic::Page if request.method != "DELETE" => Answer::page(),
            Toxic::Redirect => {
                let mut answer = Answer::error("307 Temporary Redirect", "TemporaryRedirect");
                let target = format!("http://{}/elsewhere", self.address);
                answer.headers.push(("location".to_owned(), target));
                answer
            }
            _ => return None,
        })
    }

    fn remember(&self, request: &Request, answer: &Answer) {
        if request.is_listing() && answer.is_success() {
            let mut state = self.lock();
            state.listings.entry(request.target.clone()).or_insert(answer.clone());
        }
    }

    fn make_stale(&self, request: &Request, answer: &mut Answer) -> bool {
        let state = self.lock();
        match state.listings.get(&request.target) {
            Some(first) if request.is_listing() && first.body != answer.body => {
                *answer = first.clone();
                true
            }
            _ => false,
        }
    }

    fn forward(&self, request: &Request) -> std::io::Result<Answer> {
        let ignores_conditions = self.lock().ignores_conditions;
        let is_exclusive = request.method == "PUT" || ignores_conditions;
        let _one_at_a_time = is_exclusive.then(|| self.puts.lock().unwrap());
        if ignores_conditions && request.method == "PUT" {
            // The condition is signed and cannot be taken away; what it would find can be.
            let key = request.target.trim_start_matches('/').split_once('/').unwrap().1;
            let _ = std::fs::remove_file(self.root.as_ref().unwrap().join(key));
        }
        let mut upstream = TcpStream::connect(self.upstream)?;
        upstream.write_all(request.head.as_bytes())?;
        upstream.write_all(&request.body)?;
        Answer::read(&mut upstream, request.method == "HEAD")
    }
}

impl Request {
    fn read(socket: &mut TcpStream) -> std::io::Result<Option<Self>> {
        let mut reader = BufReader::new(socket);
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let headers = read_headers(&mut reader)?;
        let mut words = first.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut body = vec![0; length(&headers).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let mut head = first;
        for (name, value) in headers.iter().filter(|(name, _)| name != "connection") {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("connection: close\r\n\r\n");
        Ok(Some(Self { method, target, head, body }))
    }

    fn is_listing(&self) -> bool {
        self.target.contains("list-type=2")
    }

    fn is_object_read(&self) -> bool {
        self.method == "GET" && !self.is_listing()
    }
}

impl Answer {
    fn error(status: &str, code: &str) -> Self {
        let body = format!("<Error><Code>{code}</Code><Message>made by the test</Message></Error>");
        Self { status: status.to_owned(), headers: Vec::new(), body: body.into_bytes() }
    }

    fn page() -> Self {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        let body = b"<html><body><Contents>Please log in</Contents></body></html>".to_vec();
        Self { status: "200 OK".to_owned(), headers, body }
    }

    fn is_success(&self) -> bool {
        self.status.starts_with('2')
    }

    fn read(socket: &mut TcpStream, is_head: bool) -> std::io::Result<Self> {
        let mut reader = BufReader::new(socket);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let status = first.split_once(' ').map_or("", |(_, status)| status).trim().to_owned();
        let mut headers = read_headers(&mut reader)?;
        let is_chunked = headers.iter().any(|(name, value)| {
            name == "transfer-encoding" && value.eq_ignore_ascii_case("chunked")
        });
        let mut body = Vec::new();
        if is_chunked && !is_head {
            read_chunks(&mut reader, &mut body)?;
        } else if let (Some(length), false) = (length(&headers), is_head) {
            body.resize(length, 0);
            reader.read_exact(&mut body)?;
        }
        headers.retain(|(name, _)| {
            is_head || !matches!(name.as_str(), "content-length" | "transfer-encoding")
        });
        headers.retain(|(name, _)| name != "connection");
        Ok(Self { status, headers, body })
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {}\r\nconnection: close\r\n", self.status);
        let has_length = self.headers.iter().any(|(name, _)| name == "content-length");
        let has_body = !self.status.starts_with("204") && !self.status.starts_with("304");
        if !has_length && has_body {
            write!(head, "content-length: {}\r\n", self.body.len()).unwrap();
        }
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head + "\r\n"
    }

    fn send(&self, socket: &mut TcpStream) -> std::io::Result<()> {
        socket.write_all(self.head().as_bytes())?;
        socket.write_all(&self.body)
    }

    fn send_half(&self, socket: &mut TcpStream) -> std::io::Result<()> {
        socket.write_all(self.head().as_bytes())?;
        socket.write_all(&self.body[..self.body.len() / 2])
    }

    /// Takes the second half of the entries away and says that the rest is all there is.
    fn halve_listing(&mut self) -> bool {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let starts: Vec<usize> = text.match_indices("<Contents>").map(|(at, _)| at).collect();
        let (Some(first), Some(end)) = (starts.get(starts.len() / 2), text.rfind("</Contents>"))
        else {
            return false;
        };
        let mut text = format!("{}{}", &text[..*first], &text[end + "</Contents>".len()..]);
        let counted = format!("<KeyCount>{}</KeyCount>", starts.len());
        text = text.replace(&counted, &format!("<KeyCount>{}</KeyCount>", starts.len() / 2));
        text = text.replace("<IsTruncated>true<", "<IsTruncated>false<");
        if let (Some(from), Some(to)) =
            (text.find("<NextContinuationToken>"), text.find("</NextContinuationToken>"))
        {
            text.replace_range(from..to + "</NextContinuationToken>".len(), "");
        }
        self.body = text.into_bytes();
        true
    }
}

fn read_headers(reader: &mut impl BufRead) -> std::io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(headers) };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn length(headers: &[(String, String)]) -> Option<usize> {
    headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(());
        }
    }
}
