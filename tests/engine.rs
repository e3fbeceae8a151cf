//! The providers of models, against a server that speaks both of their formats with all of their faults.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aicos::engine::{
    Endpoint, Endpoints, Engines, Failure, Finish, JsonSchema, Kind, Limits, Message, NotConfigured, Prices,
    Provider, Reach, TextReply, TextRequest, Usage,
};
use serde_json::{Value, json};

use crate::support::provider::{Counting, FakeProvider, Reply};

const KEY: &str = "sk-hush-hush";
/// Those that have models that write.
const WRITERS: [Provider; 2] = [Provider::OpenAi, Provider::Anthropic];

fn limits() -> Limits {
    Limits { bytes: 256 << 10, line: 64 << 10, ..Limits::default() }
}

fn request() -> TextRequest {
    TextRequest::new("some-model", "What are the seven periods?", 500)
}

/// A request for JSON.
fn form() -> TextRequest {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["lines"],
        "properties": { "lines": { "type": "array", "items": { "type": "string" } } },
    });
    TextRequest { schema: Some(JsonSchema { name: "affirmations".to_owned(), schema }), ..request() }
}

/// What a call brought, with the pieces of text that it handed on.
struct Outcome {
    pieces: Vec<String>,
    result: Result<TextReply, Failure>,
}

impl Outcome {
    #[track_caller]
    fn reply(self) -> TextReply {
        let reply = self.result.unwrap();
        assert_eq!(self.pieces.concat().trim(), reply.text.trim(), "what was handed on is the reply");
        reply
    }

    #[track_caller]
    fn failure(self, kind: Kind) -> Failure {
        let failure = self.result.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure:?}");
        let shown = format!("{failure} {failure:?}");
        assert!(!shown.contains("hush") && !shown.contains("127.0.0.1"), "{shown}");
        assert!(failure.message.ends_with(['.', '…', '!']), "a sentence: {}", failure.message);
        failure
    }
}

async fn ask_with(engines: &Engines, provider: Provider, request: &TextRequest) -> Outcome {
    let engine = engines.text(provider.as_str()).unwrap();
    let mut pieces = Vec::new();
    let result = engine.write(request, &mut |text| pieces.push(text.to_owned())).await;
    Outcome { pieces, result }
}

async fn ask(fake: &FakeProvider, provider: Provider, request: &TextRequest) -> Outcome {
    ask_with(&Engines::new(&fake.endpoints(KEY), limits()).unwrap(), provider, request).await
}

/// Scripts `reply` and asks `request`, of one provider and then of the other.
async fn of_both(request: &TextRequest, reply: Reply) -> [(Provider, Outcome); 2] {
    let fake = FakeProvider::start().await;
    fake.script([reply.clone(), reply]);
    let openai = ask(&fake, Provider::OpenAi, request).await;
    let anthropic = ask(&fake, Provider::Anthropic, request).await;
    [(Provider::OpenAi, openai), (Provider::Anthropic, anthropic)]
}

async fn both_fail(request: &TextRequest, reply: Reply, kind: Kind) -> [Failure; 2] {
    of_both(request, reply).await.map(|(provider, outcome)| {
        let failure = outcome.failure(kind);
        assert_eq!(failure.provider, provider);
        failure
    })
}

#[tokio::test]
async fn an_answer_is_handed_on_while_it_comes_and_then_as_a_whole() {
    for (provider, outcome) in of_both(&request(), Reply::text("Seven periods, each of 52 days. 🌱")).await
    {
        assert_eq!(outcome.pieces.len(), 7, "{provider}: {:?}", outcome.pieces);
        let reply = outcome.reply();
        assert_eq!(reply.text, "Seven periods, each of 52 days. 🌱");
        assert_eq!(reply.model, "some-model");
        assert_eq!(reply.usage, Some(Usage { prompt_tokens: 11, completion_tokens: 7 }));
        assert_eq!(reply.finish, Finish::Stop);
    }
}

#[tokio::test]
async fn the_requests_are_those_of_the_formats() {
    let fake = FakeProvider::start().await;
    fake.script([Reply::text("Yes."), Reply::text("Yes.")]);
    let request = TextRequest {
        system: Some("Be short.".to_owned()),
        messages: vec![
            Message::user("One."),
            Message::user("Two."),
            Message::assistant("Three?"),
            Message::user("Four."),
        ],
        temperature: Some(0.7),
        seed: Some(42),
        ..request()
    };
    ask(&fake, Provider::OpenAi, &request).await.reply();
    ask(&fake, Provider::Anthropic, &request).await.reply();
    let seen = fake.requests();
    let turns = json!([
        { "role": "user", "content": "One.\n\nTwo." },
        { "role": "assistant", "content": "Three?" },
        { "role": "user", "content": "Four." },
    ]);

    let chat = &seen[0];
    assert_eq!(chat.path, "/v1/chat/completions");
    assert_eq!(chat.headers["authorization"], format!("Bearer {KEY}"));
    let mut messages = vec![json!({ "role": "system", "content": "Be short." })];
    messages.extend(turns.as_array().unwrap().clone());
    let expected = json!({
        "model": "some-model", "messages": messages, "max_completion_tokens": 500, "temperature": 0.7, "seed": 42,
        "stream": true, "stream_options": { "include_usage": true },
    });
    assert_eq!(chat.body, expected);

    let asked = &seen[1];
    assert_eq!(asked.path, "/v1/messages");
    assert_eq!(asked.headers["x-api-key"], KEY);
    assert_eq!(asked.headers["anthropic-version"], "2023-06-01");
    assert!(!asked.headers.contains_key("authorization"));
    let expected = json!({
        "model": "some-model", "system": "Be short.", "messages": turns, "max_tokens": 500, "temperature": 0.7,
        "stream": true,
    });
    assert_eq!(asked.body, expected);
    for request in seen {
        assert_eq!(request.headers["user-agent"], concat!("aicos/", env!("CARGO_PKG_VERSION")));
    }
}

#[tokio::test]
async fn tokens_are_counted_where_the_server_counts() {
    let fake = FakeProvider::start().await;
    for (counting, counted) in [(Counting::Asked, true), (Counting::Null, false), (Counting::Missing, false)]
    {
        fake.script([Reply::text("Yes.").counting(counting).tokens(300, 4)]);
        let reply = ask(&fake, Provider::OpenAi, &request()).await.reply();
        let expected = counted.then_some(Usage { prompt_tokens: 300, completion_tokens: 4 });
        assert_eq!(reply.usage, expected, "{counting:?}");
    }
    let reply = Reply::text("Yes.").model("gpt-5.4-mini-2026-03-17").tokens(1000, 100);
    fake.script([reply]);
    let reply = ask(&fake, Provider::OpenAi, &request()).await.reply();
    // 1,000 tokens at $0.75 and 100 at $4.50 a million
    assert_eq!(Prices::default().cost(Provider::OpenAi, &reply.model, reply.usage.unwrap()), Some(1200));
}

#[tokio::test]
async fn one_byte_at_a_time_gives_the_same_answer() {
    let text = "Grüße, 世界! 🦀 und ein \"Zitat\"\nmit zwei Zeilen";
    for (_, outcome) in of_both(&request(), Reply::text(text).drip()).await {
        assert_eq!(outcome.reply().text, text);
    }
    let value = json!({ "lines": ["Ich vertraue meiner Arbeit. 🌱"] });
    for (_, outcome) in of_both(&form(), Reply::json(&value).drip()).await {
        assert_eq!(serde_json::from_str::<Value>(&outcome.reply().text).unwrap(), value);
    }
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_said() {
    for (_, outcome) in of_both(&request(), Reply::text("Seven periods, each").finish("length")).await {
        assert_eq!(outcome.reply().finish, Finish::Length);
    }
    for failure in both_fail(&request(), Reply::text("").finish("length"), Kind::Broken).await {
        assert!(failure.message.contains("500 tokens"), "{failure}");
        assert_eq!(failure.usage.map(|usage| usage.completion_tokens), Some(7), "it is charged all the same");
    }
    for failure in both_fail(&form(), Reply::text(r#"{"lines": ["cut"#).finish("length"), Kind::Broken).await
    {
        assert!(failure.message.contains("cut off at 500 tokens"), "{failure}");
    }
}

#[tokio::test]
async fn json_is_asked_for_in_each_provider_s_way_and_is_checked() {
    let value = json!({ "lines": ["I trust my work.", "I begin."] });
    let fake = FakeProvider::start().await;
    fake.script([Reply::json(&value), Reply::json(&value)]);
    for provider in WRITERS {
        let reply = ask(&fake, provider, &form()).await.reply();
        assert_eq!(serde_json::from_str::<Value>(&reply.text).unwrap(), value);
    }
    let seen = fake.requests();
    let schema = form().schema.unwrap().schema;
    let expected = json!({ "name": "affirmations", "schema": schema, "strict": true });
    assert_eq!(seen[0].body["response_format"], json!({ "type": "json_schema", "json_schema": expected }));
    assert_eq!(seen[1].body["tools"][0]["input_schema"], schema);
    let choice = json!({ "type": "tool", "name": "affirmations", "disable_parallel_tool_use": true });
    assert_eq!(seen[1].body["tool_choice"], choice);

    for failure in both_fail(&form(), Reply::text(r#"{"lines": ["never closed""#), Kind::Broken).await {
        assert!(failure.message.contains("not JSON") && failure.retryable(), "{failure}");
        assert_eq!(failure.usage, Some(Usage { prompt_tokens: 11, completion_tokens: 7 }));
    }
    for wrong in [json!({ "lines": "one" }), json!({}), json!({ "lines": [], "more": 1 }), json!([])] {
        for failure in both_fail(&form(), Reply::json(&wrong), Kind::Broken).await {
            assert!(failure.message.contains("another form"), "{failure}");
        }
    }
}

#[tokio::test]
async fn an_empty_answer_is_no_answer() {
    for failure in both_fail(&request(), Reply::text(" \n "), Kind::Broken).await {
        assert!(failure.message.contains("empty") && failure.retryable());
    }
}

#[tokio::test]
async fn a_server_is_asked_more_simply_when_it_does_not_know_a_parameter_and_that_is_remembered() {
    let fake = FakeProvider::start().await;
    for parameter in ["max_completion_tokens", "stream_options", "temperature", "seed", "json_schema"] {
        fake.lacks(parameter);
    }
    let engines = Engines::new(&fake.endpoints(KEY), limits()).unwrap();
    let request = TextRequest { temperature: Some(0.2), seed: Some(1), ..form() };
    let fenced = "```json\n{ \"lines\": [] }\n```";
    fake.script([Reply::text(fenced), Reply::json(&json!({ "lines": [] }))]);
    let first = ask_with(&engines, Provider::OpenAi, &request).await.result.unwrap();
    assert_eq!(first.text, r#"{ "lines": [] }"#);
    let tries = fake.requests();
    assert_eq!(tries.len(), 6);
    let last = &tries[5].body;
    assert_eq!(last["max_tokens"], 500);
    assert_eq!(last["response_format"], json!({ "type": "json_object" }));
    assert!(last["messages"][0]["content"].as_str().unwrap().contains(r#""lines""#), "the schema is told");
    for gone in ["max_completion_tokens", "stream_options", "temperature", "seed"] {
        assert!(last.get(gone).is_none(), "{gone}");
    }
    ask_with(&engines, Provider::OpenAi, &request).await.reply();
    assert_eq!(fake.requests().len(), 7, "the second time it is known");

    fake.lacks("response_format");
    fake.script([Reply::json(&json!({ "lines": [] }))]);
    ask_with(&engines, Provider::OpenAi, &request).await.reply();
    assert!(fake.requests().last().unwrap().body.get("response_format").is_none());
}

#[tokio::test]
async fn a_model_that_cannot_be_forced_to_use_a_tool_gives_structured_output() {
    let fake = FakeProvider::start().await;
    fake.lacks("tool_choice");
    fake.lacks("temperature");
    let engines = Engines::new(&fake.endpoints(KEY), limits()).unwrap();
    let request = TextRequest { temperature: Some(0.2), ..form() };
    let value = json!({ "lines": ["I begin."] });
    fake.script([Reply::json(&value), Reply::json(&value)]);
    for expected in [3, 4] {
        let reply = ask_with(&engines, Provider::Anthropic, &request).await.reply();
        assert_eq!(serde_json::from_str::<Value>(&reply.text).unwrap(), value);
        assert_eq!(fake.requests().len(), expected);
    }
    let last = &fake.requests()[3].body;
    let schema = &request.schema.as_ref().unwrap().schema;
    assert_eq!(last["output_config"]["format"], json!({ "type": "json_schema", "schema": schema }));
    assert!(last.get("tools").is_none() && last.get("temperature").is_none());
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let fake = FakeProvider::start().await;
    fake.script([Reply::text("All at once.").unstreamed(), Reply::refusal("No.").unstreamed()]);
    let outcome = ask(&fake, Provider::OpenAi, &request()).await;
    assert_eq!(outcome.pieces, ["All at once."]);
    assert_eq!(outcome.reply().usage, Some(Usage { prompt_tokens: 11, completion_tokens: 7 }));
    ask(&fake, Provider::OpenAi, &request()).await.failure(Kind::Refused);
}

#[tokio::test]
async fn a_refusal_is_a_failure_that_is_not_tried_again() {
    let [openai, anthropic] =
        both_fail(&request(), Reply::refusal("I can't help with that."), Kind::Refused).await;
    assert!(openai.message.ends_with("I can't help with that."), "{openai}");
    for failure in [openai, anthropic] {
        assert_eq!(failure.code.as_deref(), Some("refusal"));
        assert!(!failure.retryable() && failure.usage.is_some());
    }
    both_fail(&request(), Reply::text("Something ").finish("content_filter"), Kind::Refused).await;
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_not_repeated() {
    for failure in both_fail(&request(), Reply::unauthorized(KEY), Kind::Authentication).await {
        assert!(!failure.retryable() && failure.message.contains("key"), "{failure}");
    }
}

#[tokio::test]
async fn too_many_requests_say_when_to_come_back_and_no_credit_does_not() {
    for failure in both_fail(&request(), Reply::rate_limited("20"), Kind::RateLimited).await {
        assert_eq!(failure.retry_after(), Some(Duration::from_secs(20)));
        assert!(failure.retryable());
    }
    let later = (chrono::Utc::now() + chrono::TimeDelta::seconds(90)).format("%a, %d %b %Y %H:%M:%S GMT");
    for failure in both_fail(&request(), Reply::rate_limited(&later.to_string()), Kind::RateLimited).await {
        let wait = failure.retry_after().unwrap();
        assert!((Duration::from_secs(60)..=Duration::from_secs(90)).contains(&wait), "{wait:?}");
    }
    let [openai, anthropic] = both_fail(&request(), Reply::insufficient_quota(), Kind::Quota).await;
    assert_eq!(openai.code.as_deref(), Some("insufficient_quota"));
    assert!(!openai.retryable() && !anthropic.retryable());
}

#[tokio::test]
async fn what_does_not_fit_is_said_and_not_tried_again() {
    for reply in [Reply::context_length(), Reply::too_large()] {
        for failure in both_fail(&request(), reply, Kind::ContextLength).await {
            assert!(!failure.retryable() && failure.message.contains("too long"));
        }
    }
    for failure in both_fail(&request(), Reply::unknown_model(), Kind::Rejected).await {
        assert!(!failure.retryable() && failure.message.contains("`nope`"), "{failure}");
    }
    let repeats =
        json!({ "error": { "message": format!("Not for {KEY} at http://127.0.0.1.") } }).to_string();
    for failure in both_fail(&request(), Reply::raw(400, "application/json", repeats), Kind::Rejected).await {
        assert!(failure.message.ends_with("Not for … at …"), "{failure}");
    }
}

#[tokio::test]
async fn a_provider_s_own_trouble_is_tried_again() {
    let quota =
        json!({ "error": { "type": "billing_error", "code": "insufficient_quota", "message": "no" } });
    both_fail(&request(), Reply::raw(500, "application/json", quota.to_string()), Kind::Quota).await;
    for reply in [
        Reply::server_error(),
        Reply::overloaded(),
        Reply::raw(502, "text/html", "<h1>Bad gateway at 127.0.0.1</h1> hush"),
        // An error's body is read up to a limit; what is beyond it says nothing.
        Reply::raw(500, "application/json", format!("{}{quota}", " ".repeat(100 << 10))),
    ] {
        for failure in both_fail(&request(), reply, Kind::Unavailable).await {
            assert!(failure.retryable() && failure.retry_after().is_none());
        }
    }
    let nobody = FakeProvider::start().await.endpoints(KEY);
    // The server has stopped: nobody listens there.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let engines = Engines::new(&nobody, limits()).unwrap();
    for provider in WRITERS {
        ask_with(&engines, provider, &request()).await.failure(Kind::Unavailable);
    }
}

#[tokio::test]
async fn an_error_in_the_middle_voids_what_came_before() {
    for (_, outcome) in of_both(&request(), Reply::text("Seven periods, each").error_after(2)).await {
        assert_eq!(outcome.pieces, ["Seven ", "periods, "]);
        assert!(outcome.failure(Kind::Unavailable).retryable());
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_broken_unless_the_model_had_finished() {
    let text = Reply::text("Seven periods, each");
    for reply in [text.clone().cut_after(1), text.clone().end_after(1), text.clone().end_after(3)] {
        for failure in both_fail(&request(), reply, Kind::Broken).await {
            assert!(failure.message.contains("cut off") && failure.retryable(), "{failure}");
        }
    }
    let [(_, openai), (_, anthropic)] = of_both(&request(), text.cut_after_finish()).await;
    let (openai, anthropic) = (openai.reply(), anthropic.reply());
    assert_eq!([openai.text.as_str(), &anthropic.text], ["Seven periods, each"; 2]);
    assert_eq!(openai.usage, None);
    assert_eq!(anthropic.usage, Some(Usage { prompt_tokens: 11, completion_tokens: 7 }));
}

#[tokio::test]
async fn what_is_not_in_the_format_is_broken() {
    for body in [
        "data: {not json}\n\n",
        "data: {\"choices\": 7, \"type\": \"message_start\"}\n\n",
        "data: \"text\"\n\n",
        "data: \u{1}\n\n",
    ] {
        both_fail(&request(), Reply::raw(200, "text/event-stream", body), Kind::Broken).await;
    }
    both_fail(&request(), Reply::raw(200, "text/event-stream", &b"data: \xff\n\n"[..]), Kind::Broken).await;
    both_fail(&request(), Reply::raw(200, "text/html", "<h1>Welcome</h1>"), Kind::Broken).await;
    both_fail(&request(), Reply::raw(200, "text/event-stream", ""), Kind::Broken).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for failure in both_fail(&request(), Reply::raw(307, "text/plain", ""), Kind::Rejected).await {
        assert!(failure.message.contains("redirect"), "{failure}");
    }
}

/// Attacks: 138.
#[tokio::test]
async fn an_answer_without_end_is_stopped() {
    for (_, outcome) in of_both(&request(), Reply::huge(4 << 20)).await {
        assert!(outcome.pieces.concat().len() <= 256 << 10);
        assert!(outcome.failure(Kind::Broken).message.contains("larger"));
    }
    let line = format!("data: {}", "x".repeat(100 << 10));
    for failure in both_fail(&request(), Reply::raw(200, "text/event-stream", line), Kind::Broken).await {
        assert!(failure.message.contains("larger"), "{failure}");
    }
    both_fail(&request(), Reply::raw(200, "application/json", " ".repeat(1 << 20)), Kind::Broken).await;
}

#[tokio::test]
async fn silence_is_not_waited_for() {
    let fake = FakeProvider::start().await;
    let idle = Duration::from_millis(300);
    let limits = Limits { connect: Duration::from_millis(200), idle, ..limits() };
    let engines = Engines::new(&fake.endpoints(KEY), limits).unwrap();
    for provider in WRITERS {
        fake.script([
            Reply::text("Seven periods, each").stall_after(1),
            Reply::text("Late.").slow_headers(Duration::from_secs(20)),
        ]);
        let begun = Instant::now();
        let stalled = ask_with(&engines, provider, &request()).await;
        assert_eq!(stalled.pieces, ["Seven "]);
        assert!(stalled.failure(Kind::Timeout).retryable());
        // The first byte may take as long as a connection and a silence may together.
        ask_with(&engines, provider, &request()).await.failure(Kind::Timeout);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_slow_answer_is_stopped_in_the_end() {
    let request = TextRequest { timeout: Some(Duration::from_secs(1)), ..request() };
    let reply = Reply::deltas(["word "; 100]).pause(Duration::from_millis(50));
    for (provider, outcome) in of_both(&request, reply).await {
        assert!(outcome.pieces.len() > 1, "{provider} hands on what comes");
        outcome.failure(Kind::Timeout);
    }
}

#[tokio::test]
async fn letting_go_of_a_call_hangs_up() {
    let fake = FakeProvider::start().await;
    let engines = Engines::new(&fake.endpoints(KEY), Limits::default()).unwrap();
    for (at, provider) in WRITERS.into_iter().enumerate() {
        fake.script([Reply::text("Seven periods, each").stall_after(1)]);
        let engine = engines.text(provider.as_str()).unwrap();
        let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let call = tokio::spawn(async move {
            let request = request();
            engine.write(&request, &mut |text| heard.send(text.to_owned()).unwrap()).await
        });
        assert_eq!(hears.recv().await.as_deref(), Some("Seven "));
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        fake.hung_up(at + 1).await;
        assert_eq!(fake.left(), 0, "it had been asked");
    }
}

#[tokio::test]
async fn what_no_provider_would_accept_is_not_sent() {
    let fake = FakeProvider::start().await;
    let long = "x".repeat(9 << 20);
    for (request, kind) in [
        (TextRequest { model: " ".to_owned(), ..request() }, Kind::Rejected),
        (TextRequest { model: "m".repeat(201), ..request() }, Kind::Rejected),
        (TextRequest { messages: Vec::new(), ..request() }, Kind::Rejected),
        (TextRequest { messages: vec![Message::user("\n")], ..request() }, Kind::Rejected),
        (TextRequest { messages: vec![Message::assistant("Yes.")], ..request() }, Kind::Rejected),
        (TextRequest { max_tokens: 0, ..request() }, Kind::Rejected),
        (TextRequest { temperature: Some(1.5), ..request() }, Kind::Rejected),
        (TextRequest { temperature: Some(f64::NAN), ..request() }, Kind::Rejected),
        (TextRequest::new("some-model", long, 1), Kind::ContextLength),
    ] {
        for provider in WRITERS {
            ask(&fake, provider, &request).await.failure(kind);
        }
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_provider_is_found_by_its_name_or_it_is_said_what_to_set() {
    let none = Engines::new(&Endpoints::default(), Limits::default()).unwrap();
    assert_eq!(none.configured().count(), 0);
    let missing = none.text("openai").unwrap_err();
    assert_eq!(missing, NotConfigured::Missing(Provider::OpenAi));
    assert!(
        missing.to_string().contains("OPENAI_API_KEY") && missing.to_string().contains("OPENAI_BASE_URL")
    );
    assert!(none.text("anthropic").unwrap_err().to_string().contains("ANTHROPIC_API_KEY"));
    assert_eq!(none.text("builtin").unwrap_err(), NotConfigured::Unknown);

    // A local server needs no key, and an organization may have its own.
    let fake = FakeProvider::start().await;
    let endpoint = |key: Option<&str>| Endpoint {
        base_url: format!("{}/v1/", fake.url()).parse().unwrap(),
        key: key.map(Into::into),
    };
    let local = Endpoints { openai: Some(endpoint(None)), anthropic: None };
    let engines = Engines::new(&local, limits()).unwrap();
    assert_eq!(engines.configured().collect::<Vec<_>>(), [Provider::OpenAi]);
    fake.script([Reply::text("Yes."), Reply::text("Yes.")]);
    ask_with(&engines, Provider::OpenAi, &request()).await.reply();
    assert!(!fake.requests()[0].headers.contains_key("authorization"));
    let refused = engines.connect(Provider::Anthropic, &endpoint(Some("theirs"))).unwrap();
    let failure = refused.write(&request(), &mut |_| ()).await.unwrap_err();
    assert_eq!((failure.kind, fake.requests().len()), (Kind::Rejected, 1), "{failure}");
    let engines = engines.reaching(Reach::Private);
    let own = engines.connect(Provider::Anthropic, &endpoint(Some("theirs"))).unwrap();
    own.write(&request(), &mut |_| ()).await.unwrap();
    assert_eq!(fake.requests()[1].headers["x-api-key"], "theirs");
    let broken = engines.connect(Provider::OpenAi, &endpoint(Some("line\nbreak"))).unwrap_err();
    assert!(!format!("{broken:?}").contains("break"), "{broken:?}");
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Attacks: 145.
#[tokio::test]
async fn neither_the_log_nor_debug_output_holds_a_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // The runtime of this test has one thread, so that this catches what its tasks log, the HTTP library's included.
    let guard = tracing::subscriber::set_default(subscriber);
    let fake = FakeProvider::start().await;
    let endpoints = fake.endpoints(KEY);
    let engines = Engines::new(&endpoints, limits()).unwrap();
    for provider in WRITERS {
        fake.script([Reply::text("Yes."), Reply::unauthorized(KEY), Reply::text("One two").cut_after(1)]);
        ask_with(&engines, provider, &request()).await.reply();
        ask_with(&engines, provider, &request()).await.failure(Kind::Authentication);
        ask_with(&engines, provider, &request()).await.failure(Kind::Broken);
        let engine = engines.text(provider.as_str()).unwrap();
        let shown = format!("{endpoints:?} {engines:?} {engine:?}");
        assert!(shown.contains("127.0.0.1") && !shown.contains("hush"), "{shown}");
    }
    drop(guard);
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(logged.contains("hyper") || logged.contains("reqwest"), "the libraries log something: {logged}");
    assert!(!logged.contains("hush"), "{logged}");
}
