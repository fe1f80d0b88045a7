// Asking the server of this page: addresses are relative to it, so that they hold on the gateway and without.

/** An answer that is an error, with what the server says about it. */
export class ServerFault extends Error {
  constructor(status, messages) {
    super(messages.join(" "));
    this.status = status;
    this.messages = messages;
  }
}

/** Asks for something; returns the answer, or throws what the server says is wrong. */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new ServerFault(0, ["The server does not answer. It may be starting again; this page tries on."]);
  }
  if (answer.ok) return answer;
  throw new ServerFault(answer.status, await messages(answer));
}

/** Asks for JSON; nothing for an answer without content. */
export async function askJson(path, options) {
  const answer = await ask(path, options);
  return answer.status === 204 ? undefined : answer.json();
}

async function messages(answer) {
  const said = await answer.text().catch(() => "");
  try {
    const found = JSON.parse(said).messages.map((one) => `${one.messageContent} (${one.messageNumber})`);
    if (found.length > 0) return found;
  } catch {
    // No error of ours: the status is all there is.
  }
  return [`The server answers ${answer.status} ${answer.statusText}.`];
}
