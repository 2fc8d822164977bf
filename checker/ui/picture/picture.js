// The picture of a namespace, as a front end shows it. Where things are is the kernel's business (drawing.py); here, what is already
// on the page moves to its new place, what is new appears, and what is gone goes.

function render({ model, el }) {
  const lines = makeSvg("g", { "aria-hidden": "true" });
  const nodes = makeSvg("g");
  const others = makeSvg("g");
  const notes = makeSvg("g");
  const svg = makeSvg("svg", { role: "group" }, nodes, lines, others, notes);
  const details = make("dl", { "aria-live": "polite" });
  const status = make("p", { role: "status" });
  const section = make("section", { class: "kc-picture" }, svg, details, status);
  const shapes = new Map(); // id: { element, drawn }
  const drawnLines = new Map();
  let chosen = ""; // the id of the shape whose details are shown

  function choose(id) {
    chosen = chosen === id ? "" : id;
    tellDetails();
  }

  function tellDetails() {
    const shape = model.get("view").shapes.find((one) => one.id === chosen);
    for (const [id, { element }] of shapes) element.setAttribute("aria-expanded", id === chosen);
    const wanted = JSON.stringify(shape?.details ?? []);
    if (details.dataset.shown === wanted) return;
    details.dataset.shown = wanted;
    const pairs = (shape?.details ?? []).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
    const command = model.get("view").texts["picture-detail-command"];
    if (shape) pairs.push(make("dt", {}, command), make("dd", {}, make("code", {}, shape.command)));
    details.replaceChildren(...pairs);
  }

  function makeShape(shape) {
    const element = makeSvg(
      "g", {
        class: "kc-shape kc-coming", role: "button", tabindex: "0", "data-kind": shape.kind,
        onclick: () => choose(shape.id),
        onkeydown: (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          event.stopPropagation();
          choose(shape.id);
        },
      },
      makeSvg("rect", { rx: shape.kind === "Service" ? 20 : 4 }),
      makeSvg("path", { class: "kc-gate" }),
      makeSvg("text", { class: "kc-name", x: 10, y: 18 }),
      makeSvg("text", { class: "kc-state", x: 10, y: 34 }),
    );
    (shape.kind === "Node" ? nodes : others).append(element);
    requestAnimationFrame(() => element.classList.remove("kc-coming"));
    return element;
  }

  function drawShape(shape) {
    if (!shapes.has(shape.id)) shapes.set(shape.id, { element: makeShape(shape), drawn: "" });
    const known = shapes.get(shape.id);
    const wanted = JSON.stringify(shape);
    if (known.drawn === wanted) return;
    known.drawn = wanted;
    const [rect, gate, name, state] = known.element.children;
    known.element.style.transform = `translate(${shape.x}px, ${shape.y}px)`;
    known.element.dataset.tone = shape.tone;
    known.element.dataset.name = shape.name;
    known.element.setAttribute("aria-label", [`${shape.kind} ${shape.name}`, shape.lines[1], shape.fault].filter(Boolean).join(", "));
    rect.setAttribute("width", shape.w);
    rect.setAttribute("height", shape.h);
    gate.setAttribute("d", shape.gate ? `M3 6v${shape.h - 12}` : "");
    write(name, shape.lines[0]);
    write(state, shape.lines[1]);
  }

  function drawLine(line) {
    const wanted = JSON.stringify(line);
    const known = drawnLines.get(line.id);
    if (known?.drawn === wanted) return;
    known?.element.remove();
    const element = makeSvg("g", {}, makeSvg("path", { class: line.broken ? "kc-line kc-nowhere" : "kc-line", d: line.path }));
    if (line.label) element.append(makeSvg("text", { class: "kc-label", x: line.x, y: line.y }, line.label));
    lines.append(element);
    drawnLines.set(line.id, { element, drawn: wanted });
  }

  function forget(known, wanted) {
    const ids = new Set(wanted.map((one) => one.id));
    for (const [id, { element }] of known) {
      if (ids.has(id)) continue;
      element.remove();
      known.delete(id);
    }
  }

  function draw() {
    const view = model.get("view");
    section.setAttribute("aria-label", view.label);
    section.setAttribute("role", "region");
    svg.setAttribute("viewBox", `0 0 ${view.width} ${view.height}`);
    svg.setAttribute("aria-label", view.objects);
    forget(shapes, view.shapes);
    forget(drawnLines, view.lines);
    view.shapes.forEach(drawShape);
    view.lines.forEach(drawLine);
    notes.replaceChildren(
      ...view.notes.map((note) => makeSvg("text", { class: note.broken ? "kc-label" : "kc-note", x: note.x, y: note.y }, note.text)),
    );
    tellDetails();
  }

  function tell() {
    write(status, model.get("status"));
  }

  el.append(section);
  return attend(model, section, { view: draw, status: tell });
}

export default { render };
