// Short news about what was done or failed. Errors in a form stay in the form.
import { word } from "./page.js";

const SHOWN_MS = 6000;
const shelf = document.getElementById("cl-toasts");

function dismissLater(toast) {
  let timer = setTimeout(() => toast.remove(), SHOWN_MS);
  const hold = () => clearTimeout(timer);
  const letGo = () => {
    hold();
    timer = setTimeout(() => toast.remove(), SHOWN_MS);
  };
  toast.addEventListener("mouseenter", hold);
  toast.addEventListener("focusin", hold);
  toast.addEventListener("mouseleave", letGo);
  toast.addEventListener("focusout", letGo);
}

function wire(toast) {
  toast.querySelector("button")?.addEventListener("click", () => toast.remove());
  // What went wrong stays until it is read.
  if (!toast.classList.contains("cl-toast-danger")) dismissLater(toast);
}

// A page that polls would else repeat the same complaint every two seconds.
const isShown = (text) =>
  [...shelf.querySelectorAll(".cl-toast p")].some((shown) => shown.textContent === text);

export function toast(text, kind = "success") {
  const model = document.getElementById("cl-toast-model");
  if (!shelf || !model || !text || isShown(text)) return;
  const made = model.content.firstElementChild.cloneNode(true);
  made.classList.add(`cl-toast-${kind}`);
  made.setAttribute("role", kind === "danger" ? "alert" : "status");
  made.querySelector("p").textContent = text;
  shelf.append(made);
  wire(made);
}

shelf?.querySelectorAll(".cl-toast").forEach(wire);

// From the server: HX-Trigger: {"toast": {"items": [{"text": "…", "kind": "success"}]}}
document.addEventListener("toast", (event) => {
  for (const item of event.detail.items ?? []) toast(item.text, item.kind);
});

document.addEventListener("htmx:responseError", (event) => {
  const { xhr } = event.detail;
  if (xhr.status !== 401 && !xhr.getResponseHeader("HX-Trigger")) toast(word("failed"), "danger");
});

document.addEventListener("htmx:sendError", () => toast(word("offline"), "danger"));
