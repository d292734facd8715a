// The error summary takes the focus, so that a screen reader begins with what has to be mended.
document.querySelector(".cl-summary")?.focus();

// select[data-submit] sends its form at once; without scripts a button beside it does.
document.addEventListener("change", (event) => {
  if (event.target.matches?.("select[data-submit]")) event.target.form.requestSubmit();
});
