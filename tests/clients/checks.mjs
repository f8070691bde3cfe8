// checks.py for Node.
import { readFileSync } from "node:fs";

export const TEXT = "It is cold in Oslo.";
export const CITY = {
  type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false,
};
const FAMILIES = ["oa", "an", "ge"];

export class Checks {
  constructor(...packages) {
    if (process.argv.length !== 4) throw new Error("usage: node CLIENT.mjs http://127.0.0.1:8600 psk_…");
    [this.url, this.key] = process.argv.slice(2);
    this.v1 = `${this.url}/v1`;
    this.packages = Object.fromEntries(packages.map((name) => [name, version(name)]));
    this.done = [];
  }

  async each(name, check, models = FAMILIES) {
    for (const model of models) await this.once(name, check, model);
  }

  async once(check, call, model = "oa") {
    let error = "";
    try {
      await call(model);
    } catch (failure) {
      error = `${failure?.stack ?? failure}`.slice(0, 600) || "failed";
    }
    this.done.push({ check, model, ok: !error, error });
  }

  print() {
    console.log(JSON.stringify({ packages: this.packages, checks: this.done }));
  }
}

function version(name) {
  const path = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(path, "utf8")).version;
}
