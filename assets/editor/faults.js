// What the server found, at the place it names: "subject", "blocks", "blocks.3.href".
import { cardAt } from "./blocks.js";
import { h, icon } from "./dom.js";
import { root, words } from "./words.js";

let lastId = 0;

export function clearFaults() {
  for (const old of root.querySelectorAll("[data-fault]")) old.remove();
  for (const field of root.querySelectorAll("[data-faulty]")) {
    delete field.dataset.faulty;
    field.classList.remove("is-invalid");
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

function placeOf(path) {
  const [head, at, name] = path.split(".");
  if (head !== "blocks" || at === undefined) {
    const box = root.querySelector(`[data-path="${head}"]`) ?? root.querySelector('[data-path="blocks"]');
    return { box: box.querySelector(".cl-field") ?? box, field: box.querySelector("input[type=text], input:not([type])") };
  }
  const card = cardAt(Number(at));
  if (!card) return placeOf("blocks");
  const field = name && card.querySelector(`[data-field="${CSS.escape(name)}"]`);
  return { box: field?.closest(".cl-field") ?? card.querySelector(".cl-block-body"), field };
}

export function showFault({ path, say }) {
  const { box, field } = placeOf(path);
  const id = `cl-fault-${++lastId}`;
  box.append(
    h(
      "p",
      { class: "cl-error", id, "data-fault": "" },
      icon("alert-circle"),
      h("span", {}, h("span", { class: "visually-hidden" }, `${words.error} `), say),
    ),
  );
  if (!field) return;
  field.dataset.faulty = "";
  field.classList.add("is-invalid");
  const control = field.querySelector("[contenteditable]") ?? field;
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", id);
}

export function showNotice({ path, say, law }) {
  const { box } = placeOf(path);
  box.append(
    h(
      "p",
      { class: "cl-remark", "data-fault": "" },
      icon("alert-triangle"),
      h(
        "span",
        {},
        h("span", { class: "visually-hidden" }, `${words.remark} `),
        law ? `${say} (${law})` : say,
      ),
    ),
  );
}
