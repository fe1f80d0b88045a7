// One service: what it says of itself, its instances, and its API documents.

import { badge, element, outwardLink, prose, table, webAddress } from "./element.js";
import { ServerFault, ask, askJson } from "./server.js";
import { documentView } from "./document.js";
import { crumbs } from "./tiles.js";

/** Shows a service, and the document of one of its APIs. */
export async function showService(context, id, wanted) {
  const { main, signal, title } = context;
  const service = await askJson(`services/${encodeURIComponent(id)}`, { signal });
  if (signal.aborted) return;
  title(service.title);
  const before = [["Services", "#/"]];
  if (service.tile) before.push([service.tile, `#/tile/${encodeURIComponent(service.tile)}`]);
  const place = element("section", { id: "document", "aria-labelledby": "document-title" });
  main.replaceChildren(
    crumbs(before, service.title),
    element("h1", { tabindex: -1 }, service.title),
    element("p", {}, badge(service.status)),
    ...prose(service.description),
    facts(service),
    table("Instances", ["Instance", "Status", "Address", "Pages"], service.instances.map(instanceRow)),
    routes(service),
    place,
  );
  const keys = Object.keys(service.apis);
  const key = keys.includes(wanted) ? wanted : keys.includes(service.defaultApiVersion) ? service.defaultApiVersion : keys[0];
  await showDocument(context, service, key, place, false);
}

function facts(service) {
  const rows = [
    ["Service", element("code", {}, service.serviceId)],
    ["Base path", element("code", {}, service.basePath)],
    ["Home page", webAddress(service.homePageUrl) ? outwardLink(service.homePageUrl) : "none"],
    ["Single sign-on", service.ssoAllInstances ? "yes" : service.sso ? "at some instances" : "no"],
  ];
  return element("dl", { class: "facts" }, rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function instanceRow(one) {
  const pages = [["Home", one.homePageUrl], ["Status", one.statusPageUrl], ["Health", one.healthCheckUrl]];
  const links = pages.filter(([, address]) => webAddress(address)).flatMap(([text, address]) => [outwardLink(address, text), " "]);
  return [element("code", {}, one.instanceId), badge(one.status), `${one.protocol}://${one.hostname}:${one.port}`, links.length > 0 ? links : "none"];
}

function routes(service) {
  if (service.routes.length === 0) {
    return element("p", { class: "note" }, "This service has no routes: the gateway leads no requests to it.");
  }
  const rows = service.routes.map((route) => [
    element("code", {}, `/${service.serviceId}/${route.gatewayUrl}`),
    element("code", {}, route.serviceUrl || "/"),
  ]);
  return table("Routes", ["On the gateway", "On the service"], rows);
}

async function showDocument(context, service, key, place, isNew) {
  const { signal } = context;
  const heading = element("h2", { id: "document-title" }, "API document");
  const said = element("p", { role: "status" }, "Reading the API document …");
  place.replaceChildren(heading, chooser(service, key), said);
  const again = () => showDocument(context, service, key, place, true);
  const path = `apidoc/${encodeURIComponent(service.serviceId)}${key ? `/${encodeURIComponent(key)}` : ""}`;
  const button = element("button", { class: "quiet", type: "button", onclick: again }, "Read it again");
  try {
    const answer = await ask(path, { signal, cache: isNew ? "no-cache" : "default", headers: isNew ? { "Cache-Control": "no-cache" } : {} });
    const text = await answer.text();
    if (signal.aborted) return;
    const warning = answer.headers.get("warning");
    const old = warning ? element("p", { class: "note" }, `This is an older document. ${warning.replace(/^111 \S+ "|"$/g, "")}`) : undefined;
    const view = documentView(JSON.parse(text), { service, session: context.session, signal });
    place.replaceChildren(heading, chooser(service, key), ...[old].filter(Boolean), ...view, extras(service, key), button);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof ServerFault && error.status === 401) {
      context.fail(error);
      return;
    }
    const messages = error instanceof ServerFault ? error.messages : [String(error)];
    place.replaceChildren(
      heading,
      chooser(service, key),
      element("div", { role: "alert" }, messages.map((message) => element("p", { class: "fault" }, message))),
      extras(service, key),
      button,
    );
  }
}

function chooser(service, key) {
  const keys = Object.keys(service.apis);
  if (keys.length < 2) return key ? element("p", {}, element("code", {}, key)) : "";
  const change = (event) => {
    location.hash = `#/service/${encodeURIComponent(service.serviceId)}/${encodeURIComponent(event.target.value)}`;
  };
  return element(
    "label",
    {},
    "API",
    element("select", { onchange: change, id: "api" }, keys.map((one) => element("option", { value: one, selected: one === key }, one))),
  );
}

function extras(service, key) {
  const api = service.apis[key];
  const snippets = (api?.codeSnippet ?? []).filter((one) => one.codeBlock);
  const links = [["Documentation", api?.documentationUrl], ["GraphQL", api?.graphqlUrl]].filter(([, address]) => webAddress(address));
  return element(
    "div",
    {},
    links.map(([text, address]) => element("p", {}, outwardLink(address, text))),
    snippets.length > 0 ? element("h3", {}, "Examples") : undefined,
    snippets.map((one) => [element("p", {}, `${one.language} ${one.endpoint}`), element("pre", { tabindex: 0 }, one.codeBlock)]),
  );
}
