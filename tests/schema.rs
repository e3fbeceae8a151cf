//! The exported schema is the one that the code makes, every part of it is described and named by the rules, and it holds
//! what the contract promises.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use async_graphql::parser::types::{InputValueDefinition, TypeKind};

use crate::support::sdl::{Sdl, base};

/// Set `UPDATE=1` to write it anew, then read the diff.
#[test]
fn the_exported_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let now = aicos::graphql::sdl();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, &now).unwrap();
    }
    let exported = fs::read_to_string(path).unwrap_or_default();
    assert!(exported == now, "schema.graphql is not current. Run the tests with UPDATE=1 and read the diff.");
}

/// What GraphQL itself brings along.
const BUILT_IN: [&str; 5] = ["Boolean", "Float", "ID", "Int", "String"];

/// The words of the contract, or of the schema, one for each thing that a client can rely on.
fn promises(sdl: &Sdl) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let value = |input: &InputValueDefinition| {
        let default =
            input.default_value.as_ref().map(|value| format!(" = {}", value.node)).unwrap_or_default();
        format!("{}: {}{default}", input.name.node, input.ty.node)
    };
    for (name, definition) in &sdl.types {
        if BUILT_IN.contains(&name.as_str()) {
            continue;
        }
        let kind = match &definition.kind {
            TypeKind::Scalar => "scalar",
            TypeKind::Object(object) => {
                for interface in &object.implements {
                    found.insert(format!("{name} implements {}", interface.node));
                }
                "type"
            }
            TypeKind::Interface(interface) => {
                for other in &interface.implements {
                    found.insert(format!("{name} implements {}", other.node));
                }
                "interface"
            }
            TypeKind::Union(union) => {
                found.extend(union.members.iter().map(|member| format!("{name} may be {}", member.node)));
                "union"
            }
            TypeKind::Enum(values) => {
                found.extend(values.values.iter().map(|value| format!("{name}.{}", value.node.value.node)));
                "enum"
            }
            TypeKind::InputObject(_) => {
                found.extend(sdl.inputs(name).into_iter().map(|input| format!("{name}.{}", value(input))));
                "input"
            }
        };
        found.insert(format!("{kind} {name}"));
        for field in sdl.fields(name) {
            found.insert(format!("{name}.{}: {}", field.name.node, field.ty.node));
            for argument in &field.arguments {
                found.insert(format!("{name}.{}({})", field.name.node, value(&argument.node)));
            }
        }
    }
    found
}

/// What the schema has beyond the contract, on purpose.
const EXTRAS: &[&str] = &[
    "Account implements Node",
    "Account.channel: Channel!",
    "Account.createdAt: DateTime!",
    "Account.expiresAt: DateTime",
    "Account.id: ID!",
    "Account.login: AccountLogin!",
    "Account.project: Project",
    "Account.testedAt: DateTime",
    "Account.updatedAt: DateTime!",
    "Account.userId: String!",
    "Account.username: String",
    "AccountConnectInput.expiresAt: DateTime",
    "AccountConnectInput.login: AccountLogin! = FACEBOOK",
    "AccountConnectInput.organizationId: ID!",
    "AccountConnectInput.projectId: ID",
    "AccountConnectInput.token: String!",
    "AccountConnectInput.userId: String!",
    "AccountConnectInput.username: String",
    "AccountConnectPayload.account: Account",
    "AccountConnectPayload.organization: Organization",
    "AccountConnectPayload.userErrors: [UserError!]!",
    "AccountConnection.edges: [AccountEdge!]!",
    "AccountConnection.nodes: [Account!]!",
    "AccountConnection.pageInfo: PageInfo!",
    "AccountConnection.totalCount: Int",
    "AccountDisconnectInput.id: ID!",
    "AccountDisconnectPayload.disconnectedAccountId: ID",
    "AccountDisconnectPayload.organization: Organization",
    "AccountDisconnectPayload.userErrors: [UserError!]!",
    "AccountEdge.cursor: String!",
    "AccountEdge.node: Account!",
    "AccountLogin.FACEBOOK",
    "AccountLogin.INSTAGRAM",
    "AccountOutcome.CONNECTED",
    "AccountOutcome.NOT_PERMITTED",
    "AccountOutcome.RATE_LIMITED",
    "AccountOutcome.REJECTED",
    "AccountOutcome.TOKEN_REJECTED",
    "AccountOutcome.UNREACHABLE",
    "AccountTest.message: String!",
    "AccountTest.milliseconds: Int!",
    "AccountTest.outcome: AccountOutcome!",
    "AccountTest.quotaTotal: Int",
    "AccountTest.quotaUsed: Int",
    "AccountTestInput.id: ID!",
    "AccountTestPayload.account: Account",
    "AccountTestPayload.test: AccountTest",
    "AccountTestPayload.userErrors: [UserError!]!",
    "AccountUpdateInput.expiresAt: DateTime",
    "AccountUpdateInput.id: ID!",
    "AccountUpdateInput.token: String",
    "AccountUpdatePayload.account: Account",
    "AccountUpdatePayload.userErrors: [UserError!]!",
    "Affirmation.at: DateTime",
    "Affirmation.source: Citation",
    "AffirmationScheduleInput.everyDays: Int! = 1",
    "AffirmationScheduleInput.startsOn: String!",
    "AffirmationScheduleInput.time: String!",
    "AffirmationScheduleInput.timezone: String!",
    "AffirmationSet.calendarIcs: Asset",
    "AffirmationSet.textFile: Asset",
    "AffirmationsGenerateInput.audience: String",
    "AffirmationsGenerateInput.schedule: AffirmationScheduleInput",
    "AnswerLength.LONG",
    "AnswerLength.MEDIUM",
    "AnswerLength.SHORT",
    "Asset.preview(size: PreviewSize! = SMALL)",
    "Asset.preview: URL",
    "Asset.tags: [String!]!",
    "AssetConnection.edges: [AssetEdge!]!",
    "AssetConnection.nodes: [Asset!]!",
    "AssetConnection.pageInfo: PageInfo!",
    "AssetConnection.totalCount: Int",
    "AssetDeleteInput.id: ID!",
    "AssetDeletePayload.deletedAssetId: ID",
    "AssetDeletePayload.organization: Organization",
    "AssetDeletePayload.project: Project",
    "AssetDeletePayload.userErrors: [UserError!]!",
    "AssetEdge.cursor: String!",
    "AssetEdge.node: Asset!",
    "AssetFilter.kinds: [AssetKind!]",
    "AssetFilter.tags: [String!]",
    "AssetKind.ARCHIVE",
    "AssetUpdateInput.altText: String",
    "AssetUpdateInput.id: ID!",
    "AssetUpdateInput.tags: [String!]",
    "AssetUpdatePayload.asset: Asset",
    "AssetUpdatePayload.userErrors: [UserError!]!",
    "AssetUpload.bytes: Int!",
    "AssetUpload.expiresAt: DateTime!",
    "AssetUpload.id: ID!",
    "AssetUpload.method: String!",
    "AssetUpload.url: URL!",
    "AssetUploadCompleteInput.id: ID!",
    "AssetUploadCompletePayload.asset: Asset",
    "AssetUploadCompletePayload.organization: Organization",
    "AssetUploadCompletePayload.project: Project",
    "AssetUploadCompletePayload.userErrors: [UserError!]!",
    "AssetUploadCreateInput.altText: String",
    "AssetUploadCreateInput.bytes: Int!",
    "AssetUploadCreateInput.idempotencyKey: String",
    "AssetUploadCreateInput.kind: AssetKind!",
    "AssetUploadCreateInput.organizationId: ID!",
    "AssetUploadCreateInput.projectId: ID",
    "AssetUploadCreateInput.sha256: String",
    "AssetUploadCreateInput.tags: [String!]",
    "AssetUploadCreatePayload.upload: AssetUpload",
    "AssetUploadCreatePayload.userErrors: [UserError!]!",
    "ContentCadenceInput.channel: Channel!",
    "ContentCadenceInput.formats: [String!]",
    "ContentCadenceInput.postsPerWeek: Int",
    "ContentCadenceInput.spacingHours: Int",
    "ContentEventInput.channels: [Channel!]",
    "ContentEventInput.date: String!",
    "ContentEventInput.pillar: String",
    "ContentEventInput.time: String",
    "ContentEventInput.title: String!",
    "ContentPastPosts.account: Account",
    "ContentPastPosts.file: Asset",
    "ContentPastPosts.fromAccount: Int!",
    "ContentPastPosts.fromFile: Int!",
    "ContentPastPosts.measured: Int!",
    "ContentPastPosts.oldestAt: DateTime",
    "ContentPastPosts.posts: Int!",
    "ContentPastPosts.readAt: DateTime!",
    "ContentPastPosts.unusedColumns: [String!]!",
    "ContentPillar.pastPosts: Int!",
    "ContentPillar.plannedShare: Float!",
    "ContentPillarInput.keyPhrases: [String!]",
    "ContentPillarInput.name: String!",
    "ContentPillarInput.share: Float",
    "ContentSlot.angle: String",
    "ContentSlot.job: Job",
    "ContentSlot.position: Int!",
    "ContentSlot.post: Post",
    "ContentSlot.sources: [KnowledgeDocument!]!",
    "ContentSlot.title: String",
    "ContentStrategy.coverage: Float!",
    "ContentStrategy.holidays: [String!]!",
    "ContentStrategy.pastPosts: ContentPastPosts",
    "ContentStrategy.repetition: Float!",
    "ContentStrategy.timezone: String!",
    "ContentStrategyCreateInput.accountId: ID",
    "ContentStrategyCreateInput.cadence: [ContentCadenceInput!]",
    "ContentStrategyCreateInput.events: [ContentEventInput!]",
    "ContentStrategyCreateInput.holidaysAssetId: ID",
    "ContentStrategyCreateInput.language: Language! = DE",
    "ContentStrategyCreateInput.pastPostsAssetId: ID",
    "ContentStrategyCreateInput.pillars: [ContentPillarInput!]",
    "ContentStrategyDraftInput.engine: EngineInput",
    "ContentStrategyDraftInput.hashtags: Boolean! = true",
    "ContentStrategyDraftInput.idempotencyKey: String",
    "ContentStrategyDraftInput.slots: [Int!]",
    "ContentStrategyDraftInput.strategyId: ID!",
    "ContentStrategyDraftInput.tone: String",
    "ContentStrategyDraftInput.variants: Int! = 3",
    "ContentStrategyDraftPayload.jobs: [Job!]!",
    "ContentStrategyDraftPayload.project: Project",
    "ContentStrategyDraftPayload.strategy: ContentStrategy",
    "ContentStrategyDraftPayload.userErrors: [UserError!]!",
    "ContentWorkflowRerunInput.fromStep: String!",
    "ContentWorkflowRerunInput.idempotencyKey: String",
    "ContentWorkflowRerunInput.runId: ID!",
    "ContentWorkflowRerunInput.wait: Boolean! = false",
    "ContentWorkflowRerunPayload.job: Job",
    "ContentWorkflowRerunPayload.project: Project",
    "ContentWorkflowRerunPayload.run: ContentWorkflowRun",
    "ContentWorkflowRerunPayload.userErrors: [UserError!]!",
    "ContentWorkflowRun.rerunOf: ContentWorkflowRun",
    "ContentWorkflowRunInput.language: Language! = DE",
    "ContentWorkflowStep.comment: String",
    "ContentWorkflowStep.engine: EngineInfo",
    "ContentWorkflowStep.holds: Boolean",
    "ContentWorkflowStep.itemCount: Int",
    "ContentWorkflowStep.kind: WorkflowStepKind!",
    "ContentWorkflowStep.message: String",
    "ContentWorkflowStep.outputs: [AgentOutput!]!",
    "ContentWorkflowStep.skipped: String",
    "ContentWorkflowStep.waitsUntil: DateTime",
    "ContentWorkflowTemplate implements Node",
    "ContentWorkflowTemplate.createdAt: DateTime!",
    "ContentWorkflowTemplate.description: String",
    "ContentWorkflowTemplate.id: ID!",
    "ContentWorkflowTemplate.key: String!",
    "ContentWorkflowTemplate.name: String!",
    "ContentWorkflowTemplate.project: Project",
    "ContentWorkflowTemplate.steps: [WorkflowStep!]!",
    "ContentWorkflowTemplate.updatedAt: DateTime!",
    "ContentWorkflowTemplate.variables: [WorkflowVariable!]!",
    "ContentWorkflowTemplateConnection.edges: [ContentWorkflowTemplateEdge!]!",
    "ContentWorkflowTemplateConnection.nodes: [ContentWorkflowTemplate!]!",
    "ContentWorkflowTemplateConnection.pageInfo: PageInfo!",
    "ContentWorkflowTemplateConnection.totalCount: Int",
    "ContentWorkflowTemplateCreateInput.description: String",
    "ContentWorkflowTemplateCreateInput.idempotencyKey: String",
    "ContentWorkflowTemplateCreateInput.key: String!",
    "ContentWorkflowTemplateCreateInput.name: String!",
    "ContentWorkflowTemplateCreateInput.organizationId: ID!",
    "ContentWorkflowTemplateCreateInput.projectId: ID",
    "ContentWorkflowTemplateCreateInput.steps: [WorkflowStepInput!]!",
    "ContentWorkflowTemplateCreateInput.variables: [WorkflowVariableInput!]",
    "ContentWorkflowTemplateCreatePayload.organization: Organization",
    "ContentWorkflowTemplateCreatePayload.project: Project",
    "ContentWorkflowTemplateCreatePayload.template: ContentWorkflowTemplate",
    "ContentWorkflowTemplateCreatePayload.userErrors: [UserError!]!",
    "ContentWorkflowTemplateDeleteInput.id: ID!",
    "ContentWorkflowTemplateDeletePayload.deletedContentWorkflowTemplateId: ID",
    "ContentWorkflowTemplateDeletePayload.organization: Organization",
    "ContentWorkflowTemplateDeletePayload.project: Project",
    "ContentWorkflowTemplateDeletePayload.userErrors: [UserError!]!",
    "ContentWorkflowTemplateEdge.cursor: String!",
    "ContentWorkflowTemplateEdge.node: ContentWorkflowTemplate!",
    "ContentWorkflowTemplateUpdateInput.description: String",
    "ContentWorkflowTemplateUpdateInput.id: ID!",
    "ContentWorkflowTemplateUpdateInput.name: String",
    "ContentWorkflowTemplateUpdateInput.steps: [WorkflowStepInput!]",
    "ContentWorkflowTemplateUpdateInput.variables: [WorkflowVariableInput!]",
    "ContentWorkflowTemplateUpdatePayload.template: ContentWorkflowTemplate",
    "ContentWorkflowTemplateUpdatePayload.userErrors: [UserError!]!",
    "Cycle.DAY",
    "Cycle.LIFE",
    "Cycle.WEEK",
    "Cycle.YEAR",
    "CyclePosition.begins: String!",
    "CyclePosition.cycle: Cycle!",
    "CyclePosition.ends: String!",
    "CyclePosition.period: Period!",
    "CyclePosition.progress: Float!",
    "CyclePosition.round: Int!",
    "DiffKind.DELETED",
    "DiffKind.EQUAL",
    "DiffKind.INSERTED",
    "DiffPart.kind: DiffKind!",
    "DiffPart.text: String!",
    "DocumentCreateInput.tags: [String!]",
    "DocumentFilter.tags: [String!]",
    "DocumentImportInput.assetId: ID!",
    "DocumentImportInput.idempotencyKey: String",
    "DocumentImportInput.mimeType: String",
    "DocumentImportInput.sourceUrl: URL",
    "DocumentImportInput.tags: [String!]",
    "DocumentImportInput.title: String",
    "DocumentImportPayload.document: KnowledgeDocument",
    "DocumentImportPayload.job: Job",
    "DocumentImportPayload.organization: Organization",
    "DocumentImportPayload.project: Project",
    "DocumentImportPayload.userErrors: [UserError!]!",
    "DocumentUpdateInput.assetId: ID",
    "DocumentUpdateInput.tags: [String!]",
    "Embeddings.dimensions: Int",
    "Embeddings.embedded: Int!",
    "Embeddings.model: String!",
    "Embeddings.passages: Int!",
    "Embeddings.provider: String!",
    "EmbeddingsSetInput.dimensions: Int",
    "EmbeddingsSetInput.model: String",
    "EmbeddingsSetInput.organizationId: ID!",
    "EmbeddingsSetInput.provider: String",
    "EmbeddingsSetPayload.embeddings: Embeddings",
    "EmbeddingsSetPayload.organization: Organization",
    "EmbeddingsSetPayload.userErrors: [UserError!]!",
    "EngineRoute.agent: AgentKind!",
    "EngineRoute.fallbackToBuiltin: Boolean!",
    "EngineRoute.model: String",
    "EngineRoute.project: Project",
    "EngineRoute.provider: String!",
    "EngineRouteSetInput.agent: AgentKind!",
    "EngineRouteSetInput.engine: EngineInput",
    "EngineRouteSetInput.organizationId: ID!",
    "EngineRouteSetInput.projectId: ID",
    "EngineRouteSetPayload.organization: Organization",
    "EngineRouteSetPayload.project: Project",
    "EngineRouteSetPayload.route: EngineRoute",
    "EngineRouteSetPayload.userErrors: [UserError!]!",
    "FirstComment.problem: PublicationProblem",
    "FirstComment.state: FirstCommentState!",
    "FirstComment.text: String!",
    "FirstCommentState.FAILED",
    "FirstCommentState.POSTED",
    "FirstCommentState.POSTING",
    "FirstCommentState.WAITING",
    "FootageInput.engine: EngineInput",
    "FootageInput.prompt: String!",
    "FootageInput.seconds: Int! = 5",
    "Hashtag.instagram: HashtagSample",
    "Hashtag.length: Float!",
    "Hashtag.orgUsage: Float!",
    "Hashtag.posts: [Post!]!",
    "HashtagMixInput.brand: Int! = 3",
    "HashtagMixInput.corpus: Int! = 6",
    "HashtagMixInput.period: Int! = 3",
    "HashtagMixInput.provider: Int! = 4",
    "HashtagMixInput.text: Int! = 12",
    "HashtagResearchInput.accountId: ID",
    "HashtagResearchInput.mix: HashtagMixInput",
    "HashtagSample.averageComments: Float",
    "HashtagSample.averageLikes: Float",
    "HashtagSample.postsWithLikes: Int!",
    "HashtagSample.readAt: DateTime!",
    "HashtagSample.recentPosts: Int!",
    "HashtagSample.topPosts: Int!",
    "InstagramPublishInput.allowDuplicate: Boolean! = false",
    "InstagramPublishInput.collaborators: [String!]",
    "InstagramPublishInput.coverAssetId: ID",
    "InstagramPublishInput.coverSeconds: Float",
    "InstagramPublishInput.firstComment: String",
    "InstagramPublishInput.locationId: String",
    "InstagramPublishInput.userTags: [UserTagInput!]",
    "JobRepeatInput.id: ID!",
    "JobRepeatInput.idempotencyKey: String",
    "JobRepeatInput.wait: Boolean! = false",
    "JobRepeatPayload.job: Job",
    "JobRepeatPayload.output: AgentOutput",
    "JobRepeatPayload.project: Project",
    "JobRepeatPayload.userErrors: [UserError!]!",
    "KeywordsInput.keywords: [String!]!",
    "KeywordsInput.language: Language!",
    "KnowledgeDocument.tags: [String!]!",
    "Mutation.accountConnect(input: AccountConnectInput!)",
    "Mutation.accountConnect: AccountConnectPayload",
    "Mutation.accountDisconnect(input: AccountDisconnectInput!)",
    "Mutation.accountDisconnect: AccountDisconnectPayload",
    "Mutation.accountTest(input: AccountTestInput!)",
    "Mutation.accountTest: AccountTestPayload",
    "Mutation.accountUpdate(input: AccountUpdateInput!)",
    "Mutation.accountUpdate: AccountUpdatePayload",
    "Mutation.assetDelete(input: AssetDeleteInput!)",
    "Mutation.assetDelete: AssetDeletePayload",
    "Mutation.assetUpdate(input: AssetUpdateInput!)",
    "Mutation.assetUpdate: AssetUpdatePayload",
    "Mutation.assetUploadComplete(input: AssetUploadCompleteInput!)",
    "Mutation.assetUploadComplete: AssetUploadCompletePayload",
    "Mutation.assetUploadCreate(input: AssetUploadCreateInput!)",
    "Mutation.assetUploadCreate: AssetUploadCreatePayload",
    "Mutation.contentStrategyDraft(input: ContentStrategyDraftInput!)",
    "Mutation.contentStrategyDraft: ContentStrategyDraftPayload",
    "Mutation.contentWorkflowRerun(input: ContentWorkflowRerunInput!)",
    "Mutation.contentWorkflowRerun: ContentWorkflowRerunPayload",
    "Mutation.contentWorkflowTemplateCreate(input: ContentWorkflowTemplateCreateInput!)",
    "Mutation.contentWorkflowTemplateCreate: ContentWorkflowTemplateCreatePayload",
    "Mutation.contentWorkflowTemplateDelete(input: ContentWorkflowTemplateDeleteInput!)",
    "Mutation.contentWorkflowTemplateDelete: ContentWorkflowTemplateDeletePayload",
    "Mutation.contentWorkflowTemplateUpdate(input: ContentWorkflowTemplateUpdateInput!)",
    "Mutation.contentWorkflowTemplateUpdate: ContentWorkflowTemplateUpdatePayload",
    "Mutation.documentImport(input: DocumentImportInput!)",
    "Mutation.documentImport: DocumentImportPayload",
    "Mutation.embeddingsSet(input: EmbeddingsSetInput!)",
    "Mutation.embeddingsSet: EmbeddingsSetPayload",
    "Mutation.engineRouteSet(input: EngineRouteSetInput!)",
    "Mutation.engineRouteSet: EngineRouteSetPayload",
    "Mutation.jobRepeat(input: JobRepeatInput!)",
    "Mutation.jobRepeat: JobRepeatPayload",
    "Mutation.periodUpdate(input: PeriodUpdateInput!)",
    "Mutation.periodUpdate: PeriodUpdatePayload",
    "Mutation.providerCreate(input: ProviderCreateInput!)",
    "Mutation.providerCreate: ProviderCreatePayload",
    "Mutation.providerDelete(input: ProviderDeleteInput!)",
    "Mutation.providerDelete: ProviderDeletePayload",
    "Mutation.providerTest(input: ProviderTestInput!)",
    "Mutation.providerTest: ProviderTestPayload",
    "Mutation.providerUpdate(input: ProviderUpdateInput!)",
    "Mutation.providerUpdate: ProviderUpdatePayload",
    "Mutation.publicationExport(input: PublicationExportInput!)",
    "Mutation.publicationExport: PublicationExportPayload",
    "Mutation.publicationMeasure(input: PublicationMeasureInput!)",
    "Mutation.publicationMeasure: PublicationMeasurePayload",
    "Mutation.qaConversationCreate(input: QaConversationCreateInput!)",
    "Mutation.qaConversationCreate: QaConversationCreatePayload",
    "Mutation.qaConversationDelete(input: QaConversationDeleteInput!)",
    "Mutation.qaConversationDelete: QaConversationDeletePayload",
    "Mutation.scheduleCreate(input: ScheduleCreateInput!)",
    "Mutation.scheduleCreate: ScheduleCreatePayload",
    "Mutation.scheduleDelete(input: ScheduleDeleteInput!)",
    "Mutation.scheduleDelete: ScheduleDeletePayload",
    "Mutation.scheduleUpdate(input: ScheduleUpdateInput!)",
    "Mutation.scheduleUpdate: ScheduleUpdatePayload",
    "Mutation.synonymsSet(input: SynonymsSetInput!)",
    "Mutation.synonymsSet: SynonymsSetPayload",
    "Mutation.visualPostRedraw(input: VisualPostRedrawInput!)",
    "Mutation.visualPostRedraw: VisualPostRedrawPayload",
    "Mutation.webhookEndpointCreate(input: WebhookEndpointCreateInput!)",
    "Mutation.webhookEndpointCreate: WebhookEndpointCreatePayload",
    "Mutation.webhookEndpointDelete(input: WebhookEndpointDeleteInput!)",
    "Mutation.webhookEndpointDelete: WebhookEndpointDeletePayload",
    "Mutation.webhookEndpointUpdate(input: WebhookEndpointUpdateInput!)",
    "Mutation.webhookEndpointUpdate: WebhookEndpointUpdatePayload",
    "NameInput.language: Language!",
    "NameInput.name: String!",
    "NarrationInput.instructions: String",
    "NarrationInput.voice: String!",
    "OpenQuestion.answer: QaAnswer",
    "OpenQuestion.asked: Int!",
    "OpenQuestion.lastAskedAt: DateTime!",
    "OpenQuestion.question: String!",
    "OpenQuestion.stars: Float",
    "Organization.accounts(after: String)",
    "Organization.accounts(before: String)",
    "Organization.accounts(first: Int)",
    "Organization.accounts(last: Int)",
    "Organization.accounts: AccountConnection",
    "Organization.assets(after: String)",
    "Organization.assets(before: String)",
    "Organization.assets(filter: AssetFilter)",
    "Organization.assets(first: Int)",
    "Organization.assets(last: Int)",
    "Organization.assets(projectId: ID)",
    "Organization.assets: AssetConnection",
    "Organization.documents(filter: DocumentFilter)",
    "Organization.embeddings: Embeddings",
    "Organization.engineRoutes: [EngineRoute!]",
    "Organization.providers: [Provider!]",
    "Organization.qaConversations(after: String)",
    "Organization.qaConversations(before: String)",
    "Organization.qaConversations(first: Int)",
    "Organization.qaConversations(last: Int)",
    "Organization.qaConversations(projectId: ID)",
    "Organization.qaConversations: QaConversationConnection",
    "Organization.synonyms: [SynonymGroup!]",
    "Organization.webhookEndpoints: [WebhookEndpoint!]",
    "Organization.workflowTemplates(after: String)",
    "Organization.workflowTemplates(before: String)",
    "Organization.workflowTemplates(first: Int)",
    "Organization.workflowTemplates(last: Int)",
    "Organization.workflowTemplates: ContentWorkflowTemplateConnection",
    "OutputFilter.maxStars: Int",
    "PeriodUpdateInput.color: String",
    "PeriodUpdateInput.id: ID!",
    "PeriodUpdateInput.key: String",
    "PeriodUpdateInput.keywords: [KeywordsInput!]",
    "PeriodUpdateInput.names: [NameInput!]",
    "PeriodUpdatePayload.period: Period",
    "PeriodUpdatePayload.userErrors: [UserError!]!",
    "Post.diffs: [PostDiff!]!",
    "Post.plannedAt: DateTime",
    "Post.strategy: ContentStrategy",
    "Post.unused: [UnusedInput!]!",
    "PostComposeInput.bannedWords: [String!]",
    "PostComposeInput.callToAction: String",
    "PostComposeInput.length: PostLength",
    "PostComposeInput.sourceAnswerId: ID",
    "PostDiff.from: Int!",
    "PostDiff.parts: [DiffPart!]!",
    "PostDiff.to: Int!",
    "PostLength.LONG",
    "PostLength.MEDIUM",
    "PostLength.SHORT",
    "PostVariant.body: String!",
    "PostVariant.readability: Readability",
    "PreviewSize.LARGE",
    "PreviewSize.MEDIUM",
    "PreviewSize.SMALL",
    "PreviewSize.TINY",
    "Project.assets(after: String)",
    "Project.assets(before: String)",
    "Project.assets(filter: AssetFilter)",
    "Project.assets(first: Int)",
    "Project.assets(last: Int)",
    "Project.assets: AssetConnection",
    "Project.documents(filter: DocumentFilter)",
    "Project.engineRoutes: [EngineRoute!]",
    "Project.openQuestions(maxStars: Int)",
    "Project.openQuestions: [OpenQuestion!]",
    "Project.qaConversations(after: String)",
    "Project.qaConversations(before: String)",
    "Project.qaConversations(first: Int)",
    "Project.qaConversations(last: Int)",
    "Project.qaConversations: QaConversationConnection",
    "Project.schedules(after: String)",
    "Project.schedules(before: String)",
    "Project.schedules(first: Int)",
    "Project.schedules(last: Int)",
    "Project.schedules: ScheduleConnection",
    "Project.workflowTemplates(after: String)",
    "Project.workflowTemplates(before: String)",
    "Project.workflowTemplates(first: Int)",
    "Project.workflowTemplates(last: Int)",
    "Project.workflowTemplates: ContentWorkflowTemplateConnection",
    "Provider implements Node",
    "Provider.baseUrl: URL!",
    "Provider.createdAt: DateTime!",
    "Provider.hasKey: Boolean!",
    "Provider.id: ID!",
    "Provider.keyHint: String",
    "Provider.kind: ProviderKind!",
    "Provider.model: String",
    "Provider.name: String!",
    "Provider.testedAt: DateTime",
    "Provider.updatedAt: DateTime!",
    "ProviderCreateInput.baseUrl: URL",
    "ProviderCreateInput.idempotencyKey: String",
    "ProviderCreateInput.key: String",
    "ProviderCreateInput.kind: ProviderKind!",
    "ProviderCreateInput.model: String",
    "ProviderCreateInput.name: String!",
    "ProviderCreateInput.organizationId: ID!",
    "ProviderCreatePayload.organization: Organization",
    "ProviderCreatePayload.provider: Provider",
    "ProviderCreatePayload.userErrors: [UserError!]!",
    "ProviderDeleteInput.id: ID!",
    "ProviderDeletePayload.deletedProviderId: ID",
    "ProviderDeletePayload.organization: Organization",
    "ProviderDeletePayload.userErrors: [UserError!]!",
    "ProviderKind.ANTHROPIC",
    "ProviderKind.ELEVENLABS",
    "ProviderKind.OPENAI",
    "ProviderKind.REPLICATE",
    "ProviderOutcome.ANSWERED",
    "ProviderOutcome.AUTHENTICATION_FAILED",
    "ProviderOutcome.OUT_OF_CREDIT",
    "ProviderOutcome.RATE_LIMITED",
    "ProviderOutcome.REJECTED",
    "ProviderOutcome.TIMED_OUT",
    "ProviderOutcome.UNREACHABLE",
    "ProviderOutcome.UNUSABLE",
    "ProviderTest.message: String!",
    "ProviderTest.milliseconds: Int!",
    "ProviderTest.model: String",
    "ProviderTest.outcome: ProviderOutcome!",
    "ProviderTestInput.id: ID!",
    "ProviderTestInput.model: String",
    "ProviderTestPayload.provider: Provider",
    "ProviderTestPayload.test: ProviderTest",
    "ProviderTestPayload.userErrors: [UserError!]!",
    "ProviderUpdateInput.baseUrl: URL",
    "ProviderUpdateInput.id: ID!",
    "ProviderUpdateInput.key: String",
    "ProviderUpdateInput.model: String",
    "ProviderUpdateInput.name: String",
    "ProviderUpdatePayload.provider: Provider",
    "ProviderUpdatePayload.userErrors: [UserError!]!",
    "Publication.account: Account",
    "Publication.bundle: Asset",
    "Publication.collaborators: [String!]!",
    "Publication.cover: Asset",
    "Publication.coverSeconds: Float",
    "Publication.firstComment: FirstComment",
    "Publication.insights: PublicationInsights",
    "Publication.kind: InstagramKind!",
    "Publication.locationId: String",
    "Publication.timezone: String",
    "Publication.userTags: [UserTag!]!",
    "PublicationExportInput.id: ID!",
    "PublicationExportInput.idempotencyKey: String",
    "PublicationExportInput.wait: Boolean! = false",
    "PublicationExportPayload.job: Job",
    "PublicationExportPayload.publication: Publication",
    "PublicationExportPayload.userErrors: [UserError!]!",
    "PublicationInsights.comments: Float",
    "PublicationInsights.likes: Float",
    "PublicationInsights.measuredAt: DateTime!",
    "PublicationInsights.reach: Float",
    "PublicationInsights.saved: Float",
    "PublicationInsights.shares: Float",
    "PublicationInsights.views: Float",
    "PublicationMeasureInput.id: ID!",
    "PublicationMeasurePayload.publication: Publication",
    "PublicationMeasurePayload.userErrors: [UserError!]!",
    "QaAnswer.confidenceParts: QaConfidenceParts",
    "QaAnswer.conversation: QaConversation",
    "QaAnswer.followUps: [String!]!",
    "QaAnswer.retrieval: QaRetrieval",
    "QaAnswer.uncited: [String!]!",
    "QaAnswer.understoodAs: String!",
    "QaAskInput.conversationId: ID",
    "QaAskInput.language: Language",
    "QaAskInput.length: AnswerLength! = MEDIUM",
    "QaAskInput.requireCitations: Boolean! = true",
    "QaAskInput.tags: [String!]",
    "QaConfidenceParts.chosen: Float!",
    "QaConfidenceParts.coverage: Float!",
    "QaConfidenceParts.gap: Float!",
    "QaConfidenceParts.kind: Float!",
    "QaConversation implements Node",
    "QaConversation.answers: [QaAnswer!]!",
    "QaConversation.createdAt: DateTime!",
    "QaConversation.createdBy: Actor",
    "QaConversation.id: ID!",
    "QaConversation.project: Project",
    "QaConversationConnection.edges: [QaConversationEdge!]!",
    "QaConversationConnection.nodes: [QaConversation!]!",
    "QaConversationConnection.pageInfo: PageInfo!",
    "QaConversationConnection.totalCount: Int",
    "QaConversationCreateInput.idempotencyKey: String",
    "QaConversationCreateInput.organizationId: ID!",
    "QaConversationCreateInput.projectId: ID",
    "QaConversationCreatePayload.conversation: QaConversation",
    "QaConversationCreatePayload.organization: Organization",
    "QaConversationCreatePayload.project: Project",
    "QaConversationCreatePayload.userErrors: [UserError!]!",
    "QaConversationDeleteInput.id: ID!",
    "QaConversationDeletePayload.deletedQaConversationId: ID",
    "QaConversationDeletePayload.organization: Organization",
    "QaConversationDeletePayload.project: Project",
    "QaConversationDeletePayload.userErrors: [UserError!]!",
    "QaConversationEdge.cursor: String!",
    "QaConversationEdge.node: QaConversation!",
    "QaRetrieval.candidates: Int!",
    "QaRetrieval.passages: [QaRetrievalPassage!]!",
    "QaRetrieval.words: [QaRetrievalWord!]!",
    "QaRetrievalForm.passages: Int!",
    "QaRetrievalForm.sense: QaWordSense!",
    "QaRetrievalForm.terms: [String!]!",
    "QaRetrievalPassage.coverage: Float",
    "QaRetrievalPassage.document: KnowledgeDocument",
    "QaRetrievalPassage.documentVersion: Int!",
    "QaRetrievalPassage.heading: String",
    "QaRetrievalPassage.meaningRank: Int",
    "QaRetrievalPassage.read: Boolean!",
    "QaRetrievalPassage.score: Float",
    "QaRetrievalPassage.sentence: Float",
    "QaRetrievalPassage.wordRank: Int",
    "QaRetrievalWord.forms: [QaRetrievalForm!]!",
    "QaRetrievalWord.word: String!",
    "QaWordSense.COMPOUND",
    "QaWordSense.OWN_SYNONYM",
    "QaWordSense.PART",
    "QaWordSense.RELATED",
    "QaWordSense.SPELLING",
    "QaWordSense.SYNONYM",
    "QaWordSense.WORD",
    "Query.cyclePositions(at: DateTime)",
    "Query.cyclePositions(start: DateTime!)",
    r#"Query.cyclePositions(timezone: String! = "UTC")"#,
    "Query.cyclePositions: [CyclePosition!]",
    "Readability.formula: ReadabilityFormula!",
    "Readability.score: Float!",
    "Readability.sentences: Int!",
    "Readability.syllables: Int!",
    "Readability.words: Int!",
    "ReadabilityFormula.AMSTAD",
    "ReadabilityFormula.FLESCH",
    "Schedule implements Node",
    "Schedule.actsFor: Actor",
    "Schedule.createdAt: DateTime!",
    "Schedule.cron: String!",
    "Schedule.enabled: Boolean!",
    "Schedule.id: ID!",
    "Schedule.lastRun: Job",
    "Schedule.name: String!",
    "Schedule.nextRunAt: DateTime",
    "Schedule.pausedReason: UserError",
    "Schedule.project: Project",
    "Schedule.timezone: String!",
    "Schedule.upcoming(first: Int! = 5)",
    "Schedule.upcoming: [DateTime!]!",
    "Schedule.updatedAt: DateTime!",
    "Schedule.workflow: ScheduledWorkflow!",
    "ScheduleConnection.edges: [ScheduleEdge!]!",
    "ScheduleConnection.nodes: [Schedule!]!",
    "ScheduleConnection.pageInfo: PageInfo!",
    "ScheduleConnection.totalCount: Int",
    "ScheduleCreateInput.cron: String!",
    "ScheduleCreateInput.enabled: Boolean! = true",
    "ScheduleCreateInput.idempotencyKey: String",
    "ScheduleCreateInput.name: String!",
    "ScheduleCreateInput.projectId: ID!",
    "ScheduleCreateInput.timezone: String!",
    "ScheduleCreateInput.workflow: ScheduledWorkflowInput!",
    "ScheduleCreatePayload.project: Project",
    "ScheduleCreatePayload.schedule: Schedule",
    "ScheduleCreatePayload.userErrors: [UserError!]!",
    "ScheduleDeleteInput.id: ID!",
    "ScheduleDeletePayload.deletedScheduleId: ID",
    "ScheduleDeletePayload.project: Project",
    "ScheduleDeletePayload.userErrors: [UserError!]!",
    "ScheduleEdge.cursor: String!",
    "ScheduleEdge.node: Schedule!",
    "ScheduleUpdateInput.cron: String",
    "ScheduleUpdateInput.enabled: Boolean",
    "ScheduleUpdateInput.id: ID!",
    "ScheduleUpdateInput.name: String",
    "ScheduleUpdateInput.timezone: String",
    "ScheduleUpdateInput.workflow: ScheduledWorkflowInput",
    "ScheduleUpdatePayload.schedule: Schedule",
    "ScheduleUpdatePayload.userErrors: [UserError!]!",
    "ScheduledWorkflow.brief: String!",
    "ScheduledWorkflow.language: Language!",
    "ScheduledWorkflow.options: JSON!",
    "ScheduledWorkflow.period: Period",
    "ScheduledWorkflow.template: String!",
    "ScheduledWorkflowInput.brief: String!",
    "ScheduledWorkflowInput.language: Language! = DE",
    "ScheduledWorkflowInput.options: JSON",
    "ScheduledWorkflowInput.periodId: ID",
    r#"ScheduledWorkflowInput.template: String! = "full""#,
    "Settings.bannedWords: [String!]!",
    "Settings.callsToAction: [String!]!",
    "SettingsInput.bannedWords: [String!]",
    "SettingsInput.callsToAction: [String!]",
    "SynonymGroup.terms: [String!]!",
    "SynonymGroupInput.terms: [String!]!",
    "SynonymsSetInput.groups: [SynonymGroupInput!]!",
    "SynonymsSetInput.organizationId: ID!",
    "SynonymsSetPayload.organization: Organization",
    "SynonymsSetPayload.synonyms: [SynonymGroup!]",
    "SynonymsSetPayload.userErrors: [UserError!]!",
    "TextBlockReport.inSafeArea: Boolean!",
    "TextBlockReport.requiredContrast: Float!",
    "Typeface.EDITORIAL",
    "Typeface.SANS",
    "Typeface.SERIF",
    "UserTag.file: Int!",
    "UserTag.username: String!",
    "UserTag.x: Float",
    "UserTag.y: Float",
    "UserTagInput.file: Int! = 1",
    "UserTagInput.username: String!",
    "UserTagInput.x: Float",
    "UserTagInput.y: Float",
    "Video.captionContrast: Float",
    "Video.durationSeconds: Float!",
    "Video.footage: VideoFootage",
    "Video.hasSound: Boolean!",
    "Video.narrator: VideoNarrator",
    "Video.notes: [String!]!",
    "VideoCaptionStyle.LINES",
    "VideoCaptionStyle.WORDS",
    "VideoDirection.DOWN",
    "VideoDirection.LEFT",
    "VideoDirection.RIGHT",
    "VideoDirection.UP",
    "VideoFootage.asset: Asset!",
    "VideoFootage.model: String",
    "VideoFootage.prompt: String!",
    "VideoFootage.provider: String!",
    "VideoGenerateInput.captionStyle: VideoCaptionStyle! = WORDS",
    "VideoGenerateInput.clipAssetIds: [ID!]",
    "VideoGenerateInput.footage: FootageInput",
    "VideoGenerateInput.framesPerSecond: Int! = 30",
    "VideoGenerateInput.language: Language! = DE",
    "VideoGenerateInput.narration: NarrationInput",
    "VideoGenerateInput.parallaxTowards: VideoDirection! = RIGHT",
    "VideoGenerateInput.periodId: ID",
    "VideoGenerateInput.postId: ID",
    "VideoGenerateInput.script: String",
    "VideoGenerateInput.size: VideoSize! = REEL",
    "VideoGenerateInput.typeface: Typeface! = SANS",
    "VideoGenerateInput.visualPostId: ID",
    "VideoNarrator.model: String",
    "VideoNarrator.provider: String!",
    "VideoNarrator.voice: String!",
    "VideoScene.recording: Asset",
    "VideoSize.POST",
    "VideoSize.REEL",
    "VideoSize.REEL_SMALL",
    "VideoSize.SQUARE",
    "VisualBackground.CLOUDS",
    "VisualBackground.GENERATED",
    "VisualBackground.GRADIENT",
    "VisualBackground.OWN_IMAGE",
    "VisualBackground.PATTERN",
    "VisualBackground.SOLID",
    "VisualBackground.STOCK_PHOTO",
    "VisualBackground.TEMPLATE",
    "VisualBackgroundSource.asset: Asset",
    "VisualBackgroundSource.credit: String",
    "VisualBackgroundSource.model: String",
    "VisualBackgroundSource.page: URL",
    "VisualBackgroundSource.prompt: String",
    "VisualBackgroundSource.provider: String",
    "VisualPattern.DOTS",
    "VisualPattern.PEBBLES",
    "VisualPattern.RAYS",
    "VisualPattern.RINGS",
    "VisualPattern.WAVES",
    "VisualPost.background: VisualBackgroundSource",
    "VisualPost.notes: [String!]!",
    "VisualPost.redrawOf: VisualPost",
    "VisualPostCreateInput.background: VisualBackground! = TEMPLATE",
    "VisualPostCreateInput.backgroundColors: [String!]",
    "VisualPostCreateInput.backgroundPattern: VisualPattern! = PEBBLES",
    "VisualPostCreateInput.backgroundPrompt: String",
    "VisualPostCreateInput.backgroundSearch: String",
    "VisualPostCreateInput.backgroundTags: [String!]",
    "VisualPostCreateInput.headline: String",
    "VisualPostCreateInput.language: Language! = DE",
    "VisualPostCreateInput.logoAssetId: ID",
    "VisualPostCreateInput.slidePerLine: Boolean! = false",
    "VisualPostCreateInput.slides: Int = 1",
    "VisualPostCreateInput.typeface: Typeface! = SANS",
    "VisualPostRedrawInput.idempotencyKey: String",
    "VisualPostRedrawInput.seed: Int",
    "VisualPostRedrawInput.slides: [VisualSlideInput!]!",
    "VisualPostRedrawInput.visualPostId: ID!",
    "VisualPostRedrawInput.wait: Boolean! = false",
    "VisualPostRedrawPayload.job: Job",
    "VisualPostRedrawPayload.project: Project",
    "VisualPostRedrawPayload.userErrors: [UserError!]!",
    "VisualPostRedrawPayload.visualPost: VisualPost",
    "VisualSlide.scene: JSON!",
    "VisualSlideInput.altText: String",
    "VisualSlideInput.number: Int!",
    "VisualSlideInput.scene: JSON!",
    "WebhookEndpoint implements Node",
    "WebhookEndpoint.createdAt: DateTime!",
    "WebhookEndpoint.id: ID!",
    "WebhookEndpoint.name: String!",
    "WebhookEndpoint.previousSecretUntil: DateTime",
    "WebhookEndpoint.updatedAt: DateTime!",
    "WebhookEndpoint.url: URL!",
    "WebhookEndpointCreateInput.idempotencyKey: String",
    "WebhookEndpointCreateInput.name: String!",
    "WebhookEndpointCreateInput.organizationId: ID!",
    "WebhookEndpointCreateInput.url: URL!",
    "WebhookEndpointCreatePayload.endpoint: WebhookEndpoint",
    "WebhookEndpointCreatePayload.organization: Organization",
    "WebhookEndpointCreatePayload.secret: String",
    "WebhookEndpointCreatePayload.userErrors: [UserError!]!",
    "WebhookEndpointDeleteInput.id: ID!",
    "WebhookEndpointDeletePayload.deletedWebhookEndpointId: ID",
    "WebhookEndpointDeletePayload.organization: Organization",
    "WebhookEndpointDeletePayload.userErrors: [UserError!]!",
    "WebhookEndpointUpdateInput.id: ID!",
    "WebhookEndpointUpdateInput.name: String",
    "WebhookEndpointUpdateInput.rotateSecret: Boolean! = false",
    "WebhookEndpointUpdateInput.url: URL",
    "WebhookEndpointUpdatePayload.endpoint: WebhookEndpoint",
    "WebhookEndpointUpdatePayload.secret: String",
    "WebhookEndpointUpdatePayload.userErrors: [UserError!]!",
    "WorkflowBinding.from: String",
    "WorkflowBinding.name: String!",
    "WorkflowBinding.value: JSON",
    "WorkflowBindingInput.from: String",
    "WorkflowBindingInput.name: String!",
    "WorkflowBindingInput.value: WorkflowValueInput",
    "WorkflowCondition.atLeast: Int",
    "WorkflowCondition.atMost: Int",
    "WorkflowCondition.equals: String",
    "WorkflowCondition.holds: Boolean",
    "WorkflowCondition.of: String!",
    "WorkflowConditionInput.atLeast: Int",
    "WorkflowConditionInput.atMost: Int",
    "WorkflowConditionInput.equals: String",
    "WorkflowConditionInput.holds: Boolean",
    "WorkflowConditionInput.of: String!",
    "WorkflowStep.after: [String!]!",
    "WorkflowStep.agent: AgentKind",
    "WorkflowStep.condition: WorkflowCondition",
    "WorkflowStep.delaySeconds: Int",
    "WorkflowStep.endpointId: ID",
    "WorkflowStep.forEach: String",
    "WorkflowStep.forEachAtMost: Int",
    "WorkflowStep.inputs: [WorkflowBinding!]!",
    "WorkflowStep.key: String!",
    "WorkflowStep.kind: WorkflowStepKind!",
    "WorkflowStep.message: String",
    "WorkflowStep.retries: Int!",
    "WorkflowStep.timeoutSeconds: Int!",
    "WorkflowStepInput.after: [String!]",
    "WorkflowStepInput.agent: AgentKind",
    "WorkflowStepInput.condition: WorkflowConditionInput",
    "WorkflowStepInput.delaySeconds: Int",
    "WorkflowStepInput.endpointId: ID",
    "WorkflowStepInput.forEach: String",
    "WorkflowStepInput.forEachAtMost: Int",
    "WorkflowStepInput.inputs: [WorkflowBindingInput!]",
    "WorkflowStepInput.key: String!",
    "WorkflowStepInput.kind: WorkflowStepKind!",
    "WorkflowStepInput.message: String",
    "WorkflowStepInput.retries: Int! = 2",
    "WorkflowStepInput.timeoutSeconds: Int! = 600",
    "WorkflowStepKind.AGENT",
    "WorkflowStepKind.APPROVAL",
    "WorkflowStepKind.CONDITION",
    "WorkflowStepKind.DELAY",
    "WorkflowStepKind.WEBHOOK",
    "WorkflowValueInput.flag: Boolean",
    "WorkflowValueInput.number: Int",
    "WorkflowValueInput.text: String",
    "WorkflowValueInput.texts: [String!]",
    "WorkflowValueType.ASSETS",
    "WorkflowValueType.CHANNELS",
    "WorkflowValueType.FLAG",
    "WorkflowValueType.LANGUAGE",
    "WorkflowValueType.NUMBER",
    "WorkflowValueType.PERIOD",
    "WorkflowValueType.TEXT",
    "WorkflowValueType.TEXTS",
    "WorkflowVariable.default: JSON",
    "WorkflowVariable.name: String!",
    "WorkflowVariable.type: WorkflowValueType!",
    "WorkflowVariableInput.default: WorkflowValueInput",
    "WorkflowVariableInput.name: String!",
    "WorkflowVariableInput.type: WorkflowValueType!",
    "enum AccountLogin",
    "enum AccountOutcome",
    "enum AnswerLength",
    "enum Cycle",
    "enum DiffKind",
    "enum FirstCommentState",
    "enum PostLength",
    "enum PreviewSize",
    "enum ProviderKind",
    "enum ProviderOutcome",
    "enum QaWordSense",
    "enum ReadabilityFormula",
    "enum Typeface",
    "enum VideoCaptionStyle",
    "enum VideoDirection",
    "enum VideoSize",
    "enum VisualBackground",
    "enum VisualPattern",
    "enum WorkflowStepKind",
    "enum WorkflowValueType",
    "input AccountConnectInput",
    "input AccountDisconnectInput",
    "input AccountTestInput",
    "input AccountUpdateInput",
    "input AffirmationScheduleInput",
    "input AssetDeleteInput",
    "input AssetFilter",
    "input AssetUpdateInput",
    "input AssetUploadCompleteInput",
    "input AssetUploadCreateInput",
    "input ContentCadenceInput",
    "input ContentEventInput",
    "input ContentPillarInput",
    "input ContentStrategyDraftInput",
    "input ContentWorkflowRerunInput",
    "input ContentWorkflowTemplateCreateInput",
    "input ContentWorkflowTemplateDeleteInput",
    "input ContentWorkflowTemplateUpdateInput",
    "input DocumentFilter",
    "input DocumentImportInput",
    "input EmbeddingsSetInput",
    "input EngineRouteSetInput",
    "input FootageInput",
    "input HashtagMixInput",
    "input JobRepeatInput",
    "input KeywordsInput",
    "input NameInput",
    "input NarrationInput",
    "input PeriodUpdateInput",
    "input ProviderCreateInput",
    "input ProviderDeleteInput",
    "input ProviderTestInput",
    "input ProviderUpdateInput",
    "input PublicationExportInput",
    "input PublicationMeasureInput",
    "input QaConversationCreateInput",
    "input QaConversationDeleteInput",
    "input ScheduleCreateInput",
    "input ScheduleDeleteInput",
    "input ScheduleUpdateInput",
    "input ScheduledWorkflowInput",
    "input SynonymGroupInput",
    "input SynonymsSetInput",
    "input UserTagInput",
    "input VisualPostRedrawInput",
    "input VisualSlideInput",
    "input WebhookEndpointCreateInput",
    "input WebhookEndpointDeleteInput",
    "input WebhookEndpointUpdateInput",
    "input WorkflowBindingInput",
    "input WorkflowConditionInput",
    "input WorkflowStepInput",
    "input WorkflowValueInput",
    "input WorkflowVariableInput",
    "type Account",
    "type AccountConnectPayload",
    "type AccountConnection",
    "type AccountDisconnectPayload",
    "type AccountEdge",
    "type AccountTest",
    "type AccountTestPayload",
    "type AccountUpdatePayload",
    "type AssetConnection",
    "type AssetDeletePayload",
    "type AssetEdge",
    "type AssetUpdatePayload",
    "type AssetUpload",
    "type AssetUploadCompletePayload",
    "type AssetUploadCreatePayload",
    "type ContentPastPosts",
    "type ContentStrategyDraftPayload",
    "type ContentWorkflowRerunPayload",
    "type ContentWorkflowTemplate",
    "type ContentWorkflowTemplateConnection",
    "type ContentWorkflowTemplateCreatePayload",
    "type ContentWorkflowTemplateDeletePayload",
    "type ContentWorkflowTemplateEdge",
    "type ContentWorkflowTemplateUpdatePayload",
    "type CyclePosition",
    "type DiffPart",
    "type DocumentImportPayload",
    "type Embeddings",
    "type EmbeddingsSetPayload",
    "type EngineRoute",
    "type EngineRouteSetPayload",
    "type FirstComment",
    "type HashtagSample",
    "type JobRepeatPayload",
    "type OpenQuestion",
    "type PeriodUpdatePayload",
    "type PostDiff",
    "type Provider",
    "type ProviderCreatePayload",
    "type ProviderDeletePayload",
    "type ProviderTest",
    "type ProviderTestPayload",
    "type ProviderUpdatePayload",
    "type PublicationExportPayload",
    "type PublicationInsights",
    "type PublicationMeasurePayload",
    "type QaConfidenceParts",
    "type QaConversation",
    "type QaConversationConnection",
    "type QaConversationCreatePayload",
    "type QaConversationDeletePayload",
    "type QaConversationEdge",
    "type QaRetrieval",
    "type QaRetrievalForm",
    "type QaRetrievalPassage",
    "type QaRetrievalWord",
    "type Readability",
    "type Schedule",
    "type ScheduleConnection",
    "type ScheduleCreatePayload",
    "type ScheduleDeletePayload",
    "type ScheduleEdge",
    "type ScheduleUpdatePayload",
    "type ScheduledWorkflow",
    "type SynonymGroup",
    "type SynonymsSetPayload",
    "type UserTag",
    "type VideoFootage",
    "type VideoNarrator",
    "type VisualBackgroundSource",
    "type VisualPostRedrawPayload",
    "type WebhookEndpoint",
    "type WebhookEndpointCreatePayload",
    "type WebhookEndpointDeletePayload",
    "type WebhookEndpointUpdatePayload",
    "type WorkflowBinding",
    "type WorkflowCondition",
    "type WorkflowStep",
    "type WorkflowVariable",
];

#[test]
fn the_schema_keeps_every_promise_of_the_contract() {
    let contract = promises(&Sdl::parse(include_str!("contract.graphql")));
    let schema = promises(&Sdl::of_the_server());
    let broken: Vec<_> = contract.difference(&schema).collect();
    assert!(broken.is_empty(), "the contract promises, and the schema does not have:\n{broken:#?}");
    assert!(contract.len() > 500, "the contract is read: {}", contract.len());
    let extras: BTreeSet<_> = schema.difference(&contract).map(String::as_str).collect();
    assert_eq!(
        extras,
        EXTRAS.iter().copied().collect(),
        "what goes beyond the contract is listed in EXTRAS, on purpose"
    );
}

#[test]
fn everything_is_described() {
    let sdl = Sdl::of_the_server();
    let mut bare = Vec::new();
    let mut check = |at: String, text: Option<&str>| {
        let text = text.unwrap_or_default().trim();
        if text.len() < 3
            || !text.ends_with(['.', '…', ':', '`'])
            || !text.starts_with(|c: char| c.is_uppercase() || "…`0123456789".contains(c))
        {
            bare.push(format!("{at}: {text:?}"));
        }
    };
    for (name, definition) in &sdl.types {
        check(name.clone(), definition.description.as_ref().map(|text| text.node.as_str()));
        for field in sdl.fields(name) {
            let at = format!("{name}.{}", field.name.node);
            for argument in &field.arguments {
                check(
                    format!("{at}({})", argument.node.name.node),
                    argument.node.description.as_ref().map(|text| text.node.as_str()),
                );
            }
            check(at, field.description.as_ref().map(|text| text.node.as_str()));
        }
        for input in sdl.inputs(name) {
            check(
                format!("{name}.{}", input.name.node),
                input.description.as_ref().map(|text| text.node.as_str()),
            );
        }
        if let TypeKind::Enum(values) = &definition.kind {
            for value in &values.values {
                check(
                    format!("{name}.{}", value.node.value.node),
                    value.node.description.as_ref().map(|text| text.node.as_str()),
                );
            }
        }
    }
    assert!(
        bare.is_empty(),
        "these need a description, a sentence that ends in a full stop:\n{}",
        bare.join("\n")
    );
}

#[test]
fn a_mutation_takes_one_input_and_answers_with_a_payload() {
    let sdl = Sdl::of_the_server();
    for field in sdl.fields("Mutation") {
        let name = field.name.node.as_str();
        let capital = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        let arguments: Vec<String> =
            field.arguments.iter().map(|a| format!("{}: {}", a.node.name.node, a.node.ty.node)).collect();
        assert_eq!(arguments, [format!("input: {capital}Input!")], "{name}");
        let payload = field.ty.node.to_string();
        assert!(
            payload == format!("{capital}Payload") || payload == "AuthPayload",
            "{name} answers with {payload}, which is nullable"
        );
        let fields: BTreeMap<_, _> = sdl
            .fields(&payload)
            .into_iter()
            .map(|field| (field.name.node.to_string(), field.ty.node.to_string()))
            .collect();
        assert_eq!(fields.get("userErrors").map(String::as_str), Some("[UserError!]!"), "{payload}");
        for (of, ty) in fields {
            let entity = !sdl.fields(ty.trim_end_matches('!')).is_empty();
            assert!(!(entity && ty.ends_with('!')), "{payload}.{of} is an entity and nullable: {ty}");
        }
        // A create hands back its parent, and a delete the id of what is gone, so that caches follow by themselves.
        if name.ends_with("Delete") {
            let noun = &capital[..capital.len() - "Delete".len()];
            assert!(
                sdl.fields(&payload).iter().any(|field| field.name.node == format!("deleted{noun}Id")),
                "{payload}"
            );
        }
        if name.ends_with("Create") {
            let key = sdl
                .inputs(&format!("{capital}Input"))
                .iter()
                .any(|input| input.name.node == "idempotencyKey");
            assert!(key, "{name} can be repeated safely");
        }
    }
}

#[test]
fn a_list_that_is_paged_has_one_shape() {
    let sdl = Sdl::of_the_server();
    let shape = |name: &str| -> BTreeMap<String, String> {
        sdl.fields(name)
            .into_iter()
            .map(|field| (field.name.node.to_string(), field.ty.node.to_string()))
            .collect()
    };
    let page = ["first: Int", "after: String", "last: Int", "before: String"];
    let mut connections = 0;
    for name in sdl.types.keys() {
        if let Some(node) = name.strip_suffix("Connection") {
            connections += 1;
            let expected = [
                ("edges", format!("[{node}Edge!]!")),
                ("nodes", format!("[{node}!]!")),
                ("pageInfo", "PageInfo!".to_owned()),
                ("totalCount", "Int".to_owned()),
            ];
            assert_eq!(shape(name), expected.map(|(name, ty)| (name.to_owned(), ty)).into(), "{name}");
            let expected = [("cursor", "String!".to_owned()), ("node", format!("{node}!"))];
            assert_eq!(
                shape(&format!("{node}Edge")),
                expected.map(|(name, ty)| (name.to_owned(), ty)).into()
            );
            assert!(sdl.is_a(node, "Node"), "{node} is a node");
        }
        for field in sdl.fields(name) {
            let arguments: Vec<String> =
                field.arguments.iter().map(|a| format!("{}: {}", a.node.name.node, a.node.ty.node)).collect();
            if base(&field.ty.node).ends_with("Connection") {
                assert!(
                    !field.ty.node.to_string().ends_with('!'),
                    "{name}.{} is null where it may not be seen",
                    field.name.node
                );
                assert!(
                    page.iter().all(|argument| arguments.iter().any(|own| own == argument)),
                    "{name}.{}",
                    field.name.node
                );
            } else {
                assert!(
                    !arguments.iter().any(|own| own == page[1]),
                    "{name}.{} is paged and no connection",
                    field.name.node
                );
            }
        }
    }
    assert!(connections >= 7);
}

/// Each list has one order, which has its index.
///
/// Attacks: 29.
#[test]
fn no_list_is_sorted_by_its_caller() {
    let sdl = Sdl::of_the_server();
    let (mut lists, mut wrong) = (0, Vec::new());
    let sorts =
        |name: &str| ["order", "sort", "direction"].iter().any(|word| name.to_lowercase().contains(word));
    for name in sdl.types.keys() {
        for field in sdl.fields(name) {
            let arguments = || field.arguments.iter().map(|argument| argument.node.name.node.as_str());
            lists += usize::from(arguments().any(|argument| argument == "first"));
            wrong.extend(
                arguments()
                    .filter(|argument| sorts(argument))
                    .map(|it| format!("{name}.{}({it}:)", field.name.node)),
            );
        }
        let inputs = sdl.inputs(name).into_iter().map(|input| input.name.node.as_str());
        wrong.extend(inputs.filter(|input| sorts(input)).map(|input| format!("{name}.{input}")));
    }
    assert!(lists > 10, "the lists were not found");
    assert!(
        wrong.is_empty(),
        "Only orders that an index has may be asked for: show that these are.\n{}",
        wrong.join("\n")
    );
}

#[test]
fn enums_are_shouted_and_everything_else_is_camel_case() {
    let sdl = Sdl::of_the_server();
    let camel = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
    };
    for (name, definition) in &sdl.types {
        assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
        if let TypeKind::Enum(values) = &definition.kind {
            for value in &values.values {
                let word = value.node.value.node.as_str();
                assert!(word.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{name}.{word}");
            }
        }
        for field in sdl.fields(name) {
            assert!(camel(&field.name.node), "{name}.{}", field.name.node);
            assert!(
                field.arguments.iter().all(|argument| camel(&argument.node.name.node)),
                "{name}.{}",
                field.name.node
            );
        }
        for input in sdl.inputs(name) {
            assert!(camel(&input.name.node), "{name}.{}", input.name.node);
        }
        if matches!(definition.kind, TypeKind::InputObject(_)) {
            assert!(name.ends_with("Input") || name.ends_with("Filter"), "{name}");
        }
    }
}
