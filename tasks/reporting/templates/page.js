"use strict";
// Sorts a table by the heading that was pressed. Undefined cells stay last in both directions.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, index) => {
    heading.querySelector("button").addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      const next = now === "none" ? (heading.classList.contains("num") ? "descending" : "ascending") : now === "ascending" ? "descending" : "ascending";
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [row, row.cells[index]]);
      rows.sort(([, a], [, b]) => {
        const missing = a.hasAttribute("data-none") - b.hasAttribute("data-none");
        if (missing) return missing;
        if (a.dataset.value !== undefined && b.dataset.value !== undefined) return sign * (a.dataset.value - b.dataset.value);
        return sign * a.textContent.localeCompare(b.textContent, "en", { numeric: true });
      });
      body.append(...rows.map(([row]) => row));
      document.getElementById("announce").textContent = "Sorted by " + heading.textContent + ", " + next;
    });
  });
}
// A link to an artifact opens it.
const open = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") target.open = true;
};
addEventListener("hashchange", open);
open();
// Paper shows what a screen folds away.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
