"use strict";

// Tables sort by a column's heading, which becomes a button: numbers by their
// value, texts by the alphabet, what is missing last.
const collator = new Intl.Collator(undefined, { numeric: true });
for (const table of document.querySelectorAll("figure.table table")) {
	const heads = [...table.querySelectorAll('thead th[scope="col"]')];
	heads.forEach((head, column) => {
		const button = document.createElement("button");
		button.type = "button";
		button.title = "sort by this column";
		button.append(...head.childNodes);
		head.append(button);
		button.addEventListener("click", () => {
			const up = head.getAttribute("aria-sort") !== "ascending";
			heads.forEach((h) => h.removeAttribute("aria-sort"));
			head.setAttribute("aria-sort", up ? "ascending" : "descending");
			const body = table.tBodies[0];
			const keyed = [...body.rows].map((row) => {
				const cell = row.cells[column];
				return [row, "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent];
			});
			keyed.sort(([, x], [, y]) => {
				if (x === "–" || y === "–") return (x === "–") - (y === "–");
				const order = typeof x === "number" && typeof y === "number" ? x - y : collator.compare(x, y);
				return up ? order : -order;
			});
			const sorted = document.createDocumentFragment();
			keyed.forEach(([row]) => sorted.append(row));
			body.append(sorted);
		});
	});
}

// Where a number came from shows on hover as a title, and here for fingers and
// keyboards: in a note beside it, with links to its steps.
const note = document.getElementById("origin");
const steps = [...document.querySelectorAll("details.step")].sort((a, b) => b.dataset.id.length - a.dataset.id.length);
let asker = null; // what the note is about

const element = (name, text, ...children) => {
	const e = document.createElement(name);
	e.append(text, ...children);
	return e;
};

// origin is an item such as "modelled: net.estimate.latency", with a link to the
// step net.
const origin = (text) => {
	const path = text.slice(text.indexOf(": ") + 2);
	const step = steps.find((s) => path === s.dataset.id || path.startsWith(s.dataset.id + "."));
	if (!step) return element("li", text);
	const link = element("a", path);
	link.href = "#" + step.id;
	return element("li", text.slice(0, text.length - path.length), link);
};

// about returns the lines to show of a cell or a point; origins are indented below
// what they are of.
const about = (target) => {
	const title = target.querySelector(":scope > title");
	if (title) return title.textContent.split("\n");
	const cell = target, i = cell.cellIndex, top = cell.closest("table").tHead;
	const text = (e) => { // without the letters of kinds
		const copy = e.cloneNode(true);
		copy.querySelectorAll("sup").forEach((s) => s.remove());
		return copy.textContent;
	};
	const groups = top.rows.length < 2 ? [] : [...top.rows[0].cells].flatMap((g) => Array(g.colSpan).fill(text(g)));
	const names = [i > 0 ? text(cell.parentElement.cells[0]) : "", groups[i], text(top.rows[top.rows.length - 1].cells[i])];
	const value = "value" in cell.dataset ? ": " + text(cell) : "";
	return [names.filter(Boolean).join(", ") + value, ...cell.title.split("\n").map((line) => "  " + line)];
};

const close = () => {
	if (note.hidden) return;
	const back = note.contains(document.activeElement);
	note.hidden = true;
	if (back) asker.focus();
};

const show = (target, focus) => {
	note.replaceChildren();
	for (const line of about(target)) {
		if (!line.startsWith("  ")) {
			note.append(element("p", line));
			continue;
		}
		if (note.lastChild.localName !== "ul") note.append(element("ul", ""));
		note.lastChild.append(origin(line.trim()));
	}
	const done = element("button", "Close");
	done.type = "button";
	done.addEventListener("click", close);
	note.append(done);
	note.hidden = false;
	asker = focus;
	const at = target.getBoundingClientRect(), box = note.getBoundingClientRect(), edge = 12;
	const width = document.documentElement.clientWidth;
	note.style.left = Math.max(edge, Math.min(at.left, width - box.width - edge)) + scrollX + "px";
	const below = at.bottom + 6 + box.height < innerHeight || at.top < box.height + 6;
	note.style.top = (below ? at.bottom + 6 : at.top - 6 - box.height) + scrollY + "px";
	note.focus({ preventScroll: true });
};

const asked = (e) => e.target.closest("td[title]") || e.target.closest(".plot svg :is(circle, rect, a)");
const explain = (e) => {
	const target = asked(e);
	if (!target || e.ctrlKey || e.metaKey || e.shiftKey) return false;
	const point = target.localName === "a" ? target.firstElementChild : target;
	if (point.namespaceURI.endsWith("svg") && !point.querySelector("title")) return false;
	e.preventDefault();
	show(point, target.querySelector("a") || point.closest("a") || point);
	return true;
};
document.addEventListener("click", (e) => {
	if (!explain(e) && !note.contains(e.target)) close();
});
document.addEventListener("keydown", (e) => {
	if (e.key === "Escape") close();
	if ((e.key === "Enter" || e.key === " ") && !note.contains(e.target) && e.target.localName !== "a") explain(e);
});
note.addEventListener("click", (e) => {
	if (e.target.closest("a")) note.hidden = true;
});
for (const point of document.querySelectorAll(".plot svg :not(a) > :is(circle, rect):has(title)")) point.setAttribute("tabindex", "0");

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
	button.textContent = "Theme: " + next;
});
