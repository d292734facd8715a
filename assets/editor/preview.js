// The letter's frame: two widths, dark, the text part, an invented person; the place in it is kept.
const WIDE = 616;

for (const panel of document.querySelectorAll("[data-preview]")) {
  const frame = panel.querySelector("iframe");
  const shown = { person: "0" };

  const load = () => {
    let place = 0;
    try {
      place = frame.contentWindow.scrollY;
    } catch {
      // A frame that shows an error page of the browser has no place to keep.
    }
    frame.addEventListener("load", () => frame.contentWindow?.scrollTo(0, place), { once: true });
    frame.src = `${panel.dataset.preview}?${new URLSearchParams(shown)}`;
  };

  const toggle = (button, name, value) => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    if (on) shown[name] = value;
    else delete shown[name];
    load();
  };

  const setWidth = (width) => {
    for (const button of panel.querySelectorAll("[data-width]")) {
      button.setAttribute("aria-pressed", button.dataset.width === width);
    }
    frame.classList.toggle("cl-letter-phone", width === "375");
  };

  if (panel.clientWidth < WIDE) setWidth("375");

  panel.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { width, look, part } = button.dataset;
    if (look) toggle(button, "look", look);
    if (part) toggle(button, "part", part);
    if (width) setWidth(width);
  });

  panel.querySelector("[data-person]")?.addEventListener("change", (event) => {
    shown.person = event.target.value;
    load();
  });

  document.addEventListener("cl:saved", load);
}
