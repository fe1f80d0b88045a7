// Making elements: text is always text, and links lead to the web alone.

/** Makes an element; properties are attributes, `on…` are listeners, children are elements or texts. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return made;
}

/** Returns an address if a browser may be sent there, else nothing: what else there is could run in this page. */
export function webAddress(text) {
  if (typeof text !== "string" || !/^https?:\/\//i.test(text)) return undefined;
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : undefined;
  } catch {
    return undefined;
  }
}

/** Makes a link to elsewhere, or plain text when the address is none of the web. */
export function outwardLink(address, text) {
  const href = webAddress(address);
  if (!href) return element("span", {}, text ?? String(address ?? ""));
  return element("a", { href, rel: "noreferrer noopener", target: "_blank" }, text ?? href);
}

/** Makes paragraphs of a text; `[words](https://…)` are links, nothing else is understood. */
export function prose(text) {
  const paragraphs = String(text ?? "").split(/\n{2,}/).filter((part) => part.trim());
  return paragraphs.map((part) => element("p", {}, pieces(part)));
}

function pieces(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(/\[([^\]\n]{1,200})\]\(([^)\s]{1,2000})\)/g)) {
    found.push(text.slice(at, match.index), outwardLink(match[2], match[1]));
    at = match.index + match[0].length;
  }
  found.push(text.slice(at));
  return found;
}

/** Makes a table that can be scrolled by keyboard when it is too wide. */
export function table(caption, heads, rows) {
  return element(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, rows.map((cells) => element("tr", {}, cells.map((cell) => element("td", {}, cell))))),
    ),
  );
}

/** Says in words and colour how something is. */
export function badge(status) {
  const words = { UP: "Up", DOWN: "Down", WARNING: "Partly up" };
  const known = Object.hasOwn(words, status);
  return element("span", { class: `badge ${known ? status.toLowerCase() : "unknown"}` }, known ? words[status] : String(status));
}
