// What is in a window: a page in a frame, or a module of this server.

import { element } from "./element.js";

/** What a page in a frame may do: not lead this page elsewhere. */
const SANDBOX = "allow-scripts allow-same-origin allow-forms allow-popups allow-downloads";

/** Fills a place with an application; returns what is to be called when it goes. */
export async function fill(place, app, session, context) {
  if (app.kind === "frame") {
    const url = addressOf(app.start, session);
    if (!url) {
      refuse(place, `${app.title} leads to ${app.start}, which is neither on this server nor on the gateway. It is not opened.`);
      return undefined;
    }
    place.replaceChildren(element("iframe", { src: url.href, title: app.title, sandbox: SANDBOX, referrerpolicy: "no-referrer" }));
    return undefined;
  }
  if (app.kind !== "module") {
    refuse(place, `${app.title} cannot be opened: ${app.reason ?? "nobody knows how"}.`);
    return undefined;
  }
  const url = new URL(app.start, document.baseURI);
  const own = new URL("plugins/", document.baseURI);
  if (!url.href.startsWith(own.href)) {
    refuse(place, `${app.title} leads out of its own directory. It is not opened.`);
    return undefined;
  }
  try {
    const module = await import(url.href);
    if (typeof module.mount !== "function") throw new Error("it exports no function `mount`");
    const inside = element("div", { class: "module" });
    place.replaceChildren(inside);
    const unmount = await module.mount(inside, context);
    return typeof unmount === "function" ? unmount : undefined;
  } catch (error) {
    refuse(place, `${app.title} could not be started: ${error.message ?? error}`);
    return undefined;
  }
}

/** Returns an address on this server or on the gateway, else nothing. */
function addressOf(text, session) {
  try {
    const url = new URL(text, document.baseURI);
    const origins = [location.origin];
    if (session.gateway) origins.push(new URL(session.gateway).origin);
    return origins.includes(url.origin) && /^https?:$/.test(url.protocol) ? url : undefined;
  } catch {
    return undefined;
  }
}

function refuse(place, text) {
  place.replaceChildren(element("p", { class: "fault", role: "alert" }, text));
}
