// Name, subject and preheader: the server's own fields, read when saving.
import { changed } from "./changes.js";
import { intoInput, mergeMenu } from "./merge.js";

const form = document.getElementById("cl-lines");
const names = ["name", "subject", "preheader"];

export const lines = () =>
  Object.fromEntries(names.map((name) => [name, form.elements.namedItem(name).value]));

export function startLines() {
  form.addEventListener("input", changed);
  for (const input of form.querySelectorAll("[data-merge]")) {
    input.closest(".cl-field").prepend(mergeMenu(intoInput(input)));
  }
}
