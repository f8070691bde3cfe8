import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { accessible, base, enter, mode, open, settle, shot } from "./browser.mjs";

const LONG = "answers-for-customers-of-the-enterprise-plan";

/** The gateway's pages, as [name, address, what must be seen]. */
export const GATEWAY_PAGES = [
  ["routes", "/gateway", "local/ticket-triage"],
  ["route", "/gateway/route?name=ticket-triage", "the model is overloaded"],
  ["route-arms", `/gateway/route?name=${LONG}`, "control × 9, candidate × 1"],
  ["route-edit", `/gateway/route?name=${LONG}&edit=1`, "Add an arm"],
  ["route-new", "/gateway/route", "What your programs send as the model"],
  ["providers", "/gateway/providers", "127.0.0.1:9000"],
  ["provider-edit", "/gateway/providers?edit=azure-europe", "Change azure-europe"],
  ["keys", "/gateway/keys", "first key"],
  ["budgets", "/gateway/budgets", "each user"],
  ["budget-edit", "/gateway/budgets?edit=project", "Refuse calls when it is spent"],
  ["budget-who", "/gateway/budgets?show=each-user", "user user-2"],
  ["spend", "/gateway/spend", "text-embedding-3-small"],
  ["spend-days", "/gateway/spend?by=day", "2026-01-04"],
  ["prices", "/gateway/prices", "claude-sonnet"],
  ["price", "/gateway/prices?model=claude-sonnet&provider=anthropic", "Calls that read more than 200k tokens"],
  ["prices-own", "/gateway/prices?tab=own", "own-1"],
  ["price-set", "/gateway/prices?tab=own&set=1", "Tiers (JSON)"],
  ["batches", "/gateway/batches", "Line 3 is not JSON"],
];

async function start(address) {
  await mode("full");
  const opened = await open();
  await enter(opened.page, address);
  return opened;
}

export const gateway = {
  async routing() {
    const { browser, page, complaints } = await start("/gateway");
    await page.getByRole("link", { name: "New route" }).click();
    await page.getByLabel("Model name").fill("fresh");
    await page.getByLabel("Strategy").selectOption("sticky");
    await page.getByLabel("Stays by").selectOption("session");
    await page.getByLabel("Target 1: provider").selectOption("mock");
    await page.getByLabel("Target 1: model", { exact: true }).fill("gpt-mock");
    await page.getByRole("button", { name: "Add a target" }).click();
    await page.getByLabel("Target 2: kind").selectOption("route");
    await page.getByLabel("Target 2: route").selectOption("ticket-triage");
    await page.getByRole("button", { name: "Move Target 2 up" }).click();
    await page.getByText("Retries, timeouts, limits and hedges").click();
    await page.getByLabel("Hedge after (ms)").fill("750");
    await page.getByText("Copies: another model").click();
    await page.getByLabel("Send copies").check();
    await accessible(page, "a new route");
    await shot(page, "route-form-light");
    await page.getByLabel("Provider", { exact: true }).selectOption("azure-europe");
    await page.getByLabel("Its model").fill("gpt-5-mini");
    await page.getByRole("button", { name: "Save route" }).click();
    await page.waitForURL(/\/gateway\/route\?name=fresh/);
    await page.getByText("via ticket-triage").or(page.getByRole("cell", { name: "ticket-triage", exact: true })).first().waitFor();
    await page.getByText("100 % to azure-europe/gpt-5-mini").waitFor();
    await page.getByText("750", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Edit" }).click();
    await page.getByLabel("A/B test").check();
    await page.getByLabel("Target of arm 1 1: provider").selectOption("mock");
    await page.getByLabel("Target of arm 1 1: model").fill("gpt-mock");
    await page.getByLabel("Target of arm 2 1: provider").selectOption("local");
    await page.getByLabel("Target of arm 2 1: model").fill("ticket-triage");
    await page.getByRole("button", { name: "Save route" }).click();
    await page.getByText("control × 9, candidate × 1").waitFor();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete route" }).click();
    await page.getByText("Route deleted").waitFor();
    await page.getByRole("region", { name: "Routes" }).waitFor();
    await page.getByRole("link", { name: "fresh" }).waitFor({ state: "detached" });
    await browser.close();
    // The playground is not asked for a deleted route; nothing but the page's own reads went wrong.
    assert.deepEqual(complaints.filter((c) => !/status of 404/.test(c)), []);
  },

  async providers() {
    const { browser, page, complaints } = await start("/gateway/providers");
    await page.getByRole("link", { name: "New provider" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("groq");
    await dialog.getByLabel("Kind").fill("nothing");
    await dialog.getByLabel("Key", { exact: true }).fill("gsk-secret");
    await dialog.getByRole("button", { name: "Save provider" }).click();
    await dialog.getByText("Known: openai, anthropic, local.").waitFor();
    await accessible(page, "a refused provider");
    await dialog.getByLabel("Options (JSON)").fill("[");
    assert.ok(await dialog.getByRole("button", { name: "Save provider" }).isDisabled(), "options that are not JSON are not sent");
    await dialog.getByLabel("Options (JSON)").fill('{"timeout": 30}');
    await dialog.getByLabel("Kind").fill("groq");
    await dialog.getByRole("button", { name: "Save provider" }).click();
    await page.getByRole("cell", { name: "sealed" }).nth(1).waitFor();
    await page.getByRole("button", { name: "Edit groq" }).click();
    await dialog.getByText("Keep it").waitFor({ state: "attached" });
    assert.equal(await page.getByText("gsk-secret").count(), 0, "a stored key is not shown");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Test azure-europe" }).click();
    await page.getByText(/azure-europe: The provider answered 401/).waitFor();
    await page.getByRole("button", { name: "Test mock" }).click();
    await page.getByText(/mock: answers \(42 ms\)/).waitFor();
    await page.getByRole("button", { name: "Remove groq" }).click();
    await dialog.getByRole("button", { name: "Remove provider" }).click();
    await page.getByText("Provider removed").waitFor();
    await browser.close();
    assert.deepEqual(complaints.filter((c) => !/status of 400/.test(c)), []);
  },

  async keys() {
    const { browser, page, complaints } = await start("/gateway/keys");
    await page.getByRole("link", { name: "New key" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("ci");
    await dialog.getByLabel("Ends after (days)").fill("30");
    await dialog.getByText("Limits", { exact: true }).click();
    await dialog.getByLabel("Requests a minute").fill("120");
    await dialog.getByRole("button", { name: "Create key" }).click();
    await page.getByText(/psk_0123/).waitFor();
    await accessible(page, "new key");
    await shot(page, "key-new-light");
    await page.getByRole("button", { name: "Done" }).click();
    assert.equal(await page.getByText(/psk_0123456789abcdef0123/).count(), 0, "a key is shown once");
    await page.getByText("120 req/min").waitFor();
    await page.getByRole("button", { name: "Limits of ci" }).click();
    await dialog.getByLabel("Calls at once").fill("4");
    await dialog.getByRole("button", { name: "Save limits" }).click();
    await page.getByText("120 req/min, 4 at once").waitFor();
    await page.getByRole("button", { name: "Rotate ci" }).click();
    await dialog.getByLabel("The old secret stops working").selectOption("after an hour");
    await accessible(page, "rotating a key");
    await dialog.getByRole("button", { name: "Rotate key" }).click();
    await page.getByText(/psk_9876/).waitFor();
    await page.getByRole("button", { name: "Done" }).click();
    await page.getByRole("button", { name: "Revoke ci" }).click();
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await page.getByText("revoked", { exact: true }).waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async budgets() {
    const { browser, page, complaints } = await start("/gateway/budgets");
    await page.getByRole("link", { name: "New budget" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("research");
    await dialog.getByLabel("US dollars").fill("75");
    await dialog.getByLabel("For").selectOption("key");
    await dialog.getByLabel("Which").selectOption("first key");
    await dialog.getByLabel("Alerts at (%)").fill("50, 90");
    await accessible(page, "a new budget");
    await dialog.getByRole("button", { name: "Save budget" }).click();
    await page.getByRole("cell", { name: "$75.00 a month" }).waitFor();
    await page.getByRole("button", { name: "Edit research" }).click();
    assert.equal(await dialog.getByLabel("Alerts at (%)").inputValue(), "50, 90");
    await dialog.getByLabel("US dollars").fill("80");
    await dialog.getByRole("button", { name: "Save budget" }).click();
    await page.getByRole("cell", { name: "$80.00 a month" }).waitFor();
    await page.getByRole("button", { name: "Delete research" }).click();
    await dialog.getByRole("button", { name: "Delete budget" }).click();
    await page.getByText("Budget deleted").waitFor();
    await page.getByRole("link", { name: "New limit" }).click();
    await dialog.getByLabel("Which").selectOption("chat");
    await dialog.getByLabel("Requests a minute").fill("90");
    await dialog.getByRole("button", { name: "Save limits" }).click();
    await page.getByText("90 req/min").waitFor();
    await page.getByText("is used up: $200.00 of $200").waitFor();
    await page.getByLabel("Webhook for alerts").fill("https://hooks.example.com/penstock");
    await page.getByRole("button", { name: "Send alerts to it" }).click();
    await page.getByText("shown this once").waitFor();
    await accessible(page, "a webhook for alerts");
    await page.getByRole("button", { name: "Delete webhook" }).click();
    await page.getByText("Webhook deleted").waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async spend() {
    const { browser, page, complaints } = await start("/gateway/spend");
    await page.getByRole("cell", { name: "gpt-mock", exact: true }).waitFor();
    await page.getByRole("link", { name: "User", exact: true }).click();
    await page.waitForURL(/by=user/);
    await page.getByRole("link", { name: "user-2" }).waitFor();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export CSV" }).click()]);
    const text = await readFile(await file.path(), "utf8");
    assert.match(text, /^user,calls,errors,/);
    assert.match(text, /\r\nuser-1,4000,0,812000,/);
    assert.match(text, /\r\n'=HYPERLINK\(1\),/, "a name that begins like a formula is only text");
    await page.getByRole("link", { name: "Project", exact: true }).click();
    await page.getByRole("cell", { name: "6,000" }).waitFor();
    assert.equal(await page.getByRole("cell", { name: "research" }).count(), 0, "a project without calls has no row");
    await page.getByRole("link", { name: "Model", exact: true }).click();
    await page.getByRole("link", { name: "Chart gpt-mock alone" }).click();
    await page.getByText("Cost of gpt-mock").waitFor();
    await settle(page);
    await accessible(page, "spend of one model");
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async prices() {
    const { browser, page, complaints } = await start("/gateway/prices");
    await page.getByText("Show all 181").waitFor();
    await page.getByLabel("Search models").fill("sonnet");
    await page.getByText("1 price,").waitFor();
    await page.getByRole("link", { name: "claude-sonnet" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("Last seen published on 2026-01-05").waitFor();
    await dialog.getByRole("button", { name: "Set a price of your own" }).click();
    assert.equal(await dialog.getByLabel("Input", { exact: true }).inputValue(), "3");
    await dialog.getByLabel("Input", { exact: true }).fill("2.5");
    await dialog.getByRole("button", { name: "Set price" }).click();
    await page.getByText("Price set; later calls are priced by it").waitFor();
    await page.goto(`${base}/gateway/prices?tab=own`);
    await page.getByRole("cell", { name: "$2.50" }).waitFor();
    await page.getByRole("button", { name: "Drop the price of claude-sonnet" }).click();
    await dialog.getByRole("button", { name: "Drop price" }).click();
    await page.getByText("Price dropped").waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },

  async batches() {
    const { browser, page, complaints } = await start("/gateway/batches");
    await page.getByText("815 of 2,000").waitFor();
    assert.equal(await page.getByRole("link", { name: "Results" }).getAttribute("href"), "/v1/files/file-out/content");
    await page.getByRole("button", { name: /^Cancel batch_/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel batch" }).click();
    await page.getByText("cancelling", { exact: true }).waitFor();
    await browser.close();
    assert.deepEqual(complaints, []);
  },
};
