"use strict";

// Tables sort by a click, or Enter, on a column's heading: numbers by their
// value, texts by the alphabet, what is missing last.
for (const table of document.querySelectorAll("figure.table table")) {
	const heads = [...table.querySelectorAll('thead th[scope="col"]')];
	heads.forEach((head, column) => {
		head.tabIndex = 0;
		head.title = "sort";
		const sort = () => {
			const up = head.getAttribute("aria-sort") !== "ascending";
			heads.forEach((h) => h.removeAttribute("aria-sort"));
			head.setAttribute("aria-sort", up ? "ascending" : "descending");
			const body = table.tBodies[0];
			const key = (row) => {
				const cell = row.cells[column];
				return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
			};
			const compare = (a, b) => {
				const x = key(a), y = key(b);
				if (x === "–" || y === "–") return (x === "–") - (y === "–");
				const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
				return up ? order : -order;
			};
			body.append(...[...body.rows].sort(compare));
		};
		head.addEventListener("click", sort);
		head.addEventListener("keydown", (e) => {
			if (e.key === "Enter" || e.key === " ") {
				e.preventDefault();
				sort();
			}
		});
	});
}

// A link to a step opens its card.
const open = () => {
	const target = document.getElementById(location.hash.slice(1));
	if (target instanceof HTMLDetailsElement) {
		target.open = true;
		target.scrollIntoView();
	}
};
addEventListener("hashchange", open);
open();

// The theme is the system's until the reader chooses another.
const button = document.getElementById("theme");
const themes = ["system", "light", "dark"];
button.hidden = false;
button.addEventListener("click", () => {
	const root = document.documentElement;
	const next = themes[(themes.indexOf(root.dataset.theme || "system") + 1) % themes.length];
	if (next === "system") {
		delete root.dataset.theme;
	} else {
		root.dataset.theme = next;
	}
	button.textContent = "theme: " + next;
});
