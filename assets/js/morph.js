// hx-ext="morph" hx-swap="morph:innerHTML": polling changes what changed and nothing else, so
// that focus, an open menu and a half-typed word survive it.
import htmx from "htmx.org/dist/htmx.esm.js";
import { Idiomorph } from "idiomorph/dist/idiomorph.esm.js";

const STYLES = {
  morph: "outerHTML",
  "morph:outerHTML": "outerHTML",
  "morph:innerHTML": "innerHTML",
};

htmx.defineExtension("morph", {
  isInlineSwap: (swap) => STYLES[swap] === "outerHTML",
  handleSwap(swap, target, fragment) {
    const morphStyle = STYLES[swap];
    if (!morphStyle) return false;
    return Idiomorph.morph(target, fragment.children, { morphStyle, ignoreActiveValue: true });
  },
});
