//! Answers of an object store that says anything: whole, with whatever status and headers (P21).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cbr_env::{Clock, SeededRandom, SystemClock, Timestamp};
use cbr_store::backend::{Backend, Key, LIST_PAGE_MAX, Page, S3Backend, S3Credentials, S3Options};

use crate::objects::open_anyhow;

const EMPTY: &str = "<?xml version=\"1.0\"?><ListBucketResult><Name>b-1</Name><Prefix></Prefix>\
    <KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>";

/// The machine's clock, but nobody sleeps.
#[derive(Debug, Default)]
struct Impatient(SystemClock);

impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic_micros(&self) -> u64 {
        self.0.monotonic_micros()
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
}

/// What the store answers now, to everything.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A server on this machine, and a backend that believes it is a bucket.
static BUCKET: LazyLock<Arc<S3Backend>> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            thread::spawn(move || answer(socket));
        }
    });
    set(answer_of(200, EMPTY));
    let options = S3Options {
        allow_http: true,
        timeout: Duration::from_secs(5),
        ..S3Options::new(format!("http://{address}"), "b-1", S3Credentials::new("AK", "SK"))
    };
    let random = Arc::new(SeededRandom::new(7));
    Arc::new(S3Backend::open(&options, Arc::new(Impatient::default()), random).unwrap())
});

fn set(answer: Vec<u8>) {
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = answer;
}

/// One request, one answer, then it hangs up.
fn answer(mut socket: TcpStream) {
    let mut request = vec![0; 1 << 16];
    let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
    if socket.read(&mut request).is_ok() {
        let answer = ANSWER.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let _ = socket.write_all(&answer);
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
}

fn answer_of(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} OK\r\nContent-Type: application/xml\r\nETag: \"abc\"\r\nConnection: close\r\n\
         Last-Modified: Wed, 12 Oct 2022 17:50:00 GMT\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The first byte: whether the bytes are a whole answer, or a body with a good head.
pub(crate) fn run(bytes: &[u8]) {
    let (whole, bytes) = crate::choice(bytes, 2);
    let bucket = Arc::clone(&BUCKET);
    set(if whole == 0 { answer_of(200, &String::from_utf8_lossy(bytes)) } else { bytes.to_vec() });
    let key = Key::new("t/a").unwrap();
    if let Ok(Page { entries, .. }) = bucket.list("t/", Some(&key)) {
        assert!(entries.len() <= LIST_PAGE_MAX);
        assert!(
            entries.iter().all(|entry| entry.key.as_str().starts_with("t/") && entry.key > key)
        );
        assert!(entries.windows(2).all(|two| two[0].key < two[1].key), "unsorted");
    }
    let _ = bucket.get(&key);
    let _ = bucket.get_range(&key, 3, &mut [0; 10]);
    let _ = bucket.size(&key);
    open_anyhow(bucket);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let list = EMPTY.replace(
        "<KeyCount>0",
        "<Contents><Key>t/b</Key><LastModified>2022-10-12T17:50:00.000Z</LastModified><ETag>\"a\"</ETag>\
         <Size>434234</Size><StorageClass>STANDARD</StorageClass></Contents><Contents><Key>t/c</Key>\
         <LastModified>2022-10-12T17:50:00.000Z</LastModified><ETag>\"a\"</ETag><Size>9</Size>\
         </Contents><NextContinuationToken>1ueG</NextContinuationToken><KeyCount>2",
    );
    let error = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>m</Message></Error>";
    vec![
        [&[0], list.as_bytes()].concat(),
        [&[1], &answer_of(200, &list)[..]].concat(),
        [&[1], &answer_of(503, error)[..]].concat(),
        [&[1], &answer_of(404, error)[..]].concat(),
    ]
}
