// A window: it is moved, resized, minimised, maximised and closed, by pointer and by keyboard.
//
//   normal ◄──► maximised        normal, maximised ──► minimised ──► as before        any ──► closed

import { element } from "./element.js";

/** How far an arrow key moves or resizes, in pixels. */
const STEP = 16;
const SMALLEST = { width: 192, height: 112 };
/** How much of a window stays on the desk at least, in pixels. */
const VISIBLE = 48;
let count = 0;

export class Window {
  constructor(app, kept, desk, events) {
    this.app = app;
    this.desk = desk;
    this.events = events;
    this.place = { x: kept.x, y: kept.y, width: kept.width, height: kept.height };
    this.state = kept.state;
    this.wasMaximised = kept.wasMaximised === true;
    count += 1;
    this.id = `window-${count}`;
    this.handle = element("button", { type: "button", class: "handle", "aria-describedby": `${this.id}-help` }, app.title);
    this.larger = this.#control("□", `Maximise ${app.title}`, () => this.set(this.state === "maximised" ? "normal" : "maximised"));
    this.content = element("div", { class: "content" });
    this.grip = element("div", { class: "grip", "aria-hidden": "true" });
    this.element = element(
      "section",
      { class: "window", role: "dialog", id: this.id, "aria-label": app.title },
      element(
        "div",
        { class: "title" },
        element("h2", {}, this.handle),
        this.#control("–", `Minimise ${app.title}`, () => this.set("minimised")),
        this.larger,
        this.#control("×", `Close ${app.title}`, () => this.close()),
      ),
      element("p", { class: "hidden-text", id: `${this.id}-help` }, "Arrow keys move the window, with Shift they resize it; Enter maximises it."),
      this.content,
      this.grip,
    );
    this.element.addEventListener("pointerdown", () => this.events.front(this), { capture: true });
    this.element.addEventListener("focusin", () => this.events.front(this));
    this.handle.addEventListener("keydown", (event) => this.#key(event));
    this.handle.addEventListener("dblclick", () => this.set(this.state === "maximised" ? "normal" : "maximised"));
    this.#drag(this.handle, (from, x, y) => ({ ...from, x: from.x + x, y: from.y + y }));
    this.#drag(this.grip, (from, x, y) => ({ ...from, width: from.width + x, height: from.height + y }));
    this.#show();
  }

  #control(sign, label, onclick) {
    return element("button", { type: "button", "aria-label": label, onclick }, sign);
  }

  /** Changes how it is shown. */
  set(state) {
    if (state === "minimised") this.wasMaximised = this.state === "maximised";
    this.state = state;
    this.#show();
    this.events.changed(this);
    if (state === "minimised") this.events.left(this);
  }

  /** Shows it as it was before it was minimised. */
  raise() {
    if (this.state === "minimised") {
      this.state = this.wasMaximised ? "maximised" : "normal";
      this.#show();
    }
    this.events.front(this);
    this.handle.focus();
    this.events.changed(this);
  }

  close() {
    try {
      this.unmount?.();
    } catch (error) {
      // An application that fails while it goes is gone all the same.
      console.warn(`${this.app.identifier} failed while it was closed`, error);
    }
    this.element.remove();
    this.events.closed(this);
  }

  retitle(title) {
    this.handle.textContent = String(title).slice(0, 200);
  }

  /** Returns what is kept of it. */
  kept() {
    return { identifier: this.app.identifier, state: this.state, wasMaximised: this.wasMaximised, ...this.place };
  }

  #show() {
    this.place = fitting(this.place, this.desk);
    const { style, classList } = this.element;
    this.element.hidden = this.state === "minimised";
    classList.toggle("maximised", this.state === "maximised");
    const isNormal = this.state !== "maximised";
    for (const [key, value] of [["left", this.place.x], ["top", this.place.y], ["width", this.place.width], ["height", this.place.height]]) {
      style[key] = isNormal ? `${value}px` : "";
    }
    this.larger.setAttribute("aria-pressed", String(this.state === "maximised"));
  }

  #move(place) {
    this.place = place;
    this.#show();
  }

  #key(event) {
    const steps = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const step = steps[event.key];
    if (event.key === "Enter") {
      event.preventDefault();
      this.set(this.state === "maximised" ? "normal" : "maximised");
      return;
    }
    if (!step || this.state !== "normal" || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const { x, y, width, height } = this.place;
    this.#move(event.shiftKey ? { x, y, width: width + step[0], height: height + step[1] } : { x: x + step[0], y: y + step[1], width, height });
    this.events.changed(this);
  }

  #drag(handle, changed) {
    handle.addEventListener("pointerdown", (begun) => {
      if (begun.button !== 0 || this.state !== "normal") return;
      const from = this.place;
      handle.setPointerCapture(begun.pointerId);
      document.body.classList.add("dragging");
      const move = (event) => this.#move(changed(from, event.clientX - begun.clientX, event.clientY - begun.clientY));
      const end = () => {
        handle.removeEventListener("pointermove", move);
        document.body.classList.remove("dragging");
        this.events.changed(this);
      };
      handle.addEventListener("pointermove", move);
      handle.addEventListener("lostpointercapture", end, { once: true });
    });
  }
}

/** Brings a window to where some of it is always on the desk. */
export function fitting(place, desk) {
  const width = Math.max(SMALLEST.width, Math.round(place.width));
  const height = Math.max(SMALLEST.height, Math.round(place.height));
  const x = Math.min(Math.max(Math.round(place.x), VISIBLE - width), Math.max(0, desk.clientWidth - VISIBLE));
  const y = Math.min(Math.max(Math.round(place.y), 0), Math.max(0, desk.clientHeight - VISIBLE));
  return { x, y, width, height };
}
