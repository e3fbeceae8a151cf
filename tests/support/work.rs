//! Workers of a test's server, and what people do with documents, questions and jobs.

use std::time::{Duration, Instant};

use aicos::config::Config;
use aicos::engine::Reach;
use aicos::jobs::worker::Workers;
use serde_json::{Value, json};

use super::cast::{self, Organization};
use super::provider::FakeProvider;
use super::{Client, Server, config, tuning};

/// How long anything may take before a test gives up: far longer than it takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

const JOB: &str = "query($id: ID!) { job(id: $id) { id status progress sequence attempts startedAt finishedAt
    error { __typename code message } engine { provider model promptTokens completionTokens costMicroUsd }
    result { __typename id } events(first: 100) { sequence kind message data } } }";

impl Server {
    /// Starts working on jobs.
    pub fn work(&self) -> Workers {
        self.app.work().unwrap()
    }
}

/// A server with an organization, its workers, and a provider that is scripted.
pub struct Room {
    pub server: Server,
    pub acme: Organization,
    pub fake: FakeProvider,
    pub workers: Workers,
}

impl Room {
    pub async fn new() -> Self {
        Self::reaching(Reach::default()).await
    }

    /// Where organizations' own providers are called as far as this.
    pub async fn reaching(reach: Reach) -> Self {
        let fake = FakeProvider::start().await;
        let providers = fake.endpoints("sk-test-key-of-the-server");
        let config = Config { providers, reach, ..config() };
        let server = Server::with(config, tuning()).await;
        let acme = cast::organization(&server, "Acme").await;
        let workers = server.work();
        Self { server, acme, fake, workers }
    }

    pub fn owner(&self) -> Client<'_> {
        self.acme.owner.at(&self.server)
    }

    pub fn member(&self) -> Client<'_> {
        self.acme.member.at(&self.server)
    }

    /// Has an agent work in the organization's project, waits, and gives the whole payload.
    pub async fn run(&self, field: &str, more: Value, select: &str) -> Value {
        let mut input = json!({"projectId": self.acme.project, "wait": true});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.member().mutate(field, input, select).await
    }
}

/// The provider's model as the engine that is wanted.
pub fn openai(fallback: bool) -> Value {
    json!({"provider": "openai", "model": "gpt-5.4-mini", "fallbackToBuiltin": fallback})
}

impl Client<'_> {
    /// Adds a document; gives its payload.
    pub async fn add_document(&self, organization: &Organization, title: &str, text: &str) -> Value {
        let input = json!({"organizationId": organization.id, "title": title, "text": text});
        self.mutate("documentCreate", input, "document { id version indexState } job { id status }").await
    }

    /// A job, as it stands now.
    pub async fn job(&self, id: &str) -> Value {
        self.ok(JOB, json!({"id": id})).await["job"].clone()
    }

    /// A job, once a condition holds.
    pub async fn job_when(&self, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let job = self.job(id).await;
            if holds(&job) {
                return job;
            }
            assert!(Instant::now() < until, "waited too long: {job:#}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// A job, once it has ended.
    pub async fn finished(&self, id: &str) -> Value {
        self.job_when(id, |job| {
            ["SUCCEEDED", "FAILED", "CANCELLED"].contains(&job["status"].as_str().unwrap())
        })
        .await
    }

    /// Adds a document and waits until it can be found; gives its id.
    pub async fn learn(&self, organization: &Organization, title: &str, text: &str) -> String {
        let added = self.add_document(organization, title, text).await;
        let job = self.finished(added["job"]["id"].as_str().unwrap()).await;
        assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
        added["document"]["id"].as_str().unwrap().to_owned()
    }

    /// Asks, waits, and gives the whole payload.
    pub async fn ask(&self, organization: &Organization, question: &str, more: Value) -> Value {
        let mut input = json!({"organizationId": organization.id, "question": question});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.mutate("qaAsk", input, ASKED).await
    }
}

/// What is read of an answer.
pub const ASKED: &str = "job { id status engine { provider model promptTokens completionTokens costMicroUsd }
    error { __typename code message } }
    answer { id question answered answer confidence confidenceParts { coverage kind gap chosen } followUps uncited
        citations { document { id title } documentVersion heading quote startOffset endOffset score }
        nearMisses { document { id } documentVersion quote startOffset endOffset score } }";

/// A text that questions can be asked of.
pub const HANDBOOK: &str = "# Employee handbook\n\nThis handbook tells what is agreed at Acme.\n\n\
## Vacation\n\nEverybody has 30 days of vacation a year. Days that are left over may be taken until 31 March of the \
next year. Vacation is asked for in the calendar, at least two weeks before.\n\n\
## Working from home\n\nUp to three days a week may be worked from home. Who works from home is reachable between \
10:00 and 15:00.\n\n\
## Expenses\n\nTrain tickets are bought in second class. Meals are paid up to 28 euros a day. Receipts are handed in \
within four weeks; Maria Keller in accounting pays them out on the 15th of each month.\n";
