//! What the `Authorization` header of a signed request claims. Pure parsing.

use axum::http::{HeaderMap, header};

use super::Refusal;

/// Most headers a client may sign; real clients sign about six.
const SIGNED_HEADERS_MAX: usize = 64;

/// How the key of the HMAC is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// `SDK-HMAC-SHA256`: the secret itself.
    Plain,
    /// `V11-HMAC-SHA256`: derived for one day, region and service.
    Derived {
        /// `yyyymmdd/region/service`.
        scope: String,
    },
}

impl Algorithm {
    /// The word in the header and in the string to sign.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Plain => "SDK-HMAC-SHA256",
            Self::Derived { .. } => "V11-HMAC-SHA256",
        }
    }
}

/// A signature as claimed, not yet verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// How it was made.
    pub algorithm: Algorithm,
    /// The access key it claims to be made with.
    pub access_key: String,
    /// Names of the headers it covers, lower case, in the client's order.
    pub headers: Vec<String>,
    /// The 32 bytes.
    pub signature: Vec<u8>,
}

impl Signed {
    /// Reads the `Authorization` header. `None`: there is none, or it is of another scheme.
    pub fn parse(headers: &HeaderMap) -> Option<Result<Self, Refusal>> {
        let value = headers.get(header::AUTHORIZATION)?;
        let Ok(text) = value.to_str() else { return Some(Err(Refusal::Malformed)) };
        let (scheme, rest) = text.split_once(' ')?;
        match scheme {
            "SDK-HMAC-SHA256" | "V11-HMAC-SHA256" => Some(Self::parse_fields(scheme, rest)),
            "SDK-HMAC-SM3" | "SDK-ECDSA-P256-SHA256" | "SDK-SM2-SM3" => {
                Some(Err(Refusal::UnknownAlgorithm))
            }
            _ => None,
        }
    }

    fn parse_fields(scheme: &str, rest: &str) -> Result<Self, Refusal> {
        let (mut access, mut credential, mut signed, mut signature) = (None, None, None, None);
        for field in rest.split(',') {
            let (name, value) = field.trim().split_once('=').ok_or(Refusal::Malformed)?;
            let slot = match name {
                "Access" => &mut access,
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed,
                "Signature" => &mut signature,
                _ => return Err(Refusal::Malformed),
            };
            if slot.replace(value).is_some() {
                return Err(Refusal::Malformed);
            }
        }
        let (algorithm, access_key) = match (scheme, access, credential) {
            ("SDK-HMAC-SHA256", Some(key), None) => (Algorithm::Plain, key),
            ("V11-HMAC-SHA256", None, Some(credential)) => {
                let (key, scope) = credential.split_once('/').ok_or(Refusal::Malformed)?;
                (Algorithm::Derived { scope: scope.to_owned() }, key)
            }
            _ => return Err(Refusal::Malformed),
        };
        let headers: Vec<String> = signed
            .ok_or(Refusal::Malformed)?
            .split(';')
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        if access_key.is_empty() || headers.len() > SIGNED_HEADERS_MAX {
            return Err(Refusal::Malformed);
        }
        let signature =
            hex::decode(signature.ok_or(Refusal::Malformed)?).map_err(|_| Refusal::Malformed)?;
        Ok(Self { algorithm, access_key: access_key.to_owned(), headers, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Result<Signed, Refusal>> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, text.parse().unwrap());
        Signed::parse(&headers)
    }

    #[test]
    fn the_three_fields_are_read() {
        let signed =
            parse("SDK-HMAC-SHA256 Access=AK, SignedHeaders=Host;x-sdk-date, Signature=00ff")
                .unwrap()
                .unwrap();
        assert_eq!(signed.access_key, "AK");
        assert_eq!(signed.headers, ["host", "x-sdk-date"]);
        assert_eq!(signed.signature, [0, 255]);
    }

    #[test]
    fn other_schemes_are_not_ours_and_broken_headers_are_refused() {
        assert_eq!(parse("Bearer abc"), None);
        assert_eq!(parse("SDK-HMAC-SM3 Access=a"), Some(Err(Refusal::UnknownAlgorithm)));
        for broken in [
            "SDK-HMAC-SHA256 Access=a",
            "SDK-HMAC-SHA256 Access=a, SignedHeaders=x-sdk-date, Signature=zz",
            "SDK-HMAC-SHA256 Access=a, Access=b, SignedHeaders=x-sdk-date, Signature=00",
            "SDK-HMAC-SHA256 Access=, SignedHeaders=x-sdk-date, Signature=00",
            "SDK-HMAC-SHA256 Credential=a/b, SignedHeaders=x-sdk-date, Signature=00",
            "V11-HMAC-SHA256 Credential=a, SignedHeaders=x-sdk-date, Signature=00",
            "SDK-HMAC-SHA256 ,,,",
        ] {
            assert_eq!(parse(broken), Some(Err(Refusal::Malformed)), "{broken}");
        }
        let many = vec!["h"; SIGNED_HEADERS_MAX + 1].join(";");
        let text = format!("SDK-HMAC-SHA256 Access=a, SignedHeaders={many}, Signature=00");
        assert_eq!(parse(&text), Some(Err(Refusal::Malformed)));
    }
}
