//! Mails through a real SMTP receiver: `aiosmtpd`, from `PyPI`, in a virtual environment below `target/tmp`.
//!
//! The environment is made once (it needs `python3` and the network) and then reused. Where it cannot be made the test
//! says so and passes, unless `AICOS_REQUIRE_SMTP=1` is set, as it is where everything is expected to run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aicos::config::Config;
use aicos::mail::{EmailAddress, Links, MailError, Mailer, Message};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::{Server, cast, config, tuning};

const AIOSMTPD: &str = "aiosmtpd==1.4.6";

/// Accepts mail for anybody but `refused@…` and `later@…`, and prints each message as one line of JSON.
const RECEIVER: &str = r#"
import asyncio, email, json, logging
from email.policy import default
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

logging.disable()

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 no such mailbox, and the password is sesame"
        if address.startswith("later@"):
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.original_content, policy=default)
        print(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "login": session.auth_data.login.decode() if session.auth_data else None,
            "headers": [[name.lower(), str(value)] for name, value in message.items()],
            "text": message.get_body(("plain",)).get_content(),
            "html": message.get_body(("html",)).get_content(),
        }), flush=True)
        return "250 OK"

def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and data == LoginPassword(b"user", b"p@ss:w/rd")
    return AuthResult(success=right, handled=right, auth_data=data)

async def main():
    make = lambda: SMTP(Handler(), enable_SMTPUTF8=True, authenticator=authenticate, auth_require_tls=False)
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"#;

/// A running receiver; it ends with the test.
struct Receiver {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u16,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Receiver {
    /// Starts one on a free port; none where Python or the package cannot be had.
    fn start() -> Option<Self> {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("smtp-receiver");
        let python = match environment(&folder) {
            Ok(python) => python,
            Err(reason) => {
                assert!(std::env::var_os("AICOS_REQUIRE_SMTP").is_none(), "no SMTP receiver: {reason}");
                eprintln!("skipped: no SMTP receiver ({reason})");
                return None;
            }
        };
        let mut process = Command::new(python)
            .args(["-W", "ignore", "-c", RECEIVER])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the receiver starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let port = lines.next().expect("it prints its port").expect("as text").parse().expect("as a number");
        Some(Self { process, lines, port })
    }

    fn mailer(&self, credentials: &str, options: &str) -> Mailer {
        let url = format!("smtp://{credentials}127.0.0.1:{}{options}", self.port);
        Mailer::parse(&url.into(), "Aïcos <no-reply@aicos.example.com>").expect("the settings are right")
    }

    /// The next message that arrived.
    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().expect("a message").expect("as text")).expect("as JSON")
    }
}

/// The Python of a virtual environment that has the package, made when it is missing.
fn environment(folder: &Path) -> Result<PathBuf, String> {
    // Two tests would make it at the same time.
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let python = folder.join("bin/python");
    let has_package = |python: &Path| {
        let check = Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        check.is_ok_and(|status| status.success())
    };
    if has_package(&python) {
        return Ok(python);
    }
    let run = |command: &mut Command| {
        let output = command.output().map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        AIOSMTPD,
    ]))?;
    Ok(python)
}

fn header<'a>(mail: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = mail["headers"].as_array().expect("headers");
    headers.iter().filter(|header| header[0] == name).filter_map(|header| header[1].as_str()).collect()
}

fn time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

fn reset(name: &str) -> Message {
    let links = Links::parse("https://aicos.example.com").expect("an address");
    Message::PasswordReset {
        name: name.to_owned(),
        link: links.password_reset(&"aicos_pwr_0123456789-_abcdefghijklmnopqrstuvwxyz01234567890".into()),
        expires_at: time(),
    }
}

fn to(address: &str) -> EmailAddress {
    EmailAddress::parse(address).expect("an address")
}

/// Everything about mail that needs a server at the other end, in one test because the server is expensive.
///
/// Attacks: 45, 47.
#[tokio::test]
async fn mails_arrive_as_they_were_meant() {
    let Some(mut receiver) = Receiver::start() else { return };

    // The plain case, without a password.
    let mailer = receiver.mailer("", "");
    mailer.send(&reset("Ännchen <b>"), &to("Bo.B+x@Bücher.example")).await.expect("it is accepted");
    let mail = receiver.next();
    let link =
        "https://aicos.example.com/#/reset?token=aicos_pwr_0123456789-_abcdefghijklmnopqrstuvwxyz01234567890";
    assert_eq!(mail["from"], "no-reply@aicos.example.com");
    assert_eq!(mail["to"], serde_json::json!(["bo.b+x@xn--bcher-kva.example"]));
    assert_eq!(mail["login"], Value::Null);
    assert_eq!(header(&mail, "from"), ["Aïcos <no-reply@aicos.example.com>"]);
    assert_eq!(header(&mail, "to"), ["bo.b+x@xn--bcher-kva.example"]);
    assert_eq!(header(&mail, "subject"), ["Choose a new password"]);
    assert_eq!(header(&mail, "auto-submitted"), ["auto-generated"]);
    assert!(header(&mail, "message-id")[0].ends_with("@aicos.example.com>"));
    assert_eq!(header(&mail, "date").len(), 1);
    let (text, html) = (mail["text"].as_str().expect("text"), mail["html"].as_str().expect("HTML"));
    assert!(text.lines().any(|line| line == link), "the link survives the transport in one piece: {text}");
    assert!(text.contains("Hello Ännchen <b>,"));
    assert!(html.contains("Hello Ännchen &lt;b&gt;,"));
    assert!(html.contains(&format!("<a href=\"{link}\">")));

    // Names cannot add headers or recipients.
    let hostile = "Eve\r\nBcc: victim@example.com\r\n\r\n.\r\nMAIL FROM:<evil@example.com>\r\n";
    let invitation = Message::Invitation {
        organization: hostile.into(),
        inviter: format!("Zoë {hostile}"),
        role: hostile.into(),
        link: "https://aicos.example.com/#/invitation?token=x".into(),
        expires_at: time(),
    };
    mailer.send(&invitation, &to("bo@example.com")).await.expect("it is accepted");
    let mail = receiver.next();
    assert_eq!(mail["from"], "no-reply@aicos.example.com");
    assert_eq!(mail["to"], serde_json::json!(["bo@example.com"]));
    assert!(header(&mail, "bcc").is_empty());
    assert!(header(&mail, "subject")[0].starts_with("Zoë Eve Bcc: victim@example·com . MAIL FROM:"));
    assert!(mail["text"].as_str().expect("text").contains("If you do not know who invites you"));

    // With a password, percent-encoded in the address.
    let signed_in = receiver.mailer("user:p%40ss%3Aw%2Frd@", "");
    signed_in.send(&reset("Bo"), &to("bo@example.com")).await.expect("it is accepted");
    assert_eq!(receiver.next()["login"], "user");

    // Refusals say what kind they are and nothing that the server said.
    let wrong = receiver.mailer("user:sesame@", "");
    let error = wrong.send(&reset("Bo"), &to("bo@example.com")).await.expect_err("the password is wrong");
    assert_eq!(error, MailError::Rejected(535));
    assert!(!format!("{error} {error:?}").contains("sesame"));
    let error = mailer.send(&reset("Bo"), &to("refused@example.com")).await.expect_err("nobody lives there");
    assert_eq!(error, MailError::Rejected(550));
    assert!(!error.is_retryable() && !error.to_string().contains("sesame"));
    let error = mailer.send(&reset("Bo"), &to("later@example.com")).await.expect_err("not now");
    assert_eq!(error, MailError::Deferred(451));
    assert!(error.is_retryable());

    // Encryption that was asked for is never done without: this server has none.
    let encrypted = receiver.mailer("user:p%40ss%3Aw%2Frd@", "?tls=required");
    let error = encrypted.send(&reset("Bo"), &to("bo@example.com")).await.expect_err("no STARTTLS here");
    assert!(matches!(error, MailError::Protocol | MailError::Tls), "{error:?}");

    // Several at once, each to its own recipient.
    let many: Vec<_> = (0..10)
        .map(|number| {
            let mailer = mailer.clone();
            tokio::spawn(
                async move { mailer.send(&reset("Bo"), &to(&format!("bo{number}@example.com"))).await },
            )
        })
        .collect();
    for task in many {
        task.await.expect("the task ends").expect("it is accepted");
    }
    let mut recipients: Vec<String> = (0..10).map(|_| receiver.next()["to"].to_string()).collect();
    recipients.sort();
    assert_eq!(recipients, (0..10).map(|number| format!("[\"bo{number}@example.com\"]")).collect::<Vec<_>>());
}

/// The token of the first link in a mail.
fn token(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    let rest = text.split("token=").nth(1).unwrap_or_else(|| panic!("no link in {text}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_mails_invite_verify_and_reset() {
    let Some(mut receiver) = Receiver::start() else { return };
    let url = format!("smtp://127.0.0.1:{}", receiver.port);
    let mail = Some((url.into(), "aicos <no-reply@aicos.example.com>".to_owned()));
    let server = Server::with(Config { mail, ..config() }, tuning()).await;
    let mut next = || tokio::task::block_in_place(|| receiver.next());
    let founder = json!({"email": "olivia@acme.example", "password": cast::PASSWORD, "name": "Olivia", "organizationName": "Acme"});
    let auth = server.anonymous().mutate("signup", founder, "accessToken organization { id }").await;
    let owner = server.bearer(auth["accessToken"].as_str().unwrap());

    // The invitation goes out, its state follows, and its link lets the new person in.
    let input =
        json!({"organizationId": auth["organization"]["id"], "email": "mia@acme.example", "role": "MEMBER"});
    let made = owner.mutate("invitationCreate", input, "acceptUrl invitation { id delivery }").await;
    assert_eq!(made["invitation"]["delivery"], "QUEUED");
    let mail = next();
    assert_eq!(mail["to"], json!(["mia@acme.example"]));
    assert!(made["acceptUrl"].as_str().unwrap().ends_with(&token(&mail)));
    cast::sign_up(&server, "Mia", "mia@acme.example", ("invitationToken", &token(&mail))).await;
    let state = "query($id: ID!) { node(id: $id) { ... on Invitation { delivery status } } }";
    let mut delivery = Value::Null;
    for _ in 0..50 {
        delivery = owner.ok(state, json!({"id": made["invitation"]["id"]})).await["node"].clone();
        if delivery["delivery"] != "QUEUED" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(delivery, json!({"delivery": "SENT", "status": "ACCEPTED"}));

    // The address is verified by its link, once.
    let asked = owner.mutate("emailVerificationRequest", json!({}), "delivery").await;
    assert_eq!(asked["delivery"], "QUEUED");
    let verify = json!({"token": token(&next())});
    let user = server.anonymous().mutate("emailVerify", verify.clone(), "user { emailVerified }").await;
    assert_eq!(user["user"]["emailVerified"], true);
    assert_eq!(server.anonymous().fault("emailVerify", verify).await, "EXPIRED");

    // A reset link sets a new password, once, ends the old session, and the person is told.
    server
        .anonymous()
        .mutate("passwordResetRequest", json!({"email": "Olivia@ACME.example"}), "accepted")
        .await;
    let reset = json!({"token": token(&next()), "newPassword": "quite another phrase"});
    server.anonymous().mutate("passwordReset", reset.clone(), "accessToken").await;
    assert_eq!(next()["headers"].to_string().matches("password").count(), 1);
    assert_eq!(owner.refusal("{ viewer { id } }", json!({})).await, "UNAUTHENTICATED");
    assert_eq!(server.anonymous().fault("passwordReset", reset).await, "EXPIRED");
    let login = json!({"email": "olivia@acme.example", "password": "quite another phrase"});
    server.anonymous().mutate("login", login, "accessToken").await;

    // Nobody learns whether an address has an account, and an unknown one gets no mail.
    server
        .anonymous()
        .mutate("passwordResetRequest", json!({"email": "nobody@acme.example"}), "accepted")
        .await;
    server.anonymous().mutate("passwordResetRequest", json!({"email": "mia@acme.example"}), "accepted").await;
    assert_eq!(next()["to"], json!(["mia@acme.example"]));
}
