//! The handshake from the client's side.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::error::{Error, Result};
use crate::stream::{Stream, read_array, read_vec};
use crate::tls::ClientTls;
use crate::wire::numbers as n;
use crate::wire::option::{self, ContextRequest, Info, InfoRequest, REPLY_HEADER_BYTES};
use crate::wire::request::Headers;

const DURING: &str = "handshake";
/// Replies to one option that are read. Servers list one per export or context.
const REPLIES_MAX: usize = 4096;
/// Largest block size a server may insist on.
const MINIMUM_BLOCK_MAX: u32 = 64 << 10;
/// Longest payload a server takes, if it does not say.
const USUAL_PAYLOAD: u32 = 32 << 20;

/// What a client wants of a server.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// The export's name; empty for the server's default.
    pub export: String,
    /// Meta contexts to ask for, such as `base:allocation` or `qemu:dirty-bitmap:NAME`. What
    /// the server has of them stands in [`DiskInfo::contexts`].
    pub contexts: Vec<String>,
    /// Whether to ask for 64-bit lengths. Without, or when not offered, lengths are cut.
    pub extended_headers: bool,
    /// How to do TLS. A server that does not is an error, never a connection in the clear.
    pub tls: Option<ClientTls>,
    /// Requests under way at the same time.
    pub in_flight: usize,
    /// How long the handshake may take, and how long to wait for an answer.
    pub patience: Duration,
}

impl Wishes {
    /// The usual wishes: `base:allocation`, 64-bit lengths, 16 requests, a minute.
    pub fn new(export: impl Into<String>) -> Self {
        Self {
            export: export.into(),
            contexts: vec![n::BASE_ALLOCATION.to_owned()],
            extended_headers: true,
            tls: None,
            in_flight: 16,
            patience: Duration::from_mins(1),
        }
    }

    /// Speaks TLS.
    #[must_use]
    pub fn secured(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Asks for one more meta context.
    #[must_use]
    pub fn context(mut self, name: impl Into<String>) -> Self {
        self.contexts.push(name.into());
        self
    }
}

/// What a server said of the export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskInfo {
    /// Bytes.
    pub size: u64,
    /// Whether writes will be refused.
    pub read_only: bool,
    /// Whether flush, and writes that are durable at once, are offered.
    pub flush: bool,
    /// Whether trim is offered.
    pub trim: bool,
    /// Whether zeroing is offered.
    pub write_zeroes: bool,
    /// Whether several connections see the same disk, and one flush covers all.
    pub several_connections: bool,
    /// Offsets and lengths must be multiples of it.
    pub minimum_block: u32,
    /// Longest read, and longest write.
    pub maximum_payload: u32,
    /// The meta contexts the server has of those asked for.
    pub contexts: Vec<String>,
    /// Whether lengths have 64 bits.
    pub extended_headers: bool,
    /// The server's words for humans.
    pub description: Option<String>,
}

/// The outcome of the handshake.
pub(super) struct Agreed {
    pub(super) info: DiskInfo,
    pub(super) headers: Headers,
    /// The numbers of the contexts, beside their names in `info`.
    pub(super) context_numbers: Vec<u32>,
    pub(super) flags: u16,
}

/// A reply that is not the last one to its option.
struct Answer {
    kind: u32,
    data: Vec<u8>,
}

/// Asks a server to speak TLS from here on.
pub(super) async fn start_tls<S: Stream>(stream: &mut S) -> Result<()> {
    ask(stream, n::OPT_STARTTLS, "STARTTLS", &[]).await.map(drop)
}

/// Speaks with a server that was greeted until the disk is there.
pub(super) async fn negotiate<S: Stream>(stream: &mut S, wishes: &Wishes) -> Result<Agreed> {
    let headers = ask_headers(stream, wishes.extended_headers).await?;
    let contexts = if headers == Headers::Simple || wishes.contexts.is_empty() {
        Vec::new()
    } else {
        ask_contexts(stream, wishes).await?
    };
    let wants = vec![n::INFO_BLOCK_SIZE, n::INFO_DESCRIPTION];
    let request = InfoRequest { export: &wishes.export, wants };
    let infos = ask(stream, n::OPT_GO, "GO", &request.encode()).await?;
    let mut export = None;
    let (mut minimum_block, mut maximum_payload, mut description) = (1, USUAL_PAYLOAD, None);
    for answer in infos.iter().filter(|answer| answer.kind == n::REP_INFO) {
        match Info::parse(&answer.data).map_err(Error::malformed(DURING))? {
            Info::Export { size, flags } => export = Some((size, flags)),
            Info::BlockSize { minimum, maximum, .. } => {
                (minimum_block, maximum_payload) = (minimum, maximum);
            }
            Info::Description(text) => description = Some(text),
            Info::Name(_) | Info::Other(_) => {}
        }
    }
    let Some((size, flags)) = export else {
        return Err(Error::Protocol { during: DURING, what: "the disk's size is missing" });
    };
    let block_fits = minimum_block.is_power_of_two() && minimum_block <= MINIMUM_BLOCK_MAX;
    if !block_fits || maximum_payload < minimum_block {
        return Err(Error::Protocol { during: DURING, what: "impossible block sizes" });
    }
    let has = |flag: u16| flags & flag != 0;
    let (context_numbers, contexts) = contexts.into_iter().unzip();
    let info = DiskInfo {
        size,
        read_only: has(n::TRANS_READ_ONLY),
        flush: has(n::TRANS_SEND_FLUSH),
        trim: has(n::TRANS_SEND_TRIM),
        write_zeroes: has(n::TRANS_SEND_WRITE_ZEROES),
        several_connections: has(n::TRANS_CAN_MULTI_CONN),
        minimum_block,
        maximum_payload: maximum_payload.min(USUAL_PAYLOAD),
        contexts,
        extended_headers: headers == Headers::Extended,
        description,
    };
    Ok(Agreed { info, headers, context_numbers, flags })
}

/// The names of a server's exports.
pub(super) async fn list<S: Stream>(stream: &mut S) -> Result<Vec<String>> {
    let answers = ask(stream, n::OPT_LIST, "LIST", &[]).await?;
    let names = answers.iter().filter(|answer| answer.kind == n::REP_SERVER).map(|answer| {
        option::parse_name(&answer.data).map(str::to_owned).map_err(Error::malformed(DURING))
    });
    let names = names.collect::<Result<Vec<_>>>()?;
    send(stream, n::OPT_ABORT, &[]).await?;
    Ok(names)
}

/// Listens to a new server, and answers.
pub(super) async fn greet<S: Stream>(stream: &mut S) -> Result<()> {
    let magic = u64::from_be_bytes(read_array(stream, DURING).await?);
    let style = u64::from_be_bytes(read_array(stream, DURING).await?);
    if magic != n::MAGIC || style != n::IHAVEOPT {
        return Err(Error::Protocol { during: DURING, what: "no NBD server of the new style" });
    }
    let flags = u16::from_be_bytes(read_array(stream, DURING).await?);
    if flags & n::FLAG_FIXED_NEWSTYLE == 0 {
        return Err(Error::Protocol { during: DURING, what: "the server's style is not fixed" });
    }
    let answer = flags & (n::FLAG_FIXED_NEWSTYLE | n::FLAG_NO_ZEROES);
    let answer = u32::from(answer).to_be_bytes();
    stream.write_all(&answer).await.map_err(Error::connection(DURING))
}

/// The best headers the server offers.
async fn ask_headers<S: Stream>(stream: &mut S, extended: bool) -> Result<Headers> {
    let offers = [
        (n::OPT_EXTENDED_HEADERS, "EXTENDED_HEADERS", Headers::Extended),
        (n::OPT_STRUCTURED_REPLY, "STRUCTURED_REPLY", Headers::Structured),
    ];
    for (option, name, headers) in offers {
        if headers == Headers::Extended && !extended {
            continue;
        }
        match ask(stream, option, name, &[]).await {
            Ok(_) => return Ok(headers),
            Err(Error::Refused { reply, .. }) if reply != n::REP_ERR_TLS_REQD => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Headers::Simple)
}

/// The contexts the server has of those wished for, with their numbers.
async fn ask_contexts<S: Stream>(stream: &mut S, wishes: &Wishes) -> Result<Vec<(u32, String)>> {
    let queries = wishes.contexts.iter().map(String::as_str).collect();
    let request = ContextRequest { export: &wishes.export, queries };
    let option = n::OPT_SET_META_CONTEXT;
    let answers = match ask(stream, option, "SET_META_CONTEXT", &request.encode()).await {
        Err(Error::Refused { reply: n::REP_ERR_UNSUP, .. }) => return Ok(Vec::new()),
        answers => answers?,
    };
    let mut contexts: Vec<(u32, String)> = Vec::new();
    for answer in answers.iter().filter(|answer| answer.kind == n::REP_META_CONTEXT) {
        let (number, name) = answer
            .data
            .split_first_chunk::<4>()
            .ok_or(Error::Protocol { during: DURING, what: "a context without a number" })?;
        let number = u32::from_be_bytes(*number);
        let wished = wishes.contexts.iter().find(|wished| wished.as_bytes() == name);
        let twice =
            contexts.iter().any(|(other, text)| *other == number || text.as_bytes() == name);
        match wished {
            Some(name) if !twice => contexts.push((number, name.clone())),
            _ => {
                return Err(Error::Protocol { during: DURING, what: "a context nobody asked for" });
            }
        }
    }
    Ok(contexts)
}

async fn send<S: Stream>(stream: &mut S, option: u32, data: &[u8]) -> Result<()> {
    if data.len() > n::OPTION_BYTES_MAX as usize {
        return Err(Error::Invalid { command: "handshake", what: "the wishes are too long" });
    }
    let bytes = option::encode(option, data);
    stream.write_all(&bytes).await.map_err(Error::connection(DURING))?;
    stream.flush().await.map_err(Error::connection(DURING))
}

/// Sends an option, and collects the replies before its acknowledgement.
async fn ask<S: Stream>(
    stream: &mut S,
    option: u32,
    name: &'static str,
    data: &[u8],
) -> Result<Vec<Answer>> {
    send(stream, option, data).await?;
    let mut answers = Vec::new();
    for _ in 0..REPLIES_MAX {
        let header: [u8; REPLY_HEADER_BYTES] = read_array(stream, DURING).await?;
        let (of, kind, length) =
            option::parse_reply_header(&header).map_err(Error::malformed(DURING))?;
        if of != option || length > n::OPTION_BYTES_MAX {
            let what = "a reply to another option, or one that is too long";
            return Err(Error::Protocol { during: DURING, what });
        }
        let data = read_vec(stream, length as usize, DURING).await?;
        match kind {
            n::REP_ACK => return Ok(answers),
            _ if kind & n::REP_FLAG_ERROR != 0 => {
                return Err(Error::Refused { option: name, reply: kind });
            }
            _ => answers.push(Answer { kind, data }),
        }
    }
    Err(Error::Protocol { during: DURING, what: "too many replies to one option" })
}
