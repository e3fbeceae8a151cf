// The page in a browser: a person's ways through it, without an error, and without a word to anyone else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Browser, chromium, type Page, type Request } from "playwright-core";
import { address, base, command, dataDir, done, invite, PASSWORD, report, signUp, until } from "./support.js";

const { CHECK_CHROMIUM, CHECK_SCREENSHOTS } = process.env;
// Links name this host, and a page under 127.0.0.1 would be another origin.
const site = base.replace("127.0.0.1", "localhost");

declare global {
  interface Window {
    __MONACO: {
      editor: {
        getModels(): { uri: { path: string }; getValue(): string; onDidChangeContent(listener: () => void): void }[];
        getModelMarkers(filter: object): { message: string }[];
      };
    };
    watched: any[] | undefined;
  }
}

let browser: Browser;
let passed = 0;
/** A person with two organizations, "Heron Works" and "Kingfisher Works". */
let person: Awaited<ReturnType<typeof signUp>>;
let known: typeof person;


before(async () => {
  known = await signUp("Crane Works");
  person = await signUp("Heron Works");
  const create = "mutation ($input: OrganizationCreateInput!) { organizationCreate(input: $input) { organization { id } userErrors { message } } }";
  const second = (await done(create, { name: "Kingfisher Works" }, person.token)).organization.id;
  const project = "mutation ($input: ProjectCreateInput!) { projectCreate(input: $input) { userErrors { message } } }";
  await done(project, { organizationId: person.organizationId, name: "Reeds" }, person.token);
  await done(project, { organizationId: second, name: "River bank" }, person.token);
  browser = await chromium.launch({
    executablePath: CHECK_CHROMIUM ?? "chromium",
    // Chromium's own sandbox does not run for root.
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
});

after(async () => {
  await browser?.close();
  report(`page: ${passed} checks passed in Chromium ${browser?.version()}`);
});

/** A visit in a fresh profile, which must leave no complaint behind. */
function visit(
  name: string,
  walk: (page: Page) => Promise<void>,
  link: () => Promise<string> = async () => `${site}/`,
  options: Parameters<Browser["newContext"]>[0] = {},
) {
  test(name, async () => {
    const address = await link();
    const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => complaints.push(`exception: ${error}`));
    page.on("requestfailed", (request) => {
      const reason = request.failure()?.errorText;
      // Leaving the page breaks off what it was still loading.
      if (reason !== "net::ERR_ABORTED") complaints.push(`failed: ${request.url()} ${reason}`);
    });
    page.on("websocket", (socket) => complaints.push(`a socket to ${socket.url()}`));
    context.on("request", (request) => {
      const url = new URL(request.url());
      if (!["blob:", "data:"].includes(url.protocol) && url.origin !== site) complaints.push(`a request to ${url}`);
    });
    await page.exposeFunction("violated", (what: string) => complaints.push(`against the policy: ${what}`));
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
        (window as unknown as { violated(what: string): void }).violated(`${violatedDirective} ${blockedURI}`),
      );
    });
    try {
      const response = await page.goto(address);
      assert.match(response?.headers()["content-security-policy"] ?? "", /default-src 'self'/);
      await page.locator(".graphiql-execute-button").waitFor();
      page.setDefaultTimeout(15_000);
      await walk(page);
      await picture(page, name);
      assert.deepEqual(complaints, []);
      assert.deepEqual(await context.cookies(), []);
      passed += 1;
    } catch (failure) {
      await picture(page, `${name} FAILED`);
      throw new Error(`${failure}\nComplaints: ${JSON.stringify(complaints)}`, { cause: failure });
    } finally {
      await context.close();
    }
  });
}

async function picture(page: Page, name: string): Promise<void> {
  if (CHECK_SCREENSHOTS) await page.screenshot({ path: `${CHECK_SCREENSHOTS}/${name.replaceAll(/\W+/g, "-")}.png` });
}

const by = (page: Page, id: string) => page.locator(`[data-testid="${id}"]`);

async function signIn(page: Page, password = PASSWORD, email = person.email): Promise<void> {
  await by(page, "signin-email").fill(email);
  await by(page, "signin-password").fill(password);
  await by(page, "signin-submit").click();
}

/** Chooses an example's tab, runs it, and returns what the page shows. */
async function run(page: Page, tab: string): Promise<any> {
  await page.locator(`.graphiql-tab button:has-text("${tab}")`).first().click();
  const shown = () => window.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith("response.json"))?.getValue() ?? "";
  // The page has questions of its own as well, for the schema and for who is signed in.
  const answered = page.waitForResponse((response) => response.url() === `${site}/graphql` && response.request().postDataJSON().operationName === tab);
  await page.locator(".graphiql-execute-button").click();
  const answer = await (await answered).json();
  await page.waitForFunction(
    (expected) => {
      const model = window.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith("response.json"));
      try {
        return JSON.stringify(JSON.parse(model?.getValue() ?? "")) === expected;
      } catch {
        return false;
      }
    },
    JSON.stringify(answer),
  );
  return JSON.parse(await page.evaluate(shown));
}

/** Chooses an example's tab and runs its subscription. Returns a function that waits until the answers so far suffice. */
async function watch(page: Page, tab: string) {
  await page.locator(`.graphiql-tab button:has-text("${tab}")`).first().click();
  await page.evaluate(() => {
    const model = window.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith("response.json"));
    if (!window.watched)
      model?.onDidChangeContent(() => {
        // Empty at first; everything else is one whole answer.
        if (model.getValue().trim()) window.watched?.push(JSON.parse(model.getValue()));
      });
    window.watched = [];
  });
  await page.locator(".graphiql-execute-button").click();
  return async (enough: (answers: any[]) => boolean): Promise<any[]> => {
    let answers: any[] = [];
    const look = async () => enough((answers = await page.evaluate(() => window.watched ?? [])));
    // A job may have to wait for others.
    await until(`what ${tab} shows`, look, 60_000);
    return answers;
  };
}

/** What the page sends to the server's event streams from now on, and how often such a request was broken off. */
function streams(page: Page) {
  const seen = { tokens: [] as string[], brokenOff: 0 };
  const isStream = (request: Request) => request.url() === `${site}/graphql/stream`;
  page.on("request", (request) => isStream(request) && seen.tokens.push(request.headers()["authorization"] ?? ""));
  page.on("requestfailed", (request) => isStream(request) && (seen.brokenOff += 1));
  return seen;
}

visit("A visitor finds the page and is nobody", async (page) => {
  const { data } = await run(page, "WhoAmI");
  assert.deepEqual(data, { viewer: null, credential: null });
});

visit("A wrong password is told so", async (page) => {
  await signIn(page, "certainly not it");
  await by(page, "signin-message").filter({ hasText: /\w/ }).waitFor();
  assert.equal(await by(page, "who").count(), 0);
});

visit("Somebody signs up", async (page) => {
  await by(page, "way-signup").click();
  await by(page, "signup-name").fill("Grace");
  await by(page, "signup-email").fill(address());
  await by(page, "signup-password").fill(PASSWORD);
  await by(page, "signup-organization").fill("Otter Works");
  await by(page, "signup-submit").click();
  await by(page, "who").filter({ hasText: "Grace" }).waitFor();
  const created = await run(page, "CreateProject");
  assert.deepEqual(created.data.projectCreate.userErrors, []);
  assert.equal(created.data.projectCreate.organization.projects.totalCount, 2);
});

visit("Signing in, another organization, a project, signing out", async (page) => {
  await signIn(page);
  await by(page, "who").filter({ hasText: person.email }).waitFor();
  const { data } = await run(page, "WhoAmI");
  assert.equal(data.viewer.email, person.email);
  assert.equal(data.credential.organization.name, "Heron Works");
  const projects = async () => {
    const { data } = await run(page, "ProjectsAndMembers");
    return data.organization.projects.nodes.map(({ name }: { name: string }) => name);
  };
  assert.ok((await projects()).includes("Reeds"));

  await by(page, "organization").selectOption({ label: "Kingfisher Works (owner)" });
  await by(page, "project").locator("option", { hasText: "River bank" }).waitFor({ state: "attached" });
  const others = await projects();
  assert.ok(others.includes("River bank") && !others.includes("Reeds"));

  await by(page, "project").selectOption({ label: "River bank" });
  assert.deepEqual(await projects(), ["River bank"]);
  await picture(page, "Signed in with a project chosen");

  // The session lasts as long as the tab, and is not told to the next one.
  await page.reload();
  await by(page, "who").filter({ hasText: person.email }).waitFor();
  assert.deepEqual(await projects(), ["River bank"]);

  await by(page, "signout").click();
  await by(page, "notice").filter({ hasText: "signed out" }).waitFor();
  const nobody = await run(page, "WhoAmI");
  assert.equal(nobody.data.viewer, null);
});

visit("Every example runs", async (page) => {
  await signIn(page);
  await by(page, "who").filter({ hasText: person.email }).waitFor();
  for (const tab of ["SignUp", "WhoAmI", "AddDocument", "AskQuestion", "AskWithoutWaiting", "CreateProject", "ProjectsAndMembers", "InviteColleague", "CreateApiKey", "AuditLog"]) {
    const { data, errors } = await run(page, tab);
    assert.equal(errors, undefined, `${tab}: ${JSON.stringify(errors)}`);
    const { userErrors = [] } = (Object.values(data)[0] ?? {}) as { userErrors?: object[] };
    assert.deepEqual(userErrors, [], tab);
    // The editors check too, a moment later, and would underline what they take for a mistake.
    await page.waitForTimeout(700);
    const marks = () => page.evaluate(() => window.__MONACO.editor.getModelMarkers({}).map(({ message }) => message));
    let last: string[] = [];
    await until(`no mark in ${tab}`, async () => (last = await marks()).length === 0).catch(() => assert.fail(`${tab}: ${last}`));
  }
});

visit("A document is added, asked, and the jobs are watched", async (page) => {
  const host = await signUp("Analytical Engines");
  await signIn(page, PASSWORD, host.email);
  await by(page, "who").filter({ hasText: host.email }).waitFor();
  const added = (await run(page, "AddDocument")).data.documentCreate;
  assert.deepEqual(added.userErrors, []);
  // The job that was started last is in the variables already.
  const indexing = await watch(page, "WatchJob");
  const indexed = (await indexing((answers) => answers.at(-1)?.data?.jobUpdated.status === "SUCCEEDED")).at(-1).data.jobUpdated;
  assert.equal(indexed.id, added.job.id);
  assert.deepEqual([indexed.events[0].kind, indexed.events.at(-1).kind], ["queued", "succeeded"]);

  const { answer, userErrors } = (await run(page, "AskQuestion")).data.qaAsk;
  assert.deepEqual(userErrors, []);
  assert.match(answer.answer, /30 days of vacation/);
  assert.equal(answer.citations[0].quote, "Everybody has 30 days of vacation a year.");
  assert.equal(answer.citations[0].document.title, "Handbook");
  await picture(page, "An answer with its citation");

  // Work that a question has to wait for, so that there is something to see.
  const create = "mutation ($input: DocumentCreateInput!) { documentCreate(input: $input) { userErrors { message } } }";
  const text = (number: number) => Array.from({ length: 12_000 }, (_, line) => `Volume ${number} tells of wheel ${line} and what it turns.\n\n`).join("");
  for (let number = 1; number <= 8; number++)
    await done(create, { organizationId: host.organizationId, title: `Volume ${number}`, text: text(number) }, host.token);
  const asked = (await run(page, "AskWithoutWaiting")).data.qaAsk;
  assert.equal(asked.job.status, "QUEUED");
  const watching = await watch(page, "WatchJob");
  const states = (await watching((answers) => answers.at(-1)?.data?.jobUpdated.status === "SUCCEEDED")).map(({ data }) => data.jobUpdated);
  assert.ok(states.every(({ id }) => id === asked.job.id));
  assert.ok(new Set(states.map(({ status }) => status)).size >= 2, JSON.stringify(states));
  assert.match(states.at(-1).result.answer, /Maria Keller/);
  await page.locator('.graphiql-execute-button[aria-label^="Execute"]').waitFor();
  await picture(page, "A job that was watched");
});

visit("Activity is watched until it is stopped", async (page) => {
  const host = await signUp("Swift Works");
  const seen = streams(page);
  await signIn(page, PASSWORD, host.email);
  await by(page, "who").filter({ hasText: host.email }).waitFor();
  const activity = await watch(page, "WatchActivity");
  const entries = (answers: any[]) => answers.map(({ data }) => data.organizationActivity);
  const before = entries(await activity((answers) => answers.length > 0)).length;
  const project = "mutation ($input: ProjectCreateInput!) { projectCreate(input: $input) { userErrors { message } } }";
  const add = (name: string) => done(project, { organizationId: host.organizationId, name }, host.token);
  await add("First");
  await add("Second");
  const arrived = entries(await activity((answers) => answers.length >= before + 2));
  assert.deepEqual(arrived.slice(-2).map(({ action }) => action), ["project.create", "project.create"]);
  assert.ok(arrived.every(({ sequence }, place) => place === 0 || sequence > arrived[place - 1].sequence));

  assert.equal(seen.brokenOff, 0);
  await page.locator('.graphiql-execute-button[aria-label^="Stop"]').click();
  await page.locator('.graphiql-execute-button[aria-label^="Execute"]').waitFor();
  await until("the end of the request", () => seen.brokenOff === 1);
  await add("Third");
  await page.waitForTimeout(500);
  assert.equal((await page.evaluate(() => window.watched ?? [])).length, arrived.length);
});

visit("A watch goes on with fresh tokens", async (page) => {
  const host = await signUp("Egret Works");
  const seen = streams(page);
  await signIn(page, PASSWORD, host.email);
  await by(page, "who").filter({ hasText: host.email }).waitFor();
  // A stream whose token has just run out, as the server ends it.
  const expired = { errors: [{ message: "The access token has expired.", extensions: { code: "TOKEN_EXPIRED" } }] };
  const body = `:\n\nevent: next\ndata: ${JSON.stringify(expired)}\n\nevent: complete\ndata:\n\n`;
  await page.route("**/graphql/stream", (route) => route.fulfill({ contentType: "text/event-stream", body }), { times: 1 });
  const activity = await watch(page, "WatchActivity");
  const answers = await activity((answers) => answers.length > 0);
  assert.ok(answers.every(({ errors }) => errors === undefined), JSON.stringify(answers));
  assert.equal(seen.tokens.length, 2);
  assert.ok(seen.tokens.every((token) => token.startsWith("Bearer ")) && seen.tokens[0] !== seen.tokens[1]);
  await page.locator('.graphiql-execute-button[aria-label^="Stop"]').click();
});

visit("An API key is used", async (page) => {
  const create = "mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { secret userErrors { message } } }";
  const key = { organizationId: person.organizationId, name: "Page", permissions: ["ORG_READ", "PROJECT_READ"] };
  const { secret } = await done(create, key, person.token);
  await by(page, "way-key").click();
  await by(page, "key-value").fill(secret);
  await by(page, "key-submit").click();
  await by(page, "who").filter({ hasText: "API key" }).waitFor();
  const { data } = await run(page, "WhoAmI");
  assert.equal(data.credential.kind, "API_KEY");
});

visit("A token that is refused is renewed", async (page) => {
  await signIn(page);
  await by(page, "who").filter({ hasText: person.email }).waitFor();
  await page.evaluate(() => {
    const stored = JSON.parse(sessionStorage.getItem("aicos.session") ?? "{}");
    stored.credential.accessToken = `${stored.credential.accessToken.slice(0, -8)}AAAAAAAA`;
    sessionStorage.setItem("aicos.session", JSON.stringify(stored));
  });
  await page.reload();
  await by(page, "who").filter({ hasText: person.email }).waitFor();
  const { data } = await run(page, "WhoAmI");
  assert.equal(data.viewer.email, person.email);
});

visit("On a narrow screen, in the dark", async (page) => {
  await signIn(page);
  await by(page, "who").filter({ hasText: person.email }).waitFor();
}, undefined, {
  viewport: { width: 390, height: 780 },
  colorScheme: "dark",
});

visit(
  "A link from the command line sets a new password",
  async (page) => {
    await by(page, "link-dialog").waitFor();
    await picture(page, "The dialog for a new password");
    await by(page, "reset-password").fill("another heron, other reeds");
    await by(page, "reset-submit").click();
    await by(page, "link-message").waitFor();
    assert.ok(!page.url().includes("token"));
    await page.keyboard.press("Escape");
    await by(page, "who").filter({ hasText: person.email }).waitFor();
    await by(page, "signout").click();
    await signIn(page, PASSWORD);
    await by(page, "signin-message").filter({ hasText: /\w/ }).waitFor();
    await signIn(page, "another heron, other reeds");
    await by(page, "who").filter({ hasText: person.email }).waitFor();
  },
  () => command(dataDir, "user", "reset-link", person.email, "--public-url", site),
);

/** A link to another organization's door. */
const invitation = (email: () => string) => async () => {
  const host = await signUp("Bittern Works");
  return `${site}/#/invitation?token=${await invite(host.token, host.organizationId, email())}`;
};

visit(
  "Somebody new accepts an invitation",
  async (page) => {
    await by(page, "link-dialog").filter({ hasText: "Bittern Works" }).waitFor();
    await picture(page, "The dialog of an invitation");
    await by(page, "invitation-signup").locator("[name=name]").fill("Linus");
    await by(page, "invitation-signup").locator("[name=password]").fill(PASSWORD);
    await by(page, "invitation-signup-submit").click();
    await by(page, "link-message").waitFor();
    await page.keyboard.press("Escape");
    await by(page, "who").filter({ hasText: "Linus" }).waitFor();
    const { data } = await run(page, "WhoAmI");
    assert.equal(data.credential.organization.name, "Bittern Works");
    assert.equal(data.credential.role, "MEMBER");
  },
  invitation(address),
);

visit(
  "Somebody known signs in and accepts an invitation",
  async (page) => {
    await by(page, "invitation-known").click();
    await by(page, "invitation-signin").locator("[name=password]").fill(PASSWORD);
    await by(page, "invitation-signin-submit").click();
    await by(page, "invitation-accept-submit").click();
    await by(page, "link-message").waitFor();
    await page.keyboard.press("Escape");
    await by(page, "organization").locator("option", { hasText: "Bittern Works (member)" }).waitFor({ state: "attached" });
    const { data } = await run(page, "WhoAmI");
    assert.equal(data.credential.organization.name, "Bittern Works");
  },
  invitation(() => known.email),
);

visit(
  "Somebody declines an invitation",
  async (page) => {
    await by(page, "invitation-known").click();
    assert.equal(await by(page, "invitation-decline-submit").count(), 0);
    await by(page, "invitation-signin").locator("[name=password]").fill(PASSWORD);
    await by(page, "invitation-signin-submit").click();
    await by(page, "invitation-decline-submit").waitFor();
    await picture(page, "The dialog of an invitation to somebody who is signed in");
    await by(page, "invitation-decline-submit").click();
    await by(page, "link-message").filter({ hasText: "Bittern Works" }).waitFor();
  },
  invitation(() => known.email),
);
