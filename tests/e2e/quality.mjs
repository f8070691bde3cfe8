// Prompts, data, evaluation and people's judgement.
import assert from "node:assert/strict";
import { accessible, base, enter, mode, open, settle, shot } from "./browser.mjs";

export const QUALITY_PAGES = [
  ["queues", "/annotation", "support-tone"],
  ["queue-new", "/annotation?new=1", "Add a question"],
  ["queue", "/annotation/support-tone", "substantial"],
  ["queue-items", "/annotation/support-tone?tab=items", "differ"],
  ["queue-item", "/annotation/support-tone?tab=items&item=qit_split", "Sounds short to me"],
  ["queue-decide", "/annotation/support-tone?tab=adjudicate&item=qit_split", "What holds"],
  ["queue-export", "/annotation/support-tone?export=1", "Make the version"],
  ["annotate", "/annotation/support-tone/work", "suggested"],
  ["annotate-pair", "/annotation/which-is-better/work", "Answer B"],
  ["prompt-parts", "/prompts/triage?version=3", "How it answers"],
  ["prompt-labels", "/prompts/triage?tab=labels", "Version 3 answered in German"],
  ["prompt-traffic", "/prompts/triage?tab=traffic", "4,810"],
  ["prompt-used", "/prompts/triage?tab=used", "escalation@4"],
  ["prompt-edit", "/prompts/triage?version=3&edit=1", "Save version"],
  ["prompts-none", "/prompts?q=nothing-like-it", "No prompt has"],
  ["playground-columns", "/playground?model=ticket-triage&versus=broken,ticket-triage|triage@2", "Add a column"],
  ["compare-rows", "/evaluations/compare?baseline=evl_01890002aaaabbbb&candidate=evl_01890003aaaabbbb&more=evl_01890001aaaabbbb&rows=worse", "worse by 1"],
  ["judges", "/evaluations?tab=judges", "Judges and people"],
  ["dataset-checks", "/datasets/tickets?version=2&tab=checks", "label is one of"],
  ["dataset-diff", "/datasets/tickets?version=2&tab=diff&key=id", "ticket-17"],
  ["dataset-beside", "/datasets/tickets?version=2&tab=profile&beside=1", "Near duplicates"],
  ["eval-running", "/evaluations/evl_running", "about 1 m 35 s"],
];
export const QUALITY_EMPTY = { queues: "No queues yet", judges: "No judge is calibrated yet" };
export const QUALITY_BROKEN = ["queues", "queue", "annotate"];

async function start(address, options) {
  await mode("full");
  const opened = await open(options);
  await enter(opened.page, address);
  return opened;
}

const chosen = (page, name) => page.getByRole("radio", { name, checked: true });
const left = (page) => page.getByText(/^\d+ of 37$/);

/** The item that follows is there, and its keys count. */
const another = (page, before) => page.waitForFunction((text) => document.querySelector(".item-content")?.innerText !== text && document.querySelector('.desk[aria-busy="false"]'), before);

export const quality = {
  async annotate() {
    const { browser, page, complaints } = await start("/annotation");
    await page.getByRole("link", { name: "Annotate support-tone" }).click();
    await page.getByText("charged twice for the Pro plan").waitFor();
    await left(page).waitFor();
    // An answer by keys alone: a choice, the next question by itself, a number, Enter.
    await page.keyboard.press("1");
    await chosen(page, /polite/).waitFor();
    await page.getByRole("region", { name: "helpfulness" }).and(page.locator("[aria-current]")).waitFor();
    await page.keyboard.press("5");
    await chosen(page, /^5/).waitFor();
    await page.keyboard.press("q");
    await page.keyboard.press("ArrowLeft");
    await chosen(page, /^4/).waitFor();
    // A comment, and a correction that starts at the answer.
    await page.keyboard.press("c");
    await page.keyboard.type("s is text here, 1 too");
    await page.keyboard.press("Escape");
    await page.keyboard.press("e");
    const correction = page.getByRole("textbox", { name: "correction" });
    assert.match(await correction.inputValue(), /I refunded the second payment/);
    await correction.fill("I am sorry. Both are refunded.");
    await page.getByText("draft saved").waitFor();
    await shot(page, "annotate-filled-light");
    await accessible(page, "annotating");
    await page.keyboard.press("Control+Enter");
    await page.getByText("crashes when I open the camera").waitFor();
    // Without an answer nothing is sent, and what is missing is said.
    await page.keyboard.press("Enter");
    await page.locator(".toasts").getByText("Still to answer: tone, helpfulness").waitFor();
    // The suggestion can be taken, and hidden.
    await page.keyboard.press("h");
    await page.waitForURL(/suggestions=0/);
    await page.getByText("Suggestions are hidden.").waitFor();
    assert.equal(await page.getByText("suggested", { exact: true }).count(), 0);
    await page.keyboard.press("a");
    assert.equal(await page.getByRole("radio", { checked: true }).count(), 0, "a hidden suggestion is not taken");
    await page.keyboard.press("h");
    await page.getByText("What judge-1 suggests is marked.").waitFor();
    await page.keyboard.press("a");
    await chosen(page, /polite/).waitFor();
    await page.keyboard.press("Enter");
    await page.getByText("move my workspace").waitFor();
    // Skip, and back to what was answered, with its answers.
    await page.keyboard.press("s");
    await page.getByText("single sign-on fails").waitFor();
    await page.keyboard.press("u");
    await page.getByText("move my workspace").waitFor();
    await page.keyboard.press("u");
    await page.getByText("crashes when I open the camera").waitFor();
    await chosen(page, /polite/).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
    await page.keyboard.press("Escape");
    // Twenty items by keys; Enter twice in a hurry does not lose one.
    for (let i = 0; i < 20; i++) {
      const before = await page.locator(".item-content").innerText();
      await page.keyboard.press("2");
      await page.keyboard.press("3");
      await page.keyboard.press("Enter");
      await page.keyboard.press("Enter");
      // The progress is also read every few seconds, so it may be new before the next item is there.
      await another(page, before);
    }
    // A draft is there again after the page was left.
    await page.keyboard.press("3");
    await page.getByText("draft saved").waitFor();
    await page.reload();
    await chosen(page, /rude/).waitFor();
    assert.ok(await page.getByRole("button", { name: /^Undo/ }).isEnabled(), "the way back survives a reload");
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  /** The same keys while the server takes its time: no wish is lost, and nothing is said of an item that is not seen. */
  async annotate_slowly() {
    const { browser, page, complaints } = await start("/annotation");
    const slowly = async (route) => {
      await new Promise((done) => setTimeout(done, 700));
      await route.continue();
    };
    await page.route("**/queues/**", slowly);
    await page.getByRole("link", { name: "Annotate support-tone" }).click();
    await page.getByText("What judge-1 suggests is marked.").waitFor();
    // Hidden and shown again before the server has answered: shown is what holds.
    await page.keyboard.press("h");
    await page.getByText("Suggestions are hidden.").waitFor();
    const again = page.waitForResponse((r) => r.url().endsWith("/next") && r.request().postDataJSON().suggestions);
    await page.keyboard.press("h");
    await again;
    await page.getByText("What judge-1 suggests is marked.").waitFor();
    await page.locator('.desk[aria-busy="false"]').waitFor();
    await page.keyboard.press("a");
    await chosen(page, /polite/).waitFor();
    // Its draft is on its way when it is submitted; what is pressed meanwhile is for neither item.
    await page.waitForRequest((r) => r.method() === "PUT" && r.url().endsWith("/draft"));
    const sent = [];
    page.on("request", (r) => r.method() !== "GET" && sent.push(`${r.method()} ${new URL(r.url()).pathname.split("/").at(-1)}`));
    const before = await page.locator(".item-content").innerText();
    await page.keyboard.press("Enter");
    await page.keyboard.press("3");
    await page.keyboard.press("Enter");
    await another(page, before);
    assert.equal(await page.getByRole("radio", { checked: true }).count(), 0, "the next item is untouched");
    assert.deepEqual(sent, ["POST answer", "POST next"]);
    await page.waitForTimeout(1500);
    assert.deepEqual(sent, ["POST answer", "POST next"], "no draft follows the answer");
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async pairs() {
    const { browser, page, complaints } = await start("/annotation/which-is-better/work");
    await page.getByRole("region", { name: "Answer A" }).waitFor();
    await page.keyboard.press("2");
    await page.locator(".item-answer.chosen").getByText("Is there anything else?").waitFor();
    await page.keyboard.press("Enter");
    await page.getByText("crashes when I open the camera").first().waitFor();
    await page.keyboard.press("3");
    await page.keyboard.press("Enter");
    await page.getByText("move my workspace").first().waitFor();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    await page.getByText("Nothing left for you here").waitFor();
    await accessible(page, "a finished queue");
    await shot(page, "annotate-finished-light");
    await page.keyboard.press("u");
    await chosen(page, /A is better/).waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async queues() {
    const { browser, page, complaints } = await start("/annotation?new=1");
    const dialog = page.getByRole("dialog", { name: "New queue" });
    await dialog.getByLabel("Name", { exact: true }).fill("support-tone");
    await dialog.getByLabel("Question 1: options").fill("only one");
    await dialog.getByRole("button", { name: "Make the queue" }).click();
    await dialog.getByText("needs at least two options").waitFor();
    await dialog.getByLabel("Question 1: options").fill("good, bad");
    await dialog.getByRole("button", { name: "Add a question", exact: true }).click();
    await dialog.getByLabel("Question 2: name").fill("stars");
    await dialog.getByLabel("Question 2: type").selectOption("number");
    await dialog.getByLabel("Question 2: from").fill("1");
    await dialog.getByLabel("Question 2: to").fill("5");
    await dialog.getByLabel("Add a question that is configured").selectOption("tone");
    await dialog.getByRole("button", { name: "Make the queue" }).click();
    await dialog.getByText("There is a queue support-tone already").waitFor();
    await accessible(page, "a refused queue");
    await dialog.getByLabel("Name", { exact: true }).fill("fresh");
    await dialog.getByRole("button", { name: "Make the queue" }).click();
    await page.waitForURL(/\/annotation\/fresh$/);
    await page.getByText("polite · neutral · rude").waitFor();
    // From the traces into the queue.
    await page.goto(`${base}/traces?range=all`);
    await page.getByRole("table", { name: "Traces" }).waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.getByRole("button", { name: "Add to queue…" }).first().click();
    const adding = page.getByRole("dialog", { name: "Add to an annotation queue" });
    await adding.getByLabel("Queue").selectOption("fresh");
    await settle(page);
    await accessible(page, "adding to a queue");
    await shot(page, "to-queue-light");
    await adding.getByRole("button", { name: "Add 2 traces" }).click();
    await page.getByText("2 items added to fresh").waitFor();
    // Deciding, then a dataset version.
    await page.goto(`${base}/annotation/support-tone?tab=adjudicate`);
    await page.getByRole("button", { name: /neutral \(or 1 other\)/ }).click();
    const deciding = page.getByRole("dialog", { name: "Decide" });
    await deciding.getByText("bob").first().waitFor();
    await chosen(deciding, /neutral/).waitFor();
    await deciding.getByRole("radio", { name: "2", exact: true }).click();
    await deciding.getByRole("button", { name: "Decide" }).click();
    await page.getByText("Nobody differs").waitFor();
    await page.getByRole("button", { name: "Suggest", exact: true }).click();
    await page.getByLabel("Model", { exact: true }).fill("ticket-triage");
    await page.getByRole("button", { name: "Suggest answers" }).click();
    await page.getByText("Suggestions are on their way").waitFor();
    await page.getByRole("button", { name: "Export…" }).click();
    const exporting = page.getByRole("dialog", { name: "Export support-tone" });
    await exporting.getByLabel("Dataset").fill("tickets");
    await exporting.getByLabel("Rows are").selectOption("sft");
    await exporting.getByRole("button", { name: "Make the version" }).click();
    await page.waitForURL(/\/datasets\/tickets\?version=2/);
    await page.getByText("12 rows in tickets@2; left out: 3 without an answer").waitFor();
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !/status of 409/.test(c)), []);
  },

  async prompting() {
    const { browser, page, complaints } = await start("/prompts/triage?version=3");
    // A protected label asks somebody else; a free one moves.
    await page.getByRole("button", { name: "Ask to point label here" }).click();
    await page.getByText("production is protected: somebody else must approve that it moves to version 3").waitFor();
    const mine = page.getByRole("button", { name: "Take back" });
    await mine.waitFor();
    assert.equal(await page.getByRole("button", { name: "Approve" }).last().isDisabled(), true, "nobody approves what they asked for");
    await page.getByLabel("Label", { exact: true }).fill("canary");
    await page.getByRole("button", { name: "Point label here" }).click();
    await page.getByText("canary now points at version 3").waitFor();
    await page.getByRole("button", { name: "Approve" }).first().click();
    await page.getByText("production now points at version 3").waitFor();
    await page.getByRole("link", { name: "Labels" }).click();
    await page.getByText("bob, approved by owner").waitFor();
    await page.getByRole("button", { name: "Roll back to version 2" }).click();
    await page.getByText("production points at version 2 again").waitFor();
    await page.getByRole("button", { name: "Stop protecting" }).click();
    await page.getByText("production moves freely").waitFor();
    await page.getByRole("button", { name: "Tags" }).click();
    await page.getByRole("textbox", { name: "Tags" }).fill("support, mail");
    await page.getByRole("button", { name: "Save tags" }).click();
    await page.getByRole("link", { name: "mail", exact: true }).click();
    await page.waitForURL(/\/prompts\?tag=mail/);
    await page.getByRole("link", { name: "triage" }).waitFor();
    // A version with a variable that is discovered while typing.
    await page.goto(`${base}/prompts/triage?version=3&edit=1`);
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Text").fill("{% for d in docs %}{{ d }}{% endfor %} {{ ticket }}");
    await dialog.getByLabel("Type of docs").selectOption("list");
    await dialog.getByLabel("Model settings (JSON)").fill("{");
    await dialog.getByRole("button", { name: "Save version" }).click();
    await dialog.getByText(/Model settings \(JSON\) is not JSON/).waitFor();
    await accessible(page, "editing a prompt");
    await dialog.getByLabel("Model settings (JSON)").fill('{"temperature": 1}');
    await dialog.getByLabel("What changed").fill("With documents");
    await dialog.getByRole("button", { name: "Save version" }).click();
    await page.waitForURL(/version=4/);
    await page.getByRole("cell", { name: "docs" }).waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async columns() {
    const { browser, page, complaints } = await start("/playground");
    await page.getByLabel("Message 1", { exact: true }).fill("Sort this: {{ ticket }}");
    await page.getByLabel("{{ ticket }}").fill("My invoice is wrong");
    await page.getByLabel("Compare with").selectOption("ticket-triage");
    await page.getByRole("button", { name: "Add a column" }).click();
    await page.getByLabel("Column 3 asks").selectOption({ label: "triage production (2)" });
    await page.waitForURL((u) => u.searchParams.get("versus") === "ticket-triage,ticket-triage|triage@2");
    const asked = [];
    page.on("request", (r) => r.url().endsWith("/v1/chat/completions") && asked.push(r.postDataJSON().messages));
    await page.keyboard.press("Control+Enter");
    await page.getByText("31 in · 12 out").nth(2).waitFor();
    assert.deepEqual(asked.map((m) => m[0].content).sort(), ["Sort this: My invoice is wrong", "Sort this: My invoice is wrong", "You sort support mail.\n\nMail:\nMy invoice is wrong"]);
    await settle(page);
    await shot(page, "playground-three-light");
    await accessible(page, "playground with three columns");
    await page.getByRole("button", { name: "Save as version" }).click();
    const dialog = page.getByRole("dialog", { name: "Save as a version" });
    await dialog.getByLabel("Prompt").fill("triage");
    await dialog.getByText(/variables ticket/).waitFor();
    await accessible(page, "saving a version");
    await dialog.getByRole("button", { name: "Save version" }).click();
    await page.waitForURL(/\/prompts\/triage\?version=4/);
    await page.getByText("Sort this: {{ ticket }}").waitFor();
    // A prompt's template, filled in by the server or to go on from.
    await page.goto(`${base}/playground?prompt=triage&version=2`);
    await page.getByLabel("ticket").fill("Where is my parcel?");
    await page.getByRole("button", { name: "Fill in “triage”" }).click();
    await page.waitForFunction(() => /Where is my parcel/.test(document.querySelector(".turns textarea").value));
    await page.getByRole("button", { name: "Edit its template" }).click();
    await page.waitForFunction(() => /\{\{ ticket \}\}/.test(document.querySelector(".turns textarea").value));
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async comparing() {
    const { browser, page, complaints } = await start("/evaluations/compare?baseline=evl_01890002aaaabbbb&candidate=evl_01890003aaaabbbb");
    await page.getByText("50 samples so far").waitFor();
    const first = page.locator(".samples > li").first();
    await first.getByText("worse by 1").waitFor();
    await first.locator("summary").click();
    await first.locator("del").getByText("high").waitFor();
    await first.locator("ins").getByText("low").waitFor();
    await page.getByLabel("Add a candidate").selectOption({ index: 1 });
    await page.waitForURL(/more=evl_/);
    await page.getByRole("region", { name: /^Differences of/ }).nth(1).waitFor();
    await page.locator(".samples > li").first().locator("summary").click();
    await page.getByRole("region", { name: /^Candidate 2/ }).waitFor();
    await settle(page);
    await shot(page, "compare-three-light");
    await accessible(page, "three runs compared");
    await page.getByRole("button", { name: "Load more" }).click();
    await page.getByRole("button", { name: "Load more" }).click();
    await page.getByText("121 samples", { exact: true }).waitFor();
    await page.getByRole("combobox", { name: "Samples" }).selectOption("apart");
    await page.getByText("only in the baseline").waitFor();
    await page.getByRole("combobox", { name: "Samples" }).selectOption("better");
    await page.getByText("20 samples", { exact: true }).waitFor();
    await page.getByLabel("Sorted by loss of").selectOption("valid_structure");
    await page.waitForURL(/metric=valid_structure/);
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async data() {
    const { browser, page, complaints } = await start("/datasets/tickets?version=2&tab=checks");
    await page.getByText("12 of 4,200 rows do not meet it").waitFor();
    await page.getByRole("button", { name: "Change" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Checks (JSON)").fill("{}");
    await dialog.getByRole("button", { name: "Save checks" }).click();
    await dialog.getByText("Checks must be a list").waitFor();
    await dialog.getByLabel("Checks (JSON)").fill('[{"check": "range", "column": "age", "min": 0}]');
    await dialog.getByLabel("When one is not met").selectOption("quarantine");
    await accessible(page, "changing checks");
    await shot(page, "dataset-checks-edit-light");
    await dialog.getByRole("button", { name: "Save checks" }).click();
    await page.getByText("age is at least 0").waitFor();
    await page.getByRole("button", { name: "Check again" }).click();
    await page.getByText("Queued: the result appears here").waitFor();
    await page.getByRole("link", { name: "Changes" }).click();
    await page.locator(".row-diff").first().waitFor();
    await page.getByLabel("Rows are the same by").selectOption("id");
    await page.waitForURL(/key=id/);
    await page.getByRole("combobox", { name: /^Show/ }).selectOption("changed");
    await page.locator(".row-diff del").getByText("high").first().waitFor();
    await page.getByRole("link", { name: "Profile" }).click();
    await page.getByLabel("Beside").selectOption("1");
    await page.getByRole("cell", { name: "Near duplicates", exact: true }).waitFor();
    await page.waitForURL(/beside=1/);
    await browser.close();
    assert.deepEqual(complaints, []);
  },
};
