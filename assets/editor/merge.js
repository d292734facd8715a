// A menu that puts a merge field where the cursor was.
import { h, icon } from "./dom.js";
import { words } from "./words.js";

export function mergeMenu(insert) {
  const items = words.mergeFields.map(({ token, name }) =>
    h(
      "li",
      {},
      // The menu gives the focus back to its button as it closes; the field takes it after that.
      h("button", { class: "dropdown-item", type: "button", onclick: () => setTimeout(insert, 0, token) }, name),
    ),
  );
  return h(
    "div",
    { class: "dropdown cl-merge" },
    h(
      "button",
      {
        class: "btn btn-sm btn-ghost-secondary",
        type: "button",
        "data-bs-toggle": "dropdown",
        "aria-expanded": "false",
      },
      icon("braces"),
      words.fields,
    ),
    h("ul", { class: "dropdown-menu" }, ...items),
  );
}

export function intoInput(input) {
  return (token) => {
    input.focus();
    input.setRangeText(token, input.selectionStart, input.selectionEnd, "end");
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
}
