// Pipelines in a browser: found, started with parameters, watched to the end, cancelled and taken up again.
import assert from "node:assert/strict";
import { look, start } from "./loop.mjs";
import { accessible, base } from "./browser.mjs";

/** Every page of pipelines, as [name, address, what must be seen]. */
const PAGES = [
  ["pipelines", "/pipelines", "data → train → judge → candidate"],
  ["pipelines-failed", "/pipelines?state=failed", "The gate refused"],
  ["pipelines-none", "/pipelines?state=running", "No run is like that"],
  ["pipeline-start", "/pipelines?start=nightly", "It has to be given"],
  ["pipeline-new", "/pipelines?new=1", "A name and steps"],
  ["pipeline-waiting", "/pipelines/runs/pip_4", "Waiting for room on the machine"],
  ["pipeline-run", "/pipelines/runs/pip_3", "As it was written when it began"],
  ["pipeline-failed", "/pipelines/runs/pip_2", "below 0.8"],
];
const EMPTY = { pipelines: "No pipelines yet" };
const BROKEN = ["pipelines", "pipeline-run"];

/** `PENSTOCK_E2E_ONLY`: a pattern of pages' names, while working on some of them. */
const ONLY = PAGES.filter(([name]) => new RegExp(process.env.PENSTOCK_E2E_ONLY ?? "").test(name));

export const pipelines = {
  pipelines_light: async () => assert.deepEqual(await look(ONLY), []),
  pipelines_dark: async () => assert.deepEqual(await look(ONLY, { theme: "dark" }), []),
  pipelines_narrow: async () => assert.deepEqual(await look(ONLY, { width: 420 }), []),
  pipelines_empty: async () => assert.deepEqual(await look(ONLY.filter(([n]) => EMPTY[n]).map(([n, a]) => [n, a, EMPTY[n]]), { state: "empty" }), []),

  async pipelines_error() {
    const complaints = await look(ONLY.filter(([n]) => BROKEN.includes(n)).map(([n, a]) => [n, a, "The database did not answer"]), { state: "error" });
    assert.deepEqual(complaints.filter((c) => !/status of 500/.test(c)), [], "only the failed requests themselves are reported");
  },

  async pipelines() {
    const { browser, page, complaints } = await start("/pipelines");
    // Started by its name; what the server refuses is said in the form.
    await page.getByRole("button", { name: "Start nightly" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "suite" }).fill("none");
    await dialog.getByRole("button", { name: "Start the run" }).click();
    await dialog.getByText("There is no suite 'none'.").waitFor();
    await accessible(page, "a start that was refused");
    await dialog.getByRole("textbox", { name: "suite" }).fill("held-out");
    await dialog.getByRole("textbox", { name: "seed" }).fill("7");
    await dialog.getByRole("button", { name: "Start the run" }).click();
    await page.waitForURL(/\/pipelines\/runs\/pip_5/);
    // Watched to its end; each step leads to what it gave.
    const badge = page.locator("header.page-head .badge");
    await badge.getByText("succeeded").waitFor();
    const steps = page.getByRole("region", { name: "Steps" });
    assert.equal(await steps.getByRole("link", { name: "tickets@2" }).getAttribute("href"), "/datasets/tickets?version=2");
    assert.equal(await steps.getByRole("link", { name: "run_018900002222" }).getAttribute("href"), "/training/run_018900002222");
    assert.equal(await steps.getByRole("link", { name: "evl_01890003aaaabbbb" }).getAttribute("href"), "/evaluations/evl_01890003aaaabbbb");
    assert.equal(await page.getByRole("button", { name: "Cancel" }).count(), 0);
    // One that waits is cancelled, and goes on.
    await page.goto(`${base}/pipelines/runs/pip_4`);
    await page.getByRole("button", { name: "Cancel" }).click();
    await badge.getByText("cancelled").waitFor();
    await page.getByRole("button", { name: "Go on" }).click();
    await badge.getByText("waiting").waitFor();
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !/status of 404/.test(c)), []);
  },
};
