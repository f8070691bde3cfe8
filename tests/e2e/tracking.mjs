// Experiments and their runs in a browser: found, compared, noted, looked into.
import assert from "node:assert/strict";
import { look, start } from "./loop.mjs";
import { accessible, base, settle, shot } from "./browser.mjs";

const LIST = "/experiments/xpt_spam";
const RUN = "/experiments/runs/xrn_1";
const COMPARED = "/experiments/compare?ids=xrn_1,xrn_2,xrn_3";

/** Every page of experiments, as [name, address, what must be seen]. */
const PAGES = [
  ["experiments", "/experiments", "ticket sorting"],
  ["experiments-deleted", "/experiments?state=deleted", "first tries"],
  ["experiments-none", "/experiments?q=nothing-like-it", "No experiment is like that"],
  ["experiment-new", "/experiments?new=1", "Make the experiment"],
  ["experiment", LIST, "net deep"],
  ["experiment-ticked", `${LIST}?picked=xrn_1,xrn_2&sort=-m:val/loss`, "Compare 2 runs"],
  ["experiment-curves", `${LIST}?tab=curves`, "val accuracy"],
  ["experiment-coordinates", `${LIST}?tab=coordinates`, "what they reached"],
  ["experiment-about", `${LIST}?tab=about`, "Which net for the"],
  ["experiment-empty", "/experiments/xpt_sorting", "No runs yet"],
  ["tracked-run", RUN, "Best so far"],
  ["tracked-curves", `${RUN}?tab=curves&smooth=0.6`, "val accuracy"],
  ["tracked-machine", `${RUN}?tab=resources&x=time`, "cpu utilization"],
  ["tracked-inputs", `${RUN}?tab=inputs`, "tickets@2"],
  ["tracked-files", `${RUN}?tab=files&file=tables/history.csv`, "epoch"],
  ["tracked-json", `${RUN}?tab=files&file=report.json`, "confusion"],
  ["tracked-image", `${RUN}?tab=files&file=plots/curve.svg`, "SHA-256"],
  ["tracked-weights", `${RUN}?tab=files&file=weights/model.safetensors`, "are not shown here"],
  ["tracked-models", `${RUN}?tab=models`, "ticket-triage@3"],
  ["tracked-failed", "/experiments/runs/xrn_4", "NaN"],
  ["tracked-silent", "/experiments/runs/xrn_4", "Nothing was heard of the run's program"],
  ["tracked-compare", COMPARED, "Only what differs"],
  ["tracked-compare-curves", `${COMPARED}&tab=curves`, "val accuracy"],
  ["tracked-compare-coordinates", `${COMPARED}&tab=coordinates`, "what they reached"],
];
const EMPTY = { experiments: "No experiments yet" };
const BROKEN = ["experiments", "experiment", "tracked-run", "tracked-compare"];

/** `PENSTOCK_E2E_ONLY`: a pattern of pages' names, while working on some of them. */
const ONLY = PAGES.filter(([name]) => new RegExp(process.env.PENSTOCK_E2E_ONLY ?? "").test(name));

export const tracking = {
  tracking_light: async () => assert.deepEqual(await look(ONLY), []),
  tracking_dark: async () => assert.deepEqual(await look(ONLY, { theme: "dark" }), []),
  tracking_narrow: async () => assert.deepEqual(await look(ONLY, { width: 420 }), []),
  tracking_empty: async () => assert.deepEqual(await look(ONLY.filter(([n]) => EMPTY[n]).map(([n, a]) => [n, a, EMPTY[n]]), { state: "empty" }), []),

  async tracking_error() {
    const complaints = await look(ONLY.filter(([n]) => BROKEN.includes(n)).map(([n, a]) => [n, a, "The database did not answer"]), { state: "error" });
    assert.deepEqual(complaints.filter((c) => !/status of 500/.test(c)), [], "only the failed requests themselves are reported");
  },

  async experiments() {
    const { browser, page, complaints } = await start("/experiments");
    const title = page.getByRole("heading", { level: 1 });
    // One is made, renamed, deleted and brought back.
    await page.getByRole("button", { name: "New experiment" }).click();
    await page.getByRole("textbox", { name: "Name" }).fill("shorter mails");
    await page.getByRole("button", { name: "Make the experiment" }).click();
    await page.waitForURL(/\/experiments\/xpt_new/);
    await page.getByText('mlflow.set_experiment("shorter mails")').waitFor({ state: "detached" });
    await page.getByRole("button", { name: "MLflow's client" }).click();
    await page.getByText('mlflow.set_experiment("shorter mails")').waitFor();
    await page.getByRole("button", { name: "Rename" }).click();
    await page.getByRole("textbox", { name: "Name" }).fill("brief mails");
    await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
    await title.getByText("brief mails").waitFor();
    await page.getByRole("button", { name: "Delete" }).click();
    await accessible(page, "the question before an experiment is deleted");
    await page.getByRole("button", { name: "Delete it" }).click();
    await page.getByRole("link", { name: "spam filter" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "brief mails" }).count(), 0);
    await page.getByLabel("Shown", { exact: true }).selectOption("deleted");
    await page.getByRole("button", { name: "Restore brief mails" }).click();
    await page.getByRole("link", { name: "brief mails" }).waitFor({ state: "detached" });
    // Found by a part of its name; its runs ordered, filtered, ticked, and compared.
    await page.goto(`${base}/experiments`);
    await page.getByRole("searchbox", { name: "Search experiments" }).fill("spam");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "ticket sorting" }).waitFor({ state: "detached" });
    await page.getByRole("link", { name: "spam filter" }).click();
    await page.getByRole("button", { name: /^val\/loss/ }).click();
    await page.waitForURL(/sort=-m/);
    await page.getByRole("columnheader", { name: /val\/loss/ }).and(page.locator('[aria-sort="descending"]')).waitFor();
    await page.getByRole("button", { name: "Columns", exact: true }).click();
    await accessible(page, "the menu of columns");
    await page.getByRole("checkbox", { name: /^seed/ }).check();
    await page.keyboard.press("Escape");
    await page.getByRole("columnheader", { name: /seed/ }).waitFor();
    await page.getByRole("searchbox", { name: "Search runs" }).fill("net");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "broken" }).waitFor({ state: "detached" });
    for (const name of ["net wide", "net deep"]) await page.getByRole("checkbox", { name: `Tick ${name}` }).check();
    await page.getByRole("button", { name: "Compare 2 runs" }).click();
    await page.waitForURL(/compare\?ids=xrn_1(,|%2C)xrn_2/);
    const given = page.getByRole("region", { name: "Parameters" });
    await given.getByText("seed").waitFor();
    await page.getByLabel("Only what differs").check();
    await given.getByText("seed").waitFor({ state: "detached" });
    await given.getByText("lr", { exact: true }).waitFor();
    await page.getByLabel("Add a run").selectOption("xrn_3");
    await page.getByRole("columnheader", { name: "net small" }).first().waitFor();
    await page.getByRole("button", { name: "Take net deep out" }).click();
    await page.getByRole("columnheader", { name: "net deep" }).first().waitFor({ state: "detached" });
    // Runs that are deleted can be had back.
    await page.goto(`${base}${LIST}?picked=xrn_4`);
    await page.getByRole("button", { name: "Delete 1 run" }).click();
    await page.getByRole("link", { name: "broken" }).waitFor({ state: "detached" });
    await page.getByLabel("Shown", { exact: true }).selectOption("deleted");
    await page.getByRole("checkbox", { name: "Tick broken" }).check();
    await page.getByRole("button", { name: "Restore 1 run" }).click();
    await page.getByRole("link", { name: "broken" }).waitFor({ state: "detached" });
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async tracked() {
    const { browser, page, complaints } = await start("/experiments");
    // By keys alone: to the experiments, and into a run.
    await page.goto(`${base}/`);
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    await settle(page);
    await page.keyboard.press("g");
    await page.keyboard.press("z");
    await page.getByRole("link", { name: "spam filter" }).press("Enter");
    await page.getByRole("link", { name: "net wide" }).press("Enter");
    // The note that MLflow's client reads as well, and a tag.
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByRole("textbox", { name: "Note" }).fill("**Worth** keeping");
    const sent = page.waitForRequest((r) => r.method() === "PATCH");
    await page.getByRole("button", { name: "Save note" }).click();
    assert.deepEqual((await sent).postDataJSON(), { note: "**Worth** keeping" });
    await page.locator(".prose strong", { hasText: "Worth" }).waitFor();
    await page.getByRole("button", { name: "Add a tag" }).click();
    await page.getByLabel("Name of the tag").fill("stage");
    await page.getByLabel("Value of the tag").fill("second");
    await page.keyboard.press("Enter");
    await page.getByText("stage = second").waitFor();
    await page.getByRole("button", { name: "Take the tag stage away" }).click();
    await page.getByText("stage = second").waitFor({ state: "detached" });
    // Data, files and models lead on.
    await page.getByRole("link", { name: "Code and data" }).click();
    assert.equal(await page.getByRole("link", { name: /^0f3c1d2e/ }).getAttribute("href"), "https://git.example.org/ada/spam/commit/0f3c1d2e4b5a69788796a5b4c3d2e1f00112233f");
    await page.getByRole("link", { name: "tickets@2" }).click();
    await page.waitForURL(/\/datasets\/tickets\?version=2/);
    await page.goBack();
    await page.getByRole("link", { name: "Artifacts" }).click();
    await page.getByRole("button", { name: /pages/ }).click();
    await page.getByRole("button", { name: /report\.html/ }).click();
    await page.getByText("it is never opened here").waitFor();
    await page.getByText("<h1>hi</h1>").waitFor();
    assert.notEqual(await page.title(), "taken over");
    const href = await page.getByRole("link", { name: "Save" }).getAttribute("href");
    assert.match(href, /\/api\/v1\/runs\/xrn_1\/artifacts\/content\?path=pages%2Freport\.html/);
    await page.getByRole("button", { name: /plots/ }).click();
    await page.getByRole("button", { name: /curve\.svg/ }).click();
    const picture = page.getByRole("img", { name: "curve.svg" });
    await picture.waitFor();
    await page.waitForFunction(() => document.querySelector(".file-image")?.naturalWidth === 240);
    await page.getByRole("link", { name: "Models", exact: true }).last().click();
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByRole("button", { name: /README\.md/ }).click();
    await page.locator(".prose em", { hasText: "works" }).waitFor();
    await shot(page, "tracked-model-files-light");
    await accessible(page, "files of a logged model");
    await page.getByRole("link", { name: "ticket-triage@3" }).click();
    await page.waitForURL(/\/models\/ticket-triage\?version=3/);
    await browser.close();
    assert.deepEqual(complaints, []);
  },
};
