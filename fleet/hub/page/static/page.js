// Keeps the page live: parts come drawn from the hub as server-sent events and replace what they name.
"use strict";

const link = document.getElementById("link");
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
  const list = part.querySelector("ol");
  const scrolled = list ? list.scrollTop : 0;
  const focused = list && document.activeElement === list;
  part.innerHTML = html;
  for (const node of part.querySelectorAll("[data-k]")) {
    if (before.has(node.dataset.k) && before.get(node.dataset.k) !== node.textContent) node.classList.add("changed");
  }
  const renewed = part.querySelector("ol");
  if (renewed) {
    renewed.scrollTop = scrolled;
    if (focused) renewed.focus();
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
    showLink("lost", "the hub does not answer");
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

async function ask(path, body) {
  const secret = document.getElementById("secret").value.trim();
  if (!secret) {
    document.getElementById("secret").focus();
    throw new Error("The admin secret is needed; the hub printed it when it first started.");
  }
  const reply = await fetch(path, {
    method: "POST",
    headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const document_ = await reply.json();
  if (!reply.ok) throw new Error(`${document_.title} ${document_.remedy || document_.detail}`);
  return document_;
}

async function attempt(action) {
  answer.className = "answer";
  answer.textContent = "…";
  try {
    answer.textContent = await action();
    answer.classList.add("good");
  } catch (error) {
    answer.textContent = error.message;
    answer.classList.add("bad");
  }
}

document.getElementById("claim").addEventListener("submit", (event) => {
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
    return "Type this on the machine. The token works once, within 24 hours.";
  });
});

document.getElementById("copy").addEventListener("click", async (event) => {
  await navigator.clipboard.writeText(command.firstElementChild.textContent);
  event.target.textContent = "Copied";
  setTimeout(() => { event.target.textContent = "Copy"; }, 1500);
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
