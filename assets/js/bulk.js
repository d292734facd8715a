// Tick rows, act on all of them: form[data-bulk] with input[name=ids], [data-check-all] and a
// .cl-bulk bar whose [data-count] shows how many.
import { eachNew } from "./page.js";

function refresh(form) {
  const boxes = [...form.querySelectorAll("input[name=ids]")];
  const ticked = boxes.filter((box) => box.checked).length;
  boxes.forEach((box) => box.closest("tr")?.classList.toggle("cl-selected", box.checked));
  const all = form.querySelector("[data-check-all]");
  if (all) {
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  }
  const bar = form.querySelector(".cl-bulk");
  if (bar) {
    bar.hidden = ticked === 0;
    bar.querySelector("[data-count]").textContent = ticked;
  }
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-bulk]");
  if (!form) return;
  if (event.target.matches("[data-check-all]")) {
    for (const box of form.querySelectorAll("input[name=ids]")) box.checked = event.target.checked;
  }
  refresh(form);
});

eachNew("form[data-bulk]", refresh);
document.addEventListener("htmx:afterSettle", () => {
  document.querySelectorAll("form[data-bulk]").forEach(refresh);
});
