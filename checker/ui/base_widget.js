// What the widgets and the teacher's page share in a front end: it is put before each of them (base_widget.py).

const EVERY = 15_000; // milliseconds between two words to the kernel that somebody is looking

/** An element with attributes (`on…` ones are listeners) and children. */
function make(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same, of an SVG. */
function makeSvg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function furnish(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Set an element's text where it is another one. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The same for a text of the course: `words` between backticks are code. */
function writeMarked(element, text) {
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(
    ...text.split("`").map((piece, number) => (number % 2 ? make("code", {}, piece) : document.createTextNode(piece))),
  );
}

function show(element, wanted) {
  element.hidden = !wanted;
}

/** Listen to a model as long as a view is there, tell the kernel that somebody looks, and say where it does not answer.
    section: the element that shows the model. It gets the words about the kernel, and `data-live`: yes, silent or ended.
    Where the kernel has ended, the buttons and fields are disabled. Returns what ends all of it. */
function attend(model, section, listeners) {
  const words = make("p", { class: "kc-silent", role: "status", hidden: "" });
  section.append(words);
  let answered = true;

  function mark(live) {
    const before = section.dataset.live;
    section.dataset.live = live;
    write(words, live === "yes" ? "" : model.get("view").texts[`widget-${live}`]);
    show(words, live !== "yes");
    if ((before === "ended") === (live === "ended")) return;
    for (const control of section.querySelectorAll("button, input, select")) control.disabled = live === "ended";
    if (live !== "ended") for (const listener of Object.values(listeners)) listener();
  }

  function here() {
    const kernel = model.widget_manager?.kernel; // JupyterLab's; null where it knows of none. Other front ends have none to show
    if (kernel === null) return end();
    // A kernel that does nothing, and has not answered, is another one: it was restarted.
    if (!answered) mark(kernel?.status === "idle" ? "ended" : "silent");
    answered = false;
    try {
      model.send({ do: "here" });
    } catch {
      end(); // the kernel was shut down
    }
  }

  function noticed() {
    answered = true;
    mark("yes");
  }

  function end() {
    clearInterval(heart);
    mark("ended");
  }

  const all = [...Object.entries(listeners), ["viewings", noticed]];
  for (const [trait, listener] of all) model.on(`change:${trait}`, listener);
  model.on("comm_live_update", end); // ipywidgets: the model has lost its kernel
  for (const listener of Object.values(listeners)) listener();
  const heart = setInterval(here, EVERY);
  here();
  return () => {
    clearInterval(heart);
    model.off("comm_live_update", end);
    for (const [trait, listener] of all) model.off(`change:${trait}`, listener);
  };
}
