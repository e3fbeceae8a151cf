//! Hints over Redis, for deployments that have one.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use redis::AsyncCommands as _;
use redis::aio::{MultiplexedConnection, PubSub};

use super::{Line, Lines};

/// The channel that every process of the deployment listens to.
const CHANNEL: &str = "aicos:events";
/// How long opening a line may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lines over one Redis.
#[derive(Debug, Clone)]
pub struct Redis {
    client: redis::Client,
}

impl Redis {
    /// The Redis at this address, `redis://` or `rediss://`.
    ///
    /// # Errors
    /// When it is no address of a Redis.
    pub fn at(url: &str) -> anyhow::Result<Self> {
        let client = redis::Client::open(url)
            .context("REDIS_URL is not an address such as redis://:password@host:6379/0")?;
        Ok(Self { client })
    }
}

/// Two connections: one that listens cannot send.
pub struct RedisLine {
    listening: PubSub,
    sending: MultiplexedConnection,
}

impl Lines for Redis {
    type Line = RedisLine;
    const NAME: &'static str = "Redis";

    async fn open(&self) -> anyhow::Result<RedisLine> {
        let open = async {
            let mut listening = self.client.get_async_pubsub().await?;
            listening.subscribe(CHANNEL).await?;
            let sending = self.client.get_multiplexed_async_connection().await?;
            redis::RedisResult::Ok(RedisLine { listening, sending })
        };
        Ok(tokio::time::timeout(PATIENCE, open).await.context("it does not answer")??)
    }
}

impl Line for RedisLine {
    async fn send(&mut self, messages: &[String]) -> anyhow::Result<()> {
        for message in messages {
            let _: i64 = self.sending.publish(CHANNEL, message).await?;
        }
        Ok(())
    }

    async fn receive(&mut self) -> anyhow::Result<String> {
        let message = self.listening.on_message().next().await.context("the connection was closed")?;
        Ok(message.get_payload()?)
    }
}
