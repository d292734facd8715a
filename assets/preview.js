// The letter in its frame, on pages that only show it.
import "./editor/preview.js";
