//! One operation of a client who stays: any number of answers, and the end.

use std::future::Future;

use async_graphql::parser::types::OperationType;
use async_graphql::{Data, ObjectType, Response, ServerError, SubscriptionType, Value};
use futures_util::StreamExt as _;
use serde::Serialize;

use tracing::Instrument as _;

use super::{Answer, Arc, Call, Charged, Failure, Gate, Parameters, Ready, Shared, Step};
use crate::error::{Code, Error};
use crate::http::RequestId;
use crate::telemetry::metrics::{Counted, OperationCounts, Transport};
use crate::telemetry::{count, trace};

/// What a client is told of an operation.
#[derive(Debug)]
pub(super) enum Event {
    /// An answer, as JSON.
    Next(String),
    /// It ends with these errors, a list as JSON, without an answer.
    Refused(String),
    /// It ends.
    Complete,
}

/// The client is not there any more, or does not read.
#[derive(Debug)]
pub(super) struct Gone;

/// The way to the client.
pub(super) trait Outlet: Send {
    /// What it is.
    const TRANSPORT: Transport;

    /// Sends, and waits for as long as the client takes to read what went before.
    fn put(&mut self, event: Event) -> impl Future<Output = Result<(), Gone>> + Send;
}

/// How an operation ended.
#[derive(Debug)]
pub(super) enum End {
    /// By itself, and the client was told if they were still there.
    Over,
    /// The client may stay no longer.
    Dismissed(Error),
}

/// An operation that has been checked and paid for.
pub(super) struct Paid {
    step: Ready,
    remaining: Option<u64>,
}

/// A subscription that is counted as running, and as ended when this is dropped, for whatever reason.
struct Running<'a> {
    counts: &'a OperationCounts,
    outcome: Option<Code>,
    _place: Counted,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.counts.ended(self.outcome);
    }
}

/// JSON of a value that always has one.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        tracing::error!("an answer cannot be written as JSON: {error}");
        "null".to_owned()
    })
}

/// The errors of a refusal, as an event.
pub(super) fn refused(errors: &[ServerError]) -> Event {
    Event::Refused(json(&errors))
}

impl<G, Query, Mutation, Subscription> Shared<G, Query, Mutation, Subscription>
where
    G: Gate,
    Query: ObjectType + 'static,
    Mutation: ObjectType + 'static,
    Subscription: SubscriptionType + 'static,
{
    /// Checks an operation and takes its points.
    pub(super) async fn pay(
        &self,
        parameters: Parameters,
        call: &Call<'_, G::Context>,
    ) -> Result<Paid, Failure> {
        // For the check; whoever stays for long does not keep it.
        let _turn = self.turns.take().await?;
        let step = self.prepare(parameters, call).await?;
        let Charged { remaining, .. } = self.charge(step.charge(), call).await?;
        Ok(Paid { step, remaining })
    }

    /// Runs an operation to its end.
    pub(super) async fn play<O: Outlet>(
        &self,
        paid: Paid,
        call: &Call<'_, G::Context>,
        outlet: &mut O,
    ) -> End {
        let Paid { step: Ready { step, span }, remaining } = paid;
        let prepared = match step {
            Step::Run(prepared) if prepared.kind() == OperationType::Subscription => prepared,
            step => {
                // On the heap: an idle subscription keeps no room for it.
                let running = Box::pin(async {
                    match self.turns.take().await {
                        Ok(turn) => self.run(Ready { step, span }, remaining, call, &turn).await,
                        Err(busy) => Answer::broken_off(busy, call.id),
                    }
                });
                let answer = running.await;
                count().event(O::TRANSPORT);
                // Whatever waits for the client now holds nothing of the database.
                self.gate.rest(call.context).await;
                if outlet.put(Event::Next(json(&answer))).await.is_ok() {
                    let _ = outlet.put(Event::Complete).await;
                }
                return End::Over;
            }
        };
        count().points(prepared.cost());
        let counts = self.counts(&prepared);
        let mut running = Running { counts, outcome: None, _place: count().subscribed(O::TRANSPORT) };
        let mut data = Data::default();
        data.insert(Arc::clone(call.context));
        let mut responses = self.executor.subscribe(prepared, data);
        let mut dismissed = std::pin::pin!(self.gate.attend(call.context));
        loop {
            let response = tokio::select! {
                biased;
                why = &mut dismissed => {
                    running.outcome = Some(why.code());
                    return End::Dismissed(why);
                }
                response = responses.next().instrument(span.clone()) => response,
            };
            self.gate.rest(call.context).await;
            let event = match response {
                None => Event::Complete,
                Some(response) => span.in_scope(|| event(response, call.id, &mut running.outcome)),
            };
            let last = !matches!(event, Event::Next(_));
            match running.outcome {
                Some(code) => trace::failed(&span, code),
                None if last => {}
                None => count().event(O::TRANSPORT),
            }
            let told = tokio::select! {
                biased;
                why = &mut dismissed => {
                    running.outcome = Some(why.code());
                    return End::Dismissed(why);
                }
                told = outlet.put(event) => told,
            };
            if last || told.is_err() {
                return End::Over;
            }
        }
    }
}

/// An answer of a subscription. What failed before its field had anything to show is no answer: it is the end, with the
/// error's code as its outcome.
fn event(response: Response, id: &RequestId, outcome: &mut Option<Code>) -> Event {
    let nothing = response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.len() <= 1);
    let answer = Answer::of(response, id);
    if !nothing {
        return Event::Next(json(&answer));
    }
    *outcome = answer.code();
    refused(&answer.errors)
}
