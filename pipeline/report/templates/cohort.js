"use strict";
(() => {
  const table = document.getElementById("results");
  if (!table) return;
  const form = document.getElementById("filter");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const shown = form.elements.shown;
  let texts = null;

  const text = (row, cell, small) => {
    const place = row.cells[cell];
    if (small === undefined) return place.firstChild ? place.firstChild.textContent : "";
    const parts = place.querySelectorAll("small");
    return parts[small] ? parts[small].textContent : "";
  };
  const number = (string) => parseFloat(string.replace(/,/g, ""));
  const calls = table.tHead.querySelectorAll("[data-sort^=call]").length;
  // A bound sorts among bounds, a missing number last.
  const keys = {
    patient: (r) => text(r, 0),
    visit: (r) => Number(r.dataset.t),
    date: (r) => text(r, 1, 0),
    method: (r) => Number(r.dataset.m),
    target: (r) => text(r, 2, 0),
    status: (r) => text(r, 3),
    value: (r) => { const t = text(r, 4); return t.startsWith("<") ? number(t.slice(1)) - 10 : number(t); },
    lod: (r) => number(text(r, 5)),
    counted: (r) => number(text(r, 6 + calls)),
    examined: (r) => number(text(r, 6 + calls, 0)),
    qc: (r) => text(r, 7 + calls),
    run: (r) => text(r, 7 + calls, 0),
  };
  for (let i = 0; i < calls; i++) keys["call" + i] = (r) => text(r, 6 + i);

  const compare = (a, b) => {
    if (typeof a === "string") return a < b ? -1 : a > b ? 1 : 0;
    return a - b;
  };
  const sort = (key, sign) => {
    const keyed = rows.map((row, i) => ({ row, i, key: keys[key](row) }));
    keyed.sort((a, b) => {
      const missing = Number(Number.isNaN(a.key)) - Number(Number.isNaN(b.key));
      return missing || sign * compare(a.key, b.key) || a.i - b.i;
    });
    const sorted = document.createDocumentFragment();
    for (const { row } of keyed) sorted.append(row);
    body.append(sorted);
  };

  for (const span of table.querySelectorAll("[data-sort]")) {
    // Not a <button>: Chromium leaves those out where a printed table repeats its head.
    span.tabIndex = 0;
    span.setAttribute("role", "button");
    const press = () => {
      const upward = span.dataset.order !== "ascending";
      for (const other of table.querySelectorAll("[data-order]")) delete other.dataset.order;
      for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
      span.dataset.order = upward ? "ascending" : "descending";
      span.closest("th").setAttribute("aria-sort", span.dataset.order);
      sort(span.dataset.sort, upward ? 1 : -1);
    };
    span.addEventListener("click", press);
    span.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      press();
    });
  }

  const filter = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = ["m", "t", "s", "c"].map((name) => [name, form.elements[name].value]).filter((w) => w[1]);
    if (words.length && !texts) texts = rows.map((row) => row.textContent.toLowerCase());
    let count = 0;
    rows.forEach((row, i) => {
      const fits = wanted.every(([name, value]) => row.dataset[name] === value)
        && words.every((word) => texts[i].includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      count += fits;
    });
    shown.textContent = count;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  form.hidden = false;
  if (form.elements.text.value || ["m", "t", "s", "c"].some((n) => form.elements[n].value)) filter();
})();
