// One browser scenario: `node run.mjs SCENARIO`; exit code 0 when everything held.
import { scenarios } from "./scenarios.mjs";

const name = process.argv[2];
if (!scenarios[name]) {
  console.error(`no scenario ${name}; there are: ${Object.keys(scenarios).join(", ")}`);
  process.exit(2);
}
await scenarios[name]();
console.log(`ok ${name}`);
process.exit(0);
