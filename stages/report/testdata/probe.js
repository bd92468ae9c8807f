// What the tests look at in a page, as a reader would.

(() => {
const boxOf = (e) => e.getBoundingClientRect();
const named = (e) => `${e.localName}${e.className && e.className.baseVal === undefined ? "." + e.className : ""} ${e.textContent.trim().slice(0, 40)}`;

// tooWide returns what reaches beyond a window of this width, other than within
// what scrolls. (A phone's own idea of its width grows with the page.)
globalThis.tooWide = (width) => {
	document.querySelectorAll("details").forEach((d) => { d.open = true; });
	const wide = document.documentElement.scrollWidth > width ? [`the page: ${document.documentElement.scrollWidth} of ${width}`] : [];
	for (const e of document.querySelectorAll("body *")) {
		const r = boxOf(e);
		if (r.width && r.right > width + 1 && !e.closest(".wide, pre, .skip")) wide.push(named(e));
	}
	return wide;
};

const inside = (r, f) => r.left >= f.left - 1 && r.right <= f.right + 1 && r.top >= f.top - 1 && r.bottom <= f.bottom + 1;
const drawings = () => [...document.querySelectorAll("main svg")];

// cut returns texts that leave their drawing or their box.
globalThis.cut = () => drawings().flatMap((svg) => [
	...[...svg.querySelectorAll("text")].filter((t) => !inside(boxOf(t), boxOf(svg))),
	...[...svg.querySelectorAll(".node text")].filter((t) => !inside(boxOf(t), boxOf(t.parentElement.querySelector("rect")))),
].map((t) => t.textContent));

// corners returns a text's box as four points, turned as the text is.
const corners = (t) => {
	const b = t.getBBox(), m = t.getScreenCTM(), inset = b.height * 0.2; // letters fill less than their line
	const [x0, x1, y0, y1] = [b.x + 0.5, b.x + b.width - 0.5, b.y + inset, b.y + b.height - inset];
	return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]].map(([x, y]) => [m.a * x + m.c * y + m.e, m.b * x + m.d * y + m.f]);
};

// apart tells whether a side of one of two rectangles parts them.
const apart = (p, q) => [p, q].some((r) => [0, 1].some((i) => {
	const axis = [r[i + 1][0] - r[i][0], r[i + 1][1] - r[i][1]];
	const along = (points) => points.map(([x, y]) => x * axis[0] + y * axis[1]);
	const a = along(p), b = along(q);
	return Math.max(...a) <= Math.min(...b) || Math.max(...b) <= Math.min(...a);
}));

// overlaps returns pairs of texts in a drawing of which one covers the other.
globalThis.overlaps = () => drawings().flatMap((svg) => {
	const texts = [...svg.querySelectorAll("text")].map((t) => [t.textContent, corners(t)]);
	return texts.flatMap(([a, p], i) => texts.slice(i + 1).filter(([, q]) => !apart(p, q)).map(([b]) => `${a} / ${b}`));
});

const channels = (color) => color.match(/[\d.]+/g).map(Number);
const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
	.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => {
	const [x, y] = [luminance(channels(a)), luminance(channels(b))].sort((m, n) => n - m);
	return (x + 0.05) / (y + 0.05);
};
const paperOf = (e) => {
	for (; e; e = e.parentElement) {
		const c = getComputedStyle(e).backgroundColor;
		if (channels(c)[3] !== 0) return c;
	}
	return "rgb(255, 255, 255)";
};

// faint returns texts below 4.5:1, and marks of figures below 3:1 (WCAG 2, AA).
// Grid lines, rims in the page's colour and what is transparent are no marks.
globalThis.faint = () => {
	const found = new Set();
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.data.trim() || e.closest("script, style, svg, .skip, [hidden]")) continue;
		const k = contrast(getComputedStyle(e).color, paperOf(e));
		if (k < 4.5) found.add(`${named(e)}: ${k.toFixed(2)}`);
	}
	const paper = getComputedStyle(document.documentElement).backgroundColor;
	for (const e of document.querySelectorAll(".plot svg :is(path, text)")) {
		const style = getComputedStyle(e), least = e.localName === "text" ? 4.5 : 3;
		for (const [property, opacity] of [["fill", "fillOpacity"], ["stroke", "strokeOpacity"]]) {
			const color = style[property];
			if (color === "none" || style[opacity] < 1 || color === paper || /stroke:#DDDDDD/.test(e.getAttribute("style"))) continue;
			if (contrast(color, paper) < least) found.add(`${property} ${color} of ${e.localName}: ${contrast(color, paper).toFixed(2)}`);
		}
	}
	return [...found];
};

// Of the first table: the button of a column's heading, and its first column.
globalThis.heading = (i) => document.querySelector("figure.table thead").querySelectorAll('th[scope="col"] button')[i];
globalThis.firstColumn = () => [...document.querySelector("figure.table tbody").rows].map((r) => r.cells[0].textContent.trim());

// cell finds a table's cell by its text, point a figure's by how its title begins.
globalThis.cell = (text) => [...document.querySelectorAll("td[title]")].find((d) => d.textContent === text);
globalThis.point = (text) => [...document.querySelectorAll(".plot title")].find((d) => d.textContent.startsWith(text)).parentElement;

// shown returns the lines of the note about a number, or nothing.
const note = document.getElementById("origin");
globalThis.shown = () => (note.hidden ? "" : [...note.querySelectorAll("p, li, button")].map((e) => e.textContent).join("|"));
globalThis.noteOutside = () => !inside(boxOf(note), { left: 0, top: 0, right: innerWidth, bottom: innerHeight });
})();
