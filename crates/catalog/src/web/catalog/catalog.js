// The catalog's page: who looks, and what is shown. `#/` tiles, `#/tile/ID` one of them, `#/service/ID[/API]` a service.

import { element } from "./element.js";
import { ServerFault, askJson } from "./server.js";
import { logOut, loginForm } from "./login.js";
import { showTile, showTiles } from "./tiles.js";
import { showService } from "./service.js";

const main = document.getElementById("content");
const who = document.getElementById("who");
const notice = document.getElementById("notice");

/** What is shown at this moment can be taken away: nothing that comes later is put into another view. */
let view = new AbortController();
let session = {};

async function start() {
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  window.addEventListener("hashchange", () => show(true));
  // A page in a frame leaves the focus where it is until somebody turns to it.
  await enter(false);
}

/** Finds out who looks, and shows what he may see. */
async function enter(isAsked = true) {
  try {
    session = await askJson("session", { cache: "no-store" });
  } catch (error) {
    session = {};
    fail(main, error);
    return;
  }
  notice.textContent = session.isDiscoveryLost
    ? "Discovery does not answer at the moment: this is what was known last."
    : "";
  greet();
  if (session.user || session.isOpen) await show(isAsked);
  else logIn();
}

function greet() {
  who.replaceChildren();
  if (session.user) {
    const leave = async () => {
      await logOut();
      await enter();
    };
    who.append(
      element("span", {}, `Logged in as ${session.user}`),
      element("button", { class: "quiet", type: "button", onclick: leave }, "Log out"),
    );
  } else if (session.isOpen) {
    who.append(element("span", { class: "quiet-text" }, "Open to everybody"));
  }
}

function logIn() {
  view.abort();
  view = new AbortController();
  document.title = "Log in – API Catalog";
  main.replaceChildren(loginForm("API Catalog", () => enter()));
}

/** Shows what the address names. */
async function show(isNew) {
  view.abort();
  view = new AbortController();
  const { signal } = view;
  const steps = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const context = { main, session, signal, title, fail: (error) => caught(error, signal) };
  try {
    if (steps[0] === "tile" && steps[1]) await showTile(context, steps[1]);
    else if (steps[0] === "service" && steps[1]) await showService(context, steps[1], steps[2]);
    else await showTiles(context);
  } catch (error) {
    caught(error, signal);
  }
  // Who reads with his ears hears where he is.
  if (isNew && !signal.aborted) main.querySelector("h1")?.focus();
}

function caught(error, signal) {
  if (signal.aborted) return;
  if (error instanceof ServerFault && error.status === 401) {
    session.user = undefined;
    greet();
    logIn();
    return;
  }
  fail(main, error);
}

/** Says what went wrong, in the words of the server, and lets try again. */
function fail(place, error) {
  const messages = error instanceof ServerFault ? error.messages : [String(error)];
  place.replaceChildren(
    element("h1", { tabindex: -1 }, "This could not be shown"),
    element("div", { role: "alert" }, messages.map((message) => element("p", { class: "fault" }, message))),
    element("button", { type: "button", onclick: () => enter() }, "Try again"),
  );
}

function title(text) {
  document.title = `${text} – API Catalog`;
}

function decoded(step) {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

start();
