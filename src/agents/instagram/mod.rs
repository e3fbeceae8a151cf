//! The agent that publishes on Instagram.
//!
//! A publication is there from the moment that it is asked for, and says where it stands. A job takes it further, one step
//! of [`machine`] after the other, and writes every one down; whoever takes the job up after it was lost goes on from there.
//! While something is waited for, nothing is held.

mod bundle;
pub mod comment;
pub mod details;
pub mod errors;
pub mod export;
pub mod graph;
pub mod graphql;
pub mod insights;
pub mod machine;
pub mod preflight;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::details::Details;
use self::errors::Problem;
use self::graph::{Role, Source};
use self::insights::Insights;
use self::machine::{Event, Form, Item, Pace, Page, Publication, State, Status, Step, Then};
use self::preflight::{Facts, Fit, Media};
use super::posts::{self, state::PostState};
use super::visuals::builtin::picture::Limits;
use super::visuals::builtin::{decode, transcode_jpeg};
use super::{agent, store};
use crate::access::{Action, Permission};
use crate::accounts::{self, Accounts, Connected};
use crate::assets::{Asset, AssetKind, NewAsset};
use crate::db::{Changes, ReadTx, Record, Target, WriteTx};
use crate::engine::graph::Trouble;
use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::id::{AccountId, AssetId, JobId, PostId, ProjectId, PublicationId, WireId as _};
use crate::jobs::worker::Work;
use crate::jobs::{self, AgentKind, Attempted, Failure, Finished, NewJob, Run, Until};
use crate::storage::Storage;
use crate::usage::Amounts;
use crate::{assets, idempotency, input, projects};

/// The kind of its jobs.
const JOB: &str = "instagram.publish";
/// Characters of a caption that is read at all; Instagram takes fewer.
const CAPTION: usize = 10_000;
/// Files at the most.
const FILES: usize = 10;
/// How long Instagram may take to fetch a file.
const FETCHED: TimeDelta = TimeDelta::hours(2);
/// For how long the same is not published again.
const DUPLICATES: TimeDelta = TimeDelta::hours(24);

/// What somebody wants to have published, checked.
#[derive(Debug)]
pub struct Asked {
    form: Form,
    account: Option<AccountId>,
    post: Option<PostId>,
    assets: Vec<AssetId>,
    caption: String,
    details: Details,
    scheduled_at: Option<DateTime<Utc>>,
    timezone: Option<String>,
    allow_duplicate: bool,
}

impl Asked {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(
        form: Form,
        (account, post): (Option<AccountId>, Option<PostId>),
        assets: Vec<AssetId>,
        (caption, details): (&str, Details),
        (scheduled_at, timezone): (Option<DateTime<Utc>>, Option<&str>),
        allow_duplicate: bool,
    ) -> Result<Self> {
        let refuse = |code, field, message: &str| Err(Error::fault(Fault::at(code, field, message)));
        if assets.is_empty() {
            return refuse(
                FaultCode::Required,
                "assetIds",
                "`assetIds` is empty: nothing is published without a file.",
            );
        }
        if assets.len() > FILES {
            return refuse(FaultCode::TooLong, "assetIds", "`assetIds` has at most 10 files.");
        }
        if scheduled_at.is_some_and(|at| at <= Utc::now()) {
            let message =
                "`scheduledAt` lies in the past. Give a moment to come, or leave it out to publish at once.";
            return refuse(FaultCode::OutOfRange, "scheduledAt", message);
        }
        let timezone = match timezone.map(input::timezone).transpose() {
            Ok(zone) => zone.map(|zone| zone.name().to_owned()),
            Err(message) => return refuse(FaultCode::Invalid, "timezone", message),
        };
        let caption = input::paragraph("caption", Some(caption), CAPTION)?.unwrap_or_default();
        let details = details.parse(form, assets.len())?;
        Ok(Self { form, account, post, assets, caption, details, scheduled_at, timezone, allow_duplicate })
    }
}

/// What its jobs know.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    publication: PublicationId,
}

/// What the audit log keeps of a publication.
pub fn logged(publication: &Publication) -> Value {
    json!({
        "state": publication.state, "kind": publication.form, "account": publication.account, "post": publication.post,
        "caption": publication.caption, "details": publication.details, "scheduledAt": publication.scheduled_at,
        "problem": publication.problems.first().map(|problem| &problem.code), "permalink": publication.permalink,
        "firstComment": publication.first_comment().map(|comment| json!({
            "state": comment.state, "id": comment.id, "problem": comment.problem.as_ref().map(|problem| &problem.code),
        })),
    })
}

fn target(id: PublicationId, project: Option<ProjectId>) -> Target {
    Target::output(PublicationId::KIND, id.to_string()).within(project)
}

/// The account that is meant: the one that is named, else the project's one, else the organization's one.
async fn choose(
    tx: &mut ReadTx<'_>,
    project: ProjectId,
    named: Option<AccountId>,
) -> Result<Option<AccountId>> {
    if let Some(id) = named {
        accounts::require(tx, project, id).await?;
        return Ok(Some(id));
    }
    let usable = accounts::usable(tx, project).await?;
    for place in [Some(project), None] {
        let mut there = usable.iter().filter(|account| account.project == place);
        match (there.next(), there.next()) {
            (None, _) => {}
            (Some(only), None) => return Ok(Some(only.id)),
            (Some(_), Some(_)) => {
                let message = "Several accounts are connected. Say with `accountId` which one is meant.";
                return Err(Error::fault(Fault::at(FaultCode::Required, "accountId", message)));
            }
        }
    }
    Ok(None)
}

/// The same for the same caption and the same files, whatever their ids, by the same account.
fn fingerprint(account: Option<AccountId>, caption: &str, files: &[Asset]) -> String {
    let mut hash = Sha256::new();
    hash.update(account.map(|id| id.to_string()).unwrap_or_default());
    hash.update([0]);
    for file in files {
        hash.update(&file.sha256);
    }
    hash.update(caption);
    hex::encode(hash.finalize())
}

/// Files in the order in which they are named.
async fn files(tx: &mut ReadTx<'_>, ids: &[AssetId]) -> Result<Vec<Asset>> {
    let found = assets::find_many(tx, ids).await?;
    Ok(ids.iter().filter_map(|id| found.iter().find(|asset| asset.id == *id).cloned()).collect())
}

/// Refuses what was published a short while ago, or is about to be.
async fn refuse_duplicate(tx: &mut WriteTx<'_>, fingerprint: &str, at: DateTime<Utc>) -> Result<()> {
    for content in store::publications_like(tx, fingerprint).await? {
        let other: Publication = serde_json::from_value(content).map_err(Error::internal)?;
        let is_out = matches!(other.state, State::Failed | State::Expired | State::ReadyNotConnected);
        let when = other.published_at.or(other.scheduled_at).unwrap_or(at);
        if !is_out && (at - when).abs() < DUPLICATES {
            let message = "The same caption with the same files was published by this account within 24 hours, or is about to be. Send `allowDuplicate: true` if that is meant.";
            return Err(Error::fault(Fault::at(FaultCode::Conflict, "caption", message)));
        }
    }
    Ok(())
}

/// Makes a publication and the job that takes it further. Gives both, and whether they are new.
///
/// # Errors
/// `NOT_FOUND`; `REQUIRED` for the account when there are several; `CONFLICT` for a post that is not approved, another
/// caption than its, and for what was published a short while ago; `IDEMPOTENCY_KEY_REUSED`.
pub async fn order(
    tx: &mut WriteTx<'_>,
    project: ProjectId,
    asked: Asked,
    key: Option<&idempotency::Key>,
) -> Result<(JobId, Option<(PublicationId, Publication)>)> {
    let job = JobId::generate();
    if let Some(earlier) = idempotency::claim(tx, key, job.uuid()).await? {
        return Ok((earlier.into(), None));
    }
    if projects::find(tx, project).await?.is_none() {
        let message = "There is no such project, or it is not visible to you.";
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "projectId", message)));
    }
    assets::require(tx, project, "assetIds", &asked.assets).await?;
    assets::require(tx, project, "coverAssetId", asked.details.cover_asset.as_slice()).await?;
    let account = choose(tx, project, asked.account).await?;
    let files = files(tx, &asked.assets).await?;
    let known: Vec<_> = files.iter().map(|file| (file.kind, file.duration_seconds)).collect();
    asked.details.suit(&known)?;
    let fingerprint = fingerprint(account, &asked.caption, &files);
    if account.is_some() && !asked.allow_duplicate {
        tx.take_turn(&format!("publication {fingerprint}")).await?;
        refuse_duplicate(tx, &fingerprint, asked.scheduled_at.unwrap_or_else(Utc::now)).await?;
    }
    if let Some(post) = asked.post {
        posts::schedule(tx, post.uuid(), project, asked.scheduled_at, &asked.caption).await?;
    }
    let id = PublicationId::generate();
    let publication = Publication {
        account,
        post: asked.post,
        caption: asked.caption,
        details: asked.details,
        assets: asked.assets,
        scheduled_at: asked.scheduled_at,
        timezone: asked.timezone,
        fingerprint,
        ..Publication::new(asked.form)
    };
    let input = serde_json::to_value(Order { publication: id }).map_err(Error::internal)?;
    let new = NewJob {
        id: job,
        kind: JOB,
        agent: Some(AgentKind::InstagramPoster),
        project: Some(project),
        input,
        run_at: None,
        result: Some(id.uuid()),
        needs: Amounts::RUN,
    };
    jobs::enqueue(tx, &new).await?;
    let content = serde_json::to_value(&publication).map_err(Error::internal)?;
    let agent = AgentKind::InstagramPoster;
    store::insert(tx, id.uuid(), agent, (job, None), Some(project), Some(&content)).await?;
    Ok((job, Some((id, publication))))
}

/// One publication, as far as the transaction sees it, as it stands with its job.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: Uuid) -> Result<Option<Publication>> {
    let Some(mut output) = super::find_many(tx, &[id]).await?.pop() else { return Ok(None) };
    let job = jobs::find(tx, output.job).await?;
    Ok(Some(standing(agent::read(&mut output)?, job)))
}

/// A publication as it stands with its job: one that came to nothing by itself takes its publication along, or what was
/// still to be done for it.
fn standing(mut publication: Publication, job: Option<jobs::Job>) -> Publication {
    let ended = job.filter(|job| matches!(job.status, jobs::Status::Failed | jobs::Status::Cancelled));
    let Some(job) = ended.filter(|_| !publication.is_settled()) else { return publication };
    let message = job.error.map_or_else(|| "Its job was cancelled.".to_owned(), |error| error.message);
    if publication.state == State::Published {
        let problem = Problem::new("JOB_ENDED", message, "Write the comment on Instagram.");
        publication.comment.abandon(problem);
        return publication;
    }
    let unknown = (publication.state == State::Publishing).then(machine::unknown_outcome);
    let problem = Problem::new("JOB_ENDED", message, "Publish it again.");
    let problems = publication.problems.into_iter().chain(unknown).chain([problem]).collect();
    Publication { state: State::Failed, problems, ..publication }
}

/// What the audit log says of a publication that is new.
pub fn recorded(id: PublicationId, project: ProjectId, publication: &Publication) -> Record {
    Record::with(target(id, Some(project)), Changes::made(&logged(publication)))
}

/// Ends a publication whose job is cancelled. False: it is being made public, or is public already, which cannot be taken
/// back.
///
/// # Errors
/// What the database says.
pub async fn cancelled(tx: &mut WriteTx<'_>, id: Uuid) -> Result<bool> {
    let Some(content) = store::content(tx, id).await? else { return Ok(true) };
    let mut publication: Publication = serde_json::from_value(content).map_err(Error::internal)?;
    if matches!(publication.state, State::Publishing | State::Published) {
        return Ok(false);
    }
    if publication.state.is_final() {
        return Ok(true);
    }
    publication.state = State::Failed;
    publication.problems =
        vec![Problem::new("CANCELLED", "Somebody cancelled it.", "Publish it again if that was a mistake.")];
    let content = serde_json::to_value(&publication).map_err(Error::internal)?;
    store::set_content(tx, id, &content).await?;
    if let Some(post) = publication.post {
        posts::settle(tx, post.uuid(), PostState::Approved).await?;
    }
    Ok(true)
}

/// Keeps what Instagram counts of a publication that is public. Gives what the audit log says of it.
///
/// # Errors
/// [`Error::NotFound`]; `CONFLICT` while its job still works on it.
pub async fn measured(tx: &mut WriteTx<'_>, id: Uuid, insights: Insights) -> Result<Changes> {
    let content = store::content(tx, id).await?.ok_or(Error::NotFound)?;
    let mut publication: Publication = serde_json::from_value(content).map_err(Error::internal)?;
    if !publication.is_settled() {
        return Err(insights::unsettled());
    }
    let changes = Changes::between(&publication.insights, &Some(&insights));
    publication.insights = Some(insights);
    let content = serde_json::to_value(&publication).map_err(Error::internal)?;
    store::set_content(tx, id, &content).await?;
    Ok(changes)
}

/// What publishes.
#[derive(Debug)]
pub struct Poster {
    accounts: Arc<Accounts>,
    storage: Arc<Storage>,
    pace: Pace,
}

impl Work for Poster {
    fn kind(&self) -> &'static str {
        JOB
    }

    fn run<'a>(&'a self, run: &'a Run) -> BoxFuture<'a, Result<Attempted, Failure>> {
        self.work(run).boxed()
    }
}

/// A publication as the job found it.
struct Found {
    id: PublicationId,
    project: Option<ProjectId>,
    publication: Publication,
}

/// What a step came to: what has happened, and the files that belong to the publication from now on.
struct Came {
    events: Vec<Event>,
    files: Vec<AssetId>,
}

impl From<Event> for Came {
    fn from(event: Event) -> Self {
        Self { events: vec![event], files: Vec::new() }
    }
}

fn trouble(trouble: &Trouble) -> Event {
    Event::Trouble(errors::meaning(trouble))
}

/// Why a publication came to nothing, as a job's fault.
pub fn fault(publication: &Publication) -> Fault {
    let unknown = machine::unknown_outcome();
    let Problem { code, message, remedy, said, .. } = publication.problems.first().unwrap_or(&unknown);
    let message = format!("{message} {remedy}");
    if said.is_some() || *code == unknown.code {
        let provider = "instagram".to_owned();
        let detail = Detail::Provider { provider, provider_code: said.clone(), retryable: false };
        return Fault::new(FaultCode::ProviderFailed, message).with(detail);
    }
    let code = if publication.state == State::Expired { FaultCode::Expired } else { FaultCode::Invalid };
    Fault::new(code, message)
}

impl Poster {
    /// By these accounts, with files of this storage.
    pub const fn new(accounts: Arc<Accounts>, storage: Arc<Storage>, pace: Pace) -> Self {
        Self { accounts, storage, pace }
    }

    async fn work(&self, run: &Run) -> Result<Attempted, Failure> {
        loop {
            let (mut found, connected) = self.read(run).await?;
            let publication = &found.publication;
            let came = match publication.next(Utc::now()) {
                Step::Done => return self.end(run, &found).await,
                Step::Fail => return Err(Failure::fail(fault(publication))),
                Step::Sleep(at) => {
                    let tx = run.write(found.project, Action::PublicationAdvance).await?;
                    let why = format!("It is published at {at}.");
                    let record = Record::of(target(found.id, found.project));
                    return Ok(run.park(tx, Until::Time(at), &why, record).await?);
                }
                Step::Check => self.check(run, &found, connected.as_ref()).await?,
                step => match &connected {
                    None => Event::Disconnected.into(),
                    Some(connected) => {
                        if step == Step::Comment(comment::Step::Post) {
                            self.save(run, &mut found, Event::Comment(comment::Event::Asking).into()).await?;
                        }
                        if step == Step::Publish {
                            // Whether there is room is Instagram's to say, also when it cannot be asked now.
                            if let Ok(quota) = graph::quota(connected).await
                                && let Some(waits) =
                                    self.save(run, &mut found, Event::Room(quota).into()).await?
                            {
                                return Ok(waits);
                            }
                            // It cannot be taken back, and is written down before it is done.
                            self.save(run, &mut found, Event::Asking.into()).await?;
                        }
                        self.step(run, &found.publication, connected, step).await?
                    }
                },
            };
            if let Some(waits) = self.save(run, &mut found, came).await? {
                return Ok(waits);
            }
        }
    }

    async fn read(&self, run: &Run) -> Result<(Found, Option<Connected<'_>>), Failure> {
        let found = {
            let mut tx = run.read(Action::AgentRun).await?;
            let Order { publication: id } = jobs::input(&mut tx, run.job()).await?;
            let output = super::find_many(&mut tx, &[id.uuid()]).await?.pop().ok_or(Error::NotFound)?;
            let content = output.content.unwrap_or_default();
            let publication: Publication = serde_json::from_value(content).map_err(Error::internal)?;
            let connected = match publication.account {
                Some(account) => self.accounts.connected(&mut tx, account).await?,
                None => None,
            };
            (Found { id, project: output.project, publication }, connected)
        };
        run.release().await;
        Ok(found)
    }

    /// Writes down what has happened, if the job is still this worker's. Gives how the attempt ends when it has to wait.
    async fn save(&self, run: &Run, found: &mut Found, came: Came) -> Result<Option<Attempted>, Failure> {
        let before = &found.publication;
        let (mut after, mut then) = (before.clone(), Then::On);
        for event in came.events {
            then = after.take(event, Utc::now(), &self.pace);
        }
        if after != *before || !came.files.is_empty() {
            let mut tx = run.write(found.project, Action::PublicationAdvance).await?;
            run.hold(&mut tx).await?;
            store::content(&mut tx, found.id.uuid()).await?.ok_or(Error::NotFound)?;
            assets::keep(&mut tx, found.id.uuid(), &came.files).await?;
            let content = serde_json::to_value(&after).map_err(Error::internal)?;
            store::set_content(&mut tx, found.id.uuid(), &content).await?;
            if let Some(post) = after.post.filter(|_| after.state.is_final() && !before.state.is_final()) {
                let to = match after.state {
                    State::Published => PostState::Published,
                    State::ReadyNotConnected => PostState::Approved,
                    _ => PostState::Failed,
                };
                posts::settle(&mut tx, post.uuid(), to).await?;
            }
            let changes = Changes::between(&logged(before), &logged(&after));
            tx.commit(Record::with(target(found.id, found.project), changes)).await?;
            run.release().await;
        }
        let progress = match after.state {
            State::Uploading => Some((0.2, "Instagram is told about the files.")),
            State::Processing => Some((0.4, "Instagram fetches and processes the files.")),
            State::Ready => Some((0.7, "It can be made public.")),
            State::Published => Some((0.9, "It is public.")),
            _ => None,
        };
        if let Some((progress, message)) = progress.filter(|_| after.state != before.state) {
            run.progress(progress, message).await?;
        }
        found.publication = after;
        Ok(match then {
            Then::On => None,
            Then::Wait(after, why) => Some(Attempted::Waits { after, why }),
        })
    }

    async fn end(&self, run: &Run, found: &Found) -> Result<Attempted, Failure> {
        let tx = run.write(found.project, Action::PublicationAdvance).await?;
        let finished = Finished { result: Some(found.id.uuid()), engine: None, used: Amounts::RUN };
        Ok(run.succeed(tx, &finished, Record::of(target(found.id, found.project))).await?)
    }

    /// Whether everything fits, with pictures made to fit.
    async fn check(
        &self,
        run: &Run,
        found: &Found,
        connected: Option<&Connected<'_>>,
    ) -> Result<Came, Failure> {
        let publication = &found.publication;
        if publication.account.is_some() && connected.is_none() {
            return Ok(Event::Disconnected.into());
        }
        let named: Vec<AssetId> =
            publication.assets.iter().chain(&publication.details.cover_asset).copied().collect();
        let mut files = {
            let mut tx = run.read(Action::AgentRun).await?;
            files(&mut tx, &named).await?
        };
        run.release().await;
        let scope = run.scope();
        let visible = files.iter().all(|file| scope.may_see(file.project, Permission::ContentRead));
        if files.len() < named.len() || !visible {
            let message = "Some of the files are gone, or may not be read by whoever asked.";
            let problem = Problem::new("MEDIA_GONE", message, "Choose other files.");
            return Ok(Event::Refused(vec![problem]).into());
        }
        let now = Utc::now();
        let mut address = files[0].address(self.storage.of(&scope), now + FETCHED).await?;
        address.set_query(None);
        let facts = Facts {
            address: self.accounts.reach().check(&address),
            token_ends: connected.and_then(|connected| connected.account.expires_at),
            at: publication.scheduled_at.unwrap_or(now),
            now,
        };
        let cover = files.split_off(publication.assets.len()).pop();
        let media: Vec<Media> = files.iter().map(media).collect();
        let words = (publication.caption.as_str(), publication.details.comment.as_deref());
        let (mut problems, fits) = preflight::check(publication.form, words, &media, &facts);
        let cover = match cover
            .map(|file| preflight::cover(&self::media(&file)).map(|fit| (file, fit)))
            .transpose()
        {
            Ok(cover) => cover,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let (mut fitting, mut made) = (Vec::new(), Vec::new());
        if problems.is_empty() {
            let shown = files.iter().zip(fits).map(|(file, fit)| (publication.form, file, fit));
            // A cover may have any shape, as a story may.
            let covers = cover.iter().map(|(file, fit)| (Form::Story, file, *fit));
            for (form, file, fit) in shown.chain(covers) {
                fitting.push(match fit {
                    Fit::AsIs => file.id,
                    Fit::Transcode => match self.transcode(run, found.project, form, file).await? {
                        Ok(asset) => {
                            // The same picture twice is one file.
                            if !made.contains(&asset) {
                                made.push(asset);
                            }
                            asset
                        }
                        Err(problem) => {
                            problems.push(problem);
                            continue;
                        }
                    },
                });
            }
        }
        if !problems.is_empty() {
            return Ok(Event::Refused(problems).into());
        }
        let covered = fitting.split_off(files.len()).pop();
        let pages = files
            .iter()
            .zip(fitting)
            .map(|(file, asset)| Page { asset, is_video: file.kind == AssetKind::Video });
        let items = match publication.form {
            Form::Story => pages.map(|page| Item::new(vec![page])).collect(),
            _ => vec![Item::new(pages.collect())],
        };
        let mut events: Vec<_> =
            covered.map(Event::Covered).into_iter().chain([Event::Checked(items)]).collect();
        if connected.is_none() {
            events.push(Event::NotConnected);
        }
        Ok(Came { events, files: made })
    }

    /// A picture as a JPEG that fits, as a file of the publication's; or why it cannot be made into one.
    async fn transcode(
        &self,
        run: &Run,
        project: Option<ProjectId>,
        form: Form,
        file: &Asset,
    ) -> Result<Result<AssetId, Problem>, Failure> {
        let most = AssetKind::Image.most_bytes();
        let (asset, bytes) = assets::read(run, &self.storage, file.id, most).await?;
        let made = jobs::compute(move || fitted(&bytes, form)).await?;
        let (jpeg, width, height) = match made {
            Ok(made) => made,
            Err(why) => {
                let message = format!("{} cannot be made into a JPEG: {why}.", file.id);
                return Ok(Err(Problem::new("IMAGE_FORMAT", message, "Send another picture.")));
            }
        };
        let side = |side: u32| i32::try_from(side).ok();
        let new = NewAsset {
            project,
            kind: AssetKind::Image,
            bytes: jpeg.into(),
            mime_type: "image/jpeg",
            width: side(width),
            height: side(height),
            duration_seconds: None,
            alt_text: asset.alt_text,
        };
        Ok(Ok(assets::save(run, &self.storage, new).await?))
    }

    /// A step that asks Instagram something.
    async fn step(
        &self,
        run: &Run,
        publication: &Publication,
        account: &Connected<'_>,
        step: Step,
    ) -> Result<Came, Failure> {
        let Some(item) = publication.current() else {
            return Ok(match step {
                Step::Comment(step) => comment(publication, account, step).await.into(),
                _ => link(publication, account).await.into(),
            });
        };
        let container = item.container.as_deref();
        let event = match step {
            Step::Begin => self.begin(run, publication).await?,
            Step::Upload => return self.upload(run, publication, item, account).await,
            Step::Bind => {
                let (pages, more) = (&item.page_containers, publication.details.of_whole());
                match graph::bind(account, pages, &publication.caption, &more).await {
                    Ok(container) => Event::Made(container),
                    Err(error) => trouble(&error),
                }
            }
            Step::Publish => match graph::publish(account, container.unwrap_or_default()).await {
                Ok(media) => Event::Live(media),
                Err(error) => trouble(&error),
            },
            Step::Review => match graph::status(account, container.unwrap_or_default()).await {
                Ok(status) => Event::Seen(status),
                Err(error) => Event::Unseen(errors::meaning(&error)),
            },
            _ => match look(account, item).await {
                Ok(status) => Event::Seen(status),
                Err(error) => trouble(&error),
            },
        };
        Ok(event.into())
    }

    /// Its time has come: whoever took its post from the schedule meanwhile did not want that.
    async fn begin(&self, run: &Run, publication: &Publication) -> Result<Event, Failure> {
        let Some(post) = publication.post else { return Ok(Event::Due) };
        let state = {
            let mut tx = run.read(Action::AgentRun).await?;
            posts::state_of(&mut tx, post.uuid()).await?
        };
        run.release().await;
        if state == Some(PostState::Scheduled) {
            return Ok(Event::Due);
        }
        let message = "Its post is no longer on the schedule.";
        let remedy = "Schedule the post again, and publish it.";
        Ok(Event::Refused(vec![Problem::new("POST_NOT_SCHEDULED", message, remedy)]))
    }

    async fn upload(
        &self,
        run: &Run,
        publication: &Publication,
        item: &Item,
        account: &Connected<'_>,
    ) -> Result<Came, Failure> {
        let room = match graph::quota(account).await {
            Ok(quota) => Event::Room(quota),
            Err(error) => return Ok(trouble(&error).into()),
        };
        let full = publication.clone().take(room.clone(), Utc::now(), &self.pace);
        if full != Then::On {
            return Ok(room.into());
        }
        let named: Vec<AssetId> = item.pages.iter().map(|page| page.asset).chain(publication.cover).collect();
        let mut sources = self.sources(run, &named).await?;
        if sources.len() < named.len() {
            let problem =
                Problem::new("MEDIA_GONE", "A file has been deleted meanwhile.", "Choose other files.");
            return Ok(Event::Refused(vec![problem]).into());
        }
        let cover = sources.split_off(item.pages.len()).pop();
        let caption = publication.caption.as_str();
        let uploaded = async {
            if publication.form == Form::Carousel {
                let mut pages = Vec::with_capacity(sources.len());
                for (page, source) in sources.iter().enumerate() {
                    let more = publication.details.of_page(page, source.is_video);
                    pages.push(graph::upload(account, source, Role::Page, &more).await?);
                }
                return Ok(Event::PagesMade(pages));
            }
            let role = match publication.form {
                Form::Story => Role::Story,
                Form::Reel => Role::Reel(caption),
                Form::Feed | Form::Carousel => Role::Picture(caption),
            };
            let Some(source) = sources.first() else { return Err(Trouble::Unreachable) };
            let mut more = publication.details.of_page(0, source.is_video);
            more.extend(publication.details.of_whole());
            more.extend(cover.map(|picture| ("cover_url", picture.url)));
            graph::upload(account, source, role, &more).await.map(Event::Made)
        };
        let uploaded = uploaded.await.unwrap_or_else(|error: Trouble| trouble(&error));
        Ok(Came { events: vec![room, uploaded], files: Vec::new() })
    }

    async fn sources(&self, run: &Run, ids: &[AssetId]) -> Result<Vec<Source>, Failure> {
        let files = {
            let mut tx = run.read(Action::AgentRun).await?;
            files(&mut tx, ids).await?
        };
        run.release().await;
        let scope = run.scope();
        let mut sources = Vec::with_capacity(files.len());
        for file in files {
            let url = file.address(self.storage.of(&scope), Utc::now() + FETCHED).await?;
            let is_video = file.kind == AssetKind::Video;
            sources.push(Source { url: url.into(), is_video, alt_text: file.alt_text });
        }
        Ok(sources)
    }
}

/// A picture as a JPEG that fits, with its width and height; or why there is none.
fn fitted(bytes: &[u8], form: Form) -> Result<(Vec<u8>, u32, u32), String> {
    let limits = Limits { file_bytes: bytes.len(), ..Limits::default() };
    let picture = decode(bytes, &limits).map_err(|error| error.to_string())?;
    let (width, height) = preflight::target(form, picture.width(), picture.height());
    let made = transcode_jpeg(&picture, width, height, None).map_err(|error| error.to_string())?;
    Ok((made.jpeg, width, height))
}

/// Where it can be seen, and what is left of the quota. Nothing depends on either.
async fn link(publication: &Publication, account: &Connected<'_>) -> Event {
    let link = match publication.media() {
        Some(media) => graph::permalink(account, media).await.ok(),
        None => None,
    };
    Event::Link(link, graph::quota(account).await.ok().flatten())
}

/// Writes the first comment, or looks whether it has been written.
async fn comment(publication: &Publication, account: &Connected<'_>, step: comment::Step) -> Event {
    let media = publication.media().unwrap_or_default();
    let text = publication.details.comment.as_deref().unwrap_or_default();
    Event::Comment(match step {
        comment::Step::Post => match graph::comment(account, media, text).await {
            Ok(id) => comment::Event::Posted(id),
            Err(error) => comment::Event::Trouble(errors::meaning(&error)),
        },
        comment::Step::Seek => match graph::seek_comment(account, media, text).await {
            Ok(sought) => comment::Event::Sought(sought),
            Err(error) => comment::Event::Unsought(errors::meaning(&error)),
        },
    })
}

/// Where an item stands: a carousel whose pages are not bound yet as its slowest page, any other thing by itself.
async fn look(account: &Connected<'_>, item: &Item) -> Result<Status, Trouble> {
    if let Some(container) = &item.container {
        return graph::status(account, container).await;
    }
    let mut slowest = Status::Finished;
    for page in &item.page_containers {
        match graph::status(account, page).await? {
            Status::Finished | Status::Published => {}
            Status::InProgress => slowest = Status::InProgress,
            ended => return Ok(ended),
        }
    }
    Ok(slowest)
}

fn media(file: &Asset) -> Media {
    let side = |side: Option<i32>| side.and_then(|side| u32::try_from(side).ok());
    Media {
        kind: file.kind,
        mime_type: file.mime_type.clone(),
        bytes: u64::try_from(file.bytes).unwrap_or_default(),
        size: side(file.width).zip(side(file.height)),
        seconds: file.duration_seconds,
    }
}
