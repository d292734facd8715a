// The list: add, move, drag, duplicate, remove and bring back. Cards are moved, never drawn anew,
// so that focus, cursor and the text's own undo survive.
import Sortable from "sortablejs";
import { changed } from "./changes.js";
import { h, icon } from "./dom.js";
import { FORMS, NEW } from "./forms.js";
import { fill, root, say, stored, words } from "./words.js";

const list = document.getElementById("cl-blocks");
const undo = document.getElementById("cl-undo");
const blocks = [];
let lastId = 0;
let removed = null;

export const documentNow = (preheader) => ({
  version: 1,
  preheader,
  blocks: blocks.map((block) => block.data),
});

export const cardAt = (place) => blocks[place]?.card;

const nameOf = (block) => words.types[block.data.type] ?? block.data.type;

function made(data) {
  const block = { id: ++lastId, data };
  const tool = (name, label, act, key) =>
    h(
      "button",
      { class: "btn btn-sm btn-icon btn-ghost-secondary", type: "button", "data-key": key, onclick: act },
      icon(name),
      h("span", { class: "visually-hidden" }, `${label}: `, h("span", { "data-name": "" })),
    );
  block.card = h(
    "li",
    { class: "card cl-block", tabindex: "-1" },
    h(
      "div",
      { class: "cl-block-head" },
      h("span", { class: "cl-grip", title: words.drag, "aria-hidden": "true" }, icon("grip-vertical")),
      h("h2", { class: "cl-block-name" }),
      h(
        "div",
        { class: "cl-block-tools" },
        tool("arrow-up", words.up, () => move(block, -1), "up"),
        tool("arrow-down", words.down, () => move(block, 1), "down"),
        tool("copy", words.duplicate, () => duplicate(block), "duplicate"),
        tool("trash", words.remove, () => remove(block), "remove"),
      ),
    ),
    h("div", { class: "cl-block-body" }, ...(FORMS[data.type]?.(block) ?? [])),
  );
  return block;
}

function number() {
  blocks.forEach((block, at) => {
    const name = fill(words.block, { place: at + 1, name: nameOf(block) });
    block.card.id = `block-${at}`;
    block.card.querySelector(".cl-block-name").textContent = name;
    for (const place of block.card.querySelectorAll("[data-name]")) place.textContent = name;
  });
}

function insert(block, at) {
  blocks.splice(at, 0, block);
  list.insertBefore(block.card, list.children[at] ?? null);
  number();
}

function focusIn(block) {
  block.card.scrollIntoView({ block: "nearest" });
  if (block.editor) {
    block.editor.chain().focus().selectAll().run();
    return;
  }
  const field = block.card.querySelector(".cl-block-body input, .cl-block-body select");
  (field ?? block.card.querySelector("[data-key=up]")).focus();
  field?.select?.();
}

function add(type) {
  if (full()) return;
  const block = made(NEW[type]());
  insert(block, blocks.length);
  focusIn(block);
  say(fill(words.added, { name: nameOf(block), place: blocks.length }));
  changed();
}

function full() {
  if (blocks.length < words.mostBlocks) return false;
  say(fill(words.tooMany, { limit: words.mostBlocks }));
  return true;
}

function duplicate(block) {
  if (full()) return;
  const copy = made(structuredClone(block.data));
  insert(copy, blocks.indexOf(block) + 1);
  focusIn(copy);
  say(fill(words.added, { name: nameOf(copy), place: blocks.indexOf(copy) + 1 }));
  changed();
}

function move(block, by) {
  const from = blocks.indexOf(block);
  const to = from + by;
  if (to >= 0 && to < blocks.length) {
    blocks.splice(from, 1);
    blocks.splice(to, 0, block);
    list.insertBefore(block.card, by < 0 ? list.children[to] : (list.children[to + 1] ?? null));
    number();
    changed();
  }
  block.card.querySelector(`[data-key=${by < 0 ? "up" : "down"}]`).focus();
  tellPlace(block);
}

const tellPlace = (block) =>
  say(fill(words.moved, { name: nameOf(block), place: blocks.indexOf(block) + 1, all: blocks.length }));

function remove(block) {
  const at = blocks.indexOf(block);
  blocks.splice(at, 1);
  block.card.remove();
  number();
  removed = { block, at };
  const sentence = fill(words.removed, { name: nameOf(block) });
  document.getElementById("cl-undo-words").textContent = sentence;
  undo.hidden = false;
  const near = blocks[at] ?? blocks[at - 1];
  (near?.card.querySelector("[data-key=remove]") ?? undo.querySelector("button")).focus();
  say(sentence);
  changed();
}

function bringBack() {
  if (!removed || full()) return;
  const { block, at } = removed;
  removed = null;
  undo.hidden = true;
  insert(block, Math.min(at, blocks.length));
  focusIn(block);
  say(fill(words.restored, { name: nameOf(block) }));
  changed();
}

function dragged({ oldIndex, newIndex }) {
  if (oldIndex === newIndex) return;
  const [block] = blocks.splice(oldIndex, 1);
  blocks.splice(newIndex, 0, block);
  number();
  tellPlace(block);
  changed();
}

export function start() {
  for (const data of stored.blocks) {
    const block = made(data);
    blocks.push(block);
    list.append(block.card);
  }
  number();
  new Sortable(list, { handle: ".cl-grip", animation: 120, onEnd: dragged });
  const bar = root.querySelector(".cl-editor-add");
  bar.hidden = false;
  bar.addEventListener("click", (event) => {
    const type = event.target.closest("[data-add]")?.dataset.add;
    if (type) add(type);
  });
  undo.querySelector("button").addEventListener("click", bringBack);
  if (/^#block-\d+$/.test(location.hash)) {
    const card = document.querySelector(location.hash);
    card?.scrollIntoView();
    card?.focus();
  }
}
