// A hidden tab asks nothing; a slow server is asked less often. The server ends it with 286.
const slow = new WeakMap();

const polls = (element) => /\bevery\b/.test(element.getAttribute("hx-trigger") ?? "");

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, requestConfig } = event.detail;
  if (!polls(elt) || requestConfig.verb !== "get") return;
  if (document.hidden || performance.now() < (slow.get(elt)?.notBefore ?? 0)) {
    event.preventDefault();
    return;
  }
  slow.set(elt, { asked: performance.now(), notBefore: 0 });
});

document.addEventListener("htmx:afterRequest", (event) => {
  const state = slow.get(event.detail.elt);
  if (!state) return;
  const took = performance.now() - state.asked;
  state.notBefore = performance.now() + Math.max(250 * Math.sqrt(took) - 1000, 0);
});
