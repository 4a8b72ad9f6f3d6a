//! Percent-encoding, for paths and queries.

use std::fmt::Write as _;

/// Percent-encodes a path for use in a query; slashes stay.
pub(crate) fn encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Percent-decoding that leaves broken escapes as they are, like the clients' libraries.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'%' => {
                let escaped = bytes.get(i + 1..i + 3).and_then(|digits| {
                    let mut byte = [0];
                    hex::decode_to_slice(digits, &mut byte).ok().map(|()| byte[0])
                });
                if let Some(byte) = escaped {
                    decoded.push(byte);
                    i += 3;
                    continue;
                }
                decoded.push(b'%');
            }
            b'+' if plus_is_space => decoded.push(b' '),
            byte => decoded.push(byte),
        }
        i += 1;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_to_the_same() {
        assert_eq!(encode("/var/lib/a b&é.sock"), "/var/lib/a%20b%26%C3%A9.sock");
        assert_eq!(decode(&encode("/a b&é%2F"), true), "/a b&é%2F".as_bytes());
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(decode("a%2Fb%zz%4", false), b"a/b%zz%4");
        assert_eq!(decode("a+b", false), b"a+b");
        assert_eq!(decode("a+b", true), b"a b");
    }
}
