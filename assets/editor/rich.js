// Text with the little formatting that letters may have; whatever else is pasted is dropped.
import { Editor } from "@tiptap/core";
import Bold from "@tiptap/extension-bold";
import Document from "@tiptap/extension-document";
import HardBreak from "@tiptap/extension-hard-break";
import Italic from "@tiptap/extension-italic";
import Link from "@tiptap/extension-link";
import { BulletList, ListItem, OrderedList } from "@tiptap/extension-list";
import Paragraph from "@tiptap/extension-paragraph";
import Text from "@tiptap/extension-text";
import { UndoRedo } from "@tiptap/extensions";
import { h, icon } from "./dom.js";
import { mergeMenu } from "./merge.js";
import { words } from "./words.js";

const MARKS = [
  ["bold", words.bold, (chain) => chain.toggleBold(), "bold"],
  ["italic", words.italic, (chain) => chain.toggleItalic(), "italic"],
  ["list", words.bullets, (chain) => chain.toggleBulletList(), "bulletList"],
  ["list-numbers", words.numbers, (chain) => chain.toggleOrderedList(), "orderedList"],
];
const STEPS = [
  ["arrow-back-up", words.undo, (chain) => chain.undo()],
  ["arrow-forward-up", words.redo, (chain) => chain.redo()],
];

const button = (name, label, onclick, toggles = false) =>
  h(
    "button",
    {
      class: "btn btn-sm btn-icon",
      type: "button",
      "aria-label": label,
      "aria-pressed": toggles ? "false" : undefined,
      onclick,
    },
    icon(name),
  );

export function rich(html, label, onUpdate) {
  const place = h("div", { class: "cl-rich form-control", "data-field": "html" });
  const editor = new Editor({
    element: place,
    injectCSS: false,
    content: html,
    extensions: [
      Document, Paragraph, Text, Bold, Italic, HardBreak, BulletList, OrderedList, ListItem,
      UndoRedo,
      Link.configure({
        openOnClick: false,
        protocols: ["mailto", "tel"],
        HTMLAttributes: { target: null, rel: null },
      }),
    ],
    editorProps: {
      attributes: { role: "textbox", "aria-multiline": "true", "aria-label": label },
    },
    onUpdate: () => onUpdate(editor.getHTML()),
  });
  const run = (act) => () => act(editor.chain().focus()).run();
  const marks = MARKS.map(([name, words_, act, mark]) => {
    const made = button(name, words_, run(act), true);
    made.dataset.mark = mark;
    return made;
  });
  const linkForm = linkEditor(editor);
  const linkButton = button("link", words.link, () => linkForm.open(), true);
  linkButton.dataset.mark = "link";
  marks.push(linkButton);
  const show = () => {
    for (const one of marks) one.setAttribute("aria-pressed", editor.isActive(one.dataset.mark));
  };
  editor.on("transaction", show);
  const bar = h(
    "div",
    { class: "cl-rich-bar", role: "toolbar", "aria-label": words.formatting },
    ...marks,
    ...STEPS.map(([name, words_, act]) => button(name, words_, run(act))),
    mergeMenu((token) => editor.chain().focus().insertContent(token).run()),
  );
  return { element: h("div", {}, bar, linkForm.element, place), editor };
}

function linkEditor(editor) {
  const input = h("input", { class: "form-control form-control-sm", type: "url", "aria-label": words.linkAddress, placeholder: "https://" });
  const close = () => {
    element.hidden = true;
    editor.commands.focus();
  };
  const set = () => {
    const href = input.value.trim();
    const chain = editor.chain().focus().extendMarkRange("link");
    if (!href) chain.unsetLink().run();
    else if (editor.state.selection.empty && !editor.isActive("link")) {
      chain.insertContent({ type: "text", text: href, marks: [{ type: "link", attrs: { href } }] }).run();
    } else chain.setLink({ href }).run();
    element.hidden = true;
  };
  const act = (label, onclick) => h("button", { class: "btn btn-sm", type: "button", onclick }, label);
  const element = h(
    "div",
    { class: "cl-link", hidden: true },
    input,
    act(words.linkSet, set),
    act(words.linkRemove, () => {
      input.value = "";
      set();
    }),
    act(words.cancel, close),
  );
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      set();
    } else if (event.key === "Escape") close();
  });
  const open = () => {
    input.value = editor.getAttributes("link").href ?? "";
    element.hidden = false;
    input.focus();
  };
  return { element, open };
}
