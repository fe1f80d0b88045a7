// The desktop's page: applications, the task bar, and windows.

import { element } from "./element.js";
import { ServerFault, askJson } from "./server.js";
import { logOut, loginForm } from "./login.js";
import { fill } from "./content.js";
import { keep, restore } from "./kept.js";
import { Window } from "./window.js";

const desk = document.getElementById("desk");
const tasks = document.getElementById("tasks");
const who = document.getElementById("who");
const said = document.getElementById("said");
const menu = document.getElementById("menu");

let session = {};
let apps = [];
/** Open windows, the one in front last. */
let windows = [];

async function enter() {
  for (const one of windows) one.element.remove();
  windows = [];
  menu.hidden = true;
  try {
    session = await askJson("session", { cache: "no-store" });
    greet();
    if (session.user || session.isOpen) await begin();
    else desk.replaceChildren(loginForm("Log in to the desktop", enter));
  } catch (error) {
    if (error instanceof ServerFault && error.status === 401) {
      desk.replaceChildren(loginForm("Log in to the desktop", enter));
      return;
    }
    desk.replaceChildren(
      element("p", { class: "fault", role: "alert" }, error.message ?? String(error)),
      element("button", { type: "button", onclick: enter }, "Try again"),
    );
  }
  showTasks();
}

function greet() {
  who.replaceChildren();
  if (!session.user) return;
  const leave = async () => {
    await logOut();
    await enter();
  };
  who.append(
    element("span", {}, session.user),
    element("button", { class: "quiet", type: "button", onclick: leave }, "Log out"),
  );
}

/** Shows applications, and opens what was open. */
async function begin() {
  const list = await askJson("plugins");
  apps = (list?.pluginDefinitions ?? []).filter((one) => one.pluginType === undefined || one.pluginType === null || one.pluginType === "application");
  const problems = list?.problems ?? [];
  menu.hidden = false;
  desk.replaceChildren(
    element(
      "section",
      { "aria-labelledby": "apps-title", id: "apps" },
      element("h2", { id: "apps-title" }, "Applications"),
      apps.length === 0 ? element("p", {}, "No component has registered an application yet.") : "",
      element("ul", { class: "apps" }, apps.map((app) => element("li", {}, appButton(app)))),
    ),
    problems.length > 0
      ? element("section", { "aria-labelledby": "problems-title" }, element("h2", { id: "problems-title" }, "Not listed"), problems.map((one) => element("p", { class: "fault" }, one)))
      : "",
  );
  for (const kept of restore(session.user ?? "")) {
    const app = apps.find((one) => one.identifier === kept.identifier);
    if (app) add(app, kept);
  }
  sort();
}

function appButton(app) {
  return element(
    "button",
    { type: "button", onclick: () => open(app), "data-app": app.identifier },
    app.icon ? element("img", { src: app.icon, alt: "", loading: "lazy" }) : "",
    element("span", {}, app.title),
  );
}

/** Shows applications over the windows, or behind them again. */
function raise(isRaised) {
  document.getElementById("apps")?.classList.toggle("raised", isRaised);
  menu.setAttribute("aria-expanded", String(isRaised));
  if (isRaised) document.querySelector("#apps button")?.focus();
}

/** Opens an application, or shows the window of one that has only one. */
function open(app) {
  raise(false);
  const known = windows.find((one) => one.app.identifier === app.identifier);
  if (known && app.isSingle) {
    known.raise();
    return;
  }
  const offset = 24 * (windows.length % 8);
  const width = Math.min(app.width, Math.max(240, desk.clientWidth - 80));
  const height = Math.min(app.height, Math.max(160, desk.clientHeight - 80));
  const made = add(app, { x: 40 + offset, y: 24 + offset, width, height, state: "normal" });
  made.raise();
  announce(`${app.title} opened`);
}

function add(app, kept) {
  const made = new Window(app, kept, desk, { front, changed, left, closed });
  windows.push(made);
  desk.append(made.element);
  const context = { identifier: app.identifier, title: app.title, close: () => made.close(), setTitle: (title) => made.retitle(title) };
  fill(made.content, app, session, context).then((unmount) => {
    made.unmount = unmount;
    if (!windows.includes(made)) unmount?.();
  });
  return made;
}

function front(one) {
  if (windows.at(-1) === one && one.element.classList.contains("front")) return;
  windows = [...windows.filter((other) => other !== one), one];
  sort();
}

/** Lays windows over each other in their order; frames would load again if their elements were moved. */
function sort() {
  const last = windows.findLast((one) => one.state !== "minimised");
  windows.forEach((one, at) => {
    one.element.style.zIndex = String(at + 1);
    one.element.classList.toggle("front", one === last);
  });
  showTasks();
  store();
}

function changed() {
  sort();
}

function left(one) {
  announce(`${one.app.title} minimised`);
  document.getElementById(`task-${one.id}`)?.focus();
}

function closed(one) {
  windows = windows.filter((other) => other !== one);
  sort();
  announce(`${one.app.title} closed`);
  const next = windows.findLast((other) => other.state !== "minimised");
  (next?.handle ?? desk.querySelector(`[data-app="${CSS.escape(one.app.identifier)}"]`))?.focus();
}

function store() {
  keep(session.user ?? "", windows.map((one) => one.kept()));
}

function showTasks() {
  const focused = document.activeElement?.id;
  const ordered = [...windows].sort((one, other) => one.id.localeCompare(other.id, undefined, { numeric: true }));
  const buttons = ordered.map((one) => {
    const isFront = one.element.classList.contains("front");
    const press = () => (isFront && one.state !== "minimised" ? one.set("minimised") : one.raise());
    return element("li", {}, element("button", { type: "button", id: `task-${one.id}`, "aria-pressed": String(isFront), onclick: press }, one.app.title));
  });
  tasks.replaceChildren(...(buttons.length > 0 ? [element("ul", {}, buttons)] : []));
  if (focused?.startsWith("task-")) document.getElementById(focused)?.focus();
}

function announce(text) {
  said.textContent = text;
}

menu.addEventListener("click", () => raise(menu.getAttribute("aria-expanded") !== "true"));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu.getAttribute("aria-expanded") === "true") {
    raise(false);
    menu.focus();
  }
});
document.addEventListener("pointerdown", (event) => {
  const isInside = event.target instanceof Element && event.target.closest("#apps, #menu");
  if (!isInside) raise(false);
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  (windows.at(-1)?.handle ?? desk).focus();
});

enter();
