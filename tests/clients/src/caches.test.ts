// Apollo Client and urql with their normalised caches, used as a front-end developer does, through the same checks.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { apollo } from "./apollo.js";
import { enter, type Screen } from "./front.js";
import * as documents from "./generated/operations.js";
import { address, base, invite, join, PASSWORD, post, report, signUp, until } from "./support.js";
import { urql } from "./urql.js";

const warnings: string[] = [];
console.warn = (...words) => warnings.push(words.join(" "));
console.error = console.warn;

/** A well-formed token that no server has signed. */
const FORGED = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c3JfMCIsImV4cCI6NDEwMjQ0NDgwMH0.AAAA";

let checks = 0;

for (const make of [apollo, urql]) {
  const front = make(`${base}/graphql`);

  describe(front.name, () => {
    let organizationId: string;
    const credentials = { email: address(), password: PASSWORD };

    before(async () => {
      const input = { ...credentials, name: "Ada", organizationName: "Heron Works" };
      const { signup } = await front.mutate(documents.SignUpDocument, { input });
      enter(front.session, signup);
      organizationId = signup?.organization?.id ?? "";
      assert.match(organizationId, /^org_/);
    });

    const check = (name: string, run: () => Promise<void>) =>
      test(name, async () => {
        await run();
        assert.deepEqual(warnings, [], "the library complains");
        checks += 1;
      });

    /** Shows a list, changes something, and waits until the screen is right, with nothing but the change sent. */
    async function landsIn<Data>(screen: Screen<Data>, operation: string, change: () => Promise<unknown>, isRight: (data: Data) => unknown) {
      await until("the first answer", () => screen.data);
      assert.ok(!isRight(screen.data as Data), "the screen was right before");
      const before = front.sent.length;
      await change();
      await until(`${operation} on the screen`, () => isRight(screen.data as Data));
      assert.deepEqual(front.sent.slice(before), [operation], "nothing but the change is sent");
      screen.close();
    }

    const projects = () => front.watch(documents.ProjectsDocument, { organizationId });
    const members = () => front.watch(documents.MembersDocument, { organizationId });
    const invitations = () => front.watch(documents.InvitationsDocument, { organizationId });
    const apiKeys = () => front.watch(documents.ApiKeysDocument, { organizationId });
    const createProject = (name: string) => front.mutate(documents.CreateProjectDocument, { input: { organizationId, name } });

    check("signs in, and refuses a wrong password as data", async () => {
      const wrong = await front.mutate(documents.SignInDocument, { input: { ...credentials, password: "not the password" } });
      assert.equal(wrong.login?.accessToken, null);
      assert.deepEqual(wrong.login?.userErrors.map(({ code }) => code), ["INVALID_CREDENTIALS"]);
      const right = await front.mutate(documents.SignInDocument, { input: credentials });
      enter(front.session, right.login);
      const { viewer } = await front.query(documents.ViewerDocument, {});
      assert.equal(viewer?.email, credentials.email);
      assert.equal(viewer?.memberships?.totalCount, 1);
    });

    check("refreshes once when several requests are refused together", async () => {
      const { refreshToken } = front.session;
      front.session.accessToken = FORGED;
      const before = front.sent.length;
      const answers = await Promise.all([
        front.query(documents.ProjectsDocument, { organizationId }),
        front.query(documents.MembersDocument, { organizationId }),
        front.query(documents.ApiKeysDocument, { organizationId }),
      ]);
      for (const { organization } of answers) assert.equal(organization?.id, organizationId);
      const refreshes = front.sent.slice(before).filter((name) => name === "RefreshTokens");
      assert.equal(refreshes.length, 1);
      assert.notEqual(front.session.refreshToken, refreshToken);
    });

    check("signs nobody in with a refresh token that was never made", async () => {
      const { accessToken, refreshToken } = front.session;
      Object.assign(front.session, { accessToken: FORGED, refreshToken: "aicos_rt_nonsense" });
      await assert.rejects(front.query(documents.ProjectsDocument, { organizationId }));
      Object.assign(front.session, { accessToken, refreshToken });
    });

    check("a created project lands in the open list", () =>
      landsIn(projects(), "CreateProject", () => createProject("Autumn"), ({ organization }) => {
        const list = organization?.projects;
        return list?.totalCount === 2 && list.nodes.some(({ name }) => name === "Autumn");
      }));

    check("a failed create changes nothing, and says why", async () => {
      const { projectCreate } = await createProject(" ");
      assert.equal(projectCreate?.project, null);
      const [problem] = projectCreate?.userErrors ?? [];
      assert.deepEqual(problem?.field, ["input", "name"]);
      assert.match(problem?.message ?? "", /\w/);
    });

    check("a renamed project is renamed in the open list", async () => {
      const { projectCreate } = await createProject("Misspelt");
      const id = projectCreate?.project?.id ?? "";
      await landsIn(
        projects(),
        "RenameProject",
        () => front.mutate(documents.RenameProjectDocument, { input: { id, name: "Winter" } }),
        ({ organization }) => organization?.projects?.nodes.some((project) => project.id === id && project.name === "Winter"),
      );
    });

    check("a deleted project leaves the open list", async () => {
      const { projectCreate } = await createProject("Short-lived");
      const id = projectCreate?.project?.id ?? "";
      await landsIn(
        projects(),
        "DeleteProject",
        () => front.mutate(documents.DeleteProjectDocument, { input: { id } }),
        ({ organization }) => organization?.projects?.totalCount === 3 && organization.projects.nodes.every((project) => project.id !== id),
      );
    });

    check("an invitation lands in the open list, and leaves it when it is revoked", async () => {
      const email = address();
      await landsIn(
        invitations(),
        "Invite",
        () => front.mutate(documents.InviteDocument, { input: { organizationId, email, role: "MEMBER" } }),
        ({ organization }) => organization?.invitations?.totalCount === 1 && organization.invitations.nodes[0]?.email === email,
      );
      const { organization } = await front.query(documents.InvitationsDocument, { organizationId });
      const id = organization?.invitations?.nodes[0]?.id ?? "";
      await landsIn(
        invitations(),
        "RevokeInvitation",
        () => front.mutate(documents.RevokeInvitationDocument, { input: { id } }),
        ({ organization }) => organization?.invitations?.nodes.length === 0 && organization.invitations.totalCount === 0,
      );
    });

    check("an API key lands in the open list, and is revoked there", async () => {
      const input = { organizationId, name: "Website", permissions: ["ORG_READ" as const] };
      await landsIn(apiKeys(), "CreateApiKey", () => front.mutate(documents.CreateApiKeyDocument, { input }), ({ organization }) => {
        const list = organization?.apiKeys;
        return list?.totalCount === 1 && list.nodes[0]?.name === "Website";
      });
      const { organization } = await front.query(documents.ApiKeysDocument, { organizationId });
      const id = organization?.apiKeys?.nodes[0]?.id ?? "";
      await landsIn(
        apiKeys(),
        "RevokeApiKey",
        () => front.mutate(documents.RevokeApiKeyDocument, { input: { id } }),
        ({ organization }) => {
          const key = organization?.apiKeys?.nodes.find((key) => key.id === id);
          return key ? key.revokedAt : organization?.apiKeys?.totalCount === 0;
        },
      );
    });

    check("a role that changes is patched in the open list, and a removed member leaves it", async () => {
      const person = await join(front.session.accessToken ?? "", organizationId);
      const { organization } = await front.query(documents.MembersDocument, { organizationId });
      const id = organization?.members?.nodes.find(({ user }) => user?.id === person.userId)?.id ?? "";
      await landsIn(
        members(),
        "ChangeRole",
        () => front.mutate(documents.ChangeRoleDocument, { input: { id, role: "ADMIN" } }),
        ({ organization }) => organization?.members?.nodes.find((member) => member.id === id)?.role === "ADMIN",
      );
      await landsIn(
        members(),
        "RemoveMember",
        () => front.mutate(documents.RemoveMemberDocument, { input: { id } }),
        ({ organization }) => organization?.members?.totalCount === 1 && organization.members.nodes.every((member) => member.id !== id),
      );
    });

    check("a new organization and an accepted invitation land in the open list of memberships", async () => {
      const memberships = () => front.watch(documents.ViewerDocument, {});
      await landsIn(
        memberships(),
        "CreateOrganization",
        () => front.mutate(documents.CreateOrganizationDocument, { input: { name: "Second Works" } }),
        ({ viewer }) => viewer?.memberships?.totalCount === 2,
      );
      const host = await signUp("Kingfisher Works");
      const token = await invite(host.token, host.organizationId, credentials.email, "VIEWER");
      await landsIn(
        memberships(),
        "AcceptInvitation",
        () => front.mutate(documents.AcceptInvitationDocument, { input: { token } }),
        ({ viewer }) =>
          viewer?.memberships?.totalCount === 3 &&
          viewer.memberships.nodes.some(({ role, organization }) => role === "VIEWER" && organization?.name === "Kingfisher Works"),
      );

      // Here this person may only look: refused, and no reason to refresh.
      const before = front.sent.length;
      const { accessToken } = front.session;
      await assert.rejects(
        front.mutate(documents.CreateProjectDocument, { input: { organizationId: host.organizationId, name: "Not mine" } }),
        (error: unknown) => JSON.stringify(codes(error)) === '["FORBIDDEN"]',
      );
      assert.deepEqual(front.sent.slice(before), ["CreateProject"]);
      assert.equal(front.session.accessToken, accessToken);
    });

    check("fragments read unions and interfaces", async () => {
      const key = await front.mutate(documents.CreateApiKeyDocument, {
        input: { organizationId, name: "Robot", permissions: ["ORG_READ", "PROJECT_READ", "PROJECT_CREATE"] },
      });
      const made = await post(
        "mutation ($input: ProjectCreateInput!) { projectCreate(input: $input) { project { id } } }",
        { input: { organizationId, name: "By a robot" } },
        key.apiKeyCreate?.secret ?? "",
      );
      const projectId: string = made.data.projectCreate.project.id;

      const { organization } = await front.query(documents.AuditLogDocument, { organizationId });
      const actors = organization?.auditLog?.nodes.map(({ actor }) => actor);
      assert.ok(actors?.some((actor) => actor && "hint" in actor && actor.name === "Robot"));
      assert.ok(actors?.some((actor) => actor && !("hint" in actor) && actor.name === "Ada"));

      const missing = projectId.slice(0, -4).padEnd(projectId.length, "0");
      const { nodes } = await front.query(documents.ThingsDocument, { ids: [organizationId, projectId, missing] });
      assert.equal(nodes?.length, 3);
      const [theOrganization, theProject, nothing] = nodes ?? [];
      assert.ok(theOrganization && "name" in theOrganization && theOrganization.name === "Heron Works");
      assert.ok(theProject && "organization" in theProject && theProject.organization?.id === organizationId);
      assert.equal(nothing, null);
    });
  });
}

/** Apollo's and urql's errors keep the server's under different names. */
function codes(error: unknown): unknown[] {
  const { errors, graphQLErrors } = error as Record<"errors" | "graphQLErrors", { extensions: { code: string } }[] | undefined>;
  return (errors ?? graphQLErrors ?? []).map(({ extensions }) => extensions.code);
}

after(() => report(`caches: ${checks} checks passed with Apollo Client and urql`));
