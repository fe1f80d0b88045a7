// An API document as operations that people can read: Swagger 2.0 and OpenAPI 3. All of it may be anything.

import { element, outwardLink, prose, table } from "./element.js";
import { resolved, schemaView } from "./schema.js";
import { trialForm } from "./trial.js";

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/** Makes the elements that show a document. */
export function documentView(document, context) {
  const info = asObject(document.info);
  const operations = operationsOf(document);
  const unreachable = asList(document["x-tender-unreachable"]).filter((path) => typeof path === "string");
  const external = asObject(document.externalDocs);
  return [
    element("h3", {}, `${text(info.title) || "Untitled"} ${text(info.version)}`),
    ...prose(text(info.description)),
    external.url ? element("p", {}, outwardLink(external.url, text(external.description) || "Documentation")) : "",
    unreachable.length > 0
      ? element("p", { class: "note" }, `No route of the gateway leads to ${unreachable.length} of its paths: ${unreachable.join(", ")}`)
      : "",
    element("p", { role: "status" }, `${operations.length} operations`),
    ...groups(operations).map(([tag, members]) =>
      element(
        "section",
        { "aria-label": tag },
        element("h3", {}, tag),
        members.map((operation) => operationView(document, operation, context)),
      ),
    ),
  ];
}

/** Returns the operations of a document, with parameters of their paths. */
export function operationsOf(document) {
  const found = [];
  for (const [path, item] of Object.entries(asObject(document.paths))) {
    if (path.startsWith("x-")) continue;
    const members = asObject(resolved(document, item));
    for (const method of METHODS) {
      const operation = members[method];
      if (!isObject(operation)) continue;
      const parameters = new Map();
      for (const one of [...asList(members.parameters), ...asList(operation.parameters)]) {
        const parameter = asObject(resolved(document, one));
        parameters.set(`${parameter.in} ${parameter.name}`, parameter);
      }
      found.push({ path, method, operation, parameters: [...parameters.values()] });
    }
  }
  return found;
}

function groups(operations) {
  const found = new Map();
  for (const one of operations) {
    const tag = text(asList(one.operation.tags)[0]) || "Operations";
    if (!found.has(tag)) found.set(tag, []);
    found.get(tag).push(one);
  }
  return [...found];
}

function operationView(document, one, context) {
  const { path, method, operation } = one;
  const inside = element("div", { class: "inside" });
  const details = element(
    "details",
    { class: operation.deprecated === true ? "operation deprecated" : "operation" },
    element(
      "summary",
      {},
      element("span", { class: "method" }, method.toUpperCase()),
      element("code", { class: "path" }, path),
      element("span", { class: "quiet-text" }, `${text(operation.summary)}${operation.deprecated === true ? " (deprecated)" : ""}`),
    ),
    inside,
  );
  // A document may have thousands of operations: only what is opened is made.
  details.addEventListener("toggle", () => {
    if (details.open && inside.childElementCount === 0) inside.append(...operationDetails(document, one, context));
  });
  return details;
}

function operationDetails(document, one, context) {
  const { operation, parameters } = one;
  const plain = parameters.filter((parameter) => parameter.in !== "body" && parameter.in !== "formData");
  return [
    ...prose(text(operation.description)),
    plain.length > 0
      ? table("Parameters", ["Name", "In", "Type", "Description"], plain.map((parameter) => parameterRow(document, parameter)))
      : "",
    ...bodyView(document, one),
    ...answersView(document, operation),
    trialForm(document, one, context),
  ].filter(Boolean);
}

function parameterRow(document, parameter) {
  const schema = parameter.schema ?? parameter;
  return [
    element("code", {}, `${text(parameter.name)}${parameter.required === true ? " *" : ""}`),
    text(parameter.in),
    schemaView(document, schema),
    text(parameter.description),
  ];
}

function bodyView(document, { operation, parameters }) {
  const body = parameters.find((parameter) => parameter.in === "body");
  if (body) return [element("h4", {}, "Body"), ...prose(text(body.description)), schemaView(document, body.schema)];
  const fields = parameters.filter((parameter) => parameter.in === "formData");
  if (fields.length > 0) {
    return [table("Form fields", ["Name", "In", "Type", "Description"], fields.map((field) => parameterRow(document, field)))];
  }
  const request = asObject(resolved(document, operation.requestBody));
  return contentView(document, "Body", request);
}

function contentView(document, title, holder) {
  const contents = Object.entries(asObject(holder.content));
  if (contents.length === 0) return [];
  return [
    element("h4", {}, title),
    ...prose(text(holder.description)),
    ...contents.map(([type, content]) => element("div", {}, element("code", {}, type), schemaView(document, asObject(content).schema))),
  ];
}

function answersView(document, operation) {
  const answers = Object.entries(asObject(operation.responses)).filter(([status]) => !status.startsWith("x-"));
  if (answers.length === 0) return [];
  const rows = answers.map(([status, value]) => {
    const answer = asObject(resolved(document, value));
    const contents = answer.schema ? [["", answer]] : Object.entries(asObject(answer.content));
    const bodies = contents.map(([type, content]) => element("div", {}, element("code", {}, type), schemaView(document, asObject(content).schema)));
    return [status, text(answer.description), bodies.length > 0 ? bodies : "none"];
  });
  return [table("Answers", ["Status", "Description", "Body"], rows)];
}

/** Returns a value when it is an object, else an empty one. */
export function asObject(value) {
  return isObject(value) ? value : {};
}

/** Returns a value when it is a list, else an empty one. */
export function asList(value) {
  return Array.isArray(value) ? value : [];
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns a value when it is a text or a number, else nothing to read. */
export function text(value) {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}
