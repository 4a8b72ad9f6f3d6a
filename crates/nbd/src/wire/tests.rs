//! Parsers are total, and read what their encoders write.

use proptest::prelude::*;

use super::option::{self, ContextRequest, Info, InfoRequest};
use super::reply;
use super::request::{Headers, Request};
use crate::extent::Extent;

fn headers() -> impl Strategy<Value = Headers> {
    prop_oneof![Just(Headers::Simple), Just(Headers::Structured), Just(Headers::Extended)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_parser_panic(
        headers in headers(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        number in any::<u32>(),
        kind in any::<u16>(),
    ) {
        let _ = Request::parse(headers, &bytes);
        let _ = reply::header_bytes(headers, number);
        let _ = reply::parse(number, &bytes);
        let _ = reply::parse_error(kind, &bytes);
        let _ = reply::parse_status(kind, &bytes);
        let _ = option::parse_header(&bytes);
        let _ = option::parse_reply_header(&bytes);
        let _ = option::parse_name(&bytes);
        let _ = InfoRequest::parse(&bytes);
        let _ = ContextRequest::parse(&bytes);
        let _ = Info::parse(&bytes);
    }

    #[test]
    fn requests_are_read_as_they_were_written(
        headers in headers(),
        (flags, command, cookie) in any::<(u16, u16, u64)>(),
        (offset, length) in any::<(u64, u32)>(),
    ) {
        let request = Request { flags, command, cookie, offset, length: u64::from(length) };
        let bytes = request.encode(headers);
        prop_assert_eq!(bytes.len(), headers.request_bytes());
        prop_assert_eq!(Request::parse(headers, &bytes), Ok(request));
    }

    #[test]
    fn extents_are_read_as_they_were_written(
        extended in any::<bool>(),
        runs in prop::collection::vec((1..u32::MAX, any::<u32>()), 1..20),
    ) {
        let headers = if extended { Headers::Extended } else { Headers::Structured };
        let extents: Vec<Extent> = runs
            .iter()
            .map(|(length, flags)| Extent { length: u64::from(*length), flags: u64::from(*flags) })
            .collect();
        let (kind, payload) = reply::encode_status(headers, 7, &extents);
        prop_assert_eq!(reply::parse_status(kind, &payload), Ok((7, extents)));
    }

    #[test]
    fn options_are_read_as_they_were_written(
        export in "[a-z/]{0,20}",
        wants in prop::collection::vec(any::<u16>(), 0..9),
        queries in prop::collection::vec("[a-z:]{0,20}", 0..9),
    ) {
        let info = InfoRequest { export: &export, wants };
        let bytes = info.encode();
        prop_assert_eq!(InfoRequest::parse(&bytes), Ok(info));
        let queries = queries.iter().map(String::as_str).collect();
        let contexts = ContextRequest { export: &export, queries };
        let bytes = contexts.encode();
        prop_assert_eq!(ContextRequest::parse(&bytes), Ok(contexts));
    }
}
