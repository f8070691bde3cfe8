// The model loop in a browser: train, search, compare, register, optimise, deploy, release, roll back.
import assert from "node:assert/strict";
import { accessible, base, enter, mode, open, settle, shot } from "./browser.mjs";

const MODEL = "/models/ticket-triage?version=3";

/** Every page of the loop, as [name, address, what must be seen]. */
const PAGES = [
  ["training-list", "/training", "Tick runs to compare"],
  ["training-picked", "/training?picked=run_018900001111,run_018900002222", "Compare 2 runs"],
  ["training-none", "/training?q=nothing-like-it", "No run is like that"],
  ["training-searches", "/training?tab=searches", "most eval.exact match"],
  ["training-hosted", "/training?tab=hosted", "ft:gpt-small:triage"],
  ["training-hosted-new", "/training?tab=hosted&new=1", "Send the rows"],
  ["training-new", "/training/new?recipe=sft-lora", "Look before you train"],
  ["training-new-search", "/training/new?recipe=sft-lora&search=1", "Start the search"],
  ["training-watch", "/training/run_018900001111", "Figures of training are no verdict"],
  ["training-machine", "/training/run_018900001111?tab=resources", "power"],
  ["training-inputs", "/training/run_018900002222?tab=inputs", "packages.torch"],
  ["training-artifacts", "/training/run_018900002222?tab=artifacts", "checkpoints/50/model.safetensors"],
  ["training-log", "/training/run_018900002222?tab=log", "step 115"],
  ["training-failed", "/training/run_018900003333", "ran out of memory"],
  ["training-compare", "/training/compare?ids=run_018900001111,run_018900002222,run_018900003333", "Side by side"],
  ["training-beside", "/training/compare?ids=run_018900001111,run_018900002222,run_018900003333&tab=table", "adapter.rank"],
  ["training-coordinates", "/training/compare?ids=run_018900001111,run_018900002222,run_018900003333&tab=coordinates", "what they reached"],
  ["training-search", "/training/searches/srch_1", "What mattered"],
  ["models-list", "/models", "support"],
  ["models-requests", "/models?tab=requests", "Held out 98.1 %"],
  ["models-rules", "/models?tab=rules", "exact_match (low end)"],
  ["models-rule", "/models?tab=rules&rule=0", "Into production: from staging"],
  ["models-import", "/models?import=1", "owner/name on the model hub"],
  ["model-card", MODEL, "Sorts support mail"],
  ["model-papers", `${MODEL}&tab=papers`, "signed, holds"],
  ["model-scan", "/models/ticket-triage?version=1&tab=files", "would import os.system"],
  ["model-stage", `${MODEL}&tab=stage`, "production is reached from staging"],
  ["model-variants", `${MODEL}&tab=variants`, "the cheapest by tokens_per_s"],
  ["model-make-variants", `${MODEL}&tab=variants&optimise=1`, "Make and measure"],
  ["model-map", `${MODEL}&tab=lineage`, "12 × trace"],
  ["deployment-new", "/deployments?new=1", "Also the model's name at the gateway"],
  ["deployment-replicas", "/deployments/ticket-triage?tab=replicas", "version 1, replica 1"],
  ["deployment-logs", "/deployments/ticket-triage?tab=logs", "request 59 took"],
  ["deployment-scale", "/deployments/ticket-triage?tab=scale&manifest=kubernetes", "kind: Deployment"],
  ["dataset-clean", "/datasets/tickets?version=2&clean=1", "Make the version"],
  ["dataset-pull", "/datasets/tickets?version=2&pull=1", "owner/name on the hub"],
  ["releases", "/releases", "shorter-prompt"],
  ["release-new", "/releases?new=1", "Begin the release"],
  ["release", "/releases/rel_1", "No harm above the margins"],
  ["release-stopped", "/releases/rel_2", "The split is not what it should be"],
  ["prompt-searches", "/evaluations?tab=optimise", "triage@2"],
  ["prompt-search-new", "/evaluations?tab=optimise&new=1&prompt=triage", "Search for better ones"],
  ["quota", "/deployments?tab=quota", "What it takes now"],
  ["keeping", "/settings?tab=keeping", "What is never stored"],
  ["evaluate", "/evaluations?new=1&dataset=tickets@2&answer=triage@3,triage@2|ticket-triage", "Evaluate all 2"],
  ["upload", "/datasets?upload=1", "A row that cannot be read"],
  ["queue-of-run", "/annotation?new=1&run=evl_01890003aaaabbbb", "The answers of this evaluation"],
  ["prompt-search", "/evaluations/optimisations/pop_1", "the prompt it began from"],
];
const EMPTY = {
  "training-list": "No training runs yet",
  "training-searches": "No searches yet",
  "training-hosted": "Nothing was fine-tuned at a provider",
  "models-list": "No models yet",
  "models-requests": "Nothing waits for approval",
  "models-rules": "There are no rules",
  keeping: "Nothing yet.",
  releases: "No releases yet",
  "prompt-searches": "No prompt was searched for yet",
};
const BROKEN = ["training-list", "training-searches", "training-new", "training-watch", "training-compare", "training-search", "models-list", "models-requests", "models-rules", "keeping", "quota", "model-card", "deployment-replicas", "releases", "release", "prompt-searches", "prompt-search"];

/** `PENSTOCK_E2E_ONLY`: a pattern of pages' names, while working on some of them. */
const ONLY = PAGES.filter(([name]) => new RegExp(process.env.PENSTOCK_E2E_ONLY ?? "").test(name));

const see = (page, text) => page.getByText(text).first().waitFor();

/** Look at `pages` in one mode of the server: each is seen whole, in a picture, and by axe. */
export async function look(pages, { theme = "light", state = "full", width } = {}) {
  await mode("full");
  const { browser, page, complaints } = await open({ theme, ...(width ? { width } : {}) });
  await enter(page);
  await mode(state);
  const problems = [];
  for (const [name, address, text] of pages) {
    try {
      await page.goto(base + address);
      await see(page, text);
      await settle(page);
      await shot(page, `${name}-${width ? "narrow" : state === "full" ? theme : state}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${name} scrolls sideways by ${wide} px`);
      await accessible(page, `${name} (${width ? "narrow" : theme})`);
    } catch (problem) {
      problems.push(`${name}: ${problem.message}`);
    }
  }
  await mode("full");
  await browser.close();
  if (problems.length) throw new Error(problems.join("\n"));
  return complaints;
}

export async function start(address, options) {
  await mode("full");
  const opened = await open(options);
  await enter(opened.page, address);
  return opened;
}

export const loop = {
  loop_light: async () => assert.deepEqual(await look(ONLY), []),
  loop_dark: async () => assert.deepEqual(await look(ONLY, { theme: "dark" }), []),
  loop_narrow: async () => assert.deepEqual(await look(ONLY, { width: 420 }), []),
  loop_empty: async () => assert.deepEqual(await look(ONLY.filter(([n]) => EMPTY[n]).map(([n, a]) => [n, a, EMPTY[n]]), { state: "empty" }), []),

  async loop_error() {
    const complaints = await look(ONLY.filter(([n]) => BROKEN.includes(n)).map(([n, a]) => [n, a, "The database did not answer"]), { state: "error" });
    assert.deepEqual(complaints.filter((c) => !/status of 500/.test(c)), [], "only the failed requests themselves are reported");
  },

  /** From a recipe to a run that is watched, paused and compared. */
  async train() {
    const { browser, page, complaints } = await start("/training");
    await page.getByRole("link", { name: "Start a run" }).click();
    await page.getByLabel("Ready recipe").selectOption("sft-lora");
    await page.waitForURL(/recipe=sft-lora/);
    const text = page.getByLabel("Recipe (YAML)");
    await page.waitForFunction(() => /method: sft/.test(document.querySelector("textarea").value));
    // A mistake is told with its line, and nothing can be started.
    const good = await text.inputValue();
    await text.fill(`${good}epochs 3`);
    await page.getByText(/^Line \d+: is not written as key: value/).waitFor();
    assert.ok(await page.getByRole("button", { name: "Start the run" }).isDisabled());
    await text.fill(good);
    await page.getByRole("button", { name: "Start the run" }).click();
    await page.getByText("base is missing.").waitFor();
    await page.getByLabel("Name", { exact: true }).fill("triage");
    await page.getByLabel("Base model").fill("tiny-base@1");
    await page.getByLabel("Dataset", { exact: true }).fill("tickets@2");
    assert.match(await text.inputValue(), /base: tiny-base@1/);
    // The preview by key: what is trained on is marked; the second example; problems by row.
    await text.press("Control+Enter");
    await page.getByText("Every one of 4,200 rows can be trained on.").waitFor();
    await page.locator("mark.trained", { hasText: "category: billing" }).waitFor();
    await page.getByRole("button", { name: "Next example" }).click();
    await page.waitForURL(/example=2/);
    await page.locator("mark.trained", { hasText: "category: bug" }).waitFor();
    await settle(page);
    await shot(page, "training-preview-light");
    await accessible(page, "a preview");
    await text.fill(`${await text.inputValue()}\nmax_length: 32\n`);
    await page.getByRole("button", { name: /^Preview/ }).click();
    await page.getByRole("cell", { name: "it has 71 tokens, more than max_length = 32" }).waitFor();
    await shot(page, "training-problems-light");
    await accessible(page, "a preview with problems");
    await text.fill((await text.inputValue()).replace("max_length: 32", ""));
    await page.getByRole("button", { name: "Start the run" }).click();
    await page.waitForURL(/\/training\/run_new/);
    // It says why it waits, then goes on by itself, until its model is there.
    await page.getByText("Waits: The project's quota is 2 training runs at once").waitFor();
    await page.getByRole("progressbar", { name: "Training progress" }).waitFor();
    await page.getByRole("link", { name: "ticket-triage@4" }).waitFor();
    await page.getByRole("button", { name: "Write a note" }).click();
    await page.getByRole("textbox", { name: "Note" }).fill("**Worth** keeping");
    await page.getByRole("button", { name: "Save note" }).click();
    await page.locator(".prose strong", { hasText: "Worth" }).waitFor();
    // Another one is paused, goes on, and is cancelled.
    await page.goto(`${base}/training/run_018900001111`);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel the run" }).click();
    await page.getByText("cancelled", { exact: true }).first().waitFor();
    await page.getByRole("button", { name: "Loss by ratio" }).click();
    await page.getByRole("button", { name: "Time", exact: true }).click();
    await page.waitForURL(/log=1.*x=time/);
    // Two beside each other.
    await page.goto(`${base}/training`);
    await page.getByRole("checkbox", { name: "Compare triage sft", exact: true }).check();
    await page.getByRole("checkbox", { name: "Compare triage sft wide" }).check();
    await page.getByRole("button", { name: "Compare 2 runs" }).click();
    await page.waitForURL(/compare\?ids=run_018900002222,run_018900003333/);
    await page.getByLabel("Add a run").selectOption("run_018900001111");
    await page.waitForURL(/ids=run_018900002222(,|%2C)run_018900003333(,|%2C)run_018900001111/);
    await page.getByRole("link", { name: "Side by side" }).click();
    await page.getByRole("region", { name: "Recipe" }).getByText("learning rate").waitFor();
    assert.equal(await page.getByRole("region", { name: "Recipe" }).getByText("seed").count(), 0, "what is the same is left out");
    await page.getByLabel("Also what is the same").check();
    await page.getByRole("region", { name: "Recipe" }).getByText("seed").waitFor();
    await page.getByRole("button", { name: "Take triage dpo out" }).click();
    await page.getByRole("columnheader", { name: "triage dpo" }).first().waitFor({ state: "detached" });
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !/status of 422/.test(c)), []);
  },

  async searching() {
    const { browser, page, complaints } = await start("/training/new?recipe=sft-lora&search=1");
    await page.waitForFunction(() => /method: sft/.test(document.querySelector("textarea").value));
    await page.getByLabel("Parameter 1: from").fill("1");
    await page.getByRole("button", { name: "Start the search" }).click();
    await page.getByText("learning_rate goes from 1 to 0.001").waitFor();
    await page.getByLabel("Parameter 1: from").fill("1e-5");
    await page.getByRole("button", { name: "Add an objective" }).click();
    await page.getByLabel("Objective 2: metric").fill("seconds");
    const asked = page.waitForRequest((r) => r.method() === "POST" && r.url().endsWith("/training/searches"));
    await page.getByRole("button", { name: "Start the search" }).click();
    const body = (await asked).postDataJSON();
    assert.deepEqual(body.space, { learning_rate: { type: "float", low: 1e-5, high: 1e-3, log: true }, "adapter.rank": { type: "choice", choices: [4, 8, 16, 32] } });
    assert.deepEqual(body.objectives.map((o) => o.metric), ["loss", "seconds"]);
    await page.waitForURL(/\/training\/searches\/srch_1/);
    // A trial of the plot is the same trial in the table; an axis narrows both.
    await page.getByRole("img", { name: /exact_match against seconds/ }).waitFor();
    await page.locator(".dot-mark.chosen circle").first().click();
    await page.waitForURL(/trial=\d+/);
    await page.locator("tr[aria-current]").waitFor();
    const axis = page.locator(".parallel .grip").first();
    const box = await axis.boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.up();
    await page.waitForURL(/only=learning_rate/);
    await page.getByRole("heading", { name: /^\d+ of 24 trials$/ }).waitFor();
    await settle(page);
    await page.locator(".parallel").scrollIntoViewIfNeeded();
    await shot(page, "training-search-narrowed-light");
    await page.getByRole("button", { name: "Show all" }).click();
    await page.getByRole("heading", { name: "24 trials" }).waitFor();
    await page.getByLabel("Up").selectOption("seconds");
    await page.getByRole("list", { name: "Importance of parameters" }).getByText("91 %").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Go on" }).waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  /** Cards, stages, approvals, variants and lineage. */
  async registry() {
    const { browser, page, complaints } = await start("/models");
    await page.getByLabel("Search models").fill("triage");
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=triage/);
    await page.getByRole("link", { name: "tiny-base" }).waitFor({ state: "detached" });
    await page.getByRole("link", { name: "ticket-triage", exact: true }).click();
    await page.getByRole("button", { name: "Edit the card" }).click();
    await page.getByLabel("Card (Markdown)").fill("# Ours\n\nSorts **everything**.");
    await page.getByRole("region", { name: "How the card reads" }).getByText("everything").waitFor();
    await accessible(page, "editing a card");
    await shot(page, "model-card-edit-light");
    await page.getByRole("button", { name: "Save card" }).click();
    await page.locator(".prose strong", { hasText: "everything" }).waitFor();
    // Checks that read every byte are jobs: the file one is at, then what it found.
    await page.getByRole("link", { name: "Files", exact: true }).click();
    await page.getByRole("button", { name: "Verify every byte" }).click();
    await page.getByText("Every byte is read in the background: model.safetensors").waitFor();
    await page.getByRole("alert").getByText("model.safetensors: 3 bytes are others.").waitFor();
    await accessible(page, "a check that found something");
    await shot(page, "model-verified-light");
    await page.getByRole("button", { name: "Scan again" }).click();
    await page.getByText("The files were scanned again.").waitFor();
    await page.getByRole("link", { name: "Stage", exact: true }).click();
    await page.getByRole("button", { name: "Move to a stage" }).click();
    const moving = page.getByRole("dialog");
    await moving.getByLabel("Stage").selectOption("production");
    await moving.getByText("from staging; triage held-out: exact_match (low end)").waitFor();
    await moving.getByLabel("Comment").fill("Held out 98.1 %");
    await accessible(page, "moving a version");
    await shot(page, "model-move-light");
    await moving.getByRole("button", { name: "Ask for the move" }).click();
    await page.getByText("Somebody else must approve that ticket-triage@3 moves to production").waitFor();
    await page.goto(`${base}/models?tab=requests`);
    assert.ok(await page.getByRole("button", { name: "Approve" }).nth(1).isDisabled(), "nobody approves what they asked for");
    await page.getByRole("button", { name: "Approve" }).first().click();
    await page.getByText("ticket-triage@3 is in production").waitFor();
    await page.goto(`${base}${MODEL}&tab=variants`);
    await page.getByText("the cheapest by tokens_per_s").waitFor();
    await page.getByRole("combobox", { name: "Cost" }).selectOption("size_bytes");
    await page.waitForURL(/cost=size_bytes/);
    await page.locator(".dot-mark.bad circle").first().click();
    await page.locator("tr[aria-current]").getByText("worse", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Make variants" }).click();
    const making = page.getByRole("dialog");
    await making.getByLabel("onnx int4").check();
    await making.getByLabel("More, with their options (JSON)").fill("[");
    await making.getByRole("button", { name: "Make and measure" }).click();
    await making.getByText(/Not JSON/).waitFor();
    await making.getByLabel("More, with their options (JSON)").fill("");
    assert.equal(await making.getByLabel("Threads").inputValue(), "1");
    assert.equal(await making.getByLabel("Memory (MiB)").getAttribute("placeholder"), "no limit");
    assert.ok(await making.getByLabel("Margin").isDisabled());
    await making.getByLabel("Judged by the suite").fill("triage held-out");
    for (const [name, value] of Object.entries({ "Quality is the metric": "exact", Margin: "0.02", Threads: "2", "Memory (MiB)": "2048", Priority: "5" })) await making.getByLabel(name).fill(value);
    await making.getByRole("button", { name: "Make and measure" }).click();
    await making.getByRole("alert").getByText(/needs the role admin.*Ask an owner/).waitFor();
    await accessible(page, "how variants are measured");
    await shot(page, "model-variants-measuring");
    await making.getByLabel("Priority").fill("-5");
    await making.getByRole("button", { name: "Make and measure" }).click();
    await page.waitForURL(/job=opt_2/);
    await page.getByText("Nothing is measured and judged yet.").waitFor();
    await page.goto(`${base}${MODEL}&tab=lineage`);
    await page.getByRole("region", { name: "Lineage graph" }).getByText("12 × trace").waitFor();
    await page.getByRole("button", { name: "Made from" }).click();
    await page.waitForURL(/direction=up/);
    await page.getByRole("link", { name: "triage sft" }).click();
    await page.waitForURL(/\/training\/run_018900002222/);
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !/status of 403/.test(c)), []);
  },

  /** Rules of stages, what is kept, and the quota, all by forms. */
  async governing() {
    const { browser, page, complaints } = await start("/models?tab=rules");
    const sent = (ending) => page.waitForRequest((r) => r.method() === "PUT" && r.url().endsWith(ending)).then((r) => r.postDataJSON());
    await page.getByRole("button", { name: "Change the rule for production" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Evaluation 1: min").fill("0.95");
    await dialog.getByRole("button", { name: "Add an evaluation" }).click();
    await dialog.getByRole("button", { name: "Save rule" }).click();
    await dialog.getByText("Evaluation 2 needs a suite.").waitFor();
    await accessible(page, "a rule that is not whole");
    await dialog.getByRole("button", { name: "Remove evaluation 2" }).click();
    await dialog.getByLabel("Others who approve").fill("2");
    await dialog.getByText(/triage held-out: exact_match \(low end\) ≥ 0\.95\d*, past its gate.*2 other people \(admin or above\) must approve/).waitFor();
    const rules = sent("/models/stages");
    await dialog.getByRole("button", { name: "Save rule" }).click();
    assert.deepEqual((await rules).items[0].evaluations, [{ suite: "triage held-out", metric: "exact_match", min: 0.95, max: null, bound: "low", gate: true }]);
    assert.equal((await rules).items.length, 2, "the other rule stays");
    await page.getByText("The rules are saved").waitFor();
    await page.getByRole("button", { name: "Add a rule" }).click();
    await dialog.getByRole("button", { name: "Save rule" }).click();
    await dialog.getByText("There is a rule for production already").waitFor();
    await dialog.getByLabel("Into the stage").selectOption("archived");
    await dialog.getByRole("button", { name: "Save rule" }).click();
    await page.getByRole("button", { name: "Remove the rule for archived" }).click();
    await page.getByRole("button", { name: "Remove the rule for archived" }).waitFor({ state: "detached" });
    // What is kept, sampled and masked: what the form does not know stays.
    await page.goto(`${base}/settings?tab=keeping`);
    const where = await page.getByLabel("Rule 2: where").inputValue();
    await page.getByLabel("Rule 2: where").fill("colour=red");
    await page.getByRole("button", { name: "Save policies" }).click();
    await page.getByText("busy production cannot look at colour").waitFor();
    await accessible(page, "policies that make no sense");
    await page.getByLabel("Rule 2: where").fill(where);
    await page.getByLabel("Rule 2: per cent").fill("5");
    await page.getByRole("button", { name: "Remove rule 1" }).click();
    await page.getByLabel("Days").fill("30");
    await page.getByRole("button", { name: "Add a key" }).click();
    await page.getByLabel("Key 3: name").fill("session");
    await page.getByLabel("Key 3: becomes").selectOption("hash");
    const policies = sent("/traces/policies");
    await page.getByRole("button", { name: "Save policies" }).click();
    const body = await policies;
    assert.deepEqual(body.retention, { days: 30, traces: null });
    assert.deepEqual(body.sampling.map((r) => [r.name, r.rate, r.keep.slower_than_ms]), [["busy production", 0.05, 5000]]);
    assert.deepEqual(Object.keys(body.masking.detectors).sort(), ["pii", "secrets", "shouting"]);
    assert.deepEqual(body.masking.keys[2], { key: "session", action: "hash" });
    await page.getByText("Saved: it holds within a second").waitFor();
    await page.goto(`${base}/deployments?tab=quota`);
    await page.getByLabel("Reserved memory (GiB)").fill("1.5");
    await page.getByLabel("Replicas").fill("");
    const quota = sent("/serving/quota");
    await page.getByRole("button", { name: "Save quota" }).click();
    assert.deepEqual(await quota, { replicas: null, memory_bytes: 1.5 * 1024 ** 3, gpus: null });
    await page.getByText("The quota is saved").waitFor();
    await page.getByLabel("Training runs at once").fill("1");
    const share = sent("/training/quota");
    await page.getByRole("button", { name: "Save training quota" }).click();
    assert.deepEqual(await share, { runs: 1 });
    await page.getByText("The quota of training is saved").waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async cleaning() {
    const { browser, page, complaints } = await start("/datasets/tickets?version=2");
    await page.getByRole("button", { name: "Clean" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Recipe (YAML)").fill("steps:\n  - {step: polish}\n");
    await dialog.getByRole("button", { name: "Try it" }).click();
    await dialog.getByText("There is no step 'polish'.").waitFor();
    await dialog.getByLabel("Recipe (YAML)").fill("steps:\n  - {step: exact_duplicates}\n  - step: redact\n");
    await dialog.getByRole("button", { name: "Try it" }).click();
    await dialog.getByText("The first 1,000 rows: 988 stay, 12 go.").waitFor();
    await accessible(page, "a recipe that was tried");
    await shot(page, "dataset-clean-tried-light");
    await dialog.getByRole("button", { name: "Make the version" }).click();
    await page.getByText("tickets@2 is registered").waitFor();
    await page.waitForURL(/tab=recipe/);
    await page.getByRole("button", { name: "Pull rows" }).click();
    await dialog.getByLabel("From").selectOption("sql");
    await dialog.getByLabel("Connection").fill("warehouse");
    await dialog.getByLabel("Query").fill("select * from tickets");
    const asked = page.waitForRequest((r) => r.url().endsWith("/datasets/tickets/pull"));
    await dialog.getByRole("button", { name: "Pull", exact: true }).click();
    assert.deepEqual((await asked).postDataJSON().sql, { connection: "warehouse", query: "select * from tickets" });
    await page.getByText("Queued: rows are pulled into tickets").waitFor();
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !/status of 422/.test(c)), []);
  },

  /** Deploy, scale, release, and one click back. */
  async releasing() {
    const { browser, page, complaints } = await start("/deployments/ticket-triage?tab=scale");
    await page.getByLabel("At least").fill("0");
    await page.getByRole("button", { name: "Scale by load" }).click();
    await page.getByText("ticket-triage gets 0 to 4 replicas").waitFor();
    await page.getByText("Sleeps after").waitFor();
    await page.getByRole("link", { name: "Replicas" }).click();
    await page.getByRole("link", { name: "version 1, replica 1" }).click();
    await page.waitForURL(/tab=logs&replica=1\.1/);
    await page.getByText("replica 1.1: request 3 took").waitFor();
    await page.goto(`${base}/releases?new=1`);
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).fill("triage v4");
    await dialog.getByLabel("Metric 1: harm").fill("0.01");
    await dialog.getByLabel("Deployment", { exact: true }).fill("ticket-triage");
    await dialog.getByRole("button", { name: "Begin the release" }).click();
    await dialog.getByText("candidate needs what it serves.").waitFor();
    await accessible(page, "a release without a candidate");
    await dialog.getByLabel("Arm 2: model version").fill("ticket-triage@4");
    await dialog.getByRole("button", { name: "Begin the release" }).click();
    await dialog.getByText("'triage v4' is not a name. Use letters, digits and . _ -, at most 100.").waitFor();
    await dialog.getByLabel("Name", { exact: true }).fill("triage-v4");
    const asked = page.waitForRequest((r) => r.method() === "POST" && r.url().endsWith("/releases"));
    await dialog.getByRole("button", { name: "Begin the release" }).click();
    const body = (await asked).postDataJSON();
    assert.deepEqual(body.steps, [{ weight: 0.05 }, { weight: 0.25 }, { weight: 0.5 }]);
    assert.deepEqual(body.arms, [{ name: "stable" }, { name: "candidate", model: "ticket-triage@4" }]);
    assert.deepEqual(body.metrics[0], { name: "errors", direction: "", harm: 0.01 });
    await page.waitForURL(/\/releases\/rel_3/);
    await page.getByRole("button", { name: "Next step" }).click();
    await page.getByRole("img", { name: "Traffic: stable 75 %, candidate 25 %" }).waitFor();
    await page.getByRole("button", { name: "Promote" }).click();
    await page.getByText("The model of the deployment ticket-triage will be").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Keep as it is" }).click();
    // One click takes it back, and it is written down.
    await page.getByRole("button", { name: "Roll back now" }).click();
    await page.getByText("rolled back", { exact: true }).waitFor();
    await page.getByRole("img", { name: "Traffic: stable 100 %, candidate 0 %" }).waitFor();
    await page.getByRole("list", { name: "Decisions" }).getByText("roll back", { exact: true }).waitFor();
    await page.goto(`${base}/releases/rel_1`);
    await page.locator(".evidence summary").first().click();
    await page.getByText("looks", { exact: true }).waitFor();
    // A better prompt becomes a version.
    await page.goto(`${base}/evaluations/optimisations/pop_1`);
    await page.getByRole("button", { name: "c1", exact: true }).click();
    await page.waitForURL(/candidate=c1/);
    await page.getByRole("button", { name: "Accept c1" }).click();
    await page.getByText("not shown to be better than the prompt it began from").waitFor();
    await accessible(page, "accepting a prompt");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "c3", exact: true }).click();
    await page.getByRole("button", { name: "Accept c3" }).click();
    await page.getByRole("button", { name: "Make it a version" }).click();
    await page.waitForURL(/\/prompts\/triage\?version=3/);
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !/status of 400/.test(c)), []);
  },
};
