//! Who is behind a proxy.
//!
//! In a header anybody can write any address. Each proxy adds at the right end whom it was asked by; so what the
//! last trusted one on the way has added is believed, and nothing to the left of it.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use cbr_model::network::{Network, is_in};

/// How an element of a header names an address; none: not so that it can be read.
type Read = fn(&str) -> Option<IpAddr>;

const HEADERS: [(&str, Read); 2] = [("x-forwarded-for", address), ("forwarded", of_standard)];

/// The address of who asked, when the request came from `peer`.
///
/// That is `peer`, unless it is a trusted proxy that says whom it speaks for: then the right-most address that is
/// no trusted proxy's. If it says so in a way that cannot be read, or in two headers that do not agree – proxies
/// write one of them and may let the client's other one through –, it is the proxy's own: never what a client chose.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_in(trusted, peer) {
        return peer;
    }
    let mut said = HEADERS.iter().filter_map(|how| behind(headers, *how, trusted));
    match (said.next(), said.next()) {
        (Some(Said::Address(one)), None) => one,
        (Some(Said::Address(one)), Some(Said::Address(other))) if one == other => one,
        _ => peer,
    }
}

/// What a header says.
enum Said {
    Address(IpAddr),
    /// Nothing that can be believed.
    Unreadable,
}

/// What a header says; none: there is none.
fn behind(headers: &HeaderMap, (name, read): (&str, Read), trusted: &[Network]) -> Option<Said> {
    headers.get(name)?;
    let mut furthest = Said::Unreadable;
    // A proxy may as well add a header of its own below the client's.
    for line in headers.get_all(name).iter().rev() {
        let Ok(line) = line.to_str() else { return Some(Said::Unreadable) };
        for element in from_the_right(line, b',') {
            // Further to the left than the first that is not trusted stands what a client may have written.
            match read(element) {
                None => return Some(Said::Unreadable),
                Some(address) if !is_in(trusted, address) => return Some(Said::Address(address)),
                Some(address) => furthest = Said::Address(address),
            }
        }
    }
    Some(furthest)
}

/// The parts of a text from right to left; separators in quotation marks separate nothing. From the right, because
/// a mark that a client opened and did not close would swallow what the proxy added.
fn from_the_right(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let bytes = text.as_bytes();
        let mut is_quoted = false;
        let found = (0..bytes.len()).rev().find(|&at| {
            if bytes[at] == b'"' {
                let before = bytes[..at].iter().rev();
                let escapes = before.take_while(|byte| **byte == b'\\').count();
                is_quoted ^= escapes % 2 == 0;
            }
            bytes[at] == separator && !is_quoted
        });
        rest = found.map(|at| &text[..at]);
        Some(text[found.map_or(0, |at| at + 1)..].trim())
    })
}

/// `192.0.2.7`, `2001:db8::7`, either with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

/// `for=192.0.2.7;proto=https`, `For="[2001:db8::7]:4711"` (RFC 7239).
fn of_standard(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in from_the_right(element, b';') {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") {
            let value = value.trim();
            let value = match value.strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"')?,
                None => value,
            };
            if found.replace(address(value)?).is_some() {
                return None;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn asked(peer: &str, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted = ["10.0.0.0/24", "fd00::/8"].map(|text| text.parse().unwrap());
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    fn xff(value: &str) -> String {
        asked(PROXY, &[("x-forwarded-for", value)])
    }

    fn forwarded(value: &str) -> String {
        asked(PROXY, &[("forwarded", value)])
    }

    /// P27: what an address that is not trusted says counts nothing, whichever it names.
    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        let lines = [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.7")];
        assert_eq!(asked("198.51.100.9", &lines), "198.51.100.9");
        assert_eq!(asked("10.0.1.1", &lines), "10.0.1.1", "beside the network");
        assert_eq!(asked(PROXY, &lines), "192.0.2.7");
        assert_eq!(asked("::ffff:10.0.0.1", &lines), "192.0.2.7", "as a socket for both shows it");
        assert_eq!(asked(PROXY, &[]), PROXY, "it asks for itself");
        let none: [Network; 0] = [];
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "192.0.2.7".parse().unwrap());
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(client(peer, &headers, &none), peer, "nobody is trusted unless that is said");
    }

    /// The right-most address that is no trusted proxy's; what stands to the left of it is the client's talk.
    #[test]
    fn the_last_word_of_a_trusted_proxy_counts() {
        for (value, want) in [
            ("192.0.2.7", "192.0.2.7"),
            ("203.0.113.1, 192.0.2.7", "192.0.2.7"),
            ("10.0.0.9, 192.0.2.7", "192.0.2.7"),
            ("192.0.2.7,10.0.0.9 , 10.0.0.8", "192.0.2.7"),
            ("192.0.2.7, fd00::8", "192.0.2.7"),
            ("10.0.0.9, 10.0.0.8", "10.0.0.9"),
            ("garbage \" ', 192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(xff(value), want, "{value}");
        }
        let lines = [("x-forwarded-for", "203.0.113.1"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(asked(PROXY, &lines), "192.0.2.7", "a line of its own");
        let lines = [("x-forwarded-for", "192.0.2.7"), ("x-forwarded-for", "10.0.0.9")];
        assert_eq!(asked(PROXY, &lines), "192.0.2.7", "the chain goes on in the line before");
    }

    #[test]
    fn the_standards_header_is_read_with_all_that_it_may_say() {
        for (value, want) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=192.0.2.7;proto=https;by=10.0.0.1", "192.0.2.7"),
            ("proto=https; for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=203.0.113.1, for=192.0.2.7", "192.0.2.7"),
            ("for=192.0.2.7, for=10.0.0.9", "192.0.2.7"),
            ("for=\"203.0.113.1, for=192.0.2.7", "192.0.2.7"),
            ("for=192.0.2.7;host=\"a,b;for=203.0.113.1\"", "192.0.2.7"),
            ("for=192.0.2.7;host=\"a\\\",for=203.0.113.1\"", "192.0.2.7"),
            ("for=203.0.113.1, for=192.0.2.7;host=\"a\\\\\"", "192.0.2.7"),
        ] {
            assert_eq!(forwarded(value), want, "{value}");
        }
    }

    /// What cannot be read, or not be told from what a client wrote, names the proxy itself.
    #[test]
    fn what_is_malformed_names_the_proxy() {
        for value in
            ["", " ", "unknown", "192.0.2.7,", "192.0.2.7, x", "192.0.2.7.8", "fe80::1%x", "\u{e4}"]
        {
            assert_eq!(xff(value), PROXY, "{value}");
        }
        for value in [
            "",
            "192.0.2.7",
            "for=unknown",
            "for=_hidden",
            "proto=https",
            "for=192.0.2.7;for=203.0.113.1",
            "for=\"192.0.2.7",
            "for=192.0.2.7;x",
        ] {
            assert_eq!(forwarded(value), PROXY, "{value}");
        }
        for (first, second) in
            [("192.0.2.7", "for=203.0.113.1"), ("x", "for=192.0.2.7"), ("192.0.2.7", "x")]
        {
            let lines = [("x-forwarded-for", first), ("forwarded", second)];
            assert_eq!(asked(PROXY, &lines), PROXY, "{first} and {second}");
        }
    }
}
