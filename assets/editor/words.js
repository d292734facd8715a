// The page hands over all that the editor says, translated, and the draft as it is stored.
const read = (id) => JSON.parse(document.getElementById(id).textContent);

export const words = read("cl-editor-words");
export const stored = read("cl-document");
export const firstNotices = read("cl-notices");
export const root = document.getElementById("cl-editor");

export const fill = (sentence, values) =>
  sentence.replace(/%\((\w+)\)s/g, (_whole, name) => values[name] ?? "");

const live = document.getElementById("cl-live");

export function say(sentence) {
  live.textContent = sentence;
}
