//! Decoders of what is inside of objects: total, and exact – one value has one encoding.

use cbr_store::format::SLOT_PLAIN_BYTES_MAX;
use cbr_store::format::codec::{Decoder, Encoder};
use cbr_store::format::deaths::Deaths;
use cbr_store::format::frame::{Codec, FrameDecoder, FrameEncoder};
use cbr_store::format::node::Node;
use cbr_store::format::record::{
    Claim, Delete, Descriptor, Domain, Fold, Note, Outcome, Record, Retire, RetireFold, Shredded,
};
use cbr_store::format::references::References;

use crate::{choice, golden};

type Decode = fn(&[u8]) -> Option<Vec<u8>>;

/// By the names of the golden lines that are one.
const DECODERS: [(&str, Decode); 13] = [
    ("leaf inner", node),
    ("deaths", |bytes| Some(Deaths::decode(bytes).ok()?.encode())),
    ("references", |bytes| Some(References::decode(bytes).ok()?.encode())),
    ("claim-record", record::<Claim>),
    ("commit-record abort-record", record::<Outcome>),
    ("delete-record trash-record restore-record purge-record", record::<Delete>),
    ("domain-record", record::<Domain>),
    ("descriptor-record", record::<Descriptor>),
    ("fold-record", record::<Fold>),
    ("retire-record", record::<Retire>),
    ("retire-fold-record", record::<RetireFold>),
    ("shredded-record", record::<Shredded>),
    ("note-record", record::<Note>),
];

fn node(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(match Node::decode(bytes).ok()? {
        Node::Leaf(leaf) => leaf.encode(),
        Node::Inner(inner) => inner.encode(),
    })
}

fn record<R: Record>(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut from = Decoder::new(bytes);
    let record = R::decode(&mut from).ok()?;
    from.finish().ok()?;
    let mut to = Encoder::new();
    record.encode(&mut to);
    Some(to.into_bytes())
}

pub(crate) fn run(bytes: &[u8]) {
    let (which, bytes) = choice(bytes, DECODERS.len());
    if let Some(again) = DECODERS[which].1(bytes) {
        assert_eq!(again, bytes, "a second encoding of one value");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (name, _, bytes) in golden() {
        let is_it =
            |(_, (names, _)): &(u8, &(&str, Decode))| names.split(' ').any(|one| one == name);
        if let Some((which, _)) = (0..).zip(&DECODERS).find(is_it) {
            seeds.push([&[which], &bytes[..]].concat());
        }
    }
    seeds
}

/// P24: a frame decodes to exactly as many bytes as its table says, or not at all.
pub(crate) fn run_frame(bytes: &[u8]) {
    let Some((head, encoded)) = bytes.split_at_checked(5) else { return };
    let plain_len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let codec = if head[0].is_multiple_of(2) { Codec::None } else { Codec::Zstd };
    let mut out = Vec::new();
    let decoded = FrameDecoder::new().unwrap().decode(codec, encoded, plain_len, &mut out);
    assert_eq!(out.len(), if decoded.is_ok() { plain_len } else { 0 });
    assert!(out.capacity() <= SLOT_PLAIN_BYTES_MAX, "{} bytes were reserved", out.capacity());
}

pub(crate) fn frame_seeds() -> Vec<Vec<u8>> {
    let seed = |plain: &[u8]| {
        let mut encoded = Vec::new();
        let codec = FrameEncoder::new(3).unwrap().encode(plain, &mut encoded);
        let length = u32::try_from(plain.len()).unwrap().to_le_bytes();
        [&[u8::from(codec == Codec::Zstd)], &length[..], &encoded].concat()
    };
    let text: Vec<u8> = (0..3000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    vec![seed(&[0; 65_536]), seed(&text), seed(b"short")]
}
