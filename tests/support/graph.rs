//! Meta's Graph API for tests, as far as publishing on Instagram goes: a server on a loopback port that speaks the real wire
//! format, and sets its traps. It fetches what it is told about, publishes a container once, counts the quota, and does what
//! a test tells it to: fail, stall, do it and lose the answer.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

/// How a JPEG begins.
const JPEG: &[u8] = b"\xff\xd8\xff";

/// The account that it knows.
pub const USER: &str = "17841400000000001";

/// Where a call can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Who the account is.
    Account,
    /// What it may publish.
    Limit,
    /// Making a container.
    Media,
    /// Reading one.
    Status,
    /// Publishing one.
    Publish,
    /// Asking where it can be seen.
    Permalink,
    /// Writing a comment below what is public.
    Comment,
    /// Reading the comments.
    Comments,
    /// Which hashtags have been asked about.
    Searched,
    /// Looking for a hashtag.
    Hashtag,
    /// The posts of a hashtag that are shown first.
    Top,
    /// Its posts of the last day.
    Recent,
    /// What is counted of a post.
    Insights,
    /// The account's own posts.
    Posts,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// It is refused, with a code and a subcode.
    Error(i64, Option<i64>),
    /// It is refused for a while.
    Transient,
    /// It is done, and the answer is cut off.
    LoseAnswer,
    /// Nobody answers, and it is not done.
    Stall,
    /// Nobody answers, and it is done.
    DoAndStall,
    /// The container that is read is gone.
    Expired,
    /// The container that is read has failed, with this subcode.
    Broken(i64),
}

#[derive(Debug, Clone)]
struct Container {
    polls: usize,
    is_published: bool,
    is_page: bool,
    /// What its status says when it cannot be published.
    broken: Option<String>,
    form: HashMap<String, String>,
}

/// Something public.
#[derive(Debug, Clone)]
pub struct Published {
    pub id: String,
    /// The form that its container was made with.
    pub form: HashMap<String, String>,
    /// The forms of a carousel's pages.
    pub pages: Vec<HashMap<String, String>>,
    /// What the account itself has written below it, with its id, oldest first.
    pub comments: Vec<(String, String)>,
}

/// A call that has been made.
#[derive(Debug, Clone)]
pub struct Seen {
    pub call: Call,
    /// The address as it was asked.
    pub address: String,
    pub body: String,
}

struct Inner {
    token: String,
    containers: BTreeMap<String, Container>,
    published: Vec<Published>,
    seen: Vec<Seen>,
    faults: VecDeque<(Call, Fault)>,
    polls: usize,
    used: i64,
    total: i64,
    next: u64,
    /// How many comments of others stand before the account's own.
    crowd: usize,
    /// Hashtags with their ids.
    hashtags: BTreeMap<String, String>,
    /// The ids that the account has asked about within 7 days.
    searched: BTreeSet<String>,
    /// What the account has posted by whatever program, newest first, with all its fields.
    posted: Vec<Value>,
}

/// The server. It stops when this is dropped.
pub struct FakeGraph {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for FakeGraph {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl FakeGraph {
    /// A server that accepts one token.
    pub async fn start(token: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Mutex::new(Inner {
            token: token.to_owned(),
            containers: BTreeMap::new(),
            published: Vec::new(),
            seen: Vec::new(),
            faults: VecDeque::new(),
            polls: 0,
            used: 2,
            total: 50,
            next: 17_900_000_000_000_000,
            crowd: 0,
            hashtags: BTreeMap::new(),
            searched: BTreeSet::new(),
            posted: Vec::new(),
        }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, serving }
    }

    /// What `INSTAGRAM_BASE_URL` is set to.
    pub fn url(&self) -> url::Url {
        format!("http://{}/v24.0", self.address).parse().unwrap()
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap())
    }

    /// The next call of this kind goes wrong.
    pub fn fail(&self, call: Call, fault: Fault) {
        self.with(|inner| inner.faults.push_back((call, fault)));
    }

    /// A container is ready when it has been read so often.
    pub fn delay(&self, polls: usize) {
        self.with(|inner| inner.polls = polls);
    }

    /// So many comments of others stand before the account's own below everything that is public.
    pub fn crowd(&self, comments: usize) {
        self.with(|inner| inner.crowd = comments);
    }

    /// Another program has asked about so many hashtags by the account.
    pub fn search_elsewhere(&self, hashtags: usize) {
        self.with(|inner| inner.searched.extend((0..hashtags).map(|number| (900 + number).to_string())));
    }

    /// The account has these posts, newest first.
    pub fn post(&self, posts: Vec<Value>) {
        self.with(|inner| inner.posted = posts);
    }

    /// What was asked about lies more than 7 days back.
    pub fn forget_searches(&self) {
        self.with(|inner| inner.searched.clear());
    }

    /// What the account has published by now, and what it may.
    pub fn set_quota(&self, used: i64, total: i64) {
        self.with(|inner| (inner.used, inner.total) = (used, total));
    }

    /// Only this token is accepted from now on.
    pub fn accept(&self, token: &str) {
        self.with(|inner| token.clone_into(&mut inner.token));
    }

    /// What is public.
    pub fn published(&self) -> Vec<Published> {
        self.with(|inner| inner.published.clone())
    }

    /// What has been asked.
    pub fn seen(&self) -> Vec<Seen> {
        self.with(|inner| inner.seen.clone())
    }

    /// How often a kind of call was made.
    pub fn calls(&self, call: Call) -> usize {
        self.seen().iter().filter(|seen| seen.call == call).count()
    }

    /// Faults that nobody has met yet.
    pub fn left(&self) -> usize {
        self.with(|inner| inner.faults.len())
    }

    /// Waits until a kind of call was made so often.
    pub async fn called(&self, call: Call, times: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.calls(call) < times {
            assert!(Instant::now() < until, "{call:?} was not called: {:#?}", self.seen());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn error(status: u16, code: i64, subcode: Option<i64>, transient: bool, message: &str) -> Response {
    let error = json!({"error": {"message": message, "type": "OAuthException", "code": code, "error_subcode": subcode,
        "is_transient": transient, "fbtrace_id": "AbCdEf"}});
    (StatusCode::from_u16(status).unwrap(), axum::Json(error)).into_response()
}

fn refused(code: i64, subcode: i64, message: &str) -> Response {
    error(400, code, Some(subcode), false, message)
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().strip_prefix("/v24.0/").unwrap_or_default().to_owned();
    let query: HashMap<String, String> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let form: HashMap<String, String> = if method == Method::GET {
        query.clone()
    } else {
        form_urlencoded::parse(&body).into_owned().collect()
    };
    let fields = query.get("fields").map(String::as_str).unwrap_or_default();
    let call = match (&method, path.as_str(), fields) {
        (&Method::GET, USER, _) => Call::Account,
        (&Method::GET, path, _) if path == format!("{USER}/content_publishing_limit") => Call::Limit,
        (&Method::POST, path, _) if path == format!("{USER}/media") => Call::Media,
        (&Method::GET, path, _) if path == format!("{USER}/media") => Call::Posts,
        (&Method::POST, path, _) if path == format!("{USER}/media_publish") => Call::Publish,
        (&Method::GET, _, "status_code,status") => Call::Status,
        (&Method::GET, _, "permalink") => Call::Permalink,
        (&Method::GET, path, _) if path == format!("{USER}/recently_searched_hashtags") => Call::Searched,
        (&Method::GET, "ig_hashtag_search", _) => Call::Hashtag,
        (&Method::GET, path, _) if path.ends_with("/top_media") => Call::Top,
        (&Method::GET, path, _) if path.ends_with("/recent_media") => Call::Recent,
        (&Method::GET, path, _) if path.ends_with("/insights") => Call::Insights,
        (&Method::POST, path, _) if path.ends_with("/comments") => Call::Comment,
        (&Method::GET, path, "id,text,timestamp") if path.ends_with("/comments") => Call::Comments,
        _ => return error(404, 2500, None, false, "Unknown path components"),
    };
    let fault = {
        let mut inner = inner.lock().unwrap();
        let body = String::from_utf8_lossy(&body).into_owned();
        inner.seen.push(Seen { call, address: uri.to_string(), body });
        let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = bearer.strip_prefix("Bearer ").unwrap_or_default();
        if token != inner.token {
            // As the real one does it, the message is no place to repeat.
            let message = format!("Error validating access token: {token} has expired");
            return error(401, 190, Some(463), false, &message);
        }
        let at = inner.faults.iter().position(|(of, _)| *of == call);
        at.and_then(|at| inner.faults.remove(at)).map(|(_, fault)| fault)
    };
    match fault {
        Some(Fault::Error(code, subcode)) => error(400, code, subcode, false, "It is refused."),
        Some(Fault::Transient) => error(500, 2, None, true, "Service temporarily unavailable"),
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::LoseAnswer) => {
            drop(act(&inner, call, &path, &form).await);
            let cut = futures_util::stream::iter([Ok(Bytes::from_static(b"{\"id\":")), Err("cut off")]);
            Body::from_stream(cut).into_response()
        }
        Some(Fault::DoAndStall) => {
            drop(act(&inner, call, &path, &form).await);
            std::future::pending().await
        }
        Some(Fault::Expired) => {
            inner.lock().unwrap().containers.remove(&path);
            axum::Json(json!({"id": path, "status_code": "EXPIRED", "status": "Expired"})).into_response()
        }
        Some(Fault::Broken(code)) => {
            let status = format!("Error: Media upload has failed with error code {code}");
            axum::Json(json!({"id": path, "status_code": "ERROR", "status": status})).into_response()
        }
        None => act(&inner, call, &path, &form).await,
    }
}

async fn act(inner: &Mutex<Inner>, call: Call, path: &str, form: &HashMap<String, String>) -> Response {
    let reply = |value: Value| axum::Json(value).into_response();
    match call {
        Call::Account => reply(json!({"id": USER, "username": "acme.studio"})),
        Call::Limit => {
            let inner = inner.lock().unwrap();
            let config = json!({"quota_total": inner.total, "quota_duration": 86_400});
            reply(json!({"data": [{"quota_usage": inner.used, "config": config}]}))
        }
        Call::Media => match fetch(inner, form).await {
            Err(refusal) => refusal,
            Ok(broken) => {
                let mut inner = inner.lock().unwrap();
                inner.next += 1;
                let id = inner.next.to_string();
                let is_page = form.get("is_carousel_item").is_some_and(|value| value == "true");
                let polls = inner.polls;
                let made = Container { polls, is_published: false, is_page, broken, form: form.clone() };
                inner.containers.insert(id.clone(), made);
                reply(json!({"id": id}))
            }
        },
        Call::Status => {
            let mut inner = inner.lock().unwrap();
            let Some(container) = inner.containers.get_mut(path) else {
                return refused(100, 33, "Unsupported get request");
            };
            let code = match () {
                () if container.is_published => "PUBLISHED",
                () if container.polls > 0 => {
                    container.polls -= 1;
                    "IN_PROGRESS"
                }
                () if container.broken.is_some() => "ERROR",
                () => "FINISHED",
            };
            let status = container.broken.clone().unwrap_or_else(|| code.to_owned());
            reply(json!({"id": path, "status_code": code, "status": status}))
        }
        Call::Publish => {
            let mut inner = inner.lock().unwrap();
            let id = form.get("creation_id").cloned().unwrap_or_default();
            if inner.used >= inner.total {
                return refused(9, 2_207_042, "The user reached the maximum number of posts");
            }
            let Some(container) = inner.containers.get(&id).cloned() else {
                return refused(24, 2_207_006, "The media with this id cannot be found");
            };
            if container.polls > 0 {
                return refused(9_007, 2_207_027, "The media is not ready to be published");
            }
            if container.is_published || container.is_page {
                return error(400, 100, None, false, "Invalid creation_id");
            }
            inner.used += 1;
            inner.containers.get_mut(&id).unwrap().is_published = true;
            let children = container.form.get("children").map(String::as_str).unwrap_or_default();
            let pages = children.split(',').filter_map(|page| inner.containers.get(page));
            let pages = pages.map(|page| page.form.clone()).collect();
            inner.next += 1;
            let id = inner.next.to_string();
            inner.published.push(Published {
                id: id.clone(),
                form: container.form,
                pages,
                comments: Vec::new(),
            });
            reply(json!({"id": id}))
        }
        Call::Comment | Call::Comments => {
            let mut inner = inner.lock().unwrap();
            inner.next += 1;
            let (next, crowd) = (inner.next.to_string(), inner.crowd);
            let media = path.strip_suffix("/comments").unwrap_or_default();
            let Some(post) = inner.published.iter_mut().find(|post| post.id == media) else {
                return refused(100, 33, "Unsupported request");
            };
            if call == Call::Comments {
                return reply(comments(post, crowd, form));
            }
            let Some(message) = form.get("message").filter(|message| !message.is_empty()) else {
                return error(400, 100, None, false, "message is needed");
            };
            post.comments.push((next.clone(), message.clone()));
            reply(json!({"id": next}))
        }
        Call::Searched => {
            let searched = inner.lock().unwrap().searched.clone();
            reply(json!({"data": searched.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()}))
        }
        Call::Hashtag => hashtag(&mut inner.lock().unwrap(), form),
        Call::Top | Call::Recent => {
            let inner = inner.lock().unwrap();
            let hashtag = path.split('/').next().unwrap_or_default();
            if !inner.searched.contains(hashtag) || form.get("user_id").is_none_or(|user| user != USER) {
                return error(400, 100, None, false, "Unsupported get request");
            }
            reply(posts(call, form))
        }
        Call::Insights => insights(&inner.lock().unwrap(), path, form),
        Call::Posts => reply(posted(&inner.lock().unwrap().posted, form)),
        Call::Permalink => reply(json!({"id": path, "permalink": "https://www.instagram.com/p/AbC123/"})),
    }
}

/// A page of the comments below a post, newest first.
fn comments(post: &Published, crowd: usize, query: &HashMap<String, String>) -> Value {
    let others =
        (0..crowd).map(|number| (format!("{}", 18_000_000_000_000_000 + number), format!("Nice {number}!")));
    let all: Vec<_> = others.chain(post.comments.iter().rev().cloned()).collect();
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<usize>().ok());
    let (from, limit) = (number("after").unwrap_or(0), number("limit").unwrap_or(25).min(50));
    let data: Vec<Value> = all
        .iter()
        .skip(from)
        .take(limit)
        .map(|(id, text)| json!({"id": id, "text": text, "timestamp": "2027-01-04T10:00:00+0000"}))
        .collect();
    let end = from + data.len();
    let mut paging = json!({"cursors": {"before": from.to_string(), "after": end.to_string()}});
    if end < all.len() {
        paging["next"] = json!("https://graph.facebook.com/next");
    }
    json!({"data": data, "paging": paging})
}

/// A page of the account's own posts, newest first, with the fields that are asked for as far as there are any.
fn posted(all: &[Value], query: &HashMap<String, String>) -> Value {
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<usize>().ok());
    let (from, limit) = (number("after").unwrap_or(0), number("limit").unwrap_or(25).min(100));
    let fields: Vec<&str> = query.get("fields").map_or_else(Vec::new, |fields| fields.split(',').collect());
    let shown = |post: &Value| {
        let whole = post.as_object().unwrap();
        let asked = fields.iter().filter_map(|field| Some(((*field).to_owned(), whole.get(*field)?.clone())));
        Value::Object(asked.collect())
    };
    let data: Vec<Value> = all.iter().skip(from).take(limit).map(shown).collect();
    let end = from + data.len();
    if data.is_empty() {
        return json!({"data": []});
    }
    // There are cursors on the last page as well.
    let mut paging = json!({"cursors": {"before": from.to_string(), "after": end.to_string()}});
    if end < all.len() {
        paging["next"] = json!("https://graph.facebook.com/v24.0/next?access_token=EAAB-not-to-be-followed");
    }
    json!({"data": data, "paging": paging})
}

/// Looks for a hashtag; 30 different ones in 7 days. The guide and the reference show different forms of the answer.
fn hashtag(inner: &mut Inner, query: &HashMap<String, String>) -> Response {
    let (Some(name), Some(USER)) = (query.get("q"), query.get("user_id").map(String::as_str)) else {
        return error(400, 100, None, false, "user_id and q are needed");
    };
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return error(400, 100, None, false, "The hashtag is not valid");
    }
    let next = (17_840_000_000_000_000 + inner.hashtags.len()).to_string();
    let id = inner.hashtags.entry(name.to_lowercase()).or_insert(next).clone();
    if !inner.searched.contains(&id) && inner.searched.len() >= 30 {
        return error(400, 18, None, false, "The maximum number of unique hashtags has been reached");
    }
    inner.searched.insert(id.clone());
    let is_list = inner.hashtags.len().is_multiple_of(2);
    let answer = if is_list { json!({"data": [{"id": id}]}) } else { json!({"id": id}) };
    axum::Json(answer).into_response()
}

/// What is counted of a post. Of stories other things are counted than of the rest; shares are not known yet.
fn insights(inner: &Inner, path: &str, query: &HashMap<String, String>) -> Response {
    let media = path.strip_suffix("/insights").unwrap_or_default();
    let Some(post) = inner.published.iter().find(|post| post.id == media) else {
        return refused(100, 33, "Unsupported get request");
    };
    let is_story = post.form.get("media_type").is_some_and(|kind| kind == "STORIES");
    let asked = query.get("metric").map(String::as_str).unwrap_or_default();
    let mut data = Vec::new();
    for (at, name) in asked.split(',').enumerate() {
        let counted: &[&str] = if is_story {
            &["reach", "views", "shares"]
        } else {
            &["reach", "views", "likes", "comments", "saved", "shares"]
        };
        if !counted.contains(&name) {
            return error(400, 100, None, false, "metric must be one of those that the media has");
        }
        if name != "shares" {
            data.push(json!({"name": name, "period": "lifetime", "values": [{"value": 10 * at}], "id": format!("{media}/insights/{name}/lifetime")}));
        }
    }
    axum::Json(json!({"data": data})).into_response()
}

/// Posts of a hashtag with the fields that are asked for; whether its likes are shown is for a post's owner to say.
fn posts(call: Call, query: &HashMap<String, String>) -> Value {
    let fields = query.get("fields").map(String::as_str).unwrap_or_default();
    let count = if call == Call::Top { 4 } else { 3 };
    let post = |number: usize| {
        let mut post = json!({"id": (18_100_000_000_000_000 + number).to_string()});
        if fields.contains("like_count") && number != 1 {
            post["like_count"] = json!(100 * number);
        }
        if fields.contains("comments_count") {
            post["comments_count"] = json!(number);
        }
        post
    };
    json!({"data": (0..count).map(post).collect::<Vec<_>>(), "paging": {"cursors": {"after": "end"}}})
}

/// Why what goes along with a container does not belong to it.
fn misplaced(form: &HashMap<String, String>) -> Option<&'static str> {
    let has = |key: &str| form.contains_key(key);
    let kind = form.get("media_type").map(String::as_str).unwrap_or_default();
    let is_page = has("is_carousel_item");
    if has("thumb_offset") && kind != "REELS" {
        return Some("thumb_offset is for reels");
    }
    if has("cover_url") && (kind != "REELS" || has("thumb_offset")) {
        return Some("cover_url is for reels, instead of thumb_offset");
    }
    if has("collaborators") && (is_page || matches!(kind, "CAROUSEL" | "STORIES")) {
        return Some("collaborators are for single pictures and reels");
    }
    if has("location_id") && (is_page || kind == "STORIES") {
        return Some("location_id is for the whole");
    }
    let tags = form.get("user_tags")?;
    let tags: Vec<Value> = serde_json::from_str(tags).ok()?;
    let placed = has("image_url");
    let fit = |tag: &Value| {
        let part = |key: &str| tag[key].as_f64().is_some_and(|part| (0.0..=1.0).contains(&part));
        tag["username"].is_string() && if placed { part("x") && part("y") } else { tag.get("x").is_none() }
    };
    let is_whole = matches!(kind, "CAROUSEL" | "STORIES") || tags.is_empty();
    (is_whole || !tags.iter().all(fit)).then_some("user_tags do not belong there")
}

/// Fetches what it is told about, as the real one does. Gives why what was fetched cannot be processed.
async fn fetch(inner: &Mutex<Inner>, form: &HashMap<String, String>) -> Result<Option<String>, Response> {
    if form.get("caption").is_some_and(|caption| caption.encode_utf16().count() > 2_200) {
        return Err(refused(36_004, 2_207_010, "The caption is too long"));
    }
    if let Some(said) = misplaced(form) {
        return Err(error(400, 100, None, false, said));
    }
    let text = |key: &str| form.get(key).map(String::as_str).unwrap_or_default();
    if text("media_type") == "CAROUSEL" {
        let inner = inner.lock().unwrap();
        let pages: Vec<_> = text("children").split(',').map(|page| inner.containers.get(page)).collect();
        let fit = |page: Option<&Container>| page.is_some_and(|page| page.is_page && page.polls == 0);
        if (2..=10).contains(&pages.len()) && pages.into_iter().all(fit) {
            return Ok(None);
        }
        return Err(refused(100, 2_207_028, "Invalid carousel children"));
    }
    let unfetched = || refused(9_004, 2_207_052, "The media could not be fetched from this URI");
    let (url, is_video) = match (form.get("image_url"), form.get("video_url")) {
        (Some(url), None) => (url, false),
        (None, Some(url)) => (url, true),
        _ => return Err(error(400, 100, None, false, "image_url or video_url is needed")),
    };
    let get = async |url: &str| {
        let fetched = reqwest::Client::new().get(url).send().await.ok()?;
        if fetched.status().is_success() { fetched.bytes().await.ok() } else { None }
    };
    let bytes = get(url).await.ok_or_else(unfetched)?;
    if let Some(cover) = form.get("cover_url") {
        let cover = get(cover).await.ok_or_else(unfetched)?;
        if !cover.starts_with(JPEG) {
            return Err(refused(36_001, 2_207_005, "Only JPEG is accepted"));
        }
    }
    if is_video {
        let is_mp4 = bytes.get(4..8) == Some(b"ftyp");
        return Ok((!is_mp4).then(|| "Error: Media upload has failed with error code 2207026".to_owned()));
    }
    if !bytes.starts_with(JPEG) {
        return Err(refused(36_001, 2_207_005, "Only JPEG is accepted"));
    }
    let Ok(size) = imagesize::blob_size(&bytes) else {
        return Err(refused(36_001, 2_207_005, "The picture cannot be read"));
    };
    let fits = size.width * 5 >= size.height * 4 && size.width * 100 <= size.height * 191;
    if !fits && text("media_type") != "STORIES" {
        return Err(refused(36_003, 2_207_009, "The aspect ratio is not accepted"));
    }
    Ok(None)
}

/// A JPEG that says that it is this large.
pub fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
    bytes.extend(b"\xff\xc0\0\x11\x08");
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend(b"\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xd9");
    bytes
}

/// An MP4, as far as its beginning tells.
pub fn mp4(number: u8) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2".to_vec();
    bytes.extend(b"\0\0\0\x09free");
    bytes.push(number);
    bytes
}
