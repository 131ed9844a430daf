"""Scripts that look at a page as somebody with a keyboard or a screen reader meets it."""

FAULTS = """
() => {
  const faults = [], all = (selector) => [...document.querySelectorAll(selector)];
  const fault = (text, element) => faults.push(text + ": " + element.outerHTML.slice(0, 200));
  const name = (element) => (element.getAttribute("aria-label") || element.innerText || "").trim();
  if (document.documentElement.lang !== "en") faults.push("no language");
  if (all("h1").length !== 1) faults.push(all("h1").length + " elements h1");
  if (all("main").length !== 1) faults.push(all("main").length + " elements main");
  let level = 1;
  for (const heading of all("main :is(h1, h2, h3, h4)")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) fault("a level of headings is left out", heading);
    if (!name(heading)) fault("empty heading", heading);
    level = own;
  }
  for (const field of all("input:not([type=hidden]), select, textarea")) {
    const labels = [...field.labels].map(name).join("");
    if (!labels && !field.getAttribute("aria-label")) fault("no label", field);
  }
  for (const element of all("button, a, summary")) if (!name(element)) fault("no text", element);
  for (const link of all("a")) if (!link.getAttribute("href")) fault("leads nowhere", link);
  for (const picture of all("svg:not([aria-hidden=true]), img")) {
    if (!picture.getAttribute("aria-label")) fault("no text", picture);
  }
  for (const table of all("table")) {
    const headings = table.tHead ? [...table.tHead.querySelectorAll("th")] : [];
    if (!headings.length) fault("no headings", table);
    for (const heading of headings) if (!heading.textContent.trim()) fault("empty heading", heading);
    for (const row of table.tBodies[0].rows) {
      const cells = [...row.cells].reduce((sum, cell) => sum + cell.colSpan, 0);
      if (cells !== headings.length) fault(cells + " cells under " + headings.length + " headings", row);
    }
  }
  const ids = all("[id]").map((element) => element.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) faults.push("twice: #" + id);
  return faults;
}
"""
"""Returns what is wrong with a page, as a list of texts."""

COLOURS = """
() => {
  const lightness = (colour) => colour.match(/[0-9]+/g).slice(0, 3).map(Number).reduce((sum, part) => sum + part);
  return [...document.querySelectorAll("body, header, section:not(.tiles), .tile")]
    .map((element) => getComputedStyle(element))
    .map((style) => [lightness(style.backgroundColor), lightness(style.color)]);
}
"""
"""Returns how light ground and ink of a page, its head and its cards are: the sums of red, green and blue."""

CLICKABLE = """
() => {
  const clickable = "a[href], button, input:not([type=hidden]), select, summary, textarea";
  window.missed = new Set([...document.querySelectorAll(clickable)].filter((element) => element.checkVisibility()));
  return [...window.missed].map((element) => element.outerHTML.slice(0, 100));
}
"""
"""Returns what can be clicked on or filled in; all of it must come by under the Tab key."""

FOCUS = """
() => {
  const at = document.activeElement, style = getComputedStyle(at);
  window.missed.delete(at);
  const visible = style.outlineColor !== getComputedStyle(document.body).backgroundColor;
  return [
    at === document.body ? null : at.outerHTML.slice(0, 100),
    [...window.missed].map((element) => element.outerHTML.slice(0, 100)),
    [style.outlineStyle, style.outlineWidth, visible],
  ];
}
"""
"""Returns what has the focus, what of the above has not had it yet, and how it is marked."""
