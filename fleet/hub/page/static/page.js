// Keeps the page live: parts come drawn from the hub as server-sent events and replace what they name.
"use strict";

const link = document.getElementById("link");
const claim = document.getElementById("claim");
const answer = document.getElementById("claim-answer");
const command = document.getElementById("command");

function showLink(state, text) {
  link.dataset.state = state;
  link.lastElementChild.textContent = text;
}

function replacePart(id, html) {
  const part = document.getElementById(id);
  const selection = getSelection();
  if (!part || selection.type === "Range" && part.contains(selection.anchorNode)) return; // somebody copies from it
  const before = new Map([...part.querySelectorAll("[data-k]")].map((node) => [node.dataset.k, node.textContent]));
  const list = part.querySelector("[data-scroll]");
  const scrolled = list ? list.scrollTop : 0;
  const focused = list && document.activeElement === list;
  part.innerHTML = html;
  for (const node of part.querySelectorAll("[data-k]")) {
    if (before.has(node.dataset.k) && before.get(node.dataset.k) !== node.textContent) node.classList.add("changed");
  }
  const renewed = part.querySelector("[data-scroll]");
  if (renewed) {
    renewed.scrollTop = scrolled;
    if (focused) renewed.focus({ preventScroll: true });
  }
}

function follow() {
  const source = new EventSource("/live");
  source.addEventListener("open", () => showLink("live", "live"));
  source.addEventListener("part", (event) => {
    const { id, html } = JSON.parse(event.data);
    replacePart(id, html);
  });
  source.addEventListener("error", () => {
    if (link.dataset.state !== "lost") {
      const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
      showLink("lost", `hub away since ${time}, trying again`);
    }
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
  });
}

function ago(ms) {
  const seconds = Math.max(0, Math.floor((Date.now() - ms) / 1000));
  for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${name} ago`;
  }
  return seconds ? `${seconds} s ago` : "now";
}

function keepTimes() {
  for (const node of document.querySelectorAll("time[data-ms]")) {
    const text = ago(Number(node.dataset.ms));
    if (node.textContent !== text) node.textContent = text;
  }
}

class Refusal extends Error {
  constructor(message, field) {
    super(message);
    this.field = field; // the id of the control to correct, if it is one
  }
}

async function ask(path, body) {
  const secret = document.getElementById("secret").value.trim();
  if (!secret) throw new Refusal("The admin secret is needed; the hub printed it when it first started.", "secret");
  let reply, told;
  try {
    reply = await fetch(path, {
      method: "POST",
      headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    told = await reply.json();
  } catch {
    throw new Refusal("The hub does not answer. Is it running?");
  }
  if (reply.ok) return told;
  throw new Refusal(`${told.title} ${told.remedy || told.detail}`, { not_admin: "secret", claim_invalid: "code" }[told.code]);
}

async function attempt(action) {
  answer.className = "answer";
  answer.textContent = "…";
  for (const input of document.querySelectorAll("#claim input")) input.removeAttribute("aria-invalid");
  try {
    answer.textContent = await action();
    answer.classList.add("good");
  } catch (error) {
    answer.textContent = error.message;
    answer.classList.add("bad");
    const field = error.field && document.getElementById(error.field);
    if (field) {
      field.setAttribute("aria-invalid", "true");
      field.focus();
    }
  }
}

claim.addEventListener("submit", (event) => {
  event.preventDefault();
  const code = document.getElementById("code");
  attempt(async () => {
    const { device } = await ask("/api/claims", { code: code.value });
    code.value = "";
    return `Welcome, ${device.slice(0, 8)}. It joins within seconds.`;
  });
});

document.getElementById("token").addEventListener("click", () => {
  attempt(async () => {
    const { join } = await ask("/api/tokens", {});
    command.hidden = false;
    command.firstElementChild.textContent = join;
    const where = claim.dataset.reachable === "yes" ? "the new machine" : "this machine; others do not reach this hub yet";
    return `Type this on ${where}. The token works once, within 24 hours.`;
  });
});

document.getElementById("copy").addEventListener("click", async (event) => {
  const button = event.target;
  try {
    await navigator.clipboard.writeText(command.firstElementChild.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  } catch { // the browser does not let us: mark it, so that Ctrl-C does
    getSelection().selectAllChildren(command.firstElementChild);
  }
});

document.getElementById("code").addEventListener("input", (event) => {
  const plain = event.target.value.toUpperCase().replace(/[^0-9A-Z]/g, "").slice(0, 8);
  event.target.value = plain.length > 4 ? `${plain.slice(0, 4)}-${plain.slice(4)}` : plain;
});

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("dccn-theme", root.dataset.theme); } catch { /* not kept */ }
});

setInterval(keepTimes, 1000);
follow();
