/* A chart as a file or as data: SVG and PNG with title and legend in the colours of the page, data as a table with tabs. */
"use strict";

const Save = (() => {
  const PAD = 16, FONT = "system-ui, sans-serif", SHARP = 2;
  const styles = () => getComputedStyle(document.documentElement);
  const resolved = (text) => { const style = styles(); return text.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim()); };

  /* The chart of a figure as the text of a whole SVG file. */
  const svg = (element) => {
    const drawn = element.querySelector("svg"), figure = element.closest("figure");
    const width = Number(drawn.getAttribute("width")), height = Number(drawn.getAttribute("height"));
    const outer = Kit.svg("svg", { "font-family": FONT, "font-size": 12, fill: "currentColor", color: "var(--ink)" });
    let y = PAD;
    const title = figure?.querySelector("figcaption > :first-child")?.textContent ?? element.dataset.label;
    outer.append(Kit.svg("text", { x: PAD, y: (y += 10), "font-size": 15, "font-weight": 600 }, title));
    let x = PAD;
    y += 12;
    for (const item of figure?.querySelectorAll(".legend li") ?? []) {
      const text = item.textContent, w = 34 + Kit.wide(text) + 18;
      if (x + w > width + PAD && x > PAD) { x = PAD; y += 18; }
      const swatch = item.querySelector("svg")?.cloneNode(true);
      if (swatch) { swatch.setAttribute("x", x); swatch.setAttribute("y", y); outer.append(swatch); }
      outer.append(Kit.svg("text", { x: x + 32, y: y + 10 }, text));
      x += w;
    }
    y += figure?.querySelector(".legend li") ? 24 : 4;
    const copy = drawn.cloneNode(true);
    for (const tip of copy.querySelectorAll('[aria-label="tip"]')) tip.remove();
    copy.setAttribute("x", PAD);
    copy.setAttribute("y", y);
    copy.setAttribute("overflow", "visible");
    outer.append(copy);
    const [w, h] = [width + 2 * PAD, y + height + PAD];
    for (const [name, value] of [["width", w], ["height", h], ["viewBox", `0 0 ${w} ${h}`]]) outer.setAttribute(name, value);
    outer.prepend(Kit.svg("rect", { width: w, height: h, fill: "var(--bg)" }));
    return resolved(new XMLSerializer().serializeToString(outer));
  };

  /* The same as the address of a picture. */
  const png = async (element) => {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg(element))}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width * SHARP, image.height * SHARP];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/png");
  };

  /* Its values as a table that a spreadsheet takes. */
  const table = (element) => {
    const rows = Kit.rowsOf(element), heads = Object.keys(rows[0] ?? {});
    const cell = (value) => (value === null || value === undefined ? "" : `${value}`.replace(/[\t\n\r]+/g, " "));
    return [heads, ...rows.map((row) => heads.map((head) => row[head]))].map((row) => row.map(cell).join("\t")).join("\n");
  };

  const nameOf = (element) => [element.dataset.chart, element.dataset.run].filter((part) => part !== undefined).join("-");
  const download = (address, name) => Object.assign(document.createElement("a"), { href: address, download: name }).click();

  const start = (root = document) => {
    const menu = root.getElementById("save-menu");
    if (!menu?.showPopover) return;
    let chosen = null;
    const status = menu.querySelector(".status");
    for (const button of root.querySelectorAll("button.save")) {
      button.addEventListener("click", () => { chosen = button.closest("figure").querySelector(".chart"); status.textContent = ""; beside(menu, button); menu.showPopover(); });
    }
    const ways = {
      svg: (element) => download(URL.createObjectURL(new Blob([svg(element)], { type: "image/svg+xml" })), `breakeven-${nameOf(element)}.svg`),
      png: async (element) => download(await png(element), `breakeven-${nameOf(element)}.png`),
      copy: (element) => navigator.clipboard.writeText(table(element)),
    };
    menu.addEventListener("click", async (event) => {
      const way = event.target.dataset.way;
      if (!way || !chosen?.querySelector("svg")) return;
      try { await ways[way](chosen); status.textContent = way === "copy" ? "Copied." : "Saved."; } catch { status.textContent = "The browser does not allow it here."; }
    });
  };

  /* A box at the button that opened it, inside the window. */
  const beside = (box, button) => {
    const at = button.getBoundingClientRect(), width = Math.min(360, window.innerWidth - 24);
    box.style.maxWidth = `${width}px`;
    box.style.left = `${Math.max(12, Math.min(at.left, window.innerWidth - width - 12))}px`;
    box.style.top = `${Math.min(at.bottom + 6, window.innerHeight * 0.6)}px`;
  };

  return { svg, png, table, nameOf, beside, start };
})();
