//! PostgreSQL's protocol, spoken by the test itself: for orders of messages that no library sends.

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::visitor::line_folder;

/// A signed-in connection, from the first message after the signing in.
pub struct Line {
    server: UnixStream,
    /// Signed in, and heard no more.
    _client: PgConnection,
}

impl Line {
    /// Lets the library sign in through a relay, and goes on in its place.
    pub async fn open(options: &PgConnectOptions) -> Self {
        let name = format!(".s.PGSQL.{}", options.get_port());
        let mut server = UnixStream::connect(options.get_socket().unwrap().join(&name)).await.unwrap();
        let folder = line_folder();
        let listener = UnixListener::bind(folder.join(&name)).unwrap();
        let options = options.clone().socket(folder);
        let client = tokio::select! {
            client = PgConnection::connect_with(&options) => client.unwrap(),
            _ = async {
                let (mut client, _) = listener.accept().await.unwrap();
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            } => unreachable!("the library hangs up"),
        };
        Self { server, _client: client }
    }

    /// Sends messages at once. Gives the rows, the errors and the state of the transaction that come back, up to the answer
    /// to the last [`sync`] or [`query`].
    pub async fn send(&mut self, messages: &[Vec<u8>]) -> Vec<String> {
        self.server.write_all(&messages.concat()).await.unwrap();
        let mut awaited = messages.iter().filter(|message| matches!(message[0], b'S' | b'Q')).count();
        let mut came = Vec::new();
        while awaited > 0 {
            let kind = self.server.read_u8().await.unwrap();
            let length = usize::try_from(self.server.read_u32().await.unwrap()).unwrap();
            let mut body = vec![0; length - 4];
            self.server.read_exact(&mut body).await.unwrap();
            match kind {
                b'D' => came.push(format!("row {}", row(&body))),
                b'E' => came.push(format!("error {}", code(&body))),
                b'Z' => {
                    came.push(format!("ready {}", char::from(body[0])));
                    awaited -= 1;
                }
                _ => {}
            }
        }
        came
    }
}

/// The values of a row, as text.
fn row(body: &[u8]) -> String {
    let (count, mut rest) = body.split_first_chunk::<2>().unwrap();
    let values = (0..u16::from_be_bytes(*count)).map(|_| {
        let (length, value) = rest.split_first_chunk::<4>().unwrap();
        // -1 is null.
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        rest = &value[length..];
        String::from_utf8_lossy(&value[..length]).into_owned()
    });
    values.collect::<Vec<_>>().join("|")
}

/// The SQLSTATE of an error.
fn code(body: &[u8]) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let code = fields.find_map(|field| field.strip_prefix(b"C"));
    String::from_utf8_lossy(code.unwrap_or_default()).into_owned()
}

fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, &body].concat()
}

fn count(items: usize) -> [u8; 2] {
    u16::try_from(items).unwrap().to_be_bytes()
}

/// Parse: a statement by its name, with the types of its parameters.
pub fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let oids = types.iter().flat_map(|oid| oid.to_be_bytes()).collect::<Vec<_>>();
    message(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0", &count(types.len()), &oids])
}

/// Bind: the unnamed portal of a statement, with values as text and results as text.
pub fn bind(name: &str, values: &[Option<&str>]) -> Vec<u8> {
    let value = |value: Option<&str>| match value {
        None => (-1_i32).to_be_bytes().to_vec(),
        Some(text) => [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat(),
    };
    let all = values.iter().copied().flat_map(value).collect::<Vec<_>>();
    message(b'B', &[b"\0", name.as_bytes(), b"\0", &count(0), &count(values.len()), &all, &count(0)])
}

/// Execute: all rows of the unnamed portal.
pub fn execute() -> Vec<u8> {
    message(b'E', &[b"\0", &0_u32.to_be_bytes()])
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// Query: a statement of the simple protocol.
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"])
}
