// What can be written in each kind of block.
import { changed } from "./changes.js";
import { h } from "./dom.js";
import { intoInput, mergeMenu } from "./merge.js";
import { rich } from "./rich.js";
import { words } from "./words.js";

function labelled(block, name, label, control, extra) {
  const id = `cl-${block.id}-${name}`;
  control.id = id;
  control.dataset.field = name;
  return h("div", { class: "cl-field" }, extra, h("label", { class: "form-label", for: id }, label), control);
}

function input(block, name, label, { merge = false, ...attributes } = {}) {
  const control = h("input", {
    class: "form-control",
    autocomplete: "off",
    value: block.data[name] ?? "",
    oninput: () => {
      block.data[name] = control.value;
      changed();
    },
    ...attributes,
  });
  return labelled(block, name, label, control, merge ? mergeMenu(intoInput(control)) : null);
}

function select(block, name, label, options, onPick = () => {}) {
  const control = h("select", { class: "form-select" });
  for (const [value, text] of options) control.append(h("option", { value }, text));
  control.value = String(block.data[name] ?? "");
  control.addEventListener("change", () => {
    onPick(control.value);
    changed();
  });
  return labelled(block, name, label, control);
}

function heading(block) {
  const sizes = words.levels.map((name, at) => [String(at + 1), name]);
  return [
    input(block, "text", words.headingText, { merge: true, maxlength: 300 }),
    select(block, "level", words.level, sizes, (value) => {
      block.data.level = Number(value);
    }),
  ];
}

function text(block) {
  const made = rich(block.data.html, words.textText, (html) => {
    block.data.html = html;
    changed();
  });
  block.editor = made.editor;
  return [made.element];
}

const button = (block) => [
  input(block, "text", words.buttonText, { merge: true, maxlength: 60 }),
  input(block, "href", `${words.href} (${words.hrefHint})`, { maxlength: 1000 }),
];

function image(block) {
  const options = [["", words.noPicture], ...words.pictures.map(({ src, name }) => [src, name])];
  const shown = h("img", { class: "cl-picture", alt: "", width: 300, height: 100 });
  const alt = input(block, "alt", words.alt, { maxlength: 200 });
  const show = () => {
    shown.hidden = !block.data.src;
    if (block.data.src) shown.src = block.data.src;
  };
  const pick = (src) => {
    const control = alt.querySelector("input");
    const ours = words.pictures.map((one) => one.alt);
    block.data.src = src;
    if (!control.value || ours.includes(control.value) || control.value === words.picture) {
      control.value = words.pictures.find((one) => one.src === src)?.alt ?? words.picture;
      block.data.alt = control.value;
    }
    show();
  };
  show();
  return [select(block, "src", words.picture, options, pick), shown, alt];
}

const remark = (sentence) => () => [h("p", { class: "cl-sub" }, sentence)];

export const FORMS = {
  heading,
  text,
  button,
  image,
  divider: remark(words.dividerWords),
  medical_warning: remark(words.warning),
};

export const NEW = {
  heading: () => ({ type: "heading", text: words.presets.heading, level: 2 }),
  text: () => ({ type: "text", html: `<p>${words.presets.text}</p>` }),
  button: () => ({ type: "button", text: words.presets.button, href: words.siteUrl }),
  image: () => ({ type: "image", src: words.pictures[0].src, alt: words.pictures[0].alt }),
  divider: () => ({ type: "divider" }),
  medical_warning: () => ({ type: "medical_warning" }),
};
