// A value that fits a schema, for somebody to begin with.

import { resolved } from "./schema.js";

const DEPTH_MAX = 6;

/** Makes a value of a schema: its example if it has one. */
export function sample(document, value, depth = 0) {
  const schema = resolved(document, value);
  if (typeof schema !== "object" || schema === null || depth > DEPTH_MAX) return null;
  if (schema.example !== undefined) return schema.example;
  if (schema.default !== undefined) return schema.default;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return schema.enum[0];
  for (const key of ["allOf", "oneOf", "anyOf"]) {
    if (Array.isArray(schema[key]) && schema[key].length > 0) return combined(document, key, schema[key], depth);
  }
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return [sample(document, schema.items, depth + 1)];
  if (type === "integer" || type === "number") return 0;
  if (type === "boolean") return false;
  if (type === "string") return "";
  if (type === "object" || schema.properties) return members(document, schema.properties, depth);
  return null;
}

function combined(document, key, list, depth) {
  if (key !== "allOf") return sample(document, list[0], depth + 1);
  const parts = list.map((one) => sample(document, one, depth + 1)).filter((one) => typeof one === "object" && one !== null);
  return Object.assign({}, ...parts);
}

function members(document, properties, depth) {
  if (typeof properties !== "object" || properties === null) return {};
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, sample(document, value, depth + 1)]));
}
