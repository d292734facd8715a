// form[data-guard]: leaving with unsaved changes asks first.
const changed = new WeakSet();

const mark = (event) => {
  const form = event.target.closest?.("form[data-guard]");
  if (form) changed.add(form);
};

const clean = (event) => {
  const form = event.target.closest?.("form[data-guard]");
  if (form) changed.delete(form);
};

document.addEventListener("input", mark);
document.addEventListener("change", mark);
document.addEventListener("submit", clean);
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) clean(event);
});

window.addEventListener("beforeunload", (event) => {
  const forms = [...document.querySelectorAll("form[data-guard]")];
  if (forms.some((form) => changed.has(form))) event.preventDefault();
});
