// The catalog as people use it, with the keyboard and with a thousand services.

import { BASE, assert, fits, run, until } from "./browser.mjs";

const ROOT = `${BASE}/apicatalog/ui/v1/`;
const focused = (page) => page.evaluate(() => document.activeElement?.textContent || document.activeElement?.id || "");

async function logIn(page, user, password) {
  await page.getByLabel("Username").fill(user);
  await page.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
}

await run(
  {
    "page asks who one is": async ({ page, screenshot, accessible }) => {
      await page.goto(ROOT);
      await page.getByRole("heading", { name: "API Catalog" }).waitFor();
      await until("the user field has the focus", () => page.evaluate(() => document.activeElement?.name === "username"));
      await screenshot("log-in");
      await accessible("the page to log in at");
    },
    "wrong password is told, and another may be tried": async ({ page }) => {
      await logIn(page, "user", "wrong");
      await page.getByRole("alert").getByText("ZWEAG120E").waitFor();
      assert.equal(await page.getByLabel("Password").inputValue(), "");
      assert.ok(await page.evaluate(() => document.activeElement?.name === "password"));
    },
    "right password shows all tiles": async ({ page, screenshot, accessible }) => {
      await page.keyboard.type("user");
      await page.keyboard.press("Enter");
      await page.getByText("1003 tiles", { exact: true }).waitFor();
      await page.getByText("Logged in as user").waitFor();
      assert.ok(await page.evaluate(() => !document.cookie.includes("apiml")), "scripts do not see the token");
      await screenshot("tiles");
      await accessible("the tiles");
    },
    "search finds one of a thousand as one types": async ({ page, screenshot }) => {
      await page.keyboard.press("/");
      assert.equal(await page.evaluate(() => document.activeElement.id), "search");
      await page.keyboard.type("service 777 ");
      await page.getByText("1 of 1003 tiles", { exact: true }).waitFor();
      const shown = page.locator("#tiles > li:visible");
      assert.equal(await shown.count(), 1);
      assert.match(await shown.innerText(), /Tile 777/);
      await screenshot("search");
      await page.keyboard.press("Escape");
      await page.getByText("1003 tiles", { exact: true }).waitFor();
      await page.getByLabel("Status").selectOption("DOWN");
      await page.getByText("1 of 1003 tiles", { exact: true }).waitFor();
      await page.getByLabel("Status").selectOption("");
    },
    "keyboard alone leads from the search to a document and back": async ({ page }) => {
      await page.keyboard.press("Escape");
      await page.locator("#search").focus();
      await page.keyboard.type("samples");
      await page.getByText("1 of 1003 tiles", { exact: true }).waitFor();
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), "Samples");
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.equal(outline, "solid", "focus is visible");
      await page.keyboard.press("Enter");
      await until("the heading has the focus", async () => (await focused(page)) === "Samples");
      await page.getByRole("link", { name: "Sample", exact: true }).focus();
      await page.keyboard.press("Enter");
      await page.getByText("3 operations").waitFor();
      const summary = page.locator("summary", { hasText: "/pets/{id}" });
      await summary.focus();
      await page.keyboard.press("Enter");
      await page.getByRole("region", { name: "Parameters" }).waitFor();
      await page.goBack();
      await page.getByRole("heading", { name: "Samples" }).waitFor();
      await page.goForward();
      await page.getByText("3 operations").waitFor();
    },
    "service shows what it is, its instances and its routes": async ({ page, screenshot, accessible }) => {
      await page.getByRole("region", { name: "Instances" }).getByText("STATIC-localhost:sample:").waitFor();
      await page.getByRole("region", { name: "Routes" }).getByText("/sample/api/v1").waitFor();
      const home = page.getByRole("link", { name: /\/sample\/ui\/v1\/home/ });
      assert.equal(await home.getAttribute("href"), `${BASE}/sample/ui/v1/home`);
      await screenshot("service");
      await accessible("a service with its document");
    },
    "operation shows parameters, bodies and schemas that lead to themselves": async ({ page, accessible }) => {
      const operation = page.locator("details.operation", { hasText: "/pets/{id}" });
      await operation.locator("summary").first().click();
      await operation.getByText("Which pet").waitFor();
      const body = operation.locator("h4", { hasText: "Body" }).locator("xpath=following-sibling::div[1]");
      await body.locator("summary", { hasText: "Pet object" }).first().click();
      await body.locator("summary", { hasText: "friend" }).first().click();
      await until("the friend's friend", async () => (await body.locator("summary", { hasText: "friend" }).count()) === 2);
      await accessible("an operation");
    },
    "trial goes over the gateway and shows the answer": async ({ page, screenshot }) => {
      const operation = page.locator("details.operation", { hasText: "/pets/{id}" });
      await operation.getByLabel("id (path) *").fill("a b/c%d");
      await operation.getByLabel("verbose (query)").fill("1&2");
      await operation.getByLabel("X-Trace (header)").fill("trace-7");
      await operation.getByLabel("Body (application/json)").fill('{"name":"Rex"}');
      await operation.getByRole("button", { name: "Send" }).click();
      await operation.locator(".answer-status", { hasText: "200" }).waitFor();
      const answer = JSON.parse(await operation.locator(".answer-body").innerText());
      assert.equal(answer.method, "PUT");
      assert.equal(answer.target, "/sample/api/pets/a%20b%2Fc%25d?verbose=1%262");
      assert.equal(answer.headers["x-trace"], "trace-7");
      assert.equal(answer.headers["content-type"], "application/json");
      assert.equal(answer.body, '{"name":"Rex"}');
      assert.match(await operation.locator(".outcome").innerText(), /in \d+ ms/);
      await screenshot("trial");
      await operation.getByLabel("id (path) *").fill("..");
      await operation.getByRole("button", { name: "Send" }).click();
      await operation.getByText("cannot stand in a path").waitFor();
    },
    "what a service says is text, whatever it is": async ({ page, screenshot, accessible }) => {
      await page.goto(`${ROOT}#/service/hostile`);
      await page.getByRole("heading", { level: 1, name: "<img src=x onerror=alert(1)>" }).waitFor();
      await page.getByText("2 operations").waitFor();
      for (const summary of await page.locator("details.operation > summary").all()) await summary.click();
      for (const summary of await page.locator(".schema summary:visible").all()) await summary.click();
      assert.equal(await page.locator("main img, main script, main iframe, main svg").count(), 0);
      const schemes = await page.evaluate(() => [...document.querySelectorAll("a")].map((one) => one.protocol));
      assert.ok(schemes.every((scheme) => ["http:", "https:"].includes(scheme)), schemes.join(" "));
      assert.equal(await page.evaluate(() => globalThis.owned), undefined);
      await screenshot("hostile");
      await accessible("a hostile service");
    },
    "document that cannot be had says exactly why": async ({ page, screenshot }) => {
      await page.goto(`${ROOT}#/service/broken`);
      const said = page.getByRole("alert");
      await said.getByText("404 Not Found").waitFor();
      assert.match(await said.innerText(), /http:\/\/localhost:\d+\/broken\/docs answers 404 Not Found \(ZWEAC103E\)/);
      await screenshot("reason");
    },
    "pages fit small windows and both colour schemes": async ({ page, screenshot, accessible }) => {
      for (const scheme of ["dark", "light"]) {
        await page.emulateMedia({ colorScheme: scheme });
        for (const [name, hash, word] of [["tiles", "#/", "1003 tiles"], ["service", "#/service/sample", "3 operations"]]) {
          await page.setViewportSize({ width: 1280, height: 900 });
          await page.goto(`${ROOT}${hash}`);
          await page.getByText(word, { exact: true }).waitFor();
          await accessible(`${name} in ${scheme}`);
          await screenshot(`${name}-${scheme}`);
          await fits(page, 320);
          await screenshot(`${name}-${scheme}-narrow`);
        }
      }
      await page.setViewportSize({ width: 1280, height: 900 });
    },
    "static definitions are read again by a button": async ({ page }) => {
      await page.goto(`${ROOT}#/`);
      await page.getByRole("button", { name: "Read static definitions again" }).click();
      await page.getByText("instances are defined").waitFor();
    },
    "session that has ended leads to the log-in, and from there back": async ({ page, context }) => {
      await context.clearCookies();
      await page.goto(`${ROOT}#/service/sample`);
      await page.getByLabel("Username").waitFor();
      await logIn(page, "user", "user");
      await page.getByText("3 operations").waitFor();
    },
    "who logs out is out": async ({ page, context }) => {
      const cookies = await context.cookies();
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByLabel("Username").waitFor();
      const token = cookies.find((cookie) => cookie.name === "apimlAuthenticationToken");
      assert.ok(token, "there was a token");
      const answer = await page.request.get(`${ROOT}containers`, { headers: { Cookie: `${token.name}=${token.value}` } });
      assert.equal(answer.status(), 401);
    },
    "who is out logs in again, although his browser has the old token still": async ({ page, context }) => {
      const cookies = await context.cookies();
      assert.ok(cookies.some((cookie) => cookie.name === "apimlAuthenticationToken"));
      await page.reload();
      await page.getByLabel("Username").waitFor();
      await logIn(page, "user", "user");
      await page.getByText("Logged in as user").waitFor();
    },
  },
  "catalog",
);
