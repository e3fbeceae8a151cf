//! Addresses of a local folder's objects, good for one thing and for a while: the server's own, because a folder has none.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;
use url::{Url, form_urlencoded};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What an address is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Sending an object.
    Put,
    /// Fetching one.
    Get,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Put => "PUT",
            Self::Get => "GET",
        }
    }
}

/// What an address says, all of it signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What it is good for.
    pub verb: Verb,
    /// Which object.
    pub key: String,
    /// Until when, in seconds since the Unix epoch.
    pub expires: i64,
    /// How many bytes the object has; one that is sent has exactly as many.
    pub bytes: u64,
    /// What kind of file it is; empty for one that is sent.
    pub mime_type: String,
}

/// Keys that sign addresses: the first one signs, all of them are known.
pub struct Keys(Vec<Zeroizing<[u8; 32]>>);

impl Keys {
    /// At least one.
    pub const fn new(keys: Vec<Zeroizing<[u8; 32]>>) -> Self {
        Self(keys)
    }

    fn mac(key: &[u8; 32], ticket: &Ticket) -> Option<Hmac<Sha256>> {
        let Ticket { verb, key: object, expires, bytes, mime_type } = ticket;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        // No part holds a line break: keys are the server's, and what is read back is refused when it has one.
        let signed = format!("aicos assets v1\n{}\n{object}\n{expires}\n{bytes}\n{mime_type}", verb.as_str());
        mac.update(signed.as_bytes());
        Some(mac)
    }

    /// The address below `base` that says what the ticket says.
    pub fn sign(&self, base: &Url, ticket: &Ticket) -> Option<Url> {
        let signature = Self::mac(self.0.first()?, ticket)?.finalize().into_bytes();
        let mut url = base.clone();
        url.path_segments_mut().ok()?.pop_if_empty().push("assets").extend(ticket.key.split('/'));
        url.query_pairs_mut()
            .append_pair("expires", &ticket.expires.to_string())
            .append_pair("bytes", &ticket.bytes.to_string())
            .append_pair("type", &ticket.mime_type)
            .append_pair("signature", &URL_SAFE_NO_PAD.encode(signature));
        Some(url)
    }

    /// Reads an address, as far as it was signed here and is still good. Which of the two it lacks is not said.
    pub fn verify(&self, verb: Verb, key: &str, query: &str, now: DateTime<Utc>) -> Option<Ticket> {
        let (mut expires, mut bytes, mut mime_type, mut signature) = (None, None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "expires" => &mut expires,
                "bytes" => &mut bytes,
                "type" => &mut mime_type,
                "signature" => &mut signature,
                _ => return None,
            };
            if place.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        let (expires, bytes) = (expires?.parse().ok()?, bytes?.parse().ok()?);
        let ticket = Ticket { verb, key: key.to_owned(), expires, bytes, mime_type: mime_type? };
        let signature = URL_SAFE_NO_PAD.decode(signature?).ok()?;
        if ticket.key.contains('\n') || ticket.mime_type.contains('\n') {
            return None;
        }
        let known = |key| Self::mac(key, &ticket).is_some_and(|mac| mac.verify_slice(&signature).is_ok());
        // Every key is tried, so that the time tells nothing.
        let genuine = self.0.iter().filter(|key| known(&***key)).count() > 0;
        (genuine && now.timestamp() < ticket.expires).then_some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: u8) -> Keys {
        Keys::new(vec![Zeroizing::new([byte; 32])])
    }

    #[test]
    fn an_address_is_good_for_what_it_says_and_nothing_else() {
        let ticket = Ticket {
            verb: Verb::Get,
            key: "organizations/a/b".to_owned(),
            expires: 1_000,
            bytes: 5,
            mime_type: "image/png".to_owned(),
        };
        let url = keys(1).sign(&Url::parse("https://x.example/base/").unwrap(), &ticket).unwrap();
        assert_eq!(url.path(), "/base/assets/organizations/a/b");
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let (query, key) = (url.query().unwrap(), &*ticket.key);
        assert_eq!(keys(1).verify(Verb::Get, key, query, at(999)), Some(ticket.clone()));
        let two = Keys::new(vec![Zeroizing::new([2; 32]), Zeroizing::new([1; 32])]);
        assert_eq!(two.verify(Verb::Get, key, query, at(999)), Some(ticket.clone()));
        for (verb, key, query, now) in [
            (Verb::Put, key, query.to_owned(), 999),
            (Verb::Get, "organizations/a/c", query.to_owned(), 999),
            (Verb::Get, key, query.to_owned(), 1_000),
            (Verb::Get, key, query.replace("expires=1000", "expires=2000"), 999),
            (Verb::Get, key, query.replace("bytes=5", "bytes=6"), 999),
            (Verb::Get, key, query.replace("image%2Fpng", "text%2Fhtml"), 999),
            (Verb::Get, key, format!("{query}&type=text%2Fhtml"), 999),
            (Verb::Get, key, format!("{query}&more=1"), 999),
            (Verb::Get, key, query.split("&signature").next().unwrap().to_owned(), 999),
            (Verb::Get, key, String::new(), 999),
        ] {
            assert_eq!(keys(1).verify(verb, key, &query, at(now)), None, "{verb:?} {key} {query}");
        }
        assert_eq!(keys(3).verify(Verb::Get, key, query, at(999)), None);
    }
}
