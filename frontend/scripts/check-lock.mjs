// Every optional dependency named in the lock must have its own entry, and no entry may name a registry host.
// npm drops optional packages that a registry mirror lacks without a word; `npm ci` then fails on other platforms.
import { readFileSync } from "node:fs";

const path = process.argv[2] ?? new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(path, "utf8"));
const packages = lock.packages ?? {};
const problems = [];

function resolves(name, from) {
  for (let at = from; ; ) {
    if (packages[at ? `${at}/node_modules/${name}` : `node_modules/${name}`]) return true;
    if (!at) return false;
    const cut = at.lastIndexOf("/node_modules/");
    at = cut < 0 ? "" : at.slice(0, cut);
  }
}

for (const [where, entry] of Object.entries(packages)) {
  for (const name of Object.keys(entry.optionalDependencies ?? {}))
    if (!resolves(name, where)) problems.push(`${where}: optional dependency ${name} has no lock entry`);
  if (entry.resolved) problems.push(`${where}: carries a registry address`);
  if (where && !entry.link && !entry.integrity && !entry.inBundle) problems.push(`${where}: has no integrity hash`);
}
if (problems.length) {
  console.error(problems.join("\n"));
  process.exit(1);
}
console.log(`${Object.keys(packages).length} lock entries, complete`);
