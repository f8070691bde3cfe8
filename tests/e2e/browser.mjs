// What every scenario uses: a real Chromium, sign-in, axe, pictures.
// PENSTOCK_E2E_URL: the server; PENSTOCK_E2E_SIGNIN: its one-time link (or token); PENSTOCK_E2E_SHOTS: folder for pictures.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const FRONTEND = new URL("../../frontend/package.json", import.meta.url);
const require = createRequire(FRONTEND);
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const base = process.env.PENSTOCK_E2E_URL;
const shots = process.env.PENSTOCK_E2E_SHOTS;
const signin = process.env.PENSTOCK_E2E_SIGNIN ?? "";

export async function open({ theme = "light", width = 1360, height = 860 } = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.PENSTOCK_E2E_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
  });
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce", timezoneId: "UTC", locale: "en-US", bypassCSP: false });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints = [];
  page.on("console", (m) => {
    // Chromium itself reports each failed request; scenarios that provoke errors say which they expect.
    if (m.type() === "error" || m.type() === "warning") complaints.push(`${m.type()}: ${m.text()} (${m.location().url})`);
  });
  page.on("pageerror", (e) => complaints.push(`exception: ${e.message}`));
  page.on("requestfailed", (r) => {
    if (r.failure()?.errorText !== "net::ERR_ABORTED") complaints.push(`failed: ${r.url()} ${r.failure()?.errorText}`);
  });
  return { browser, context, page, complaints };
}

export async function enter(page, next = "/") {
  const token = /[?&]token=([^&\s]+)/.exec(signin)?.[1] ?? signin;
  await page.goto(`${base}/signin?token=${token}&next=${encodeURIComponent(next)}`);
  await page.waitForURL((u) => u.pathname !== "/signin");
  await page.getByRole("navigation", { name: "Main" }).waitFor();
}

/** Let the page come to rest: no pending skeletons and two quiet frames. */
export async function settle(page) {
  await page.waitForFunction(() => !document.querySelector(".skeleton"), undefined, { timeout: 15_000 });
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 120)))));
}

export async function mode(value) {
  const response = await fetch(`${base}/fake/mode`, { method: "POST", body: JSON.stringify({ mode: value }) });
  assert.equal(response.status, 200);
}

/** WCAG A and AA; contrast that axe could not decide counts as failing. */
export async function accessible(page, where) {
  await page.evaluate(AXE + ";0").catch(async () => page.addScriptTag({ content: AXE }));
  const result = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations", "incomplete"] }));
  // What axe cannot decide (it loses backgrounds at fractions of a pixel) is measured here: the text against the
  // first opaque background below it. What is cut off or covered by an open menu is judged when it can be seen.
  const fine = await page.evaluate(
    (targets) => {
      const parse = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
      const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const below = (node) => {
        for (let n = node; n; n = n.parentElement) {
          const style = getComputedStyle(n);
          const rgb = parse(style.backgroundColor);
          if (style.backgroundImage !== "none" || (rgb.length === 4 && rgb[3] > 0 && rgb[3] < 1)) return null;
          if (rgb.length === 3 || rgb[3] === 1) return rgb;
        }
        return null;
      };
      return targets.filter((target) => {
        const node = document.querySelector(target);
        if (!node) return false;
        const range = document.createRange();
        range.selectNodeContents(node);
        const box = range.getBoundingClientRect();
        const points = [[box.left + 1, box.top + 1], [box.right - 1, box.bottom - 1], [(box.left + box.right) / 2, (box.top + box.bottom) / 2]];
        const seen = points.every(([x, y]) => {
          const top = document.elementFromPoint(x, y);
          return top && (node.contains(top) || top.contains(node));
        });
        if (!seen) return true;
        const back = below(node);
        if (!back) return false;
        const [a, b] = [light(parse(getComputedStyle(node).color)), light(back)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05) >= 4.5;
      });
    },
    result.incomplete.filter((r) => r.id === "color-contrast").flatMap((r) => r.nodes.map((n) => n.target.join(" "))),
  );
  const undecided = result.incomplete.filter((r) => r.id === "color-contrast").map((r) => ({ ...r, nodes: r.nodes.filter((n) => !fine.includes(n.target.join(" "))) }));
  const found = [...result.violations, ...undecided];
  const said = found.flatMap((r) => r.nodes.slice(0, 4).map((n) => `${r.id}: ${n.target.join(" ")} :: ${(n.failureSummary ?? "").replace(/\s+/g, " ")}`));
  if (said.length) throw new Error(`accessibility of ${where}: ${said.join(" | ")}`);
}

export async function shot(page, name) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`) });
}
