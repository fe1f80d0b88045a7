// Logging in: the server of this page hands the words on to the gateway.

import { element } from "./element.js";
import { ServerFault, ask } from "./server.js";

/** Makes the form; `done` is called when somebody has logged in. */
export function loginForm(title, done) {
  const fault = element("p", { class: "fault", role: "alert", id: "login-fault" });
  const user = field("Username", "text", "username");
  const password = field("Password", "password", "current-password");
  const button = element("button", { type: "submit" }, "Log in");
  const submit = async (event) => {
    event.preventDefault();
    fault.textContent = "";
    button.disabled = true;
    try {
      const body = JSON.stringify({ username: user.input.value, password: password.input.value });
      await ask("auth/login", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      await done();
    } catch (error) {
      fault.textContent = error instanceof ServerFault ? error.message : String(error);
      password.input.value = "";
      password.input.focus();
    } finally {
      button.disabled = false;
    }
  };
  const form = element(
    "form",
    { class: "login", onsubmit: submit, "aria-labelledby": "login-title" },
    element("h1", { id: "login-title", tabindex: -1 }, title),
    user.label,
    password.label,
    fault,
    button,
  );
  queueMicrotask(() => user.input.focus());
  return form;
}

function field(name, type, autocomplete) {
  const input = element("input", { type, name: name.toLowerCase(), autocomplete, required: true, autocapitalize: "none", spellcheck: "false" });
  return { input, label: element("label", {}, name, input) };
}

/** Logs out; what the server says of it does not matter to who goes. */
export async function logOut() {
  await ask("auth/logout", { method: "POST" }).catch(() => undefined);
}
