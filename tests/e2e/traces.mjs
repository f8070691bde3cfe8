// Traces: finding them, looking into them, and what is made of them.
import assert from "node:assert/strict";
import { accessible, base, enter, mode, open, settle, shot } from "./browser.mjs";

const TRACE = "0".repeat(31) + "5";
const BIG = "b".repeat(32);

export const TRACE_PAGES = [
  ["waterfall", `/traces/${TRACE}?tab=waterfall`, "refund policy"],
  ["conversation", `/traces/${TRACE}?tab=conversation`, "Sort the ticket."],
  ["span-duplicate", `/traces/${TRACE}?span=${"d".repeat(16)}`, "Show the counted one"],
  ["traces-query", "/traces?query=status:error%20SAML&range=all", "Remove|traces"],
  ["trace-diff", `/traces/${"0".repeat(31)}1/diff/${"0".repeat(31)}4`, "Show what is the same"],
  ["sessions", "/sessions", "session-4"],
  ["session", "/sessions/session-4", "category: billing"],
  ["users", "/users", "user-3"],
  ["user", "/users/user-3", "Latest traces"],
  ["dashboards", "/dashboards", "Time to first token"],
  ["dashboards-by", "/dashboards?by=model&range=7d", "others"],
  ["dashboards-metadata", "/dashboards?by=metadata.customer&metadata.tier=gold", "By metadata.customer"],
  ["logs", "/logs", "order 4711 was accepted"],
  ["logs-none", "/logs?q=unheard-of", "No record matches"],
  ["metrics", "/signals", "gen_ai.client.token.usage"],
  ["metric-histogram", "/signals?metric=gen_ai.client.operation.duration", "Percentiles"],
  ["metric-counter", "/signals?metric=gen_ai.client.token.usage", "Added up by hour"],
  ["metric-gauge", "/signals?metric=mcp.sessions.open", "By hour"],
  ["metric-split", "/signals?metric=gen_ai.client.operation.duration&by=model", "ticket-triage@2"],
];

const params = (page) => new URL(page.url()).searchParams;

async function start(address, options) {
  await mode("full");
  const opened = await open(options);
  await enter(opened.page, address);
  return opened;
}

async function find(page, text) {
  await page.getByRole("combobox", { name: "Query" }).fill(text);
  await page.keyboard.press("Enter");
}

export const traces = {
  async traces() {
    const { browser, page, complaints } = await start("/traces?range=all");
    const table = page.getByRole("table", { name: "Traces" });
    await table.waitFor();
    await table.getByTitle(/^Only the rest of a trace/).waitFor();
    // Scrolling pages the list on by cursor until all 500 are there.
    const note = page.locator(".page-head .titles > .muted");
    for (let i = 0; i < 80 && (await note.innerText()) !== "500 traces"; i++) {
      await table.evaluate((n) => n.scrollTo(0, n.scrollHeight));
      await page.waitForTimeout(60);
    }
    assert.equal(await note.innerText(), "500 traces");
    assert.ok((await table.getByRole("row").count()) < 70, "the list is virtual");
    // Completion of a field and of its value, by keyboard alone.
    await page.keyboard.press("/");
    await page.keyboard.type("stat");
    await page.getByRole("option", { name: /^status/ }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("option", { name: /^error/ }).waitFor();
    await shot(page, "query-completion-light");
    await accessible(page, "completion");
    await page.keyboard.type("err");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await page.waitForURL(/query=status%3Aerror/);
    await page.getByText("30 traces", { exact: true }).first().waitFor();
    // A press on a cell asks for its value, with Alt for all others; a chip takes it away.
    await table.getByRole("button", { name: "gpt-mock" }).first().click();
    await page.waitForFunction(() => new URL(location.href).searchParams.get("query") === "status:error model:gpt-mock");
    await page.getByRole("button", { name: "Remove model:gpt-mock" }).click();
    await page.waitForFunction(() => new URL(location.href).searchParams.get("query") === "status:error");
    await table.getByRole("button", { name: "gpt-mock" }).first().click({ modifiers: ["Alt"] });
    await page.waitForFunction(() => new URL(location.href).searchParams.get("query") === "status:error -model:gpt-mock");
    // What is found is marked.
    await find(page, '"charged twice"');
    await table.locator("mark").getByText("charged twice").first().waitFor();
    // A mistake is shown where it is.
    await find(page, "status:error nonsense:1");
    await page.getByRole("alert").getByText(/there is no field/).waitFor();
    assert.equal(await page.locator(".query-error mark").innerText(), "n");
    await shot(page, "query-error-light");
    await accessible(page, "a wrong query");
    // Earlier queries are offered again.
    await page.getByRole("button", { name: "Clear the query" }).click();
    await page.getByRole("combobox", { name: "Query" }).click();
    await page.getByRole("option", { name: /charged twice/ }).click();
    await page.waitForURL(/charged/);
    // Old links still say what they said.
    await page.goto(`${base}/traces?user=user-3&status=error&range=all`);
    await page.waitForFunction(() => new URL(location.href).searchParams.get("query") === "status:error user:user-3");
    assert.equal(params(page).get("range"), "all");
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !/status of 400/.test(c)), []);
  },

  async listing() {
    const { browser, page, complaints } = await start("/traces?range=all");
    const table = page.getByRole("table", { name: "Traces" });
    await table.waitFor();
    // Columns.
    await page.getByRole("button", { name: "Columns" }).click();
    await page.getByLabel("User").check();
    await page.getByLabel("Input", { exact: true }).uncheck();
    await shot(page, "columns-light");
    await accessible(page, "the column chooser");
    await page.keyboard.press("Escape");
    await table.getByRole("columnheader", { name: "User" }).waitFor();
    assert.equal(params(page).get("columns"), "time,name,model,user,latency,tokens,cost");
    // Time: a preset, a length of one's own, two instants; relative stays relative.
    await page.getByRole("button", { name: /^Time range/ }).click();
    await page.getByRole("button", { name: "Last 24 hours" }).click();
    await page.waitForURL(/range=24h/);
    await page.getByRole("button", { name: /^Time range/ }).click();
    await page.getByLabel("The last").fill("3d");
    await shot(page, "timerange-light");
    await accessible(page, "the time range");
    await page.keyboard.press("Enter");
    await page.waitForURL(/range=3d/);
    // Drawing on the histogram narrows to what was drawn.
    await settle(page);
    const box = await page.locator(".charts .u-over").boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 30, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/since=.*until=/);
    assert.equal(params(page).get("range"), null);
    // Views: use one, change it, save another, remove it.
    await page.goto(`${base}/traces?range=all`);
    await page.getByRole("button", { name: /^Views/ }).click();
    await page.getByRole("link", { name: /^failing/ }).click();
    await page.waitForURL(/view=failing/);
    assert.equal(params(page).get("query"), "status:error");
    assert.equal(params(page).get("columns"), "time,name,user,latency");
    await find(page, "status:error latency>100ms");
    await page.getByRole("button", { name: "Views: failing (changed)" }).click();
    await page.getByLabel("Save this query and its columns as").fill("slow and failing");
    await page.getByLabel("Share with everyone in the project").check();
    await shot(page, "views-light");
    await accessible(page, "saved views");
    await page.getByRole("button", { name: "Save view" }).click();
    await page.getByText("Saved the view slow and failing").waitFor();
    await page.getByRole("button", { name: "Views: slow and failing" }).click();
    await page.getByRole("button", { name: "Remove the view slow and failing" }).click();
    await page.getByText("Removed the view slow and failing").waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async tail() {
    const { browser, page, complaints } = await start("/traces?range=all");
    const table = page.getByRole("table", { name: "Traces" });
    await table.waitFor();
    await page.getByRole("button", { name: "Live tail" }).click();
    await page.waitForURL(/live=1/);
    await table.getByText("fresh from the tail").nth(2).waitFor();
    await page.getByRole("button", { name: "Live", exact: true }).waitFor();
    await shot(page, "tail-light");
    // Reading on, new ones wait until they are asked for.
    await page.keyboard.press("j");
    await page.waitForURL(/peek=/);
    await page.getByRole("button", { name: /new trace/ }).click();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /^(Live|Reconnecting…)$/ }).click();
    await page.waitForURL((u) => !u.search.includes("live="));
    await browser.close();
    // The scripted traces of the tail cannot be opened.
    assert.deepEqual(complaints.filter((c) => !/status of 404/.test(c)), []);
  },

  async bulk() {
    const { browser, page, complaints } = await start("/traces?range=all");
    const table = page.getByRole("table", { name: "Traces" });
    await table.waitFor();
    const boxes = table.getByRole("checkbox");
    await boxes.nth(1).check();
    await boxes.nth(3).click({ modifiers: ["Shift"] });
    const bar = page.getByRole("toolbar", { name: "Selected traces" });
    await bar.getByText("3 traces selected").waitFor();
    await shot(page, "bulk-light");
    await accessible(page, "selected traces");
    await bar.getByRole("button", { name: "Add to dataset…" }).click();
    await page.getByLabel("Dataset", { exact: true }).fill("tickets");
    await page.getByText("a new version has these besides").waitFor();
    const sent = page.waitForRequest((r) => r.method() === "POST" && /from-traces/.test(r.url()));
    await page.getByRole("button", { name: "Add 3 traces" }).click();
    assert.deepEqual((await sent).postDataJSON(), { name: "tickets", each: "last", trace_ids: [1, 2, 3].map((n) => n.toString(16).padStart(32, "0")) });
    await page.waitForURL(/\/datasets\/tickets/);
    await page.getByText("3 rows of 3 traces added to tickets@3; left out: 1 without messages").waitFor();
    // Everything that matches.
    await page.goto(`${base}/traces?query=status:error&range=all`);
    await page.getByRole("button", { name: "All to a dataset…" }).click();
    await page.getByLabel("Dataset", { exact: true }).fill("fresh");
    const all = page.waitForRequest((r) => r.method() === "POST" && /from-traces/.test(r.url()));
    await page.getByLabel("A row is").selectOption("all");
    await page.getByRole("button", { name: "Add all that match" }).click();
    assert.deepEqual((await all).postDataJSON(), { name: "fresh", each: "all", where: { query: "status:error" }, limit: 20000 });
    await page.waitForURL(/\/datasets\/fresh/);
    // Two are compared; chosen ones are deleted after a question.
    await page.goto(`${base}/traces?range=all`);
    await boxes.nth(1).check();
    await boxes.nth(2).check();
    await bar.getByRole("link", { name: "Compare the two" }).click();
    await page.waitForURL(/diff/);
    await page.getByText("Show what is the same").waitFor();
    await page.goBack();
    await boxes.nth(1).check();
    await bar.getByRole("button", { name: "Delete…" }).click();
    const gone = page.waitForRequest((r) => r.method() === "POST" && /traces\/erase/.test(r.url()));
    await page.getByRole("dialog").getByRole("button", { name: "Delete 1 trace" }).click();
    assert.deepEqual(JSON.parse((await gone).postData()), { trace_ids: ["0".repeat(31) + "1"], dry_run: false });
    await page.getByText("1 trace deleted").waitFor();
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !/datasets\/fresh|status of 404/.test(c)), []);
  },

  async trace() {
    const { browser, page, complaints } = await start("/traces?range=all");
    await page.getByRole("table", { name: "Traces" }).waitFor();
    // Next and previous are those of the list.
    await page.goto(`${base}/traces/${TRACE}`);
    await page.getByText("5 of 100").waitFor();
    await page.getByRole("link", { name: "Next trace" }).click();
    await page.getByText("6 of 100").waitFor();
    await page.keyboard.press("k");
    await page.waitForURL(/0{31}5/);
    // Spans: found, folded, walked through, linked.
    const spans = page.getByRole("region", { name: "Spans" });
    await page.getByLabel("Find spans").fill("knowledge");
    await page.getByText("14 spans", { exact: true }).waitFor();
    await page.getByLabel("Find spans").fill("");
    await page.getByRole("button", { name: "Fold all" }).click();
    await page.getByRole("button", { name: "Unfold chat ticket-triage" }).first().click();
    await page.getByRole("button", { name: "Unfold all" }).click();
    await spans.getByRole("button", { name: /^refund policy/ }).first().click();
    await page.waitForURL(/span=/);
    await page.getByRole("link", { name: "Raw" }).click();
    await page.getByLabel("Span as JSON").waitFor();
    await page.goto(`${base}/traces/${TRACE}?span=${(28).toString(16).padStart(16, "0")}&tab=waterfall`);
    await spans.locator('[aria-pressed="true"]').waitFor();
    // A call reported twice says which one counts.
    await page.goto(`${base}/traces/${TRACE}?span=${"d".repeat(16)}`);
    await spans.getByText("duplicate", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Show the counted one" }).click();
    await page.waitForURL(/span=0{15}2/);
    await page.getByRole("button", { name: "Copy as curl" }).click();
    await page.getByLabel("Program").getByText(/chat\/completions/).waitFor();
    await page.keyboard.press("Escape");
    // A call a guardrail refused can be opened in the playground.
    await page.goto(`${base}/traces/${"0".repeat(31)}4`);
    await page.getByRole("link", { name: "Open in the playground" }).click();
    await page.waitForURL(/playground\?from=/);
    await page.getByLabel("Message 2", { exact: true }).waitFor();
    assert.equal(params(page).get("temperature"), "0");
    // A 300 kB body is cut, and shown whole on demand.
    await page.goto(`${base}/traces/${"0".repeat(31)}2`);
    await page.getByRole("button", { name: /Show all/ }).click();
    await page.goto(`${base}/traces/${"f".repeat(32)}`);
    await page.getByText("There is no such thing").waitFor();
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !/status of 404/.test(c)), []);
  },

  async big() {
    const { browser, page, complaints } = await start("/");
    const began = Date.now();
    await page.goto(`${base}/traces/${BIG}`);
    const spans = page.getByRole("region", { name: "Spans" });
    await spans.getByText("step 3", { exact: true }).waitFor();
    console.log(`50,001 spans after ${Date.now() - began} ms`);
    assert.ok((await spans.getByRole("listitem").count()) < 80, "the tree is virtual");
    // The longest time the page did not answer while it is used.
    await page.evaluate(() => {
      window.longest = 0;
      let last = performance.now();
      const tick = () => {
        const now = performance.now();
        window.longest = Math.max(window.longest, now - last);
        last = now;
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    });
    for (let i = 0; i < 30; i++) await page.keyboard.press("n");
    await spans.evaluate((n) => n.scrollTo(0, n.scrollHeight));
    await spans.getByText("step 49999", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Waterfall" }).click();
    await page.getByLabel("Find spans").fill("step 4321");
    await page.getByText("11 spans", { exact: true }).waitFor();
    const longest = await page.evaluate(() => window.longest);
    console.log(`longest pause ${Math.round(longest)} ms`);
    assert.ok(longest < 5_000, `the page stood still for ${longest} ms`);
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async correcting() {
    const { browser, page, complaints } = await start("/settings?tab=correcting");
    const card = (title) => page.locator("section.card").filter({ has: page.getByRole("heading", { name: title }) });
    const bring = card("Import traces");
    await bring.getByLabel("Exported by").selectOption("phoenix");
    assert.ok(await bring.getByRole("button", { name: "Import" }).isDisabled());
    await bring.getByLabel("Traces file").setInputFiles({ name: "x.jsonl", mimeType: "application/json", buffer: Buffer.from("{}") });
    await bring.getByText("x.jsonl, 2 B").waitFor();
    await bring.getByRole("button", { name: "Import" }).click();
    await bring.getByText("27 spans of 9 traces, 1 score imported from 10 rows; 1 row could not be read.").waitFor();
    await bring.getByText("Rows that could not be read").click();
    await bring.getByText("line 7: it is not JSON").waitFor();
    // A preview, then a yes, then the job's progress and what came of it.
    const take = card("Take something out of stored traces");
    await take.getByLabel("Personal data").uncheck();
    await take.getByRole("button", { name: "See what would change" }).click();
    await take.getByText("Say what is to be taken out.").waitFor();
    await take.getByLabel("Texts that match").fill("T-[0-9]+");
    await take.getByRole("button", { name: "See what would change" }).click();
    const sure = page.getByRole("dialog", { name: "Redact these traces?" });
    await sure.getByText("31 spans of 12 traces would be changed; 40 looked at.").waitFor();
    await shot(page, "redact-sure-light");
    await accessible(page, "what a redaction would change");
    await sure.getByRole("button", { name: "Redact", exact: true }).click();
    await take.getByText("31 spans of 12 traces changed; 40 looked at.").waitFor();
    const price = card("Price calls anew");
    await price.getByLabel("From").fill("2026-01-01");
    await price.getByRole("button", { name: "See what would change" }).click();
    const anew = page.getByRole("dialog", { name: "Price these calls anew?" });
    await anew.getByText(/120 calls of 900 would cost something else: \$1.50 would become \$1.25/).waitFor();
    await anew.getByRole("button", { name: "Price anew" }).click();
    await price.getByText(/120 calls of 900 cost something else now/).waitFor();
    await shot(page, "correcting-done-light");
    await accessible(page, "what corrections did");
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async signals() {
    const { browser, page, complaints } = await start("/logs");
    const table = page.getByRole("region", { name: "Log records" });
    await table.getByText("order 4711 was accepted").first().waitFor();
    assert.equal(await table.getByRole("row").count(), 101);
    await page.getByRole("button", { name: "More records" }).click();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 150);
    // A record opens where it stands, and a filter narrows the list.
    await table.getByText("order 4711 was accepted").first().click();
    await page.getByLabel("Record 1", { exact: true }).waitFor();
    await shot(page, "logs-open-light");
    await accessible(page, "an open log record");
    await page.getByLabel("Severity").selectOption("17");
    await page.waitForURL(/severity=17/);
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 25);
    await page.getByLabel("Service").fill("desk");
    await page.keyboard.press("Enter");
    await page.waitForURL(/service=desk/);
    await page.getByText("No record matches").waitFor();
    await page.getByRole("link", { name: "Clear filters" }).click();
    await table.getByRole("link", { name: "gen_ai.user.message" }).first().click();
    await page.getByRole("button", { name: "Remove filter event gen_ai.user.message" }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 25);
    await table.getByRole("link", { name: /00005$/ }).first().click();
    await page.waitForURL(/traces\/0{31}5/);
    await page.getByRole("link", { name: "Logs", exact: true }).last().click();
    await page.waitForURL(/logs\?trace=0{31}5/);
    await page.getByRole("button", { name: /^Remove filter trace/ }).waitFor();
    // Metrics: from the list to one of them, split, with another measure.
    await page.getByRole("link", { name: "Metrics", exact: true }).click();
    await page.getByRole("link", { name: "gen_ai.client.operation.duration" }).click();
    await page.getByText("Percentiles").waitFor();
    await page.getByLabel("Split by").selectOption("model");
    await page.waitForURL(/by=model/);
    await page.getByLabel("Draw").selectOption("p99");
    await page.waitForURL(/measure=p99/);
    await page.getByRole("region", { name: "By model" }).getByText("(none)").waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async dashboards() {
    const { browser, page, complaints } = await start("/dashboards");
    await page.getByRole("region", { name: "Latency" }).waitFor();
    await page.getByLabel("Split by").selectOption("model");
    await page.waitForURL(/by=model/);
    await page.getByRole("list", { name: "Colours" }).getByText("others").waitFor();
    await page.getByLabel("Latency: which").selectOption("p99");
    await page.waitForURL(/latency=p99/);
    await settle(page);
    const box = await page.locator('[aria-label="Calls"] .u-over').boundingBox();
    await page.mouse.move(box.x + 40, box.y + 30);
    await page.mouse.down();
    await page.mouse.move(box.x + 200, box.y + 30, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/since=.*until=/);
    assert.equal(params(page).get("by"), "model");
    await page.getByRole("region", { name: "By model" }).getByRole("link", { name: "gpt-mock" }).click();
    await page.getByRole("button", { name: "Remove filter model gpt-mock" }).waitFor();
    // The same page again from its address.
    const address = page.url();
    await page.goto(`${base}/`);
    await page.goto(address);
    await page.getByRole("button", { name: "Remove filter model gpt-mock" }).click();
    await page.waitForURL((u) => !u.searchParams.has("model"));
    await page.getByRole("button", { name: "CSV" }).waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async people() {
    const { browser, page, complaints } = await start("/users");
    await page.getByLabel("Find a user by its beginning").fill("user-3");
    await page.waitForURL(/prefix=user-3/);
    await page.getByRole("link", { name: "user-4" }).waitFor({ state: "detached" });
    await page.getByRole("link", { name: "user-3" }).click();
    await page.waitForURL(/\/users\/user-3/);
    await page.getByRole("region", { name: "Sessions" }).getByRole("link").first().click();
    await page.waitForURL(/\/sessions\/session-/);
    const chat = page.getByRole("list", { name: "Conversation" });
    await chat.getByRole("link", { name: "Trace" }).first().click();
    await page.waitForURL(/\/traces\/[0-9a-f]{32}/);
    await page.goBack();
    await page.getByRole("button", { name: "Erase…" }).click();
    await page.getByText("12 traces of session").waitFor();
    await accessible(page, "erasing a session");
    await page.getByRole("dialog").getByRole("button", { name: "Erase" }).click();
    await page.waitForURL(/\/sessions$/);
    await browser.close();
    assert.deepEqual(complaints, []);
  },
};
