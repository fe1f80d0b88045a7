// Schemas as trees that are made as far as somebody opens them: they may lead to themselves.

import { element } from "./element.js";

/** How many references may lead to the next. */
const STEPS_MAX = 20;
const OWN = (object, key) => (typeof object === "object" && object !== null && Object.hasOwn(object, key) ? object[key] : undefined);

/** Follows references within the document; what leads elsewhere stays as it is. */
export function resolved(document, value) {
  let found = value;
  for (let step = 0; step < STEPS_MAX; step += 1) {
    const reference = OWN(found, "$ref");
    if (typeof reference !== "string" || !reference.startsWith("#/")) return found;
    found = reference
      .slice(2)
      .split("/")
      .reduce((at, part) => OWN(at, unescaped(part)), document);
  }
  return undefined;
}

function unescaped(part) {
  let text = part;
  try {
    text = decodeURIComponent(part);
  } catch {
    // A percent sign that encodes nothing stands for itself.
  }
  return text.replaceAll("~1", "/").replaceAll("~0", "~");
}

/** Makes a tree of a schema. */
export function schemaView(document, schema) {
  return element("div", { class: "schema" }, branch(document, undefined, schema, false));
}

function branch(document, name, value, isRequired) {
  const schema = resolved(document, value);
  const words = `${name === undefined ? "" : `${name}${isRequired ? " *" : ""}: `}${typeName(document, value, schema)}`;
  const members = membersOf(document, schema);
  const remarks = remarksOf(schema);
  if (members.length === 0) return element("span", {}, words, remarks ? element("span", { class: "quiet-text" }, ` ${remarks}`) : "");
  const list = element("ul", {});
  const details = element("details", {}, element("summary", {}, words, remarks ? element("span", { class: "quiet-text" }, ` ${remarks}`) : ""), list);
  details.addEventListener("toggle", () => {
    if (!details.open || list.childElementCount > 0) return;
    list.append(...members.map((member) => element("li", {}, branch(document, member.name, member.value, member.isRequired))));
  });
  return details;
}

function typeName(document, value, schema) {
  const reference = OWN(value, "$ref");
  const last = typeof reference === "string" ? reference.split("/").pop() : "";
  if (schema === undefined) return last ? `${last} (not in this document)` : "anything";
  const type = OWN(schema, "type");
  const types = Array.isArray(type) ? type.filter((one) => typeof one === "string").join(" or ") : typeof type === "string" ? type : "";
  if (types === "array") {
    const items = OWN(schema, "items");
    return `list of ${typeName(document, items, resolved(document, items))}`;
  }
  const format = OWN(schema, "format");
  const base = types || (OWN(schema, "properties") ? "object" : ["allOf", "oneOf", "anyOf"].find((key) => OWN(schema, key)) ?? "anything");
  return `${last ? `${last} ` : ""}${base}${typeof format === "string" ? ` (${format})` : ""}`;
}

function membersOf(document, schema) {
  const required = OWN(schema, "required");
  const properties = OWN(schema, "properties");
  const members = typeof properties === "object" && properties !== null
    ? Object.entries(properties).map(([name, value]) => ({ name, value, isRequired: Array.isArray(required) && required.includes(name) }))
    : [];
  const items = OWN(schema, "items");
  const inner = resolved(document, items);
  if (inner && membersOfOwn(inner)) members.push({ name: "each", value: items, isRequired: false });
  for (const key of ["allOf", "oneOf", "anyOf"]) {
    const list = OWN(schema, key);
    if (Array.isArray(list)) list.forEach((value, at) => members.push({ name: `${key} ${at + 1}`, value, isRequired: false }));
  }
  const others = OWN(schema, "additionalProperties");
  if (typeof others === "object" && others !== null) members.push({ name: "any other", value: others, isRequired: false });
  return members;
}

function membersOfOwn(schema) {
  return ["properties", "items", "allOf", "oneOf", "anyOf"].some((key) => OWN(schema, key) !== undefined);
}

function remarksOf(schema) {
  const remarks = [];
  const description = OWN(schema, "description");
  if (typeof description === "string") remarks.push(description);
  const values = OWN(schema, "enum");
  if (Array.isArray(values)) remarks.push(`one of ${values.slice(0, 30).map((one) => JSON.stringify(one)).join(", ")}`);
  for (const key of ["default", "minimum", "maximum", "minLength", "maxLength", "pattern"]) {
    const value = OWN(schema, key);
    if (value !== undefined && typeof value !== "object") remarks.push(`${key} ${value}`);
  }
  return remarks.join("; ");
}
