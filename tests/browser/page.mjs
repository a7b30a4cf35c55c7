// The operator's page in Chromium: loads, updates under load, is fit for keyboard and screen reader,
// switches over, survives the death of the node that it is on.
//   page.mjs URL_OF_PRIMARY URL_OF_BACKUP FOLDER_FOR_SCREENSHOTS
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [urlA, urlB, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function please(what) {
  console.log(`please ${what}`);
  assert.equal((await input.next()).value, "done");
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium", args: ["--no-sandbox"],
});

// A page whose console is watched. The checks evaluate code in it, which its policy forbids to scripts,
// so they set that aside; one page below keeps it. While a node is dead its refused connections are no fault of the
// page's: the browser itself logs them.
async function open(url, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 }, bypassCSP: true, ...options,
  });
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/net::ERR_|Failed to load resource/.test(message.text()))
      page.faults.push(message.text());
  });
  await page.goto(url);
  return page;
}

const verdict = (page, text) => page.waitForFunction(
  (wanted) => document.getElementById("verdict").textContent.includes(wanted), text,
  { timeout: 30000 });

async function expectAccessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes[0].html}`), [], what);
}

function shot(page, name) {
  return page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}

async function queueText(page, name) {
  return page.locator("#queue-rows tr", { hasText: name }).innerText();
}

// Under its own policy for what it may load: nothing of it is refused.
const strict = await open(urlA, { bypassCSP: false });
await strict.locator("#verdict", { hasText: "Ready: node-a serves" }).waitFor();
await strict.locator(".history li b").first().waitFor();
assert.deepEqual(strict.faults, []);
await strict.context().close();

// Loads and is whole.
const page = await open(urlA);
await verdict(page, "Ready: node-a serves");
await page.waitForFunction(() => document.querySelectorAll(".card").length === 2);
await page.locator(".history li b").first().waitFor();
await page.locator("#queue-rows tr", { hasText: /^parked.*3\d/ }).waitFor();
await page.waitForFunction(() => [...document.querySelectorAll(".badge")].filter(
  (badge) => badge.textContent.includes("proven")).length >= 4);

// Updates under load: figures move without a reload.
await page.waitForFunction(() => /\d+\/s/.test(document.querySelector("#rates dd").textContent) &&
  parseInt(document.querySelector("#rates dd").textContent, 10) > 20, null, { timeout: 30000 });
await page.waitForFunction(() => document.querySelectorAll("svg.spark path[d^=M]").length >= 3);
await page.locator("#workers li", { hasText: "router-1" }).waitFor();
await page.locator("#workers li", { hasText: "echo-1" }).waitFor();
await page.locator("#queue-rows tr.why", { hasText: "no strategy" }).waitFor();
await shot(page, "light");
await expectAccessible(page, "light");

// How far the backup is behind: what is heard of the other node may be older than the own index.
assert.deepEqual(await page.evaluate(() =>
  [["primary-paired", 20, 10], ["backup-ready", 10, 20], ["backup-ready", 20, 10]].map(
    ([role, index, other]) => lag({ own: { role, index }, peer: { index: other }, link: true,
      lag_bytes: 5 }))), ["10 (5 B)", "10 (5 B)", "0"]);

// In the dark, on a phone.
const phone = await open(urlB, {
  viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, colorScheme: "dark", isMobile: true,
  hasTouch: true,
});
await verdict(phone, "Ready");
await phone.locator(".history li b").first().waitFor();
await phone.locator("#workers li b").first().waitFor();
await phone.waitForFunction(() =>
  parseInt(document.querySelector("#rates dd").textContent, 10) > 20); // the backup's page too
await expectAccessible(phone, "dark");
assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
  "the phone's page is wider than the phone");
await shot(phone, "dark-phone");

// By keyboard: the switchover is asked for, refused without a reason, and done with one.
await page.keyboard.press("Tab");
assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
await page.locator("#switchover").focus();
await page.keyboard.press("Enter");
await page.locator("#ask-switchover[open]").waitFor();
await shot(page, "switchover");
await page.keyboard.press("Escape");
await page.locator("#ask-switchover:not([open])").waitFor({ state: "attached" });
await page.keyboard.press("Enter");
await page.locator("#reason").fill("kernel update of node-a");
await page.keyboard.press("Enter");
await verdict(page, "Ready: node-b serves");
await page.locator(".history li", { hasText: "kernel update" }).waitFor({ timeout: 20000 });
await shot(page, "switched");

// The node that the phone's page is on dies (it serves now): it follows to the other.
await verdict(phone, "Ready: node-b serves");
await please("kill");
await verdict(phone, "node-a serves alone");
await phone.waitForFunction(() => document.getElementById("source").textContent.includes("node-a"));
await shot(phone, "followed");
await verdict(page, "node-a serves alone");
await please("restart");
await verdict(phone, "Ready: node-a serves");
assert.deepEqual(page.faults, []);
assert.deepEqual(phone.faults, []);
await browser.close();
console.log("page: loads, updates, is accessible, switches over, follows");
process.exit(0); // standard input is still open
