// The script of lstm.report's page: picks cells, colours the text or draws the steps, shows what was expected next.
"use strict";
(() => {
  const $ = id => document.getElementById(id);
  if (!$("data")) return;
  const info = JSON.parse($("data").textContent), steps = info.steps;
  const packed = [...document.querySelectorAll("script.cells")].map(s => s.textContent);
  const spans = [...document.querySelectorAll("#text i")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let layer = info.layer - 1, cell = info.cell - 1, current = -1, mode = "cell";

  // A character of a packed text is a level from -31 to 31.
  const level = (text, i) => text.charCodeAt(i) - 95;
  const of = (l, c, t) => level(packed[l], c * steps + t);
  const size = () => info.layers[layer].size;
  const name = n => n > 0 ? "u" + n : n < 0 ? "d" + -n : "z";

  function colourText() {
    spans.forEach((span, t) => {
      let n = of(layer, cell, t);
      if (mode === "loss") n = t ? -Math.min(31, Math.round(info.losses[t - 1] / 20)) : 0;
      span.className = name(n) + (t === current ? " on" : "");
    });
    $("what").textContent = mode === "loss" ? "red: unexpected, full at 6.2 nats"
      : info.layers[layer].name + ", cell " + (cell + 1);
  }

  // What the model expected after symbol t, and what came.
  function showNext(t) {
    if (t < 0 || t >= steps) return;
    if (spans[current]) spans[current].classList.remove("on");
    current = t;
    spans[t].classList.add("on");
    const value = (of(layer, cell, t) / 31).toFixed(2);
    const box = $("next");
    if (!box) { $("what").textContent = info.layers[layer].name + ", cell " + (cell + 1) + ": " + value; return; }
    const came = info.ids[t + 1], loss = info.losses[t];
    box.textContent = "after " + info.symbols[info.ids[t]] + " (" + (t + 1) + ", cell " + value + "):  ";
    for (let k = 0; k < info.top; k++) {
      const id = info.best[2 * (t * info.top + k)], p = info.best[2 * (t * info.top + k) + 1] / 10;
      const item = document.createElement("b");
      item.textContent = info.symbols[id] + " " + (p < 10 ? p.toFixed(1) : p.toFixed(0)) + "%";
      if (id === came) item.className = "came";
      box.append(item);
    }
    if (loss !== undefined) {
      const item = document.createElement("b");
      item.textContent = "came: " + info.symbols[came] + ", loss " + (loss / 100).toFixed(2);
      box.append(item);
    }
  }

  const rgb = n => {
    const base = dark.matches ? [13, 17, 23] : [255, 255, 255], share = Math.abs(n) / 31 * 0.9;
    const full = n > 0 ? (dark.matches ? [56, 139, 253] : [9, 105, 218]) : dark.matches ? [248, 81, 73] : [207, 34, 46];
    return base.map((b, k) => Math.round(b + (full[k] - b) * share));
  };

  // A row for each cell, a column for each step; pixels are enlarged by CSS.
  function drawHeat() {
    const heat = $("heat"), high = Math.max(3, Math.min(14, Math.floor(400 / size())));
    heat.width = steps; heat.height = size();
    heat.style.cssText = "image-rendering:pixelated;width:max(100%," + steps + "px);height:" + size() * high + "px";
    const context = heat.getContext("2d"), image = context.createImageData(steps, size());
    for (let c = 0; c < size(); c++) for (let t = 0; t < steps; t++) {
      const at = 4 * (c * steps + t);
      rgb(of(layer, c, t)).forEach((v, k) => { image.data[at + k] = v; });
      image.data[at + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function drawLine() {
    const canvas = $("line"), ratio = devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
    canvas.width = w * ratio; canvas.height = h * ratio;
    const g = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    g.scale(ratio, ratio);
    const stroke = (values, colour, width) => {
      g.beginPath(); g.strokeStyle = colour; g.lineWidth = width;
      values.forEach((n, t) => g.lineTo(12 + t * (w - 24) / Math.max(1, steps - 1), h / 2 - n / 31 * (h / 2 - 24)));
      g.stroke();
    };
    stroke(Array(steps).fill(0), style.getPropertyValue("--line"), 1);
    info.inputs.slice(0, 3).forEach(text => stroke([...text].map((_, t) => level(text, t)), "#8b949e", 1));
    stroke(Array.from({length: steps}, (_, t) => of(layer, cell, t)), style.getPropertyValue("--accent"), 2);
    g.fillStyle = style.getPropertyValue("--soft"); g.font = "12px system-ui, sans-serif";
    g.fillText("blue: the cell, -1 to 1; grey: " + info.names.slice(0, 3).join(", "), 12, 13);
  }

  function colourGrid() {
    const t = Math.max(0, current);
    [...$("grid").children].forEach((box, c) => {
      box.className = (info.kind === "text" && current >= 0 ? name(of(layer, c, t)) : "") + (c === cell ? " on" : "");
      box.setAttribute("aria-selected", c === cell);
    });
    document.querySelectorAll("button[data-cell]").forEach(b =>
      b.classList.toggle("on", +b.dataset.layer === layer + 1 && +b.dataset.cell === cell + 1));
  }

  function draw() {
    $("layer").value = layer; $("cell").value = cell + 1; $("cell").max = size();
    colourGrid();
    if (info.kind === "text") { colourText(); if (current >= 0) showNext(current); return; }
    $("what").textContent = info.layers[layer].name + ", cell " + (cell + 1);
    drawHeat(); drawLine();
  }

  function fillGrid() {
    $("grid").replaceChildren(...Array.from({length: size()}, (_, c) => {
      const box = document.createElement("b");
      box.title = "cell " + (c + 1); box.dataset.at = c; box.setAttribute("role", "option");
      return box;
    }));
  }

  function pick(l, c) {
    const other = l !== layer;
    layer = l; cell = Math.max(0, Math.min(c, info.layers[l].size - 1));
    if (mode !== "cell") { mode = "cell"; $("mode").value = mode; }
    if (other) fillGrid();
    draw();
  }

  const columns = () => {
    const boxes = [...$("grid").children], top = boxes[0].offsetTop;
    return boxes.filter(box => box.offsetTop === top).length;
  };

  document.addEventListener("keydown", event => {
    const from = event.target, text = from === $("text") && info.kind === "text";
    const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns()}[event.key];
    if (!by || event.ctrlKey || event.altKey || event.metaKey || /INPUT|SELECT/.test(from.tagName)) return;
    if (text && Math.abs(by) === 1) showNext(Math.max(0, Math.min(steps - 1, current + by)));
    else if (Math.abs(by) > 1 && from !== $("grid")) return;
    else pick(layer, Math.max(0, Math.min(size() - 1, cell + by)));
    event.preventDefault();
  });
  $("grid").addEventListener("click", event => {
    if (event.target.dataset.at) pick(layer, +event.target.dataset.at);
  });
  $("layer").append(...info.layers.map((l, i) => new Option(l.name, i)));
  $("layer").addEventListener("change", event => pick(+event.target.value, cell));
  $("cell").addEventListener("change", event => pick(layer, event.target.value - 1 || 0));
  document.querySelectorAll("button[data-cell]").forEach(b =>
    b.addEventListener("click", () => pick(b.dataset.layer - 1, b.dataset.cell - 1)));
  if ($("mode")) $("mode").addEventListener("change", event => { mode = event.target.value; draw(); });
  if ($("text")) for (const kind of ["pointerover", "click"]) $("text").addEventListener(kind, event => {
    const t = spans.indexOf(event.target);
    if (t >= 0) { showNext(t); colourGrid(); }
  });
  if ($("heat")) $("heat").addEventListener("click", event =>
    pick(layer, Math.floor(event.offsetY / event.target.clientHeight * size())));
  dark.addEventListener("change", draw);
  addEventListener("resize", () => { if (info.kind === "series") drawLine(); });
  fillGrid(); draw();
})();
