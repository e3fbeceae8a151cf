//! No tenant reaches another one's data: a sweep over every place of the schema that takes an id.
//!
//! The places are read from the schema. A new one fails until [`SWEEP`] says what each kind of caller gets there and
//! [`World::case`] knows how to call it.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::cast;
use crate::support::sdl::Sdl;
use crate::support::world::{CALLERS, Case, State, World, nothing_like};
use crate::support::{Answer, mutation};

/// What each of them gets: `ok`; `null`; `none`, an empty list; a code of `userErrors`; `!` and a top-level code.
const SWEEP: &str = "
Query.node(id)                                   ok ok ok ok ok null null null null null !UNAUTHENTICATED
Query.nodes(ids)                                 ok ok ok ok ok null null null null null !UNAUTHENTICATED
Query.organization(id)                           ok ok ok ok ok ok null ok null !BAD_USER_INPUT !UNAUTHENTICATED
Query.project(id)                                ok ok ok ok ok null null null null null !UNAUTHENTICATED
Subscription.organizationActivity(organizationId) ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN ok !NOT_FOUND ok !NOT_FOUND !BAD_USER_INPUT !UNAUTHENTICATED
Query.job(id)                                    ok ok ok ok ok null null null null null !UNAUTHENTICATED
Subscription.jobUpdated(id)                      ok ok ok ok ok !NOT_FOUND !NOT_FOUND !NOT_FOUND !NOT_FOUND !NOT_FOUND !UNAUTHENTICATED
Organization.documents(projectId)                ok ok ok ok ok null null null none none !UNAUTHENTICATED
Mutation.documentCreate(input.organizationId)    ok ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.documentCreate(input.projectId)         ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.documentUpdate(input.id)                ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.documentUpdate(input.assetId)           ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.documentImport(input.assetId)           ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.documentDelete(input.id)                ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Organization.assets(projectId)                   ok ok ok ok ok null null null none none !UNAUTHENTICATED
Mutation.assetUploadCreate(input.organizationId) ok ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.assetUploadCreate(input.projectId)      ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.assetUploadComplete(input.id)           ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.assetUpdate(input.id)                   ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.assetDelete(input.id)                   ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.qaAsk(input.organizationId)             ok ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.qaAsk(input.projectId)                  ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.qaAsk(input.documentIds)                ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.qaAsk(input.conversationId)             ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Organization.qaConversations(projectId)          ok ok ok ok ok null null null none none !UNAUTHENTICATED
Mutation.qaConversationCreate(input.organizationId) ok ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.qaConversationCreate(input.projectId)   ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.qaConversationDelete(input.id)          ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Query.periods(organizationId)                    ok ok ok ok ok ok null ok null !BAD_USER_INPUT !UNAUTHENTICATED
Mutation.periodUpdate(input.id)                  ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.providerCreate(input.organizationId)    ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.providerUpdate(input.id)                ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.providerDelete(input.id)                ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.providerTest(input.id)                  ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.engineRouteSet(input.organizationId)    ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.engineRouteSet(input.projectId)         ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.embeddingsSet(input.organizationId)     ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.synonymsSet(input.organizationId)       ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.accountConnect(input.organizationId)    ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.accountConnect(input.projectId)         ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.accountUpdate(input.id)                 ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.accountDisconnect(input.id)             ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.accountTest(input.id)                   ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.instagramPublish(input.projectId)       ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.instagramPublish(input.assetIds)        ok ok !FORBIDDEN !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.instagramPublish(input.coverAssetId)    ok ok !FORBIDDEN !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.instagramPublish(input.accountId)       ok ok !FORBIDDEN !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.instagramPublish(input.postId)          ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.affirmationsGenerate(input.projectId)   ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.affirmationsGenerate(input.periodId)    ok ok ok !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.hashtagResearch(input.projectId)        ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.hashtagResearch(input.periodId)         ok ok ok !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.hashtagResearch(input.accountId)        ok ok ok !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentStrategyCreate(input.projectId)  ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentStrategyCreate(input.accountId)  ok ok ok !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentStrategyCreate(input.holidaysAssetId) ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentStrategyCreate(input.pastPostsAssetId) ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentStrategyDraft(input.strategyId)  ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.visualPostCreate(input.projectId)       ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.visualPostCreate(input.periodId)        ok ok ok !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.visualPostCreate(input.backgroundAssetId) ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.visualPostCreate(input.logoAssetId)     ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.visualPostRedraw(input.visualPostId)    ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.videoGenerate(input.projectId)          ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.videoGenerate(input.periodId)           ok ok ok !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.videoGenerate(input.assetIds)           ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.videoGenerate(input.clipAssetIds)       ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.videoGenerate(input.musicAssetId)       ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.videoGenerate(input.voiceOverAssetId)   ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.videoGenerate(input.postId)             ok ok ok !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.videoGenerate(input.visualPostId)       ok ok ok !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.postCompose(input.projectId)            ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.postCompose(input.assetIds)             ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.postCompose(input.sourceAnswerId)       ok ok ok !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.postCompose(input.sourceDocumentIds)    ok ok ok !FORBIDDEN ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.postUpdate(input.id)                    ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentWorkflowRun(input.projectId)     ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentWorkflowRun(input.periodId)      ok ok ok !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentWorkflowApprove(input.runId)     ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentWorkflowRerun(input.runId)       ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentWorkflowTemplateCreate(input.organizationId) ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.contentWorkflowTemplateCreate(input.projectId) ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentWorkflowTemplateUpdate(input.id) ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentWorkflowTemplateCreate(input.steps.endpointId) ok ok !FORBIDDEN !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentWorkflowTemplateUpdate(input.steps.endpointId) ok ok !FORBIDDEN !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.webhookEndpointCreate(input.organizationId) ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.webhookEndpointUpdate(input.id)         ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.webhookEndpointDelete(input.id)         ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.scheduleCreate(input.projectId)         ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.scheduleCreate(input.workflow.periodId) ok ok !FORBIDDEN !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.scheduleUpdate(input.id)                ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.scheduleUpdate(input.workflow.periodId) ok ok !FORBIDDEN !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.scheduleDelete(input.id)                ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.contentWorkflowTemplateDelete(input.id) ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.jobCancel(input.id)                     ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.jobRepeat(input.id)                     ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.publicationExport(input.id)             ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.publicationMeasure(input.id)            ok ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.outputRate(input.id)                    ok ok ok ok ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.outputDelete(input.id)                  ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Organization.auditLog(filter.actorId)            ok ok null null null ok null ok none none !UNAUTHENTICATED
Organization.auditLog(filter.projectId)          ok ok null null null none null none none none !UNAUTHENTICATED
Organization.auditLog(filter.targetId)           ok ok null null null none null none none none !UNAUTHENTICATED
Mutation.apiKeyCreate(input.organizationId)      ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.apiKeyCreate(input.projectId)           ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.apiKeyRevoke(input.id)                  ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.apiKeyRotate(input.id)                  ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.invitationCreate(input.organizationId)  ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.invitationCreate(input.projectId)       ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.invitationResend(input.id)              ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.invitationRevoke(input.id)              ok ok !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.login(input.organizationId)             ok ok ok ok ok ok NOT_FOUND INVALID_CREDENTIALS NOT_FOUND NOT_FOUND INVALID_CREDENTIALS
Mutation.membershipDelete(input.id)              ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.membershipUpdate(input.id)              ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.organizationDelete(input.id)            ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.organizationRestore(input.id)           ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.organizationSwitch(input.organizationId) ok ok ok ok ok ok NOT_FOUND !UNAUTHENTICATED NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.organizationUpdate(input.id)            ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.projectArchive(input.id)                ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.projectCreate(input.organizationId)     ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND !FORBIDDEN NOT_FOUND INVALID !UNAUTHENTICATED
Mutation.projectDelete(input.id)                 ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.projectMemberSet(input.projectId)       ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.projectMemberSet(input.userId)          ok ok !FORBIDDEN !FORBIDDEN ok ok NOT_FOUND ok NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.projectUpdate(input.id)                 ok ok !FORBIDDEN !FORBIDDEN !FORBIDDEN NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED
Mutation.sessionRevoke(input.id)                 ok NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND !UNAUTHENTICATED NOT_FOUND NOT_FOUND !UNAUTHENTICATED
";

/// What each of them gets for `node(id:)` with the organization's, or its owner's own, object of each kind.
const NODES: &str = "
ApiKey                                           ok ok null null null null null null null null !UNAUTHENTICATED
AuditEntry                                       ok ok null null null null null null null null !UNAUTHENTICATED
Invitation                                       ok ok null null null null null null null null !UNAUTHENTICATED
Job                                              ok ok ok ok ok null null null null null !UNAUTHENTICATED
QaConversation                                   ok ok ok ok ok null null null null null !UNAUTHENTICATED
KnowledgeDocument                                ok ok ok ok ok null null null null null !UNAUTHENTICATED
Asset                                            ok ok ok ok ok null null null null null !UNAUTHENTICATED
Period                                           ok ok ok ok ok ok null ok null null !UNAUTHENTICATED
Provider                                         ok ok null null null null null null null null !UNAUTHENTICATED
Account                                          ok ok null null null ok null ok null null !UNAUTHENTICATED
Publication                                      ok ok ok ok ok null null null null null !UNAUTHENTICATED
AffirmationSet                                   ok ok ok ok ok null null null null null !UNAUTHENTICATED
Post                                             ok ok ok ok ok null null null null null !UNAUTHENTICATED
ContentStrategy                                  ok ok ok ok ok null null null null null !UNAUTHENTICATED
VisualPost                                       ok ok ok ok ok null null null null null !UNAUTHENTICATED
Video                                            ok ok ok ok ok null null null null null !UNAUTHENTICATED
ContentWorkflowTemplate                          ok ok ok null null null null null null null !UNAUTHENTICATED
WebhookEndpoint                                  ok ok null null null null null null null null !UNAUTHENTICATED
Schedule                                         ok ok ok null null null null null null null !UNAUTHENTICATED
ContentWorkflowRun                               ok ok ok ok ok null null null null null !UNAUTHENTICATED
HashtagSet                                       ok ok ok ok ok null null null null null !UNAUTHENTICATED
QaAnswer                                         ok ok ok ok ok null null null null null !UNAUTHENTICATED
Membership                                       ok ok ok ok ok null null null null null !UNAUTHENTICATED
Organization                                     ok ok ok ok ok ok null ok null null !UNAUTHENTICATED
OrganizationUsage                                ok ok ok ok ok null null null null null !UNAUTHENTICATED
Project                                          ok ok ok ok ok null null null null null !UNAUTHENTICATED
ProjectMember                                    ok ok ok ok ok null null null null null !UNAUTHENTICATED
SecurityEvent                                    ok null null null null null null null null null !UNAUTHENTICATED
Session                                          ok null null null null null null null null null !UNAUTHENTICATED
User                                             ok ok ok ok ok ok null ok null null !UNAUTHENTICATED
";

fn table(text: &'static str) -> Vec<(&'static str, Vec<&'static str>)> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| !row.is_empty()).map(|row| (row[0], row[1..].to_vec())).collect()
}

/// What the schema has and the table does not, and the other way round, as sentences.
fn uncovered(schema: &BTreeSet<String>, table: &[(&str, Vec<&str>)], what: &str) -> Vec<String> {
    let known: BTreeSet<String> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing = schema.difference(&known).map(|name| {
        format!(
            "`{name}` {what}: add a line with what each caller gets, and an arm to `World` that calls it."
        )
    });
    let stale =
        known.difference(schema).map(|name| format!("`{name}` is gone from the schema: drop its line."));
    missing.chain(stale).collect()
}

/// The answer without what differs from request to request.
fn said(answer: &Answer) -> Value {
    let mut body = answer.body.clone();
    for error in body["errors"].as_array_mut().into_iter().flatten() {
        error["extensions"].as_object_mut().unwrap().remove("requestId");
    }
    json!({"status": answer.status.as_u16(), "body": body})
}

/// Calls, and says what is wrong with the answer, if anything is.
async fn try_one(
    world: &World,
    name: &str,
    caller: &str,
    case: &Case,
    expected: &str,
    state: &mut State,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let before = state.read().await;
    let answer = world.client(caller).send(&case.document, case.variables.clone()).await;
    let outcome = case.outcome(&answer);
    if outcome != expected {
        wrong.push(format!("{name} by {caller}: {outcome} instead of {expected}\n  {}", answer.body));
    }
    if outcome == "ok" {
        return wrong;
    }
    if state.read().await != before {
        wrong.push(format!(
            "{name} by {caller} was answered {outcome}, and something was written all the same"
        ));
    }
    // What may be seen but not done is refused by name; everything else looks as if it were not there.
    if outcome != "!FORBIDDEN" {
        let nothing = nothing_like(case.id());
        let other = world.client(caller).send(&case.document, case.with_id(&nothing)).await;
        if said(&other) != said(&answer) {
            wrong.push(format!(
                "{name} by {caller} tells a foreign id from one that belongs to nothing:\n  {}\n  {}",
                said(&answer),
                said(&other)
            ));
        }
    }
    wrong
}

/// Attacks: 86.
#[tokio::test(flavor = "multi_thread")]
async fn every_place_that_takes_an_id_keeps_tenants_apart() {
    let sweep = table(SWEEP);
    let mut wrong = uncovered(&Sdl::of_the_server().places("ID"), &sweep, "takes an id and is not swept");
    let world = World::new().await;
    let mut state = State::of(&world.server).await;
    for (place, expected) in &sweep {
        assert_eq!(expected.len(), CALLERS.len(), "{place}: one word per caller");
        for (caller, expected) in CALLERS.into_iter().zip(expected) {
            let Some(case) = world.case(place, caller).await else {
                wrong.push(format!("`World::case` does not know how to call `{place}`"));
                continue;
            };
            wrong.extend(try_one(&world, place, caller, &case, expected, &mut state).await);
            if place.starts_with("Mutation.organizationDelete")
                || place.starts_with("Mutation.organizationRestore")
            {
                world.owner().try_mutate("organizationRestore", json!({"id": world.acme.id}), "").await;
            }
        }
    }
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_node_is_null_for_whoever_may_not_see_it() {
    let nodes = table(NODES);
    let mut wrong =
        uncovered(&Sdl::of_the_server().implementing("Node"), &nodes, "is a node and is not swept");
    let world = World::new().await;
    let mut state = State::of(&world.server).await;
    for (kind, expected) in &nodes {
        let Some(id) = world.node(kind).await else {
            wrong.push(format!("`World::node` does not know how to make `{kind}`"));
            continue;
        };
        for (caller, expected) in CALLERS.into_iter().zip(expected) {
            let one = Case::query(
                "query($id: ID!) { node(id: $id) { id __typename } }",
                json!({"id": id}),
                "/id",
                "/node",
            );
            wrong.extend(try_one(&world, &format!("node({kind})"), caller, &one, expected, &mut state).await);
            let list = Case::query(
                "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }",
                json!({"ids": [id]}),
                "/ids/0",
                "/nodes/0",
            );
            wrong.extend(
                try_one(&world, &format!("nodes({kind})"), caller, &list, expected, &mut state).await,
            );
        }
    }
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn own_and_foreign_objects_in_one_request_are_told_apart() {
    let world = World::new().await;
    let (acme, globex) = (&world.acme, &world.globex);
    let stranger = world.client("stranger");
    let own = [&globex.project, &globex.id, &globex.viewer.id, &globex.viewer.membership];
    let mut foreign = Vec::new();
    for (kind, _) in table(NODES) {
        foreign.push(world.node(kind).await.unwrap());
    }
    // Own ones between the foreign ones, so that they are loaded together.
    let mut ids: Vec<&String> = Vec::new();
    for (place, id) in foreign.iter().enumerate() {
        ids.push(id);
        ids.push(own[place % own.len()]);
    }
    let found = stranger.ok("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({"ids": ids})).await;
    for (id, node) in ids.iter().zip(found["nodes"].as_array().unwrap()) {
        let expected = if own.contains(id) { json!({"id": id}) } else { Value::Null };
        assert_eq!(*node, expected, "{id}");
    }
    let aliases = "query($a: ID!, $b: ID!, $c: ID!, $d: ID!) {
        foreign: project(id: $a) { name members { nodes { user { name } } } }
        own: project(id: $b) { name members { nodes { user { name email } } } }
        theirs: organization(id: $c) { name } ours: organization(id: $d) { name } }";
    let variables = json!({"a": acme.project, "b": globex.project, "c": acme.id, "d": globex.id});
    let found = stranger.ok(aliases, variables).await;
    assert_eq!((&found["foreign"], &found["theirs"]), (&Value::Null, &Value::Null));
    assert_eq!(found["ours"]["name"], "Globex");
    let people = found["own"]["members"]["nodes"].as_array().unwrap();
    assert_eq!(people.len(), 4);
    assert!(
        people.iter().all(|person| person["user"]["email"].as_str().unwrap().ends_with("@globex.example"))
    );
}

/// Texts that are no ids, whatever the kind.
fn malformed(prefix: &str) -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "1e3",
        "null",
        "{00000000-0000-0000-0000-000000000000}",
        "00000000-0000-0000-0000-000000000000",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend([
        format!("{prefix}_"),
        format!("{prefix}_{}", "8".repeat(26)),
        format!("{prefix}_{}", "0".repeat(25)),
        format!("{prefix}_{}", "0".repeat(27)),
        format!("{}_{}", prefix.to_uppercase(), "0".repeat(26)),
        format!(" {prefix}_{}", "0".repeat(26)),
        format!("{prefix}_{}", "' or true --"),
        format!("{prefix}_{}", "a".repeat(20_000)),
        "%".repeat(100),
        "\u{202E}".to_owned(),
    ]);
    texts
}

/// Attacks: 44.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_id_or_one_of_another_kind_is_an_input_error_that_names_its_field() {
    let world = World::new().await;
    let mut state = State::of(&world.server).await;
    let mut kinds = Vec::new();
    for (kind, _) in table(NODES) {
        kinds.push(world.node(kind).await.unwrap());
    }
    let mut wrong = Vec::new();
    for (place, _) in table(SWEEP) {
        let case = world.case(place, "owner").await.unwrap();
        let prefix = case.id().split('_').next().unwrap().to_owned();
        // An object of any kind can be the target of an action, and any kind is a node.
        let any_kind = place.starts_with("Query.node") || place.ends_with("(filter.targetId)");
        let actor = place.ends_with("(filter.actorId)");
        let mut texts = malformed(&prefix);
        texts.extend(kinds.iter().filter(|id| !any_kind && !id.starts_with(&prefix)).cloned());
        texts.retain(|id| !(actor && id.starts_with("key_")));
        // What any agent has made is rated and deleted alike.
        let any_output = place.starts_with("Mutation.output");
        texts.retain(|id| {
            !(any_output
                && ["qna", "afs", "hts", "pst", "stg", "wfr", "vip", "vid", "pub"]
                    .iter()
                    .any(|kind| id.starts_with(kind)))
        });
        let before = state.read().await;
        for text in texts {
            let answer = world.owner().send(&case.document, case.with_id(&text)).await;
            let (outcome, expected) =
                (case.outcome(&answer), if case.answer.is_some() { "!BAD_USER_INPUT" } else { "INVALID" });
            let payload = answer.body["data"].as_object().and_then(|data| data.values().next());
            let field = match case.answer {
                Some(_) => &answer.body["errors"][0]["extensions"]["field"],
                None => payload.map_or(&Value::Null, |payload| &payload["userErrors"][0]["field"]),
            };
            let path: Vec<&str> = place.split(['(', ')']).nth(1).unwrap().split('.').collect();
            if outcome != expected || *field != json!(path) {
                let text: String = text.chars().take(40).collect();
                wrong.push(format!(
                    "{place} with {text:?}: {outcome} at {field} instead of {expected} at {path:?}"
                ));
            }
        }
        if place.starts_with("Mutation.organizationRestore") {
            world.owner().mutate("organizationRestore", json!({"id": world.acme.id}), "").await;
        } else if state.read().await != before {
            wrong.push(format!("{place}: a malformed id wrote something"));
        }
    }
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every list with the path to it; the organization's are asked through the request's organization.
const LISTS: [(&str, &str); 19] = [
    ("organization { LIST { nodes { id } pageInfo { endCursor } } }", "projects"),
    ("organization { LIST { nodes { id } pageInfo { endCursor } } }", "members"),
    ("organization { LIST { nodes { id } pageInfo { endCursor } } }", "invitations"),
    ("organization { LIST { nodes { id } pageInfo { endCursor } } }", "apiKeys"),
    ("organization { LIST { nodes { id } pageInfo { endCursor } } }", "auditLog"),
    ("viewer { LIST { nodes { id } pageInfo { endCursor } } }", "memberships"),
    ("viewer { LIST { nodes { id } pageInfo { endCursor } } }", "securityEvents"),
    ("project(id: $project) { LIST { nodes { id } pageInfo { endCursor } } }", "activity"),
    ("organization { LIST { nodes { id } pageInfo { endCursor } } }", "documents"),
    ("organization { LIST { nodes { id } pageInfo { endCursor } } }", "jobs"),
    ("organization { LIST { nodes { id } pageInfo { endCursor } } }", "outputs"),
    ("project(id: $project) { LIST { nodes { id } pageInfo { endCursor } } }", "documents"),
    ("project(id: $project) { LIST { nodes { id } pageInfo { endCursor } } }", "jobs"),
    ("project(id: $project) { LIST { nodes { id } pageInfo { endCursor } } }", "outputs"),
    ("organization { LIST { nodes { id } pageInfo { endCursor } } }", "workflowTemplates"),
    ("project(id: $project) { LIST { nodes { id } pageInfo { endCursor } } }", "workflowTemplates"),
    ("organization { LIST { nodes { id } pageInfo { endCursor } } }", "qaConversations"),
    ("project(id: $project) { LIST { nodes { id } pageInfo { endCursor } } }", "qaConversations"),
    ("project(id: $project) { LIST { nodes { id } pageInfo { endCursor } } }", "schedules"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_own_list_filter_and_tenant_only() {
    let world = World::new().await;
    cast::key(&world.server, &world.acme).await;
    cast::invitation(&world.server, &world.acme).await;
    cast::key(&world.server, &world.globex).await;
    cast::invitation(&world.server, &world.globex).await;
    let (owner, stranger) = (world.client("owner"), world.client("stranger"));
    for place in [None, Some(world.other.as_str())] {
        cast::answer(&world.server, &world.acme, place).await;
        cast::conversation(&world.server, &world.acme, place).await;
    }
    cast::template(&world.server, &world.acme, Some(&world.other)).await;
    cast::schedule(&world.server, &world.acme, &world.other).await;
    let (ours, theirs) = (world.other.clone(), cast::project(&world.server, &world.globex, "Theirs").await);
    let ask = |list: &str, path: &str, arguments: &str| {
        format!(
            "query($project: ID!, $cursor: String) {{ {} node(id: $project) {{ id }} rateLimit {{ limit }} x: rateLimit @skip(if: true) {{ limit }} y: node(id: $project) @skip(if: true) {{ id }} z: organization @include(if: false) {{ projects(after: $cursor) {{ totalCount }} }} }}",
            path.replace("LIST", &format!("{list}({arguments})"))
        )
    };
    let mut cursors = Vec::new();
    for (number, (path, list)) in LISTS.into_iter().enumerate() {
        let found = owner.ok(&ask(list, path, "first: 1"), json!({"project": ours})).await;
        let root = found
            .as_object()
            .unwrap()
            .iter()
            .find(|(name, _)| ["organization", "viewer", "project"].contains(&name.as_str()));
        let cursor = root.unwrap().1[list]["pageInfo"]["endCursor"]
            .as_str()
            .unwrap_or_else(|| panic!("{list}"))
            .to_owned();
        // The control: its own list goes on from it.
        let next = json!({"project": ours, "cursor": cursor});
        owner.ok(&ask(list, path, "first: 1, after: $cursor"), next).await;
        cursors.push((number, list, cursor));
    }
    for (number, (path, list)) in LISTS.into_iter().enumerate() {
        for (place, from, cursor) in &cursors {
            let answer = stranger
                .send(&ask(list, path, "after: $cursor"), json!({"project": theirs, "cursor": cursor}))
                .await;
            assert_eq!(answer.code(), Some("BAD_USER_INPUT"), "{from}'s cursor in {list}: {}", answer.body);
            assert_eq!(answer.body["errors"][0]["extensions"]["field"], json!(["after"]));
            if *place != number {
                let own = owner
                    .send(
                        &ask(list, path, "before: $cursor, last: 5"),
                        json!({"project": ours, "cursor": cursor}),
                    )
                    .await;
                assert_eq!(own.code(), Some("BAD_USER_INPUT"), "{from}'s cursor in {list}: {}", own.body);
            }
        }
    }
    // One bit of a genuine cursor changed, and texts that never were one.
    let (_, _, genuine) = &cursors[0];
    let mut flipped = genuine.clone().into_bytes();
    flipped[5] = if flipped[5] == b'A' { b'B' } else { b'A' };
    let filter = "query($cursor: String) { organization { projects(after: $cursor, filter: {archived: true}) { totalCount } } }";
    assert_eq!(owner.refusal(filter, json!({"cursor": genuine})).await, "BAD_USER_INPUT");
    let plain = "query($cursor: String) { organization { projects(after: $cursor) { totalCount } } }";
    for forged in [
        String::from_utf8(flipped).unwrap(),
        String::new(),
        ours.clone(),
        "AAAA".repeat(5000),
        format!("{genuine}="),
        "\u{0}".to_owned(),
    ] {
        assert_eq!(owner.refusal(plain, json!({"cursor": forged})).await, "BAD_USER_INPUT", "{forged:.40}");
    }
}

/// Attacks: 86.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_in_two_organizations_is_seen_from_each_as_a_member_of_that_one_only() {
    let world = World::new().await;
    let (acme, globex, server) = (&world.acme, &world.globex, &world.server);
    // Globex's owner becomes a viewer of Acme.
    let both = &globex.owner;
    cast::join(server, acme, both, "VIEWER").await;
    let everything = "{ organization { members(first: 10) { nodes { id role organization { name } invitedBy { name memberships { totalCount } }
        limitedTo { name }
        user { id email memberships { nodes { organization { name } } } sessions { id } securityEvents { nodes { id } } } } } } }";
    let seen = acme.admin.at(server).ok(everything, json!({})).await;
    let members = seen["organization"]["members"]["nodes"].as_array().unwrap();
    let row = members.iter().find(|row| row["user"]["id"] == both.id.as_str()).unwrap();
    assert_eq!(row["role"], "VIEWER");
    assert_eq!(row["user"]["email"], both.email.as_str(), "an admin manages members and reads addresses");
    for own in ["memberships", "sessions", "securityEvents"] {
        assert_eq!(row["user"][own], Value::Null, "{own}");
    }
    assert!(!seen.to_string().contains("Globex"));
    let seen = acme.viewer.at(server).ok(everything, json!({})).await;
    let shown =
        |row: &&Value| row["user"]["id"] != acme.viewer.id.as_str() && !row["user"]["email"].is_null();
    assert_eq!(seen["organization"]["members"]["nodes"].as_array().unwrap().iter().find(shown), None);
    // Themselves, they see both, each as what they are there.
    let own = "{ viewer { memberships { nodes { role organization { name viewerRole viewerPermissions auditLog { totalCount } } } } } }";
    let seen = both.at(server).ok(own, json!({})).await;
    let mut rows: Vec<(String, String, String, bool)> = seen["viewer"]["memberships"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let organization = &row["organization"];
            let word = |value: &Value| value.as_str().unwrap().to_owned();
            (
                word(&organization["name"]),
                word(&row["role"]),
                word(&organization["viewerRole"]),
                organization["auditLog"].is_null(),
            )
        })
        .collect();
    rows.sort();
    assert_eq!(rows[0], ("Acme".into(), "VIEWER".into(), "VIEWER".into(), true));
    assert_eq!(rows[1], ("Globex".into(), "OWNER".into(), "OWNER".into(), false));
    // Rights do not travel: an owner there is a viewer here, by argument and by header alike.
    let input = json!({"organizationId": acme.id, "name": "Mine"});
    let document = mutation("projectCreate", "");
    assert_eq!(both.at(server).refusal(&document, json!({"input": input})).await, "FORBIDDEN");
    let here = both.at(server).header("x-organization", &acme.id);
    assert_eq!(here.refusal(&document, json!({"input": input})).await, "FORBIDDEN");
    let input = json!({"id": acme.project, "name": "Mine"});
    assert_eq!(here.refusal(&mutation("projectUpdate", ""), json!({"input": input})).await, "FORBIDDEN");
    assert_eq!(
        both.at(server).fault("projectUpdate", input).await,
        "NOT_FOUND",
        "the default tenant is Globex"
    );
    // By the slug, and with a key of one organization, the other one is not there.
    let by_slug = "query($slug: String!) { organization(slug: $slug) { name } }";
    assert_eq!(both.at(server).ok(by_slug, json!({"slug": acme.slug})).await["organization"]["name"], "Acme");
    let input =
        json!({"organizationId": globex.id, "name": "k", "permissions": ["ORG_READ", "PROJECT_READ"]});
    let made = both.at(server).mutate("apiKeyCreate", input, "secret").await;
    let key = server.key(made["secret"].as_str().unwrap());
    assert_eq!(key.ok(by_slug, json!({"slug": acme.slug})).await["organization"], Value::Null);
    assert_eq!(key.ok(by_slug, json!({"slug": globex.slug})).await["organization"]["name"], "Globex");
    let by_id = "query($id: ID!) { organization(id: $id) { name } project: project(id: $id) @include(if: false) { id } }";
    assert_eq!(key.ok(by_id, json!({"id": acme.id})).await["organization"], Value::Null);
    let there = key.clone().header("x-organization", &acme.id);
    let seen = there
        .ok("{ organization { name } credential { organization { name } permissions } }", json!({}))
        .await;
    assert_eq!(seen["organization"], Value::Null);
    assert!(!seen.to_string().contains("Acme"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_one_project_sees_that_project_and_nothing_else_of_the_organization() {
    let world = World::new().await;
    let (acme, server) = (&world.acme, &world.server);
    cast::key(server, acme).await;
    cast::invitation(server, acme).await;
    let guest = world.client("guest");
    let seen = guest
        .ok(
            "{ organization { name viewerRole viewerPermissions
                 projects { totalCount nodes { id viewerRole viewerPermissions members { nodes { user { id } } } activity { nodes { project { id } } } } }
                 members { totalCount } invitations { totalCount nodes { id } } apiKeys { totalCount nodes { project { id } } }
                 auditLog(first: 100) { nodes { project { id } } } usage { id } }
               credential { permissions project { id } } }",
            json!({}),
        )
        .await;
    let organization = &seen["organization"];
    assert_eq!(organization["projects"]["totalCount"], 1);
    assert_eq!(organization["projects"]["nodes"][0]["id"], world.other.as_str());
    assert_eq!(organization["viewerPermissions"], json!(["ORG_READ", "PROJECT_READ", "CONTENT_READ"]));
    assert_eq!((&organization["members"], &organization["usage"]), (&Value::Null, &Value::Null));
    assert_eq!(organization["invitations"]["totalCount"], 1, "the one to the project that they administer");
    assert_eq!(organization["apiKeys"]["totalCount"], 1, "the key of the project that they administer");
    for entry in organization["auditLog"]["nodes"].as_array().unwrap() {
        assert_eq!(entry["project"]["id"], world.other.as_str());
    }
    // The people of the project are visible with their names; addresses are for those who manage the organization.
    let people =
        "query($id: ID!) { project(id: $id) { members(first: 100) { nodes { user { name email } role } } } }";
    let seen = guest.ok(people, json!({"id": world.other})).await;
    let people = seen["project"]["members"]["nodes"].as_array().unwrap();
    assert!(people.len() >= 5);
    let shown: Vec<_> = people.iter().filter(|row| !row["user"]["email"].is_null()).collect();
    assert_eq!(shown.len(), 1, "only their own: {shown:?}");
    // And the organization's other people see the guest as one.
    let seen = world
        .owner()
        .ok(
            "query($id: ID!) { node(id: $id) { ... on Membership { limitedTo { id } } } }",
            json!({"id": world.guest.membership}),
        )
        .await;
    assert_eq!(seen["node"]["limitedTo"], json!([{"id": world.other}]));
}

/// Attacks: 27.
#[tokio::test(flavor = "multi_thread")]
async fn counts_searches_and_filters_tell_nothing_about_others() {
    let world = World::new().await;
    let (acme, server) = (&world.acme, &world.server);
    cast::project(server, acme, "Xylophone unheard of").await;
    let search = "query($s: String!) { organization { projects(filter: {search: $s}) { totalCount nodes { name } } } }";
    for (caller, expected) in
        [("owner", 1), ("viewer", 1), ("guest", 0), ("key", 0), ("stranger", 0), ("home", 0)]
    {
        for word in ["Xylophone", "xylo", "xylophone-unheard-of"] {
            let seen = world.client(caller).ok(search, json!({"s": word})).await;
            assert_eq!(seen["organization"]["projects"]["totalCount"], expected, "{caller} searches {word}");
        }
    }
    // What looks like a pattern is text.
    for word in ["%", "_", "%%%%%%%%", ".*", "\\", "' or 1=1 --"] {
        assert_eq!(
            world.owner().ok(search, json!({"s": word})).await["organization"]["projects"]["totalCount"],
            0,
            "{word}"
        );
    }
    let actions = "{ organization { auditLog(filter: {actions: [\"project.create\"]}) { totalCount } members { totalCount } projects { totalCount } usage { metrics { kind used } } } }";
    let (ours, theirs) =
        (world.owner().ok(actions, json!({})).await, world.client("stranger").ok(actions, json!({})).await);
    assert_eq!(ours["organization"]["auditLog"]["totalCount"], 2);
    assert_eq!(theirs["organization"]["auditLog"]["totalCount"], 0);
    assert_eq!(
        (&ours["organization"]["projects"]["totalCount"], &theirs["organization"]["projects"]["totalCount"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(
        (&ours["organization"]["members"]["totalCount"], &theirs["organization"]["members"]["totalCount"]),
        (&json!(6), &json!(4))
    );
    // Names and slugs are free again in another organization, so that they are no oracle.
    let input = json!({"organizationId": world.globex.id, "name": "Xylophone unheard of", "slug": "xylophone-unheard-of"});
    world.client("stranger").mutate("projectCreate", input, "").await;
    let input = json!({"name": "Acme", "slug": acme.slug});
    let made = world.client("stranger").mutate("organizationCreate", input, "organization { slug }").await;
    assert_eq!(made["organization"]["slug"], acme.slug.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_its_callers_own() {
    let world = World::new().await;
    let (acme, globex) = (&world.acme, &world.globex);
    let create = |organization: &str| json!({"organizationId": organization, "name": "Once", "idempotencyKey": "same"});
    let made = |payload: &Value| payload["project"]["id"].as_str().unwrap().to_owned();
    let first = made(&world.owner().mutate("projectCreate", create(&acme.id), "project { id }").await);
    let again = made(&world.owner().mutate("projectCreate", create(&acme.id), "project { id }").await);
    let colleague =
        made(&world.client("admin").mutate("projectCreate", create(&acme.id), "project { id }").await);
    let stranger =
        made(&world.client("stranger").mutate("projectCreate", create(&globex.id), "project { id }").await);
    assert_eq!(first, again);
    assert_eq!(BTreeSet::from([&first, &colleague, &stranger]).len(), 3);
    // Also not by way of the input's fingerprint.
    assert_eq!(world.client("stranger").fault("projectCreate", create(&acme.id)).await, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_the_same_time_never_get_each_others_answers() {
    let world = World::new().await;
    let (acme, globex) = (&world.acme, &world.globex);
    let query = "query($ids: [ID!]!) { viewer { id } organization { id members { nodes { user { email } } } } nodes(ids: $ids) { id } }";
    let ids =
        json!({"ids": [acme.project, globex.project, acme.id, globex.id, acme.viewer.id, globex.viewer.id]});
    let callers = [("admin", acme, "@acme."), ("stranger", globex, "@globex.")];
    for _ in 0..25 {
        let asked = (0..16).map(|turn| {
            let (caller, own, domain) = callers[turn % 2];
            let (client, ids) = (world.client(caller), ids.clone());
            async move {
                let seen = client.ok(query, ids).await;
                assert_eq!(seen["organization"]["id"], own.id.as_str());
                let mine = usize::from(own.id == globex.id);
                for (place, node) in seen["nodes"].as_array().unwrap().iter().enumerate() {
                    assert_eq!(node.is_null(), place % 2 != mine, "{seen}");
                }
                for member in seen["organization"]["members"]["nodes"].as_array().unwrap() {
                    let email = member["user"]["email"].as_str().unwrap();
                    assert!(email.contains(domain) || email.contains("@fresh."), "{email}");
                }
            }
        });
        join_all(asked).await;
    }
}
