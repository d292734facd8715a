// The letter's frame: two widths, dark, the text part, an invented person; the place in it is kept.
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

  panel.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { width, look, part } = button.dataset;
    if (look) toggle(button, "look", look);
    if (part) toggle(button, "part", part);
    if (!width) return;
    for (const other of panel.querySelectorAll("[data-width]")) {
      other.setAttribute("aria-pressed", other === button);
    }
    frame.classList.toggle("cl-letter-phone", width === "375");
  });

  panel.querySelector("[data-person]")?.addEventListener("change", (event) => {
    shown.person = event.target.value;
    load();
  });

  document.addEventListener("cl:saved", load);
}
