// Tiles, with a search that finds as one types, and one tile with its services.

import { badge, element, prose } from "./element.js";
import { ask, askJson } from "./server.js";

/** How often it is looked whether anything has changed, in milliseconds. */
const PERIOD_MS = 15_000;
/** Services of a tile that a search names. */
const HITS_MAX = 5;

/** Shows all tiles, and what has none. */
export async function showTiles(context) {
  const { main, signal, title } = context;
  title("Services");
  const list = element("ul", { class: "tiles", id: "tiles" });
  const count = element("p", { role: "status", id: "count" });
  const search = element("input", { type: "search", id: "search", "aria-describedby": "search-help" });
  const status = element(
    "select",
    { id: "status" },
    [["", "All"], ["UP", "Up"], ["WARNING", "Partly up"], ["DOWN", "Down"]].map(([value, text]) =>
      element("option", { value }, text),
    ),
  );
  const others = element("section", { "aria-labelledby": "others-title" });
  let cards = [];
  const filter = () => {
    const shown = cards.filter((card) => card.filter(search.value, status.value)).length;
    const all = cards.length;
    count.textContent = all === 0 ? "No tiles are registered." : shown === all ? `${all} tiles` : `${shown} of ${all} tiles`;
  };
  search.addEventListener("input", filter);
  status.addEventListener("change", filter);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      search.value = "";
      filter();
    }
  });
  document.addEventListener("keydown", (event) => focusSearch(event, search), { signal });
  main.replaceChildren(
    element("h1", { tabindex: -1 }, "Services"),
    element(
      "div",
      { class: "tools", role: "search" },
      element("label", { for: "search" }, "Search ", element("span", { class: "quiet-text", id: "search-help" }, "(key /)"), search),
      element("label", { for: "status" }, "Status", status),
    ),
    count,
    list,
    others,
    refreshSection(context),
  );
  let tag;
  const read = async () => {
    const [answer, services] = await Promise.all([ask("containers", { signal }), askJson("services", { signal })]);
    const found = answer.headers.get("etag") ?? "none";
    if (found === tag || signal.aborted) return;
    tag = found;
    const tiles = answer.status === 204 ? [] : await answer.json();
    tiles.sort((one, other) => one.title.localeCompare(other.title, undefined, { numeric: true }));
    if (signal.aborted) return;
    cards = tiles.map(card);
    list.replaceChildren(...cards.map((one) => one.item));
    showOthers(others, services.filter((service) => !service.tile));
    filter();
  };
  await read();
  const timer = setInterval(() => {
    if (document.visibilityState === "visible") read().catch((error) => watchFault(context, error, count));
  }, PERIOD_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function watchFault(context, error, count) {
  if (context.signal.aborted) return;
  // What is shown stays in use while the server is away; who is no longer logged in has to know.
  if (error.status === 401) context.fail(error);
  else count.textContent = `${error.message}`;
}

function focusSearch(event, search) {
  const isTyping = event.target instanceof Element && event.target.matches("input, textarea, select");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.altKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  }
}

/** Makes the card of a tile, which can hide itself from a search. */
function card(tile) {
  const hits = element("ul", { class: "hits", hidden: true });
  const item = element(
    "li",
    { class: "tile" },
    element("h2", {}, element("a", { href: `#/tile/${encodeURIComponent(tile.id)}` }, tile.title)),
    badge(tile.status),
    element("p", { class: "quiet-text" }, `${tile.activeServices} of ${tile.totalServices} services up`),
    tile.description ? element("p", {}, tile.description) : undefined,
    hits,
  );
  const services = tile.services.map((one) => ({ one, text: `${one.serviceId} ${one.title} ${one.description}`.toLowerCase() }));
  const own = `${tile.id} ${tile.title} ${tile.description}`.toLowerCase();
  const filter = (query, status) => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (text) => words.every((word) => text.includes(word));
    const found = words.length === 0 ? [] : services.filter((service) => has(service.text));
    const isShown = (status === "" || tile.status === status) && (has(own) || found.length > 0);
    item.hidden = !isShown;
    hits.hidden = found.length === 0;
    hits.replaceChildren(...found.slice(0, HITS_MAX).map(({ one }) => element("li", {}, serviceLink(one))));
    return isShown;
  };
  return { item, filter };
}

function serviceLink(service) {
  return element("a", { href: `#/service/${encodeURIComponent(service.serviceId)}` }, service.title || service.serviceId);
}

function showOthers(place, services) {
  if (services.length === 0) {
    place.replaceChildren();
    return;
  }
  place.replaceChildren(
    element("h2", { id: "others-title" }, "Services without a tile"),
    element(
      "p",
      { class: "quiet-text" },
      "They are registered, and say no ",
      element("code", {}, "apiml.catalog.tile.id"),
      ".",
    ),
    element("ul", {}, services.map((service) => element("li", {}, serviceLink(service), " ", badge(service.status)))),
  );
}

function refreshSection({ signal }) {
  const said = element("div", { role: "status" });
  const refresh = async () => {
    said.replaceChildren("Reading …");
    try {
      const result = await askJson("static-api/refresh", { method: "POST", signal });
      const errors = (result?.errors ?? []).map((one) => one.messageContent ?? one.message ?? (typeof one === "string" ? one : JSON.stringify(one)));
      const count = (result?.instances ?? []).length;
      said.replaceChildren(
        element("p", {}, `${count} instances are defined.`),
        ...errors.map((error) => element("p", { class: "fault" }, error)),
      );
    } catch (error) {
      said.replaceChildren(element("p", { class: "fault" }, error.message));
    }
  };
  return element(
    "section",
    { "aria-labelledby": "refresh-title" },
    element("h2", { id: "refresh-title" }, "Static definitions"),
    element("button", { class: "quiet", type: "button", onclick: refresh }, "Read static definitions again"),
    said,
  );
}

/** Shows one tile. */
export async function showTile({ main, signal, title }, id) {
  const tiles = (await askJson("containers", { signal })) ?? [];
  const tile = tiles.find((one) => one.id === id);
  if (signal.aborted) return;
  title(tile?.title ?? id);
  if (!tile) {
    main.replaceChildren(
      crumbs([["Services", "#/"]], id),
      element("h1", { tabindex: -1 }, "There is no such tile"),
      element("p", {}, `No service is registered in the tile ${id} at the moment.`),
    );
    return;
  }
  main.replaceChildren(
    crumbs([["Services", "#/"]], tile.title),
    element("h1", { tabindex: -1 }, tile.title),
    element("p", {}, badge(tile.status), ` ${tile.activeServices} of ${tile.totalServices} services up`),
    ...prose(tile.description),
    element(
      "ul",
      { class: "tiles" },
      tile.services.map((service) =>
        element(
          "li",
          { class: "tile" },
          element("h2", {}, serviceLink(service)),
          badge(service.status),
          element("p", {}, element("code", {}, service.basePath)),
          service.description ? element("p", {}, service.description) : undefined,
        ),
      ),
    ),
  );
}

/** Says where one is. */
export function crumbs(before, here) {
  return element(
    "nav",
    { class: "crumbs", "aria-label": "You are here" },
    element(
      "ol",
      {},
      before.map(([text, href]) => element("li", {}, element("a", { href }, text))),
      element("li", { "aria-current": "page" }, here),
    ),
  );
}
