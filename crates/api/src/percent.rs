//! Percent-decoding, for paths and queries.

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
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(decode("a%2Fb%zz%4", false), b"a/b%zz%4");
        assert_eq!(decode("a+b", false), b"a+b");
        assert_eq!(decode("a+b", true), b"a b");
    }
}
