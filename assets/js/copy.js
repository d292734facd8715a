// <button data-copy="text"> or data-copy-from="#id-of-a-field">.
import { toast } from "./toasts.js";
import { word } from "./page.js";

const textOf = (button) => {
  const source = button.dataset.copyFrom && document.querySelector(button.dataset.copyFrom);
  return source ? (source.value ?? source.textContent) : button.dataset.copy;
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy], [data-copy-from]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(textOf(button));
    toast(word("copied"));
  } catch {
    toast(word("notCopied"), "danger");
  }
});
