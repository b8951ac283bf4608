/** The server's page in Chromium: typing, use by keyboard alone, and axe-core's checks. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { findBrowser } from "../helpers/find-browser.js";
import { type Served, served } from "./client.js";
import { tool, toolFile } from "./tools.js";

const playwright = (await tool("playwright-core"))?.default;
const executablePath = findBrowser();
const missing = !playwright
  ? "npm run test:all installs playwright-core"
  : executablePath
    ? false
    : "there is no Chromium";

describe("the page", { skip: missing }, () => {
  let api: Served;
  // biome-ignore lint/suspicious/noExplicitAny: Playwright's own types
  let [browser, page]: any[] = [];
  before(async () => {
    api = await served();
    browser = await playwright.chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  });
  after(async () => {
    await browser?.close();
    await api.close();
  });
  const open = async (options: object = {}) => {
    page = await browser.newPage(options);
    const problems: string[] = [];
    page.on("pageerror", (error: Error) => problems.push(error.message));
    page.on("request", (request: { url(): string }) => {
      if (!request.url().startsWith(api.server.url)) problems.push(request.url());
    });
    await page.goto(api.server.url);
    await page.waitForSelector('#model option[value="tiny"]', { state: "attached" });
    return problems;
  };
  const idle = () => page.waitForSelector('#status:text-matches("per second|Stopped")');
  const tokens = () => page.locator("#text .tok").count();
  const audit = async (when: string) => {
    await page.evaluate(readFileSync(toolFile("axe-core"), "utf8"));
    const { violations } = await page.evaluate("axe.run()");
    assert.deepEqual(
      violations.map((v: { id: string; nodes: { html: string }[] }) => `${v.id}: ${v.nodes[0]?.html}`),
      [],
      when,
    );
  };
  const set = (name: string, value: string) => page.fill(`[name=${name}]`, value);

  it("types, streams, shows alternatives, and continues from another token", async () => {
    const problems = await open();
    await page.fill("#prompt", "Hello");
    await set("max_tokens", "12");
    await set("seed", "1");
    await page.click("#go");
    await idle();
    const count = await tokens();
    assert.ok(count > 0 && count <= 12);
    await page.locator("#text .tok").nth(2).hover();
    const other = page.locator("#alternatives button:not(.taken)").first();
    assert.match(await other.textContent(), /%$/);
    const before = await page.locator("#text .tok").nth(1).textContent();
    await other.click();
    await idle();
    assert.equal(await page.locator("#text .tok").nth(1).textContent(), before, "what came before stays");
    await page.click("#again");
    await idle();
    assert.equal(await tokens(), count, "the same seed, the same text");
    await audit("with a text");
    assert.deepEqual(problems, []);
  });

  it("stops", async () => {
    await open();
    await set("max_tokens", "90");
    await set("temperature", "0");
    await page.click("#go");
    await page.waitForSelector("#text .tok");
    await page.keyboard.press("Escape");
    await idle();
    const { scheduler } = api.model.generation();
    while (scheduler.status.running > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it("is used by keyboard alone", async () => {
    await open();
    await page.focus("#prompt");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("Hi");
    await set("max_tokens", "8");
    await page.focus("#prompt");
    await page.keyboard.press("Control+Enter");
    await idle();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate("document.activeElement.className"), "tok");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    assert.ok(await page.evaluate('document.activeElement.closest("#alternatives") !== null'));
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await idle();
    assert.ok((await tokens()) > 1);
  });

  it("chats", async () => {
    await open();
    await page.click("#tab-chat");
    await set("max_tokens", "8");
    await page.fill("#say", "Hello");
    await page.keyboard.press("Enter");
    await idle();
    assert.equal(await page.locator(".message").count(), 2);
    await audit("a chat");
  });

  it("continues from any token of any reply, by pointer and by keyboard", async () => {
    const problems = await open();
    await page.click("#tab-chat");
    await set("max_tokens", "8");
    await set("temperature", "1.2");
    await set("seed", "5");
    for (const text of ["Hello", "And then"]) {
      await page.fill("#say", text);
      await page.keyboard.press("Enter");
      await idle();
      await page.evaluate('document.getElementById("status").textContent = ""');
    }
    assert.equal(await page.locator(".message").count(), 4);
    const first = page.locator(".reply").nth(1).locator(".tok");
    const texts = (): Promise<string[]> => first.allTextContents();
    const before = await texts();
    assert.ok(before.length >= 4, `${before.length} tokens`);
    // A token that is part of a character has no width, so only the keyboard reaches it.
    const at = before.findIndex((text, i) => i >= 2 && /\S/.test(text));
    assert.ok(at >= 2, before.join("|"));
    await first.nth(at).hover();
    const other = page.locator("#alternatives button:not(.taken)").first();
    await other.click();
    await idle();
    assert.equal(await page.locator(".message").count(), 2, "what was said after it is dropped");
    assert.deepEqual((await texts()).slice(0, 2), before.slice(0, 2), "what came before stays");
    await first.nth(1).focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("ArrowDown");
    await page.evaluate('document.getElementById("status").textContent = ""');
    await page.keyboard.press("Enter");
    await idle();
    assert.deepEqual((await texts()).slice(0, 1), before.slice(0, 1));
    assert.ok((await texts()).length > 2);
    await page.fill("#say", "More");
    await page.focus("#say");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".message >> nth=3");
    await idle();
    assert.deepEqual(problems, []);
  });

  it("has no accessibility violations in dark mode and on a phone, where nothing overflows", async () => {
    await open({ colorScheme: "dark", viewport: { width: 360, height: 700 } });
    await page.fill("#prompt", "Hello");
    await set("max_tokens", "6");
    await page.click("#go");
    await idle();
    await audit("dark");
    assert.ok(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"));
    await page.click("#theme");
    await audit("light again");
  });

  it("asks for a key where the server wants one", async () => {
    const locked = await served({ keys: ["a-key-for-tests"] });
    const own = await browser.newPage();
    await own.goto(locked.server.url);
    await own.waitForSelector("#key:visible");
    await own.fill("#key", "a-key-for-tests");
    await own.keyboard.press("Tab");
    await own.waitForSelector('#model option[value="tiny"]', { state: "attached" });
    await locked.close();
  });
});
