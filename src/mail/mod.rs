//! The few mails that the server sends, and the addresses that it sends them to.
//!
//! A mail has one recipient, a fixed text as plain text and as HTML, and nothing that reports back: no pictures, no
//! counted links. What people typed (names) is made one harmless line first and escaped in HTML; links begin with the
//! configured public address, never with anything from a request, and carry their token behind `#`, which browsers
//! do not send to servers.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use url::form_urlencoded::byte_serialize;

mod address;

pub use address::EmailAddress;

use crate::error::Error;

/// How long connecting to the mail server may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the whole conversation may take. Servers that check before they greet or accept are slow by intention, and
/// one that is left after the message but before its answer delivers twice; a job waits here, never a request.
const WHOLE: Duration = Duration::from_secs(30);
/// Most characters of a name in a mail.
const NAME_CHARACTERS: usize = 80;

/// Why mail cannot be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailConfigError {
    /// `SMTP_URL` is not an address of a mail server.
    #[error(
        "SMTP_URL is not understood; write smtps://user:password@host or smtp://user:password@host?tls=required, with signs in the password percent-encoded"
    )]
    Url,
    /// The password would cross the network in the clear.
    #[error("SMTP_URL would send its password unencrypted; use smtps:// or add ?tls=required")]
    Unencrypted,
    /// `MAIL_FROM` is not an address.
    #[error("MAIL_FROM is not an address; write no-reply@example.com or Example <no-reply@example.com>")]
    From,
    /// The public address cannot begin a link.
    #[error("AICOS_PUBLIC_URL is not an address for links; write https://aicos.example.com")]
    PublicUrl,
}

/// Why a mail was not sent. No variant carries anything that the mail server said: it may quote credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Mail is not set up.
    #[error("mail is not set up: SMTP_URL and MAIL_FROM are not set")]
    NotConfigured,
    /// The mail server did not answer in time.
    #[error("the mail server did not answer in time")]
    TimedOut,
    /// The mail server cannot be reached.
    #[error("the mail server cannot be reached")]
    Unreachable,
    /// The connection cannot be encrypted, or the certificate is not trusted.
    #[error("no trusted encrypted connection to the mail server")]
    Tls,
    /// The mail server said "not now".
    #[error("the mail server refused for now, with code {0}")]
    Deferred(u16),
    /// The mail server said no: to the sign-in (530 to 538), the sender, the recipient or the message.
    #[error("the mail server refused, with code {0}")]
    Rejected(u16),
    /// The mail server does not speak as expected, or offers no way to sign in.
    #[error("the mail server does not speak SMTP as expected")]
    Protocol,
    /// The message cannot be put together for this recipient.
    #[error("the message cannot be written to this recipient")]
    Message,
}

impl MailError {
    /// Whether sending the same message later may work.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::TimedOut | Self::Unreachable | Self::Tls | Self::Deferred(_) | Self::Protocol)
    }
}

impl From<MailError> for Error {
    fn from(error: MailError) -> Self {
        if error.is_retryable() { Self::unavailable(error) } else { Self::internal(error) }
    }
}

impl From<smtp::Error> for MailError {
    fn from(error: smtp::Error) -> Self {
        if let Some(code) = error.status() {
            let number = u16::from(code);
            return if error.is_transient() { Self::Deferred(number) } else { Self::Rejected(number) };
        }
        if error.is_timeout() {
            Self::TimedOut
        } else if error.is_tls() {
            Self::Tls
        } else if error.is_response() || error.is_client() {
            Self::Protocol
        } else {
            Self::Unreachable
        }
    }
}

// ---------------------------------------------------------------------------------------------- links

/// Links into the console, all below the configured public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    base: String,
}

impl Links {
    /// Reads the configured public address.
    pub fn parse(public_url: &str) -> Result<Self, MailConfigError> {
        let url = Url::parse(public_url.trim()).map_err(|_| MailConfigError::PublicUrl)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !plain {
            return Err(MailConfigError::PublicUrl);
        }
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned() })
    }

    /// Where an invitation is accepted.
    pub fn invitation(&self, token: &SecretString) -> SecretString {
        self.with_token("invitation", token)
    }

    /// Where a new password is chosen.
    pub fn password_reset(&self, token: &SecretString) -> SecretString {
        self.with_token("reset", token)
    }

    /// Where an e-mail address is confirmed.
    pub fn email_verification(&self, token: &SecretString) -> SecretString {
        self.with_token("verify", token)
    }

    /// Where a new password is asked for.
    pub fn password_forgotten(&self) -> String {
        format!("{}/#/reset", self.base)
    }

    fn with_token(&self, page: &str, token: &SecretString) -> SecretString {
        let token: String = byte_serialize(token.expose_secret().as_bytes()).collect();
        format!("{}/#/{page}?token={token}", self.base).into()
    }
}

// ---------------------------------------------------------------------------------------------- messages

/// What can be sent. Names come as people typed them.
#[derive(Debug, Clone)]
pub enum Message {
    /// Somebody is invited to an organization.
    Invitation {
        /// The organization's name.
        organization: String,
        /// The name of whoever invites.
        inviter: String,
        /// The role, as people call it.
        role: String,
        /// From [`Links::invitation`].
        link: SecretString,
        /// Until when it works.
        expires_at: DateTime<Utc>,
    },
    /// Somebody asked for a new password.
    PasswordReset {
        /// The person's name.
        name: String,
        /// From [`Links::password_reset`].
        link: SecretString,
        /// Until when it works.
        expires_at: DateTime<Utc>,
    },
    /// An address is to be confirmed.
    EmailVerification {
        /// The person's name.
        name: String,
        /// From [`Links::email_verification`].
        link: SecretString,
        /// Until when it works.
        expires_at: DateTime<Utc>,
    },
    /// A password was changed.
    PasswordChanged {
        /// The person's name.
        name: String,
        /// From [`Links::password_forgotten`].
        link: String,
        /// When it was changed.
        changed_at: DateTime<Utc>,
    },
}

/// A message in words.
struct Written {
    subject: String,
    text: String,
    html: String,
}

impl Message {
    fn write(&self) -> Written {
        match self {
            Self::Invitation { organization, inviter, role, link, expires_at } => {
                let (organization, inviter) =
                    (one_line(organization, "an organization"), one_line(inviter, "Somebody"));
                written(
                    format!("{inviter} invites you to {organization}"),
                    include_str!("templates/invitation.txt"),
                    include_str!("templates/invitation.html"),
                    &[
                        ("organization", &organization),
                        ("inviter", &inviter),
                        ("role", &one_line(role, "a member")),
                        ("link", link.expose_secret()),
                        ("expires", &moment(*expires_at)),
                    ],
                )
            }
            Self::PasswordReset { name, link, expires_at } => written(
                "Choose a new password".to_owned(),
                include_str!("templates/password_reset.txt"),
                include_str!("templates/password_reset.html"),
                &[
                    ("name", &one_line(name, "there")),
                    ("link", link.expose_secret()),
                    ("expires", &moment(*expires_at)),
                ],
            ),
            Self::EmailVerification { name, link, expires_at } => written(
                "Confirm your e-mail address".to_owned(),
                include_str!("templates/email_verification.txt"),
                include_str!("templates/email_verification.html"),
                &[
                    ("name", &one_line(name, "there")),
                    ("link", link.expose_secret()),
                    ("expires", &moment(*expires_at)),
                ],
            ),
            Self::PasswordChanged { name, link, changed_at } => written(
                "Your password was changed".to_owned(),
                include_str!("templates/password_changed.txt"),
                include_str!("templates/password_changed.html"),
                &[("name", &one_line(name, "there")), ("link", link), ("time", &moment(*changed_at))],
            ),
        }
    }
}

fn written(subject: String, text: &str, html: &str, values: &[(&str, &str)]) -> Written {
    let escaped: Vec<(&str, String)> = values.iter().map(|(name, value)| (*name, escape(value))).collect();
    let escaped: Vec<(&str, &str)> = escaped.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = fill(html, &escaped);
    let page = fill(include_str!("templates/page.html"), &[("subject", &escape(&subject)), ("body", &body)]);
    Written { text: fill(text, values), html: page, subject }
}

/// Puts values where a template says `{name}`. What a value contains is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let found = after.split_once('}').and_then(|(name, behind)| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value, behind))
        });
        let (value, behind) = found.unwrap_or(("{", after));
        out.push_str(value);
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Makes text harmless in HTML, also between quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Makes a name one short line that cannot start a header, turn the text around or become a link.
///
/// Mail programs make a link of anything that looks like an address. A name is text from a stranger to somebody who
/// never signed up, so a dot inside a word that could end a domain becomes a middle dot, and `://` goes.
fn one_line(name: &str, otherwise: &str) -> String {
    let visible = |c: char| {
        !matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let spaced: String = name
        .replace("://", " ")
        .chars()
        .filter(|c| visible(*c))
        .map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c })
        .collect();
    let mut words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = words.char_indices().nth(NAME_CHARACTERS) {
        words.truncate(cut);
        words.push('…');
    }
    let characters: Vec<char> = words.chars().collect();
    let is_letter = |at: usize| characters.get(at).is_some_and(|c| c.is_alphanumeric());
    let linked = |at: usize| at > 0 && is_letter(at - 1) && is_letter(at + 1) && is_letter(at + 2);
    let quiet: String =
        characters.iter().enumerate().map(|(at, c)| if *c == '.' && linked(at) { '·' } else { *c }).collect();
    if quiet.is_empty() { otherwise.to_owned() } else { quiet }
}

fn moment(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

// ---------------------------------------------------------------------------------------------- sending

/// Sends mails, or knows that it cannot.
#[derive(Clone)]
pub struct Mailer(Option<Outgoing>);

#[derive(Clone)]
struct Outgoing {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    whole: Duration,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("configured", &self.is_configured()).finish_non_exhaustive()
    }
}

impl Mailer {
    /// Sends nothing: links are shown instead.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Reads `SMTP_URL` and `MAIL_FROM`; connects to nothing yet.
    ///
    /// `smtps://` encrypts from the first byte, `smtp://…?tls=required` before anything is said (STARTTLS), and bare
    /// `smtp://` not at all, which with a password is accepted only towards this machine.
    pub fn parse(smtp_url: &SecretString, from: &str) -> Result<Self, MailConfigError> {
        Self::with_limits(smtp_url, from, CONNECT, WHOLE)
    }

    fn with_limits(
        smtp_url: &SecretString,
        from: &str,
        connect: Duration,
        whole: Duration,
    ) -> Result<Self, MailConfigError> {
        check_url(smtp_url.expose_secret())?;
        if from.chars().any(char::is_control) {
            return Err(MailConfigError::From);
        }
        let from: Mailbox = from.parse().map_err(|_| MailConfigError::From)?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp_url.expose_secret())
            .map_err(|_| MailConfigError::Url)?
            // The library's time-out is for connecting only; `send` bounds the rest.
            .timeout(Some(connect))
            .build();
        Ok(Self(Some(Outgoing { transport, from, whole })))
    }

    /// Whether mails are sent at all.
    pub const fn is_configured(&self) -> bool {
        self.0.is_some()
    }

    /// Sends one message to one address.
    pub async fn send(&self, message: &Message, to: &EmailAddress) -> Result<(), MailError> {
        let outgoing = self.0.as_ref().ok_or(MailError::NotConfigured)?;
        let mail = compose(&outgoing.from, message, to)?;
        match tokio::time::timeout(outgoing.whole, outgoing.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(MailError::TimedOut),
        }
    }
}

fn compose(from: &Mailbox, message: &Message, to: &EmailAddress) -> Result<lettre::Message, MailError> {
    const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
    let Written { subject, text, html } = message.write();
    let to = to.as_str().parse().map_err(|_| MailError::Message)?;
    // Without one of our own the library would write this machine's name into it.
    let id = format!("<{}@{}>", uuid::Uuid::now_v7(), from.email.domain());
    lettre::Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(subject)
        .message_id(Some(id))
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
        .multipart(MultiPart::alternative_plain_html(text, html))
        .map_err(|_| MailError::Message)
}

/// Refuses what the library would take for something weaker than what was meant.
fn check_url(text: &str) -> Result<(), MailConfigError> {
    let url = Url::parse(text).map_err(|_| MailConfigError::Url)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(MailConfigError::Url)?;
    let options: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let options: Vec<(&str, &str)> =
        options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let encrypted = match (url.scheme(), &options[..]) {
        ("smtps", []) | ("smtp", [("tls", "required")]) => true,
        // STARTTLS that an attacker on the way can simply leave out.
        ("smtp", [] | [("tls", "opportunistic")]) => false,
        _ => return Err(MailConfigError::Url),
    };
    let has_user = !url.username().is_empty();
    if has_user != url.password().is_some() || url.fragment().is_some() {
        return Err(MailConfigError::Url);
    }
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here =
        host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
    if has_user && !encrypted && !is_here {
        return Err(MailConfigError::Unencrypted);
    }
    if !encrypted && !is_here {
        tracing::warn!("SMTP_URL does not ask for encryption, so links in mails can be read on the way");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    fn links() -> Links {
        Links::parse("https://aicos.example.com").unwrap()
    }

    fn invitation(organization: &str, inviter: &str) -> Message {
        Message::Invitation {
            organization: organization.into(),
            inviter: inviter.into(),
            role: "Editor".into(),
            link: links().invitation(&"aicos_inv_abc".into()),
            expires_at: at(),
        }
    }

    fn all(name: &str) -> [Message; 4] {
        let token = SecretString::from("aicos_x_token");
        let name = || name.to_owned();
        [
            invitation(&name(), &name()),
            Message::PasswordReset { name: name(), link: links().password_reset(&token), expires_at: at() },
            Message::EmailVerification {
                name: name(),
                link: links().email_verification(&token),
                expires_at: at(),
            },
            Message::PasswordChanged { name: name(), link: links().password_forgotten(), changed_at: at() },
        ]
    }

    fn formatted(message: &Message) -> String {
        let from = "aicos <no-reply@aicos.example.com>".parse().unwrap();
        let to = EmailAddress::parse("bo@example.com").unwrap();
        String::from_utf8(compose(&from, message, &to).unwrap().formatted()).unwrap()
    }

    fn mailer(url: &str) -> Result<Mailer, MailConfigError> {
        Mailer::parse(&url.into(), "aicos <no-reply@example.com>")
    }

    // 56

    /// Attacks: 56, 130.
    #[test]
    fn links_begin_with_the_public_address_and_hide_the_token_from_servers() {
        let token = SecretString::from("aicos_inv_a-b_c");
        for (base, start) in [
            ("https://aicos.example.com", "https://aicos.example.com"),
            ("https://aicos.example.com/", "https://aicos.example.com"),
            ("http://localhost:8000", "http://localhost:8000"),
            ("https://example.com/tools/aicos/", "https://example.com/tools/aicos"),
        ] {
            let links = Links::parse(base).unwrap();
            for (link, page) in [
                (links.invitation(&token), "invitation"),
                (links.password_reset(&token), "reset"),
                (links.email_verification(&token), "verify"),
            ] {
                assert_eq!(link.expose_secret(), format!("{start}/#/{page}?token=aicos_inv_a-b_c"));
                let url = Url::parse(link.expose_secret()).unwrap();
                assert_eq!((url.query(), url.fragment().unwrap().contains("aicos_inv_a-b_c")), (None, true));
            }
            assert_eq!(links.password_forgotten(), format!("{start}/#/reset"));
        }
        let odd = links().invitation(&"a&b=c#d/\"<".into());
        assert!(odd.expose_secret().ends_with("?token=a%26b%3Dc%23d%2F%22%3C"));
    }

    #[test]
    fn only_an_address_for_browsers_begins_a_link() {
        for bad in [
            "",
            "aicos.example.com",
            "javascript:alert(1)",
            "file:///etc",
            "ftp://example.com",
            "https://user:pw@example.com",
            "https://user@example.com",
            "https://example.com?x=1",
            "https://example.com#x",
            "https://",
        ] {
            assert_eq!(Links::parse(bad), Err(MailConfigError::PublicUrl), "{bad}");
        }
    }

    // 45, 47

    /// Attacks: 45.
    #[test]
    fn a_name_cannot_add_a_header_or_a_recipient() {
        let hostile = "Eve\r\nBcc: victim@example.com\r\nX-Evil: 1\r\n\r\n<b>body</b>\u{2028}\u{85}\0";
        for message in all(hostile) {
            let mail = formatted(&message);
            let (headers, _) = mail.split_once("\r\n\r\n").unwrap();
            for line in headers.lines() {
                let name = line.split(':').next().unwrap();
                let known = [
                    "From",
                    "To",
                    "Subject",
                    "Message-ID",
                    "Auto-Submitted",
                    "Date",
                    "MIME-Version",
                    "Content-Type",
                ];
                assert!(line.starts_with(' ') || known.contains(&name), "{line}");
            }
            assert_eq!(headers.lines().filter(|line| line.starts_with("To:")).count(), 1);
            assert!(headers.contains("To: bo@example.com\r\n"));
        }
    }

    /// Attacks: 47.
    #[test]
    fn html_is_escaped_and_placeholders_in_names_stay_text() {
        for message in all("<img src=x onerror=alert(1)> & \"{link}\" '{organization}'") {
            let Written { text, html, .. } = message.write();
            assert!(!html.contains("<img"));
            assert!(html.contains(
                "&lt;img src=x onerror=alert(1)&gt; &amp; &quot;{link}&quot; &#39;{organization}&#39;"
            ));
            assert!(text.contains("<img src=x onerror=alert(1)> & \"{link}\" '{organization}'"));
        }
    }

    #[test]
    fn every_placeholder_is_filled_and_nothing_reports_back() {
        for message in all("Anna") {
            let Written { subject, text, html } = message.write();
            for part in [&subject, &text, &html] {
                assert!(!part.contains(['{', '}']), "{part}");
            }
            assert!(html.contains("Anna") && text.contains("Anna"));
            assert!(text.contains("https://aicos.example.com/#/"));
            for tracking in ["<img", "<script", "<link", "src=", "@import", "url(", "pixel"] {
                assert!(!html.contains(tracking), "{tracking}");
            }
            let targets: Vec<&str> = html.split("href=\"").skip(1).collect();
            assert!(!targets.is_empty());
            assert!(targets.iter().all(|target| target.starts_with("https://aicos.example.com/#/")));
        }
    }

    #[test]
    fn every_address_that_is_read_can_be_written_to() {
        let from = "aicos <no-reply@aicos.example.com>".parse().unwrap();
        for text in ["o'neil@x.co.uk", "a!#$%&'*+-/=?^_`{|}~@x.com", "a@xn--bcher-kva.example", "1@1.com"] {
            let to = EmailAddress::parse(text).unwrap();
            let mail = compose(&from, &all("Bo")[1], &to).unwrap();
            assert_eq!(mail.envelope().to().iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
        }
    }

    #[test]
    fn the_invitation_in_full() {
        let Written { subject, text, .. } = invitation("Acme & Söhne", "Anna").write();
        assert_eq!(subject, "Anna invites you to Acme & Söhne");
        assert!(text.starts_with("Hello,\n\nAnna invites you to join Acme & Söhne as Editor.\n"));
        assert!(text.contains("\nhttps://aicos.example.com/#/invitation?token=aicos_inv_abc\n"));
        assert!(text.contains("until 2026-09-21 14:13 UTC."));
    }

    #[test]
    fn names_become_one_quiet_line() {
        for (name, line) in [
            ("Anna", "Anna"),
            ("  Anna \t Lena\n", "Anna Lena"),
            ("", "there"),
            (" \r\n\u{200b}", "there"),
            ("abc\u{202e}gpj.exe", "abcgpj·exe"),
            ("Free money https://evil.example/x", "Free money https evil·example/x"),
            ("a\0b\u{7}c\u{7f}\u{9b}d", "a b c d"),
            ("www.evil.com", "www·evil·com"),
            ("J.R.R. Tolkien", "J.R.R. Tolkien"),
            ("Acme Inc. (v1.2)", "Acme Inc. (v1.2)"),
            ("李小龍 👩‍🚀", "李小龍 👩‍🚀"),
        ] {
            assert_eq!(one_line(name, "there"), line, "{name:?}");
        }
        let long = one_line(&"ä".repeat(1000), "there");
        assert_eq!(long.chars().count(), NAME_CHARACTERS + 1);
    }

    #[test]
    fn the_settings_are_read_strictly() {
        for good in [
            "smtps://user:p%40ss@mail.example.com",
            "smtps://mail.example.com:4650/ehlo.example.com",
            "smtp://user:pass@mail.example.com:587?tls=required",
            "smtp://mail.example.com",
            "smtp://user:pass@127.0.0.1:2525",
            "smtp://user:pass@localhost:2525?tls=opportunistic",
        ] {
            assert!(mailer(good).is_ok_and(|mailer| mailer.is_configured()), "{good}");
        }
        for unencrypted in [
            "smtp://user:pass@mail.example.com",
            "smtp://user:pass@mail.example.com?tls=opportunistic",
            "smtp://user:pass@10.0.0.1",
            "smtp://user:pass@localhost.example.com",
        ] {
            assert_eq!(mailer(unencrypted).err(), Some(MailConfigError::Unencrypted), "{unencrypted}");
        }
        for bad in [
            "",
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://mail.example.com?TLS=required",
            "smtp://mail.example.com?tls=require",
            "smtp://mail.example.com?tls=required&tls=opportunistic",
            "smtps://mail.example.com?tls=opportunistic",
            "smtps://user@mail.example.com",
            "smtps://:pass@mail.example.com",
            "smtps://user:pa#ss@mail.example.com",
        ] {
            assert_eq!(mailer(bad).err(), Some(MailConfigError::Url), "{bad}");
        }
        for bad in
            ["", "aicos", "a@example.com\r\nBcc: b@example.com", "A <a@example.com>, B <b@example.com>"]
        {
            let url = SecretString::from("smtps://mail.example.com");
            assert_eq!(Mailer::parse(&url, bad).err(), Some(MailConfigError::From), "{bad}");
        }
    }

    #[test]
    fn nothing_printed_shows_a_secret() {
        let mailer = mailer("smtps://user:sesame@mail.example.com").unwrap();
        assert!(!format!("{mailer:?}").contains("sesame"));
        assert!(!format!("{:?}", invitation("Acme", "Anna")).contains("aicos_inv_abc"));
        let error =
            Mailer::parse(&"smtp://user:sesame@mail.example.com".into(), "a@example.com").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sesame"));
    }

    #[tokio::test]
    async fn without_settings_nothing_is_sent() {
        let to = EmailAddress::parse("bo@example.com").unwrap();
        assert!(!Mailer::none().is_configured());
        assert_eq!(Mailer::none().send(&all("Bo")[1], &to).await, Err(MailError::NotConfigured));
    }

    #[tokio::test]
    async fn a_silent_server_is_not_waited_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let to = EmailAddress::parse("bo@example.com").unwrap();
        let (connect, whole) = (Duration::from_secs(60), Duration::from_millis(200));
        let mailer = Mailer::with_limits(&url.as_str().into(), "a@example.com", connect, whole).unwrap();
        let started = tokio::time::Instant::now();
        assert_eq!(mailer.send(&all("Bo")[1], &to).await, Err(MailError::TimedOut));
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn an_absent_server_is_reported_as_such() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://user:sesame@127.0.0.1:{}", listener.local_addr().unwrap().port());
        drop(listener);
        let to = EmailAddress::parse("bo@example.com").unwrap();
        let error = mailer(&url).unwrap().send(&all("Bo")[1], &to).await.unwrap_err();
        assert_eq!(error, MailError::Unreachable);
        assert!(error.is_retryable());
    }
}
