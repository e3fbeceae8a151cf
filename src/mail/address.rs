//! E-mail addresses in the one form that is stored, compared and written to.

use std::fmt;
use std::net::Ipv4Addr;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::error::{Fault, FaultCode};

/// Most bytes of an address (RFC 5321, with its brackets taken off).
const MAX_BYTES: usize = 254;
/// Most bytes before the `@`.
const MAX_LOCAL_BYTES: usize = 64;
/// Longer input is not looked at.
const MAX_INPUT_BYTES: usize = 1024;

/// An e-mail address in canonical form: equal addresses are equal texts.
///
/// White space around it is dropped and the rest is lower case. Before the `@` stand ASCII letters, digits and the
/// signs that need no quotes, and nothing else: Unicode has letters that look alike (`а` and `a`) or turn into ASCII
/// when their case changes (`K`, the Kelvin sign; `İ`), and two people must never share one address or seem to. The
/// domain may be international; it is kept in its ASCII form (`xn--…`). Dots and `+tags` are significant: only the
/// provider knows what they mean.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads an address from outside; the fault is at the input field `email`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Self::parse_at(text, "email")
    }

    /// Reads an address from outside; `field` is the input field that the fault names.
    pub fn parse_at(text: &str, field: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.is_empty() {
            let message = "An e-mail address is needed, for example anna@example.com.";
            return Err(Fault::at(FaultCode::Required, field, message));
        }
        let too_long = || {
            let message = format!("The e-mail address is too long. Use at most {MAX_BYTES} characters.");
            Fault::at(FaultCode::TooLong, field, message)
        };
        let invalid = || {
            let message = "This is not an e-mail address that can be written to. It looks like anna@example.com, with only the letters a to z, digits and signs before the @.";
            Fault::at(FaultCode::Invalid, field, message)
        };
        if text.len() > MAX_INPUT_BYTES {
            return Err(too_long());
        }
        let (local, domain) = text.split_once('@').ok_or_else(invalid)?;
        if !is_local(local) {
            return Err(invalid());
        }
        let domain = canonical_domain(domain).ok_or_else(invalid)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > MAX_BYTES || local.len() > MAX_LOCAL_BYTES {
            return Err(too_long());
        }
        Ok(Self(address))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }

    /// What stands after the `@`, in ASCII.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Whether this is a "dot-atom": no quotes, no comments, no white space, no control characters.
fn is_local(text: &str) -> bool {
    let atom = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c);
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
}

/// The domain's ASCII form, when it is a name on the public internet.
fn canonical_domain(text: &str) -> Option<String> {
    // The host parser drops invisible characters and decodes `%61`; here every character must be meant.
    let meant = |c: char| c.is_alphanumeric() || is_combining_mark(c) || c == '.' || c == '-';
    if !text.chars().all(meant) {
        return None;
    }
    let url::Host::Domain(domain) = url::Host::parse(&text.nfc().collect::<String>()).ok()? else {
        return None;
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = domain.rsplit('.').next()?;
    let public = domain.contains('.') && !last.bytes().all(|c| c.is_ascii_digit());
    (public && domain.split('.').all(label) && domain.parse::<Ipv4Addr>().is_err()).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, FaultCode> {
        EmailAddress::parse(text).map(|address| address.to_string()).map_err(|fault| fault.code)
    }

    // 42

    /// Attacks: 42.
    #[test]
    fn spellings_of_one_address_become_one_text() {
        for same in ["a@x.com", "A@X.com ", "\t A@x.COM\n", "a@X.Com", "a@ｘ.com"] {
            assert_eq!(parse(same), Ok("a@x.com".into()), "{same}");
        }
        let international = Ok("anna@xn--bcher-kva.example".into());
        for same in [
            "anna@bücher.example",
            "Anna@BÜCHER.example",
            "anna@bu\u{308}cher.example",
            "anna@xn--bcher-kva.example",
            "anna@XN--BCHER-KVA.example",
        ] {
            assert_eq!(parse(same), international, "{same}");
        }
    }

    /// Attacks: 42.
    #[test]
    fn letters_that_only_look_or_fold_like_ascii_are_refused() {
        for bad in [
            "ADMİN@x.com",
            "admın@x.com",
            "\u{212a}ate@x.com",
            "аdmin@x.com",
            "ad\u{200b}min@x.com",
            "ａ@x.com",
        ] {
            assert_eq!(parse(bad), Err(FaultCode::Invalid), "{bad}");
        }
        assert_eq!(parse("ADMIN@x.com"), Ok("admin@x.com".into()));
    }

    #[test]
    fn dots_and_tags_are_kept() {
        for kept in
            ["a.b+news@x.com", "o'neil@sub.x.co.uk", "x_y-z@x.com", "1@x.com", "a@1x.com", "a@123.com"]
        {
            assert_eq!(parse(kept), Ok(kept.into()));
        }
    }

    /// Attacks: 45.
    #[test]
    fn what_could_break_a_header_or_a_mail_server_is_refused() {
        for bad in [
            "a",
            "@",
            "a@",
            "@x.com",
            "a@@x.com",
            "a@b@x.com",
            "a b@x.com",
            "a@x.com, b@x.com",
            "a,b@x.com",
            "a@x.com\r\nBcc: b@x.com",
            "a\r\n@x.com",
            "a\0@x.com",
            "a\u{85}b@x.com",
            "a\u{2028}b@x.com",
            "<a@x.com>",
            "Anna <a@x.com>",
            "\"a\"@x.com",
            "\"a b\"@x.com",
            "a(comment)@x.com",
            "a:b@x.com",
            "a;b@x.com",
            "a\\b@x.com",
            ".a@x.com",
            "a.@x.com",
            "a..b@x.com",
            "a@.x.com",
            "a@x.com.",
            "a@x。com",
            "a@x..com",
            "a@-x.com",
            "a@x-.com",
            "a@x_y.com",
            "a@localhost",
            "a@127.0.0.1",
            "a@127.1",
            "a@0x7f.1",
            "a@[127.0.0.1]",
            "a@[IPv6:::1]",
            "a@1.2.3.4.5",
            "a@x.%63om",
            "a@x%2ecom",
            "a@x.com/y",
            "a@x.com:25",
            "a@x.com#y",
            "a@exam\u{ad}ple.com",
            "a@exam\u{200d}ple.com",
            "a@xn--a.com",
            "a@\u{202e}x.com",
        ] {
            assert_eq!(parse(bad), Err(FaultCode::Invalid), "{bad:?}");
        }
        assert_eq!(parse(""), Err(FaultCode::Required));
        assert_eq!(parse("  \n"), Err(FaultCode::Required));
    }

    #[test]
    fn length_is_limited() {
        let domain = format!("{}.{}.{}.com", "d".repeat(62), "d".repeat(62), "d".repeat(62));
        let local = "l".repeat(254 - 1 - domain.len());
        assert!(local.len() <= 64);
        assert!(parse(&format!("{local}@{domain}")).is_ok());
        assert_eq!(parse(&format!("{local}l@{domain}")), Err(FaultCode::TooLong));
        assert!(parse(&format!("{}@x.com", "l".repeat(64))).is_ok());
        assert_eq!(parse(&format!("{}@x.com", "l".repeat(65))), Err(FaultCode::TooLong));
        assert_eq!(parse(&format!("{}@x.com", "l".repeat(1 << 20))), Err(FaultCode::TooLong));
        assert_eq!(parse(&format!("a@{}.com", "d".repeat(64))), Err(FaultCode::Invalid));
    }

    #[test]
    fn the_parts_and_the_field() {
        let address = EmailAddress::parse("Anna+x@Example.com").unwrap();
        assert_eq!((address.local(), address.domain()), ("anna+x", "example.com"));
        let fault = EmailAddress::parse_at("no", "invitee.email").unwrap_err();
        assert_eq!(fault.field.unwrap().join("."), "input.invitee.email");
    }
}
