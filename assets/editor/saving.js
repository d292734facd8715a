// Autosave: a moment after the last change, one request at a time, with the number of the revision
// that this page was made from. Nothing typed is ever replaced by what the server has.
import { documentNow } from "./blocks.js";
import { onChange } from "./changes.js";
import { clearFaults, showFault, showNotice } from "./faults.js";
import { lines } from "./lines.js";
import { firstNotices, root, words } from "./words.js";

const PAUSE_MS = 700;
const AGAIN_MS = 5000;
const status = document.getElementById("cl-save-status");
const conflict = document.getElementById("cl-conflict");
const token = document.querySelector("meta[name=csrf-token]").content;

let revision = Number(root.dataset.revision);
let theirs = null;
let dirty = false;
let timer;
let running = null;

function schedule(after = PAUSE_MS) {
  clearTimeout(timer);
  if (theirs === null) timer = setTimeout(save, after);
}

function tell(sentence, kind = "") {
  status.textContent = sentence;
  status.dataset.kind = kind;
}

function request() {
  const { name, subject, preheader } = lines();
  return fetch(root.dataset.save, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": token },
    body: JSON.stringify({ name, subject, document: documentNow(preheader), revision }),
  });
}

export async function save() {
  clearTimeout(timer);
  if (running) await running;
  if (!dirty || theirs !== null) return !dirty;
  running = attempt();
  const done = await running;
  running = null;
  return done;
}

async function attempt() {
  dirty = false;
  tell(words.saving);
  let response;
  try {
    response = await request();
  } catch {
    return keep(words.failed, AGAIN_MS);
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return saved(answer);
  if (response.status === 422 && answer.faults) return invalid(answer.faults);
  if (response.status === 409 && answer.revision) return collided(answer);
  if (response.status === 401 || response.status === 400) return keep(words.signedOut);
  return keep(answer.error ?? words.failed, response.status >= 500 ? AGAIN_MS : undefined);
}

function saved(answer) {
  revision = answer.revision;
  clearFaults();
  answer.notices.forEach(showNotice);
  if (!dirty) tell(words.saved, "on");
  document.dispatchEvent(new Event("cl:saved"));
  return !dirty;
}

function keep(sentence, again) {
  dirty = true;
  tell(sentence, "bad");
  if (again) schedule(again);
  return false;
}

function invalid(faults) {
  clearFaults();
  faults.forEach(showFault);
  return keep(words.invalid);
}

function collided(answer) {
  theirs = answer.revision;
  document.getElementById("cl-conflict-words").textContent = answer.error;
  conflict.hidden = false;
  conflict.focus();
  return keep(words.conflict);
}

function settle(choice) {
  if (choice === "theirs") {
    dirty = false;
    window.location.reload();
    return;
  }
  revision = theirs;
  theirs = null;
  conflict.hidden = true;
  save();
}

export function startSaving() {
  firstNotices.forEach(showNotice);
  onChange(() => {
    dirty = true;
    if (theirs === null) tell(words.unsaved);
    schedule();
  });
  document.getElementById("cl-lines").addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.code !== "KeyS") return;
    event.preventDefault();
    save();
  });
  document.getElementById("cl-next").addEventListener("click", async (event) => {
    if (!dirty && !running) return;
    event.preventDefault();
    const address = event.currentTarget.href;
    if (await save()) window.location.assign(address);
    else root.querySelector("[aria-invalid=true]")?.focus();
  });
  conflict.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-conflict]")?.dataset.conflict;
    if (choice) settle(choice);
  });
  window.addEventListener("beforeunload", (event) => {
    if (dirty || running) event.preventDefault();
  });
}
