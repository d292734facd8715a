// A long list with a search in it: <select data-tomselect>.
import TomSelect from "tom-select/base";
import { eachNew, word } from "./page.js";

eachNew("select[data-tomselect]", (select) => {
  if (select.tomselect) return;
  // The label moves to the new field; the old one is out of sight and out of reach.
  select.setAttribute("aria-hidden", "true");
  new TomSelect(select, {
    maxOptions: 200,
    render: {
      no_results: () => {
        const line = document.createElement("div");
        line.className = "no-results";
        line.textContent = word("nothing");
        return line;
      },
    },
  });
});
