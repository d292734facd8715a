// The editor of letters: a list of typed blocks, JSON out, HTML only from the server.
import "./editor/preview.js";
import { start } from "./editor/blocks.js";
import { startLines } from "./editor/lines.js";
import { startSaving } from "./editor/saving.js";

startLines();
start();
startSaving();
