//! A WebSocket as a client library opens it, for what no library does on purpose.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open socket.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A message.
    Message(Value),
    /// The server closed, with this code.
    Closed(u16),
    /// The connection is gone without a word.
    Gone,
}

impl Socket {
    /// Opens one with these headers beside its own; the status when it is not let in.
    pub async fn try_open(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().remove(*name);
            if !value.is_empty() {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
        }
        match connect_async(request).await {
            Ok((stream, _)) => Ok(Self { stream }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens one.
    pub async fn open(address: SocketAddr) -> Self {
        Self::try_open(address, &[]).await.unwrap()
    }

    /// Opens one and says who it is.
    pub async fn enter(address: SocketAddr, payload: Value) -> Self {
        let mut socket = Self::open(address).await;
        socket.say(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(socket.hear().await, Heard::Message(json!({"type": "connection_ack"})));
        socket
    }

    /// The same with an access token.
    pub async fn bearer(address: SocketAddr, token: &str) -> Self {
        Self::enter(address, json!({"authorization": format!("Bearer {token}")})).await
    }

    /// Sends a message.
    pub async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    /// Sends any frame; the server may have closed already.
    pub async fn send(&mut self, message: Message) {
        let _ = tokio::time::timeout(PATIENCE, self.stream.send(message)).await.unwrap();
    }

    /// Begins an operation.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({"query": query, "variables": variables});
        self.say(json!({"id": id, "type": "subscribe", "payload": payload})).await;
    }

    /// The next message, or how it ended.
    pub async fn hear(&mut self) -> Heard {
        self.hear_within(PATIENCE).await.expect("the server says something")
    }

    /// The same; none when nothing comes in time.
    pub async fn hear_within(&mut self, time: Duration) -> Option<Heard> {
        let next = async {
            loop {
                return match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => Heard::Message(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Close(Some(frame)))) => Heard::Closed(frame.code.into()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(other)) => panic!("{other:?}"),
                    Some(Err(_)) | None => Heard::Gone,
                };
            }
        };
        tokio::time::timeout(time, next).await.ok()
    }

    /// The payload of the next message, which is of this kind and operation.
    pub async fn payload(&mut self, kind: &str, id: &str) -> Value {
        match self.hear().await {
            Heard::Message(message) if message["type"] == kind && message["id"] == id => {
                message["payload"].clone()
            }
            other => panic!("{kind} of {id} expected: {other:?}"),
        }
    }

    /// Waits for the end, past whatever comes before it.
    pub async fn end(&mut self) -> Heard {
        loop {
            match self.hear().await {
                Heard::Message(_) => {}
                end => return end,
            }
        }
    }
}
