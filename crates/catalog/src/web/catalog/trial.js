// Trying an operation: a request to the gateway this page came from, and to nobody else.

import { element, outwardLink } from "./element.js";
import { sample } from "./sample.js";

/** Letters of an answer that are shown. */
const SHOWN_MAX = 100_000;
/** Browsers send none of these. */
const NEVER_SENT = ["trace", "connect"];

/** Makes the form of an operation. */
export function trialForm(document, one, { service, session, signal }) {
  const { method, path, operation, parameters } = one;
  const title = element("h4", {}, "Try it");
  if (!session.isThroughGateway) {
    const page = `${session.gateway ?? ""}/apicatalog/ui/v1/`;
    return element("div", { class: "trial" }, title, element("p", { class: "note" }, "Requests go through the gateway. Open the catalog there: ", outwardLink(page)));
  }
  if (NEVER_SENT.includes(method)) return element("div", { class: "trial" }, title, element("p", {}, "Browsers do not send this method."));
  const fields = parameters.filter((parameter) => ["path", "query", "header"].includes(parameter.in)).map((parameter) => field(document, parameter));
  const content = contentOf(document, operation, parameters);
  const takesBody = method !== "get" && method !== "head" && content !== undefined;
  const body = element("textarea", { rows: 8, name: "body", spellcheck: "false", value: takesBody ? content.example : "" });
  const more = element("textarea", { rows: 2, name: "headers", spellcheck: "false", placeholder: "Name: value" });
  const outcome = element("div", { role: "status", class: "outcome" });
  const send = async (event) => {
    event.preventDefault();
    outcome.replaceChildren("Sending …");
    try {
      const request = requestOf({ document, service, method, path, fields, more, body: takesBody ? body.value : undefined, type: content?.type });
      outcome.replaceChildren(...(await carriedOut(request, signal)));
    } catch (error) {
      outcome.replaceChildren(element("p", { class: "fault" }, String(error.message ?? error)));
    }
  };
  return element(
    "form",
    { class: "trial", onsubmit: send, "aria-label": `Try ${method.toUpperCase()} ${path}` },
    title,
    element("div", { class: "tools" }, fields.map((one) => one.label)),
    takesBody ? element("label", {}, `Body (${content.type})`, body) : "",
    element("details", {}, element("summary", {}, "More headers"), element("label", {}, "Headers, one a line", more)),
    element("button", { type: "submit" }, "Send"),
    outcome,
  );
}

function field(document, parameter) {
  const schema = parameter.schema ?? parameter;
  const example = parameter.example ?? sample(document, schema);
  const value = example === null || example === undefined || typeof example === "object" ? "" : String(example);
  const input = element("input", { name: `${parameter.in}-${parameter.name}`, required: parameter.required === true || parameter.in === "path", value });
  const label = element("label", {}, `${parameter.name} (${parameter.in})${parameter.required === true ? " *" : ""}`, input);
  return { parameter, input, label };
}

function contentOf(document, operation, parameters) {
  const body = parameters.find((parameter) => parameter.in === "body");
  if (body) return { type: (operation.consumes ?? document.consumes ?? [])[0] ?? "application/json", example: written(sample(document, body.schema)) };
  if (parameters.some((parameter) => parameter.in === "formData")) {
    const names = parameters.filter((parameter) => parameter.in === "formData").map((parameter) => `${encodeURIComponent(parameter.name)}=`);
    return { type: "application/x-www-form-urlencoded", example: names.join("&") };
  }
  const contents = operation.requestBody?.content;
  if (typeof contents !== "object" || contents === null) return undefined;
  const [type, content] = Object.entries(contents)[0] ?? [];
  return type ? { type, example: written(content?.example ?? sample(document, content?.schema)) } : undefined;
}

function written(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** Makes the request; throws when it would lead anywhere else than to this service on this gateway. */
export function requestOf({ document, service, method, path, fields, more, body, type }) {
  const query = new URLSearchParams();
  const headers = new Headers();
  let filled = path;
  for (const { parameter, input } of fields) {
    if (parameter.in === "path") filled = filled.replaceAll(`{${parameter.name}}`, step(input.value));
    else if (input.value !== "" || parameter.required === true) {
      if (parameter.in === "query") query.append(parameter.name, input.value);
      else headers.append(parameter.name, input.value);
    }
  }
  for (const line of more.value.split("\n").filter((one) => one.trim())) {
    const at = line.indexOf(":");
    if (at < 1) throw new Error(`“${line}” is no header: write it as Name: value`);
    headers.append(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  if (body !== undefined && type && !headers.has("content-type")) headers.set("content-type", type);
  const url = new URL(`${basePath(document)}${filled}`, location.origin);
  const search = query.toString();
  if (search) url.search = search;
  const own = `/${service.serviceId}/`.toLowerCase();
  if (url.origin !== location.origin || !`${url.pathname}/`.toLowerCase().startsWith(own)) {
    throw new Error(`The document leads to ${url.href}, which is not this service on this gateway; nothing was sent.`);
  }
  return { url, options: { method: method.toUpperCase(), headers, body, credentials: "same-origin", redirect: "manual", cache: "no-store" } };
}

/** Encodes a value as one step of a path, which it stays. */
function step(value) {
  if (value === "." || value === "..") throw new Error(`“${value}” cannot stand in a path`);
  return encodeURIComponent(value);
}

function basePath(document) {
  if (typeof document.basePath === "string") return document.basePath.replace(/\/+$/, "");
  const server = document.servers?.[0]?.url;
  try {
    return new URL(server, location.origin).pathname.replace(/\/+$/, "");
  } catch {
    return "";
  }
}

async function carriedOut({ url, options }, signal) {
  const begun = performance.now();
  const answer = await fetch(url, { ...options, signal });
  const body = answer.type === "opaqueredirect" ? "" : await answer.text();
  const taken = Math.round(performance.now() - begun);
  const status = answer.type === "opaqueredirect" ? "a redirect, which is not followed" : `${answer.status} ${answer.statusText}`;
  const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  const shown = pretty(body, answer.headers.get("content-type") ?? "");
  return [
    element("p", {}, element("code", {}, `${options.method} ${url.pathname}${url.search}`)),
    element("p", {}, element("strong", { class: "answer-status" }, status), ` in ${taken} ms`),
    headers ? element("pre", { tabindex: 0, "aria-label": "Headers of the answer" }, headers) : "",
    element("pre", { tabindex: 0, "aria-label": "Body of the answer", class: "answer-body" }, shown || "(no body)"),
  ].filter(Boolean);
}

function pretty(body, type) {
  let shown = body;
  if (/\bjson\b/i.test(type)) {
    try {
      shown = JSON.stringify(JSON.parse(body), null, 2);
    } catch {
      // It says that it is JSON: it is shown as it is.
    }
  }
  return shown.length > SHOWN_MAX ? `${shown.slice(0, SHOWN_MAX)}\n… ${shown.length - SHOWN_MAX} more letters` : shown;
}
