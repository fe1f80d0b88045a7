// A headless Chromium, and what every page must hold to: no script of others, no requests elsewhere, no faults.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { BASE, CHROMIUM, MODULES, SCREENSHOTS } = process.env;
const require = createRequire(`${MODULES}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** Longer than anything here takes, in milliseconds. */
const DEADLINE_MS = 60_000;

export { assert, BASE };

/** Runs steps in a fresh browser, each by its name; the first that fails ends the program with 1. */
export async function run(steps, prefix) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE_MS);
  const foreign = [];
  const faults = [];
  context.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${BASE}/`) && !url.startsWith("data:") && !url.startsWith("about:")) foreign.push(url);
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    // A refused log-in is a refused log-in; what the policy forbids is told as an error, too.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(message.text());
  });
  page.on("dialog", (dialog) => {
    faults.push(`a dialog says ${dialog.message()}`);
    dialog.dismiss();
  });
  const tools = {
    page,
    context,
    screenshot: (name) => page.screenshot({ path: join(SCREENSHOTS, `${prefix}-${name}.png`) }),
    accessible: (what) => accessible(page, what),
  };
  let failed = 0;
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step(tools);
      console.log(`ok ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name}: ${error.stack}`);
      await tools.screenshot(`failed-${name.replace(/\W+/g, "-").slice(0, 40)}`).catch(() => undefined);
      break;
    }
  }
  if (failed === 0) {
    assert.deepEqual(foreign, [], "requests went to other origins");
    assert.deepEqual(faults, [], "the page had faults");
    console.log("ok nothing was asked of others and nothing went wrong");
  } else if (faults.length > 0) console.log(faults.join("\n"));
  await browser.close();
  process.exitCode = failed === 0 ? 0 : 1;
}

async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }),
  );
  const told = violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`);
  assert.deepEqual(told, [], what);
}

/** Says whether a page can be read without scrolling to the side. */
export async function fits(page, width) {
  await page.setViewportSize({ width, height: 800 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= width, `the page is ${wide} wide in a window of ${width}`);
  return wide;
}

/** Waits until something holds. */
export async function until(what, holds) {
  const end = Date.now() + DEADLINE_MS;
  let last;
  while (Date.now() < end) {
    try {
      if (await holds()) return;
    } catch (error) {
      last = error;
    }
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`not in time: ${what}${last ? `: ${last}` : ""}`);
}
