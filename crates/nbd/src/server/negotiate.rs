//! The handshake: fixed newstyle, option by option, until `GO` or the end.

use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use super::contexts::Contexts;
use super::exports::{Exports, Offered};
use crate::error::{Error, Result};
use crate::export::Export;
use crate::stream::{Stream, read_array, read_vec, skip};
use crate::tls::ServerTls;
use crate::wire::Malformed;
use crate::wire::numbers as n;
use crate::wire::option::{
    self, ContextRequest, Info, InfoRequest, OPTION_HEADER_BYTES, context_number,
};
use crate::wire::request::Headers;

const DURING: &str = "handshake";
/// Options one client may send. Usual clients send five.
const OPTIONS_MAX: usize = 256;
/// Longest option that is skipped instead of ending the connection.
const SKIP_MAX: u32 = 1 << 20;
const PREFERRED_BLOCK: u32 = 64 << 10;

/// What the two sides agreed on.
pub(super) struct Agreed {
    pub(super) export: Arc<dyn Export>,
    pub(super) headers: Headers,
    pub(super) contexts: Contexts,
    /// Cancelled when the export is taken away.
    pub(super) gone: CancellationToken,
}

/// What a server has to offer to a client.
#[derive(Clone, Copy)]
pub(super) struct Offer<'a> {
    pub(super) exports: &'a Exports,
    pub(super) request_bytes: u32,
    /// None: there is none, or it is done already.
    pub(super) tls: Option<&'a ServerTls>,
}

/// Greets a new client; says whether it wants 124 zeroes after `EXPORT_NAME`.
pub(super) async fn greet<S: Stream>(stream: &mut S) -> Result<bool> {
    let mut hello = Vec::with_capacity(18);
    hello.extend_from_slice(&n::MAGIC.to_be_bytes());
    hello.extend_from_slice(&n::IHAVEOPT.to_be_bytes());
    hello.extend_from_slice(&(n::FLAG_FIXED_NEWSTYLE | n::FLAG_NO_ZEROES).to_be_bytes());
    stream.write_all(&hello).await.map_err(Error::connection(DURING))?;
    let flags = u32::from_be_bytes(read_array(stream, DURING).await?);
    let known = u32::from(n::FLAG_FIXED_NEWSTYLE | n::FLAG_NO_ZEROES);
    if flags & !known != 0 || flags & u32::from(n::FLAG_FIXED_NEWSTYLE) == 0 {
        return Err(Error::Protocol { during: DURING, what: "flags of another handshake" });
    }
    Ok(flags & u32::from(n::FLAG_NO_ZEROES) == 0)
}

/// Speaks with a client until it chose an export, leaves, or wants TLS.
pub(super) async fn negotiate<S: Stream>(
    stream: &mut S,
    offer: &Offer<'_>,
    zeroes: bool,
) -> Result<Next> {
    let mut handshake =
        Handshake { offer: *offer, headers: Headers::Simple, contexts: None, zeroes };
    for _ in 0..OPTIONS_MAX {
        let header: [u8; OPTION_HEADER_BYTES] = read_array(stream, DURING).await?;
        let (option, length) = option::parse_header(&header).map_err(Error::malformed(DURING))?;
        if length > n::OPTION_BYTES_MAX {
            if length > SKIP_MAX {
                return Err(Error::Protocol { during: DURING, what: "an option is too long" });
            }
            skip(stream, u64::from(length), DURING).await?;
            let reply = option::encode_reply(option, n::REP_ERR_TOO_BIG, b"too long");
            stream.write_all(&reply).await.map_err(Error::connection(DURING))?;
            continue;
        }
        let data = read_vec(stream, length as usize, DURING).await?;
        let (reply, next) = handshake.option(option, &data);
        stream.write_all(&reply).await.map_err(Error::connection(DURING))?;
        stream.flush().await.map_err(Error::connection(DURING))?;
        match next {
            Next::Option => {}
            next => return Ok(next),
        }
    }
    Err(Error::Protocol { during: DURING, what: "too many options" })
}

/// What follows an option.
pub(super) enum Next {
    Option,
    Leave,
    Secure,
    Transmit(Agreed),
}

/// What was agreed so far.
struct Handshake<'a> {
    offer: Offer<'a>,
    headers: Headers,
    /// The contexts chosen, and for which export.
    contexts: Option<(String, Contexts)>,
    /// Whether the client wants 124 zeroes after `EXPORT_NAME`.
    zeroes: bool,
}

/// An option that is refused: the kind of the error reply, and words for humans.
struct Refusal(u32, &'static str);

impl From<Malformed> for Refusal {
    fn from(Malformed(what): Malformed) -> Self {
        Self(n::REP_ERR_INVALID, what)
    }
}

impl Handshake<'_> {
    /// The bytes to answer, and what follows.
    fn option(&mut self, option: u32, data: &[u8]) -> (Vec<u8>, Next) {
        let ack = |reply: Vec<u8>| (join(reply, option), Next::Option);
        if self.offer.tls.is_some_and(ServerTls::is_required)
            && !matches!(option, n::OPT_STARTTLS | n::OPT_ABORT)
        {
            // The old way to choose an export knows no refusal but to hang up.
            let next = if option == n::OPT_EXPORT_NAME { Next::Leave } else { Next::Option };
            let words = b"this server speaks TLS only";
            return (option::encode_reply(option, n::REP_ERR_TLS_REQD, words), next);
        }
        let answered = match option {
            n::OPT_EXPORT_NAME => return self.export_name(data),
            n::OPT_ABORT => {
                return (option::encode_reply(option, n::REP_ACK, &[]), Next::Leave);
            }
            n::OPT_STARTTLS => self.start_tls(data),
            n::OPT_LIST => self.list(data).map(ack),
            n::OPT_INFO => self.info(option, data).map(|(reply, _)| ack(reply)),
            n::OPT_GO => self
                .info(option, data)
                .map(|(reply, agreed)| (join(reply, option), Next::Transmit(agreed))),
            n::OPT_STRUCTURED_REPLY => self.headers(data, Headers::Structured).map(ack),
            n::OPT_EXTENDED_HEADERS => self.headers(data, Headers::Extended).map(ack),
            n::OPT_LIST_META_CONTEXT | n::OPT_SET_META_CONTEXT => {
                self.contexts(option, data).map(ack)
            }
            _ => Err(Refusal(n::REP_ERR_UNSUP, "this server does not know the option")),
        };
        answered.unwrap_or_else(|Refusal(kind, words)| {
            (option::encode_reply(option, kind, words.as_bytes()), Next::Option)
        })
    }

    fn start_tls(&self, data: &[u8]) -> Result<(Vec<u8>, Next), Refusal> {
        if self.offer.tls.is_none() {
            return Err(Refusal(n::REP_ERR_UNSUP, "there is no TLS here, or it is done already"));
        }
        if !data.is_empty() {
            return Err(Refusal(n::REP_ERR_INVALID, "STARTTLS has no data"));
        }
        Ok((option::encode_reply(n::OPT_STARTTLS, n::REP_ACK, &[]), Next::Secure))
    }

    /// The old way to choose an export: no way to refuse but to hang up.
    fn export_name(&self, data: &[u8]) -> (Vec<u8>, Next) {
        let found = std::str::from_utf8(data)
            .ok()
            .and_then(|name| Some((name, self.offer.exports.get(name)?)));
        let Some((name, offered)) = found else {
            return (Vec::new(), Next::Leave);
        };
        // Extended headers forbid this option.
        if self.headers == Headers::Extended {
            return (Vec::new(), Next::Leave);
        }
        let export = &offered.export;
        let mut reply = export.size().to_be_bytes().to_vec();
        reply.extend_from_slice(&flags(&**export, self.headers).to_be_bytes());
        if self.zeroes {
            reply.resize(reply.len() + 124, 0);
        }
        (reply, Next::Transmit(self.agreed(name, &offered)))
    }

    fn list(&self, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        if !data.is_empty() {
            return Err(Refusal(n::REP_ERR_INVALID, "LIST has no data"));
        }
        let secret = Refusal(n::REP_ERR_POLICY, "the names of the exports are not told");
        let names = self.offer.exports.names().ok_or(secret)?;
        let reply = |name: &String| {
            option::encode_reply(n::OPT_LIST, n::REP_SERVER, &option::encode_name(name))
        };
        Ok(names.iter().flat_map(reply).collect())
    }

    fn headers(&mut self, data: &[u8], headers: Headers) -> Result<Vec<u8>, Refusal> {
        if !data.is_empty() {
            return Err(Refusal(n::REP_ERR_INVALID, "the option has no data"));
        }
        if self.headers == Headers::Extended && headers == Headers::Structured {
            return Err(Refusal(n::REP_ERR_EXT_HEADER_REQD, "headers are extended already"));
        }
        self.headers = headers;
        // What was chosen before was chosen for other headers.
        self.contexts = None;
        Ok(Vec::new())
    }

    fn info(&self, option: u32, data: &[u8]) -> Result<(Vec<u8>, Agreed), Refusal> {
        let request = InfoRequest::parse(data)?;
        let offered = self.offered(request.export)?;
        let export = &offered.export;
        let mut infos = vec![
            Info::Export { size: export.size(), flags: flags(&**export, self.headers) },
            Info::BlockSize {
                minimum: 1,
                preferred: PREFERRED_BLOCK,
                maximum: self.offer.request_bytes,
            },
        ];
        if request.wants.contains(&n::INFO_NAME) {
            infos.push(Info::Name(request.export.to_owned()));
        }
        if request.wants.contains(&n::INFO_DESCRIPTION) {
            infos.extend(export.description().map(|line| Info::Description(line.to_owned())));
        }
        let encoded = |info: &Info| option::encode_reply(option, n::REP_INFO, &info.encode());
        Ok((infos.iter().flat_map(encoded).collect(), self.agreed(request.export, &offered)))
    }

    fn contexts(&mut self, option: u32, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        let setting = option == n::OPT_SET_META_CONTEXT;
        if setting {
            // Also a refused choice ends the one before.
            self.contexts = None;
        }
        if self.headers == Headers::Simple {
            return Err(Refusal(n::REP_ERR_INVALID, "structured replies come first"));
        }
        let request = ContextRequest::parse(data)?;
        let offered = self.offered(request.export)?;
        let export = &offered.export;
        let chosen = Contexts::chosen(&**export, &request.queries, !setting);
        if setting {
            self.contexts = Some((request.export.to_owned(), chosen));
        }
        let reply = |name: &String| {
            let number = if setting { context_number(name) } else { 0 };
            let mut data = number.to_be_bytes().to_vec();
            data.extend_from_slice(name.as_bytes());
            option::encode_reply(option, n::REP_META_CONTEXT, &data)
        };
        Ok(chosen.names(&**export).iter().flat_map(reply).collect())
    }

    fn offered(&self, name: &str) -> Result<Offered, Refusal> {
        let unknown = Refusal(n::REP_ERR_UNKNOWN, "there is no such export");
        self.offer.exports.get(name).ok_or(unknown)
    }

    fn agreed(&self, name: &str, offered: &Offered) -> Agreed {
        let contexts = match &self.contexts {
            Some((of, contexts)) if of == name => *contexts,
            _ => Contexts::default(),
        };
        let (export, gone) = (Arc::clone(&offered.export), offered.gone.clone());
        Agreed { export, headers: self.headers, contexts, gone }
    }
}

/// The replies, and the acknowledgement after them.
fn join(mut replies: Vec<u8>, option: u32) -> Vec<u8> {
    replies.extend(option::encode_reply(option, n::REP_ACK, &[]));
    replies
}

/// What an export can do, in the protocol's words.
fn flags(export: &dyn Export, headers: Headers) -> u16 {
    let mut flags = n::TRANS_HAS_FLAGS | n::TRANS_CAN_MULTI_CONN;
    flags |= if export.writes().is_some() {
        n::TRANS_SEND_FLUSH | n::TRANS_SEND_FUA | n::TRANS_SEND_TRIM | n::TRANS_SEND_WRITE_ZEROES
    } else {
        n::TRANS_READ_ONLY
    };
    if headers != Headers::Simple {
        flags |= n::TRANS_SEND_DF;
    }
    flags
}
