// Importing Tabler is enough: dropdowns, tabs and the collapsing menu listen by data attributes.
import "@tabler/core";
