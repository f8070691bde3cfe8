// Whole journeys on a real server with an empty home: nothing is scripted but the model behind the gateway.
import assert from "node:assert/strict";
import { accessible, base, enter, open, settle, shot } from "./browser.mjs";

/** What the background does may take long on a machine that is busy otherwise. */
const LONG = { timeout: 180_000 };
/** A trace is written after its answer: the playground asks for its cost until it is there. */
const NOT_YET = /status of 404 .*\/api\/v1\/traces\/[0-9a-f]{32}\)$/;
const theme = process.env.PENSTOCK_E2E_THEME ?? "light";

/** What is open now, to tell how it looked when something failed. */
let now;

async function start() {
  const opened = await open({ theme });
  now = opened;
  opened.page.setDefaultTimeout(60_000);
  await enter(opened.page);
  /** Look at the page as it is: whole, accessible, in a picture. */
  opened.look = async (name) => {
    await settle(opened.page);
    await shot(opened.page, `${name}-${theme}`);
    await accessible(opened.page, name);
  };
  return opened;
}

const told = (page, text) => page.locator(".toasts").getByText(text).waitFor(LONG);
const menu = (page, name) => page.getByRole("navigation", { name: "Main" }).getByRole("link", { name, exact: true }).click();
const tab = (page, name) => page.getByRole("link", { name, exact: true }).first().click();

/** A prompt's version from the playground: tried on one ticket, then saved. */
async function keepPrompt(page, system, version) {
  if (version === 1) {
    await page.getByRole("button", { name: "Add a system prompt" }).click();
    await page.getByLabel("Message 2", { exact: true }).fill("{{ ticket }}");
    await page.getByLabel("{{ ticket }}").fill("Ticket 1: a question about my parcel");
  }
  await page.getByLabel("Message 1", { exact: true }).fill(system);
  await page.keyboard.press("Control+Enter");
  await page.getByRole("link", { name: "Trace", exact: true }).waitFor();
  await page.getByRole("button", { name: "Save as version" }).click();
  const dialog = page.getByRole("dialog", { name: "Save as a version" });
  await dialog.getByLabel("Prompt").fill("triage");
  await dialog.getByLabel("What changed").fill(system);
  await dialog.getByRole("button", { name: "Save version" }).click();
  await told(page, `Version ${version} of triage is saved`);
  await page.waitForURL(new RegExp(`/prompts/triage\\?version=${version}`));
}

/** Twenty answers judged by keys alone; returns how many were wrong. */
async function annotate(page, look) {
  let wrong = 0;
  const progress = page.locator(".desk-progress");
  for (let i = 0; i < 20; i++) {
    await progress.getByText(`${i} of 20`, { exact: true }).waitFor();
    const said = await page.getByRole("region", { name: "Answer", exact: true }).locator("pre, .message-text").first().innerText();
    const right = await page.getByRole("region", { name: "Reference" }).locator("pre, .message-text").first().innerText();
    if (said === right) await page.keyboard.press("1");
    else {
      wrong += 1;
      await page.keyboard.press("2");
      await page.getByRole("radio", { name: "bad", checked: true }).waitFor();
      await page.keyboard.press("e");
      const correction = page.getByRole("textbox", { name: "better_answer" });
      await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "better_answer");
      assert.equal(await correction.inputValue(), said, "a correction starts at the answer");
      await page.keyboard.press("Control+a");
      await page.keyboard.type(right);
      if (wrong === 1) await look("journey-annotate");
      await page.keyboard.press("Control+Enter");
      continue;
    }
    await page.getByRole("radio", { name: "good", checked: true }).waitFor();
    await page.keyboard.press("Enter");
  }
  await page.getByText("Nothing left for you here").waitFor();
  return wrong;
}

/** A base model of the server's disk, and rows to train on. */
async function bring(page, look) {
  await menu(page, "Models");
  await page.getByText("No models yet").waitFor();
  await page.getByRole("button", { name: "Import a model" }).click();
  const importing = page.getByRole("dialog", { name: "Import a model" });
  await importing.getByLabel("From").selectOption("folder");
  await importing.getByLabel("Folder").fill(process.env.PENSTOCK_E2E_MODEL);
  await importing.getByLabel("Name here").fill("tiny-base");
  await look("journey-import");
  await importing.getByRole("button", { name: "Import", exact: true }).click();
  await page.getByRole("link", { name: "tiny-base", exact: true }).waitFor(LONG);
  await page.goto(`${base}/datasets?upload=1`);
  const upload = page.getByRole("dialog", { name: "Upload a file" });
  await upload.getByLabel("File", { exact: true }).setInputFiles(process.env.PENSTOCK_E2E_FILE);
  await upload.getByRole("button", { name: "Upload", exact: true }).click();
  await told(page, "24 rows are drinks@1");
}

/** One run is watched, another follows with changes; they are compared. */
async function learn(page, look) {
  await menu(page, "Training");
  await page.getByRole("link", { name: "Start a run" }).click();
  await page.getByLabel("Ready recipe").selectOption("sft-full");
  const text = page.getByLabel("Recipe (YAML)");
  await page.waitForFunction(() => /method: sft/.test(document.querySelector("textarea").value));
  await page.getByLabel("Name", { exact: true }).fill("triage");
  await page.getByLabel("Base model").fill("tiny-base@1");
  await page.getByLabel("Dataset", { exact: true }).fill("drinks@1");
  await text.fill((await text.inputValue()).replace("epochs: 1", "epochs: 4").replace("batch_size: 16", "batch_size: 4").replace("max_length: 512", "max_length: 128"));
  await page.getByRole("button", { name: /^Preview/ }).click();
  await page.getByText("Every one of 24 rows can be trained on.").waitFor(LONG);
  await look("journey-preview");
  await page.getByRole("button", { name: "Start the run" }).click();
  await page.waitForURL(/\/training\/run_/);
  await page.getByRole("progressbar", { name: "Training progress" }).waitFor(LONG);
  await page.getByRole("link", { name: "triage@1" }).first().waitFor(LONG);
  await page.getByText("At the end").waitFor();
  await look("journey-run");
  await page.getByRole("link", { name: "Run again with changes" }).click();
  await page.waitForFunction(() => /method: sft/.test(document.querySelector("textarea").value));
  await text.fill((await text.inputValue()).replace(/^learning_rate: .*$/m, "learning_rate: 0.002"));
  await page.getByRole("button", { name: "Start the run" }).click();
  await page.getByRole("link", { name: "triage@2" }).first().waitFor(LONG);
  await menu(page, "Training");
  for (const model of ["triage@1", "triage@2"]) await page.getByRole("checkbox", { name: `Compare triage · ${model}` }).check();
  await page.getByRole("button", { name: "Compare 2 runs" }).click();
  await page.getByRole("link", { name: "Side by side" }).click();
  const recipes = page.getByRole("region", { name: "Recipe" });
  await recipes.getByText("learning rate").waitFor();
  for (const model of ["triage@1", "triage@2"]) await recipes.getByRole("columnheader", { name: `triage · ${model}` }).waitFor();
  await look("journey-runs-compared");
}

/** The better run's model moves to a stage; returns two variants of it, made and measured. */
async function refine(page, look) {
  await page.goto(`${base}/models/triage?version=2&tab=stage`);
  await page.getByRole("button", { name: "Move to a stage" }).click();
  const moving = page.getByRole("dialog");
  await moving.getByLabel("Stage").selectOption("staging");
  await moving.getByLabel("Comment").fill("The second run learns faster.");
  await moving.getByRole("button", { name: "Move", exact: true }).click();
  await told(page, "triage@2 is in staging");
  await look("journey-stage");
  await tab(page, "Variants");
  await page.getByRole("button", { name: "Make variants" }).click();
  const making = page.getByRole("dialog");
  await making.getByLabel("gguf q4_0").uncheck();
  await making.getByLabel("gguf f16").check();
  await look("journey-variants-new");
  await making.getByRole("button", { name: "Make and measure" }).click();
  const variants = page.getByRole("region", { name: "Variants" });
  await variants.getByRole("link", { name: "triage-gguf@2", exact: true }).waitFor(LONG);
  await page.getByText("succeeded", { exact: true }).first().waitFor(LONG);
  await page.getByText("Nothing was chosen: without a suite, quality was not judged.").waitFor();
  await look("journey-variants");
  const made = await variants.getByRole("link", { name: /^triage-gguf@/ }).allInnerTexts();
  assert.deepEqual(made, ["triage-gguf@1", "triage-gguf@2"]);
  return made;
}

/** Ask the deployment as one user; returns the status of the answer. */
const ask = (page, user) =>
  page.evaluate(async (name) => {
    const body = { model: "drinks", user: name, max_tokens: 4, messages: [{ role: "user", content: "tea" }] };
    return (await fetch("/v1/chat/completions", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })).status;
  }, user);

/** A version is deployed and answers. */
async function serve(page, look, model) {
  await menu(page, "Deployments");
  await page.getByRole("button", { name: "Deploy a model" }).click();
  const deploying = page.getByRole("dialog", { name: "Deploy a model" });
  await deploying.getByLabel("Name").fill("drinks");
  await deploying.getByLabel("Model version").fill(model);
  await look("journey-deploy");
  await deploying.getByRole("button", { name: "Deploy", exact: true }).click();
  await page.getByText("ready", { exact: true }).first().waitFor(LONG);
  await look("journey-deployment");
  assert.equal(await ask(page, "first"), 200);
}

/** Another version takes half of the calls, is watched, and is taken back with one click. */
async function release(page, look, model) {
  await page.goto(`${base}/releases?new=1&deployment=drinks`);
  const releasing = page.getByRole("dialog");
  await releasing.getByLabel("Name", { exact: true }).fill("half-precision");
  await releasing.getByLabel("Arm 2: model version").fill(model);
  await releasing.getByRole("button", { name: "Take metric 2 out" }).click();
  await releasing.getByLabel("Steps (%)").fill("50");
  await look("journey-release-new");
  await releasing.getByRole("button", { name: "Begin the release" }).click();
  await page.waitForURL(/\/releases\/rel_/);
  await page.getByText("running", { exact: true }).first().waitFor(LONG);
  await page.getByRole("img", { name: "Traffic: stable 50 %, candidate 50 %" }).waitFor();
  for (let i = 0; i < 24; i++) assert.equal(await ask(page, `user-${i}`), 200);
  await page.waitForFunction(() => [...document.querySelectorAll(".facts > div")].some((f) => f.querySelector("dt").textContent === "Calls" && Number(f.querySelector("dd").textContent) >= 20), undefined, LONG);
  await look("journey-release");
  await page.getByRole("button", { name: "Roll back now" }).click();
  await page.getByText("rolled back", { exact: true }).waitFor();
  await page.getByRole("img", { name: "Traffic: stable 100 %, candidate 0 %" }).waitFor();
  await look("journey-rolled-back");
  assert.equal(await ask(page, "last"), 200);
}

/** Run a journey; when it fails, say what the page showed. */
const recounted = (journey) => async () => {
  try {
    await journey();
  } catch (problem) {
    await shot(now.page, "journey-failed").catch(() => {});
    const seen = await now.page.locator("main").innerText().catch(() => "");
    throw new Error(`at ${now.page.url()}: ${problem.message}\nThe page showed:\n${seen.slice(0, 3000)}\nIt complained:\n${now.complaints.join("\n")}`, { cause: problem });
  }
};

const JOURNEYS = {
  /** Import a CSV, clean, version, evaluate two prompts, annotate 20 rows by keyboard, export pairs. */
  async quality_journey() {
    const { browser, page, complaints, look } = await start();
    const rows = Number(process.env.PENSTOCK_E2E_ROWS);
    // The file, with what could not be read.
    await menu(page, "Datasets");
    await page.getByText("No datasets yet").waitFor();
    await look("journey-datasets-empty");
    await page.getByRole("button", { name: "Upload a file" }).click();
    const upload = page.getByRole("dialog", { name: "Upload a file" });
    await upload.getByLabel("File", { exact: true }).setInputFiles(process.env.PENSTOCK_E2E_FILE);
    assert.equal(await upload.getByLabel("Dataset").inputValue(), "tickets");
    await upload.getByLabel("Key column").fill("id");
    await look("journey-upload");
    await upload.getByRole("button", { name: "Upload", exact: true }).click();
    await told(page, `${rows + 6} rows are tickets@1; 1 could not be read`);
    await page.waitForURL(/\/datasets\/tickets\?version=1/);
    await look("journey-dataset");
    await tab(page, "Recipe report");
    await page.getByRole("region", { name: "Rows left out" }).getByText("torn").waitFor();
    await look("journey-left-out");
    // Clean: tried first, then made.
    await page.getByRole("button", { name: "Clean" }).click();
    const clean = page.getByRole("dialog", { name: "Clean tickets@1" });
    await clean.getByLabel("Recipe (YAML)").fill("steps:\n  - {step: html}\n  - {step: exact_duplicates, columns: [question]}\n");
    await clean.getByRole("button", { name: "Try it" }).click();
    await clean.getByText(`All ${rows + 6} rows: ${rows} stay, 6 go.`).waitFor();
    await look("journey-clean");
    await clean.getByRole("button", { name: "Make the version" }).click();
    await told(page, "tickets@2 is registered");
    await tab(page, "Changes");
    await page.locator(".row-diff").first().waitFor();
    await look("journey-changes");
    // Two versions of a prompt, from the playground.
    await menu(page, "Playground");
    await keepPrompt(page, "Say what the ticket is about.", 1);
    await page.goBack();
    await page.getByRole("heading", { name: "Playground" }).waitFor();
    await page.goto(`${base}/playground?prompt=triage`);
    await page.getByRole("button", { name: "Edit its template" }).click();
    await page.waitForFunction(() => /Say what/.test(document.querySelector(".turns textarea").value));
    await page.getByLabel("{{ ticket }}").last().fill("Ticket 1: a question about my parcel");
    await keepPrompt(page, process.env.PENSTOCK_E2E_BRIEF, 2);
    await look("journey-prompt");
    // Both over every row.
    await page.goto(`${base}/prompts/triage?version=1`);
    await page.getByRole("link", { name: "Evaluate" }).click();
    const evaluate = page.getByRole("dialog", { name: "Evaluate" });
    await evaluate.getByLabel("Dataset").selectOption("tickets");
    await evaluate.getByRole("button", { name: "Add one to compare with" }).click();
    await evaluate.getByLabel("Answer 2: version").selectOption("2");
    await evaluate.getByLabel("{{ ticket }} is in").waitFor();
    await page.waitForFunction(() => ["question", "answer"].every((column) => [...document.querySelectorAll("dialog select")].some((s) => s.value === column)));
    assert.equal(await evaluate.getByLabel("{{ ticket }} is in").inputValue(), "question");
    assert.equal(await evaluate.getByLabel("Right answer is in").inputValue(), "answer");
    await look("journey-evaluate");
    await evaluate.getByRole("button", { name: "Evaluate all 2" }).click();
    await page.waitForURL(/\/evaluations\?picked=/);
    await page.getByRole("button", { name: "Compare the two" }).click(LONG);
    await page.waitForURL(/\/evaluations\/compare/);
    await page.getByText("better", { exact: true }).first().waitFor();
    await look("journey-compare");
    const baseline = new URL(page.url()).searchParams.get("baseline");
    await page.goto(`${base}/evaluations/${baseline}?tab=samples`);
    await page.getByLabel("Only wrong ones").check();
    await look("journey-samples");
    // People look at the weaker one's answers.
    await page.getByRole("link", { name: "Have people look" }).click();
    const queue = page.getByRole("dialog", { name: "New queue" });
    await queue.getByLabel("Name", { exact: true }).fill("look");
    await queue.getByLabel("At most").fill("20");
    await look("journey-queue-new");
    await queue.getByRole("button", { name: "Make the queue" }).click();
    await told(page, "The queue look is made, with 20 items");
    await page.getByRole("link", { name: "Annotate", exact: true }).click();
    const wrong = await annotate(page, look);
    assert.ok(wrong > 0, "the weaker prompt was wrong somewhere");
    await look("journey-annotated");
    // What they said becomes pairs, with the way back to each judgement.
    await page.getByRole("link", { name: "To the queue" }).click();
    await page.getByRole("button", { name: "Export…" }).click();
    const exporting = page.getByRole("dialog", { name: "Export look" });
    await exporting.getByLabel("Dataset").fill("triage-pairs");
    await exporting.getByLabel("Rows are").selectOption("preference");
    await exporting.getByRole("button", { name: "Make the version" }).click();
    await page.waitForURL(/\/datasets\/triage-pairs\?version=1/);
    await tab(page, "Rows");
    await page.getByRole("heading", { name: `${wrong} rows` }).waitFor();
    await page.getByRole("columnheader", { name: "rejected" }).waitFor();
    await look("journey-pairs");
    await tab(page, "Lineage");
    await page.getByText("queue").first().waitFor();
    await look("journey-pairs-lineage");
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !NOT_YET.test(c)), []);
  },

  /** Start a run, watch it, compare two, register, optimise, deploy, canary, roll back. */
  async loop_journey() {
    const { browser, page, complaints, look } = await start();
    await bring(page, look);
    await learn(page, look);
    const [first, other] = await refine(page, look);
    await serve(page, look, first);
    await release(page, look, other);
    await page.goto(`${base}/models/triage?version=2&tab=lineage`);
    await page.getByRole("region", { name: "Lineage graph" }).getByText("drinks", { exact: false }).first().waitFor();
    await look("journey-lineage");
    await browser.close();
    assert.deepEqual(complaints, []);
  },
};

export const journeys = Object.fromEntries(Object.entries(JOURNEYS).map(([name, journey]) => [name, recounted(journey)]));
