//! What options and their replies carry.

use super::numbers::{BASE_ALLOCATION, DIRTY_BITMAP, IHAVEOPT, REP_MAGIC};
use super::{Fields, Malformed};

/// Bytes before an option's data: magic, option, length.
pub(crate) const OPTION_HEADER_BYTES: usize = 16;
/// Bytes before an option reply's data: magic, option, kind, length.
pub(crate) const REPLY_HEADER_BYTES: usize = 20;

/// An option's number and the length of its data.
pub(crate) fn parse_header(bytes: &[u8]) -> Result<(u32, u32), Malformed> {
    let mut fields = Fields::new(bytes);
    if fields.u64()? != IHAVEOPT {
        return Err(Malformed("an option begins with another number"));
    }
    let parsed = (fields.u32()?, fields.u32()?);
    fields.end()?;
    Ok(parsed)
}

/// An option with its data.
pub(crate) fn encode(option: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(OPTION_HEADER_BYTES + data.len());
    out.extend_from_slice(&IHAVEOPT.to_be_bytes());
    out.extend_from_slice(&option.to_be_bytes());
    put_length(&mut out, data.len());
    out.extend_from_slice(data);
    out
}

/// The option, kind and length of data of an option reply.
pub(crate) fn parse_reply_header(bytes: &[u8]) -> Result<(u32, u32, u32), Malformed> {
    let mut fields = Fields::new(bytes);
    if fields.u64()? != REP_MAGIC {
        return Err(Malformed("an option's reply begins with another number"));
    }
    let parsed = (fields.u32()?, fields.u32()?, fields.u32()?);
    fields.end()?;
    Ok(parsed)
}

/// A reply to an option.
pub(crate) fn encode_reply(option: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(REPLY_HEADER_BYTES + data.len());
    out.extend_from_slice(&REP_MAGIC.to_be_bytes());
    out.extend_from_slice(&option.to_be_bytes());
    out.extend_from_slice(&kind.to_be_bytes());
    put_length(&mut out, data.len());
    out.extend_from_slice(data);
    out
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// The data of `INFO` and `GO`.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct InfoRequest<'a> {
    pub(crate) export: &'a str,
    pub(crate) wants: Vec<u16>,
}

impl<'a> InfoRequest<'a> {
    pub(crate) fn parse(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(data);
        let export = fields.counted_string()?;
        let count = fields.u16()?;
        let mut wants = Vec::new();
        // Each costs two bytes of data that is already here, so the list is bounded by it.
        for _ in 0..count {
            wants.push(fields.u16()?);
        }
        fields.end()?;
        Ok(Self { export, wants })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_string(&mut out, self.export);
        let count = u16::try_from(self.wants.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&count.to_be_bytes());
        for want in &self.wants {
            out.extend_from_slice(&want.to_be_bytes());
        }
        out
    }
}

/// The data of `LIST_META_CONTEXT` and `SET_META_CONTEXT`.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct ContextRequest<'a> {
    pub(crate) export: &'a str,
    pub(crate) queries: Vec<&'a str>,
}

impl<'a> ContextRequest<'a> {
    pub(crate) fn parse(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(data);
        let export = fields.counted_string()?;
        let count = fields.u32()?;
        let mut queries = Vec::new();
        for _ in 0..count {
            queries.push(fields.counted_string()?);
        }
        fields.end()?;
        Ok(Self { export, queries })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_string(&mut out, self.export);
        put_length(&mut out, self.queries.len());
        for query in &self.queries {
            put_string(&mut out, query);
        }
        out
    }
}

/// Whether a query means this context. When listing, a namespace alone means all of it.
pub(crate) fn query_matches(query: &str, context: &str, listing: bool) -> bool {
    let whole = matches!(query, "base:" | "qemu:" | DIRTY_BITMAP);
    query == context || (listing && whole && context.starts_with(query))
}

/// The number a context has on every connection.
pub(crate) fn context_number(context: &str) -> u32 {
    if context == BASE_ALLOCATION { 1 } else { 2 }
}

/// The data of an export's name in the answer to `LIST`.
pub(crate) fn encode_name(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_string(&mut out, name);
    out
}

/// The name in an answer to `LIST`; what follows it is for humans.
pub(crate) fn parse_name(data: &[u8]) -> Result<&str, Malformed> {
    Fields::new(data).counted_string()
}

/// What a client wants to know of an export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Info {
    Export { size: u64, flags: u16 },
    Name(String),
    Description(String),
    BlockSize { minimum: u32, preferred: u32, maximum: u32 },
    Other(u16),
}

impl Info {
    pub(crate) fn parse(data: &[u8]) -> Result<Self, Malformed> {
        use super::numbers::{INFO_BLOCK_SIZE, INFO_DESCRIPTION, INFO_EXPORT, INFO_NAME};
        let mut fields = Fields::new(data);
        let text = |bytes: &[u8]| -> Result<String, Malformed> {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            Fields::new(bytes).string(length).map(str::to_owned)
        };
        let info = match fields.u16()? {
            INFO_EXPORT => Self::Export { size: fields.u64()?, flags: fields.u16()? },
            INFO_BLOCK_SIZE => Self::BlockSize {
                minimum: fields.u32()?,
                preferred: fields.u32()?,
                maximum: fields.u32()?,
            },
            INFO_NAME => return Ok(Self::Name(text(fields.rest())?)),
            INFO_DESCRIPTION => return Ok(Self::Description(text(fields.rest())?)),
            other => return Ok(Self::Other(other)),
        };
        fields.end()?;
        Ok(info)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        use super::numbers::{INFO_BLOCK_SIZE, INFO_DESCRIPTION, INFO_EXPORT, INFO_NAME};
        let mut out = Vec::new();
        match self {
            Self::Export { size, flags } => {
                out.extend_from_slice(&INFO_EXPORT.to_be_bytes());
                out.extend_from_slice(&size.to_be_bytes());
                out.extend_from_slice(&flags.to_be_bytes());
            }
            Self::Name(text) => {
                out.extend_from_slice(&INFO_NAME.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Self::Description(text) => {
                out.extend_from_slice(&INFO_DESCRIPTION.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Self::BlockSize { minimum, preferred, maximum } => {
                out.extend_from_slice(&INFO_BLOCK_SIZE.to_be_bytes());
                for size in [minimum, preferred, maximum] {
                    out.extend_from_slice(&size.to_be_bytes());
                }
            }
            Self::Other(kind) => out.extend_from_slice(&kind.to_be_bytes()),
        }
        out
    }
}
