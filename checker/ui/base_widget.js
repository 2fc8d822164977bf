// What the panel and the picture share in a front end: it is put before either of them (base_widget.py).

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
    Returns the element for those words, and what ends all of it. */
function attend(model, listeners) {
  const silent = make("p", { class: "kc-silent", role: "status", hidden: "" });
  let answered = true;

  function here() {
    if (answered) {
      answered = false;
    } else {
      write(silent, model.get("view").texts["widget-silent"]);
      show(silent, true);
    }
    model.send({ do: "here" });
  }

  function noticed() {
    answered = true;
    show(silent, false);
  }

  const all = [...Object.entries(listeners), ["viewings", noticed]];
  for (const [trait, listener] of all) model.on(`change:${trait}`, listener);
  for (const listener of Object.values(listeners)) listener();
  here();
  const heart = setInterval(here, EVERY);
  return {
    silent,
    end() {
      clearInterval(heart);
      for (const [trait, listener] of all) model.off(`change:${trait}`, listener);
    },
  };
}
