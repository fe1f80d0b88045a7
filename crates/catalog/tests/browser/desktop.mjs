// The desktop as people use it: windows by pointer and by keyboard, and what is left of them after a reload.

import { BASE, assert, run, until } from "./browser.mjs";

const ROOT = `${BASE}/zlux/ui/v1/`;
const windowOf = (page, name) => page.getByRole("dialog", { name, exact: true });
const box = (page, name) => windowOf(page, name).boundingBox();
const openApp = async (page, name) => {
  await page.getByRole("button", { name: "Applications" }).click();
  await page.locator(".apps").getByRole("button", { name, exact: true }).click();
};
const close = (one, other) => Math.abs(one - other) <= 1;

async function logIn(page) {
  await page.getByLabel("Username").fill("user");
  await page.getByLabel("Password").fill("user");
  await page.keyboard.press("Enter");
}

await run(
  {
    "desktop asks who one is": async ({ page, accessible }) => {
      await page.goto(ROOT);
      await page.getByRole("heading", { name: "Log in to the desktop" }).waitFor();
      await accessible("the page to log in at");
    },
    "applications of components are listed": async ({ page, screenshot, accessible }) => {
      await logIn(page);
      await page.getByRole("button", { name: "API Catalog" }).waitFor();
      const names = await page.locator(".apps button").allInnerTexts();
      assert.deepEqual(names, ["API Catalog", "<img src=x onerror=alert(1)>", "Notes", "Old", "Wanderer"]);
      await page.getByText("stands for nothing here").waitFor();
      await screenshot("applications");
      await accessible("the applications");
    },
    "framed application comes from the gateway": async ({ page, screenshot }) => {
      await page.getByRole("button", { name: "API Catalog", exact: true }).click();
      const frame = windowOf(page, "API Catalog").locator("iframe");
      assert.match(await frame.getAttribute("sandbox"), /allow-scripts/);
      assert.doesNotMatch(await frame.getAttribute("sandbox"), /top-navigation/);
      const inside = frame.contentFrame().locator("iframe").contentFrame();
      await inside.getByText("tiles", { exact: false }).first().waitFor();
      await screenshot("framed");
    },
    "application that is a module is mounted, and ends with its window": async ({ page }) => {
      await openApp(page, "Notes");
      const notes = windowOf(page, "Notes");
      await notes.getByText("mounted org.notes").waitFor();
      await notes.getByRole("button", { name: "Rename" }).click();
      await notes.getByRole("button", { name: "My notes" }).waitFor();
    },
    "window is moved and resized by pointer": async ({ page, screenshot }) => {
      const before = await box(page, "Notes");
      const handle = windowOf(page, "Notes").locator(".handle");
      const at = await handle.boundingBox();
      await page.mouse.move(at.x + 20, at.y + 8);
      await page.mouse.down();
      await page.mouse.move(at.x + 140, at.y + 68, { steps: 5 });
      await page.mouse.up();
      const moved = await box(page, "Notes");
      assert.ok(close(moved.x, before.x + 120) && close(moved.y, before.y + 60), JSON.stringify([before, moved]));
      const grip = await windowOf(page, "Notes").locator(".grip").boundingBox();
      await page.mouse.move(grip.x + 8, grip.y + 8);
      await page.mouse.down();
      await page.mouse.move(grip.x - 52, grip.y - 32, { steps: 5 });
      await page.mouse.up();
      const resized = await box(page, "Notes");
      assert.ok(close(resized.width, moved.width - 60) && close(resized.height, moved.height - 40), JSON.stringify([moved, resized]));
      await screenshot("two-windows");
    },
    "window is moved, resized and maximised by keyboard": async ({ page, accessible }) => {
      await windowOf(page, "Notes").locator(".handle").focus();
      const before = await box(page, "Notes");
      await page.keyboard.press("ArrowLeft");
      await page.keyboard.press("ArrowUp");
      await page.keyboard.press("Shift+ArrowRight");
      const after = await box(page, "Notes");
      assert.ok(close(after.x, before.x - 16) && close(after.y, before.y - 16) && close(after.width, before.width + 16));
      await page.keyboard.press("Enter");
      const desk = await page.locator("#desk").boundingBox();
      const large = await box(page, "Notes");
      assert.ok(large.width >= desk.width - 2, JSON.stringify([large, desk]));
      await page.keyboard.press("Enter");
      assert.ok(close((await box(page, "Notes")).width, after.width));
      await accessible("two windows");
    },
    "applications are over the windows when they are asked for": async ({ page, accessible, screenshot }) => {
      await page.getByRole("button", { name: "Applications" }).focus();
      await page.keyboard.press("Enter");
      assert.equal(await page.evaluate(() => document.activeElement.textContent), "API Catalog");
      await screenshot("menu");
      await accessible("applications over windows");
      await page.keyboard.press("Escape");
      assert.equal(await page.evaluate(() => document.activeElement.id), "menu");
    },
    "window that is minimised is in the task bar": async ({ page }) => {
      await page.getByRole("button", { name: "Minimise API Catalog" }).click();
      await windowOf(page, "API Catalog").waitFor({ state: "hidden" });
      assert.equal(await page.evaluate(() => document.activeElement.textContent), "API Catalog");
      assert.equal(await page.locator("#tasks button").count(), 2);
    },
    "windows are where they were after a reload": async ({ page, screenshot }) => {
      const before = await box(page, "Notes");
      await page.reload();
      await windowOf(page, "Notes").getByText("mounted org.notes").waitFor();
      const after = await box(page, "Notes");
      assert.ok(close(before.x, after.x) && close(before.y, after.y) && close(before.width, after.width) && close(before.height, after.height));
      assert.ok(await windowOf(page, "API Catalog").isHidden());
      await page.locator("#tasks").getByRole("button", { name: "API Catalog" }).click();
      await windowOf(page, "API Catalog").waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.textContent), "API Catalog");
      await screenshot("after-reload");
    },
    "window in front is the one that was used last": async ({ page }) => {
      const front = () => page.locator(".window.front .handle").innerText();
      assert.equal(await front(), "API Catalog");
      await page.locator("#tasks").getByRole("button", { name: "Notes" }).click();
      await until("notes are in front", async () => (await front()) === "Notes");
      await page.locator("#tasks").getByRole("button", { name: "Notes" }).click();
      await windowOf(page, "Notes").waitFor({ state: "hidden" });
    },
    "application that would lead elsewhere, or that nobody can run, says so": async ({ page }) => {
      await page.getByRole("button", { name: "Minimise API Catalog" }).click();
      await openApp(page, "Wanderer");
      await windowOf(page, "Wanderer").getByRole("alert").getByText("neither on this server nor on the gateway").waitFor();
      await page.getByRole("button", { name: "Close Wanderer" }).click();
      await openApp(page, "Old");
      await windowOf(page, "Old").getByText("it is made for `angular2`").waitFor();
      await page.getByRole("button", { name: "Close Old" }).click();
      await openApp(page, "<img src=x onerror=alert(1)>");
      await page.getByRole("alert").getByText("could not be started").waitFor();
      assert.equal(await page.locator("#desk img[src=x]").count(), 0);
      await page.getByRole("button", { name: "Close <img src=x onerror=alert(1)>" }).click();
    },
    "windows that are closed stay closed": async ({ page }) => {
      for (const name of ["Notes", "API Catalog"]) {
        await page.locator("#tasks").getByRole("button", { name }).click();
        await page.getByRole("button", { name: `Close ${name}` }).click();
      }
      assert.equal(await page.evaluate(() => globalThis.unmounted), 1, "the module was told");
      await page.reload();
      await page.getByRole("button", { name: "API Catalog" }).waitFor();
      assert.equal(await page.locator(".window").count(), 0);
    },
    "small window has room for one application at a time": async ({ page, screenshot, accessible }) => {
      await page.setViewportSize({ width: 320, height: 640 });
      await page.getByRole("button", { name: "Notes", exact: true }).click();
      await windowOf(page, "Notes").getByText("mounted org.notes").waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 320, `${wide}`);
      await screenshot("narrow");
      await accessible("a narrow desktop");
    },
    "who logs out sees no windows": async ({ page }) => {
      await page.setViewportSize({ width: 1280, height: 900 });
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByLabel("Username").waitFor();
      assert.equal(await page.locator(".window").count(), 0);
    },
  },
  "desktop",
);
