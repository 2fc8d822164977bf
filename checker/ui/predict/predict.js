// A prediction, as a front end shows it: the question, the learner's answer, and later what came.

let views = 0; // each view has radio buttons of its own

/** The choices as radio buttons, or a field for a number. Returns the elements, and how to read and set the answer. */
function makeAnswers(view) {
  if (!view.choices.length) {
    const field = make("input", { type: "number", step: "any", required: "" });
    const label = make("label", {}, make("span", {}, view.texts["predict-number"]), field);
    return { elements: [label], inputs: [field], read: () => field.value, write: (value) => (field.value = value) };
  }
  const name = `kc-predict-${(views += 1)}`;
  const inputs = view.choices.map((value) => make("input", { type: "radio", name, value, required: "" }));
  return {
    elements: inputs.map((input) => make("label", {}, input, make("span", {}, input.value))),
    inputs,
    read: () => inputs.find((input) => input.checked)?.value ?? "",
    write: (value) => inputs.forEach((input) => (input.checked = input.value === value)),
  };
}

function render({ model, el }) {
  const view = model.get("view");
  const answers = makeAnswers(view);
  const question = make("legend");
  const choose = make("button", { type: "submit" });
  const form = make("form", {}, make("fieldset", {}, question, ...answers.elements, choose));
  const predicted = make("p", { class: "kc-predicted" });
  const next = make("p");
  const problem = make("p");
  const status = make("div", { role: "status", "aria-live": "polite" }, predicted, next, problem);
  const reveal = make("button", { type: "button", onclick: () => model.send({ do: "reveal" }) }, view.texts["predict-show"]);
  const came = make("p", { class: "kc-came-answer" });
  const verdict = make("p");
  const because = make("p");
  const answer = make("div", { class: "kc-came", tabindex: "-1" }, came, verdict, because);
  const section = make("section", { class: "kc-predict", "aria-label": view.label }, status, form, reveal, answer);
  let shownBefore = null; // the prediction that is on the page: a choice that is not yet sent stays

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!model.get("view").revealed) model.send({ do: "predict", predicted: answers.read() });
  });
  section.addEventListener("keydown", (event) => {
    // JupyterLab has commands on single keys. Those with another key beside them, as Shift+Enter, are left to it.
    if (!event.shiftKey && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });

  function draw() {
    const now = model.get("view");
    const revealedByClick = now.revealed && document.activeElement === reveal;
    writeMarked(question, now.question);
    if (now.predicted !== shownBefore) {
      if (now.predicted) answers.write(now.predicted);
      shownBefore = now.predicted;
    }
    write(choose, now.choose);
    for (const input of answers.inputs) input.disabled = now.revealed;
    show(choose, !now.revealed);
    write(predicted, now.you_predicted);
    show(predicted, now.you_predicted);
    write(next, now.what_next);
    show(next, now.what_next);
    write(problem, now.problem);
    show(problem, now.problem);
    show(reveal, now.may_reveal);
    write(came, now.came ?? "");
    write(verdict, now.verdict ?? "");
    writeMarked(because, now.because ?? "");
    show(answer, now.revealed);
    if (revealedByClick) answer.focus(); // the button is gone: the focus goes to what it has shown
  }

  el.append(section);
  return attend(model, section, { view: draw });
}

export default { render };
