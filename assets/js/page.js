// Scripts have no words of their own: the layout hands them over, translated, as JSON.
const words = JSON.parse(document.getElementById("cl-words")?.textContent ?? "{}");

export const word = (name) => words[name] ?? "";

// Runs now for what is on the page, and again for whatever htmx brings in later.
export function eachNew(selector, start) {
  const scan = (root) => {
    if (root.matches?.(selector)) start(root);
    root.querySelectorAll?.(selector).forEach(start);
  };
  scan(document);
  document.addEventListener("htmx:load", (event) => scan(event.detail.elt));
}
