// htmx under a policy without eval; nothing about a patient is kept in the browser's storage.
import htmx from "htmx.org/dist/htmx.esm.js";

Object.assign(htmx.config, {
  allowEval: false,
  includeIndicatorStyles: false,
  allowScriptTags: false,
  selfRequestsOnly: true,
  historyCacheSize: 0,
  responseHandling: [
    { code: "204", swap: false },
    { code: "[23]..", swap: true },
    { code: "422", swap: true },
    { code: "[45]..", swap: false, error: true },
  ],
});

const token = document.querySelector("meta[name=csrf-token]")?.content;

document.addEventListener("htmx:configRequest", (event) => {
  if (token) event.detail.headers["X-CSRFToken"] = token;
});

// Signed out in the meantime: the reload leads through the sign-in and back to this page.
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) window.location.reload();
});
