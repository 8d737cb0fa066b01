"use strict";
(() => {
  const table = document.getElementById("results");
  if (!table) return;
  const form = document.getElementById("filter");
  const more = document.getElementById("more");
  const fitting = form.elements.fitting;
  const rest = document.getElementById("rest");
  const original = Array.from(table.tBodies[0].rows);
  let order = original;
  let complete = !rest;
  let limit = more ? Number(more.dataset.first) : Infinity;
  let texts = null;

  // Where scripts run, what stands in <noscript> is text: made to rows when they are first wanted.
  const completed = () => {
    if (complete) return;
    complete = true;
    const holder = document.createElement("template");
    holder.innerHTML = rest.textContent;
    const rows = Array.from(holder.content.querySelectorAll("tbody > tr"));
    for (const row of rows) row.classList.add("later");
    original.push(...rows);
    table.tBodies[0].append(...rows);
  };

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
  // Rows that fit but lie beyond the limit are only not laid out; paper shows them all.
  const show = () => {
    completed();
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = ["m", "t", "s", "c"].map((name) => [name, form.elements[name].value]).filter((w) => w[1]);
    if (words.length && !texts) texts = new Map(original.map((row) => [row, row.textContent.toLowerCase()]));
    let count = 0;
    for (const row of order) {
      const fits = wanted.every(([name, value]) => row.dataset[name] === value)
        && words.every((word) => texts.get(row).includes(word));
      count += fits;
      row.hidden = !fits;
      row.classList.toggle("later", count > limit);
    }
    fitting.textContent = count.toLocaleString("en");
    if (more) more.hidden = count <= limit;
  };
  const sort = (key, sign) => {
    completed();
    const keyed = original.map((row, i) => ({ row, i, key: keys[key](row) }));
    keyed.sort((a, b) => {
      const missing = Number(Number.isNaN(a.key)) - Number(Number.isNaN(b.key));
      return missing || sign * compare(a.key, b.key) || a.i - b.i;
    });
    order = keyed.map((k) => k.row);
    show();
    table.tBodies[0].append(...order);
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
  if (more) {
    more.querySelector("button").addEventListener("click", () => {
      limit = Infinity;
      show();
    });
  }
  addEventListener("beforeprint", completed);
  matchMedia("print").addEventListener("change", completed);
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  form.hidden = false;
  // A browser that comes back to the page may have kept what was filled in.
  if (form.elements.text.value || ["m", "t", "s", "c"].some((n) => form.elements[n].value)) show();
})();
