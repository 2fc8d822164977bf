// The panel of a lab, as a front end shows it. It keeps what is on the page and changes only what is different, so that the
// focus, a selection and what a learner has opened stay where they are.

/** The address of a lesson in this JupyterLab; empty elsewhere. */
function addressOf(page) {
  const config = document.getElementById("jupyter-config-data");
  if (!config || !page) return "";
  return `${JSON.parse(config.textContent).baseUrl ?? "/"}lab/tree/${page}`;
}

/** One task: its element, and how to bring it up to date. */
function makeTask(id, ask) {
  const meaning = make("span");
  const lesson = make("a", { target: "_blank", rel: "noopener" });
  const parts = {
    word: make("span", { class: "kc-word" }),
    title: make("span", { class: "kc-title" }),
    points: make("span", { class: "kc-points" }),
    text: make("p", { class: "kc-text" }),
    observed: make("p", { class: "kc-observed" }),
    message: make("p"),
    evidence: make("dl"),
    meaning: make("p", {}, meaning, lesson),
    hints: make("ol"),
    hint: make("button", { type: "button", onclick: () => ask({ do: "hint", task: id }) }),
    findOut: make("p"),
    answer: make("p", { class: "kc-answer" }),
  };
  // In a task that is to find out what is wrong: the learner names an object and a choice, then the cause may be read.
  const object = make("input", { type: "text", placeholder: "deployment/web", spellcheck: "false", required: "" });
  const choice = make("select", { required: "" });
  const name = make("button", { type: "submit" });
  const objectLabel = make("label", {}, make("span"), object);
  const choiceLabel = make("label", {}, make("span"), choice);
  const suspect = make("form", { class: "kc-suspect" }, parts.findOut, objectLabel, choiceLabel, name);
  suspect.addEventListener("submit", (event) => {
    event.preventDefault();
    ask({ do: "suspect", task: id, object: object.value, choice: choice.value });
  });
  suspect.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab has commands on single keys
  const summary = make("summary");
  const why = make("details", { class: "kc-why" }, summary, parts.message, parts.evidence, parts.meaning);
  const element = make(
    "li", { class: "kc-task" },
    make("div", { class: "kc-row" }, parts.word, parts.title, parts.points),
    parts.text, parts.observed, make("div", { class: "kc-hints" }, parts.hints, parts.hint), suspect, parts.answer, why,
  );

  function update(task, texts, choices) {
    if (element.dataset.word && element.dataset.word !== task.word) {
      element.classList.remove("kc-new");
      void element.offsetWidth; // starts the animation again
      element.classList.add("kc-new");
    }
    // A cause stays folded until somebody asks for it. Why a task could not be checked is shown at once.
    if (element.dataset.word !== task.word) why.open = task.word === "unknown" || task.word === "waiting";
    element.dataset.word = task.word;
    write(parts.word, `${task.symbol} ${task.shown}`);
    write(parts.title, task.title);
    write(parts.points, task.worth);
    writeMarked(parts.text, task.text);

    show(suspect, task.find_out);
    if (task.find_out && !choice.children.length) {
      write(objectLabel.firstChild, texts["panel-suspect-object"]);
      write(choiceLabel.firstChild, texts["panel-suspect-choice"]);
      write(name, texts["panel-suspect-name"]);
      choice.append(...choices.map(([value, words]) => make("option", { value }, words)));
    }
    write(parts.findOut, task.find_out ?? "");
    show(parts.answer, task.answer);
    write(parts.answer, task.answer);

    show(parts.observed, task.seen);
    write(parts.observed, task.seen ?? "");

    const told = task.same_root ?? task.message ?? "";
    show(why, told);
    write(summary, task.why);
    write(parts.message, told);
    const lines = [
      [texts["panel-expected"], task.expected, write],
      [texts["panel-observed"], task.observed, write],
      [texts["panel-look"], task.look && `\`${task.look}\``, writeMarked],
    ].filter(([, text]) => text);
    const wanted = JSON.stringify(lines);
    if (parts.evidence.dataset.lines !== wanted) {
      parts.evidence.dataset.lines = wanted;
      parts.evidence.replaceChildren(...lines.flatMap(([name, text, writeTo]) => {
        const status = make("dd");
        writeTo(status, text);
        return [make("dt", {}, name), status];
      }));
    }
    show(parts.evidence, lines.length);
    show(parts.meaning, task.meaning);
    write(meaning, `${task.meaning ?? ""} `);
    write(lesson, task.lesson_link ?? "");
    const address = addressOf(task.page);
    if (address) lesson.href = address;

    while (parts.hints.children.length > task.hints.length) parts.hints.lastChild.remove();
    task.hints.forEach((text, number) => {
      if (!parts.hints.children[number]) parts.hints.append(make("li"));
      writeMarked(parts.hints.children[number], text);
    });
    show(parts.hints, task.hints.length);
    write(parts.hint, task.hint);
    parts.hint.setAttribute("aria-label", task.hint_label);
    show(parts.hint, task.more_hints && task.word !== "passed");
  }
  return { element, update };
}

function render({ model, el }) {
  const ask = (what) => model.send(what);
  const texts = model.get("view").texts; // in the learner's language: checker/model/catalogue
  const heading = make("h3");
  const goal = make("p", { class: "kc-goal" });
  const bar = make("div", { class: "kc-bar" });
  const progress = make("div", { class: "kc-progress", role: "progressbar", "aria-label": texts["panel-points-label"], "aria-valuemin": "0" }, bar);
  const list = make("ul", { class: "kc-tasks" });
  const debrief = make("section", { class: "kc-debrief", "aria-label": texts["panel-debrief"] });
  const check = make("button", { type: "button", onclick: () => work("check") }, texts["panel-check"]);
  const reset = make("button", { type: "button", onclick: () => sureOrNot(true) }, texts["panel-reset"]);
  const hand = make("button", { type: "button", onclick: () => work("hand") }); // in a class
  const question = make("p");
  const yes = make("button", { type: "button", onclick: () => { sureOrNot(false); work("reset"); } }, texts["panel-reset-yes"]);
  const no = make("button", { type: "button", onclick: () => sureOrNot(false) }, texts["panel-reset-no"]);
  const sure = make("div", { class: "kc-sure", role: "group", "aria-label": texts["panel-reset-label"], hidden: "" }, question, yes, no);
  const status = make("p", { role: "status", "aria-live": "polite" });
  const section = make("section", { class: "kc-panel" }, heading, goal, progress, list, debrief, make("div", {}, check, reset, hand), sure, status);
  const tasks = new Map();

  // A button that is at work keeps the focus: it is not taken away, and does nothing.
  function work(what) {
    if (!model.get("busy")) ask({ do: what });
  }

  function sureOrNot(asked) {
    if (asked && model.get("busy")) return;
    show(sure, asked);
    (asked ? no : reset).focus();
  }

  sure.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation(); // JupyterLab would leave the cell
    sureOrNot(false);
  });

  function draw() {
    const view = model.get("view");
    section.setAttribute("aria-label", view.label);
    write(heading, view.heading);
    write(goal, view.goal);
    progress.setAttribute("aria-valuemax", view.max_score);
    progress.setAttribute("aria-valuenow", view.score);
    progress.setAttribute("aria-valuetext", view.points_of);
    bar.style.width = `${(100 * view.score) / view.max_score}%`;
    write(question, view.reset_question);
    write(hand, `${view.hand_is_up ? "⚑ " : ""}${view.hand}`);
    show(hand, view.hand);
    for (const task of view.tasks) {
      if (!tasks.has(task.id)) {
        tasks.set(task.id, makeTask(task.id, ask));
        list.append(tasks.get(task.id).element);
      }
      tasks.get(task.id).update(task, view.texts, view.choices);
    }
    drawDebrief(view.debrief);
  }

  function drawDebrief(lines) {
    const wanted = JSON.stringify(lines);
    show(debrief, lines.length);
    if (debrief.dataset.lines === wanted) return;
    debrief.dataset.lines = wanted;
    debrief.replaceChildren(make("h4", {}, texts["panel-debrief"]));
    let label = "";
    for (const [name, text] of lines) {
      if (name !== label) debrief.append(make("h5", {}, name));
      label = name;
      const words = make("p");
      writeMarked(words, text);
      debrief.append(words);
    }
  }

  function tell() {
    write(status, model.get("status"));
  }

  function atWork() {
    for (const button of [check, reset, hand]) button.setAttribute("aria-disabled", model.get("busy"));
  }

  el.append(section);
  return attend(model, section, { view: draw, status: tell, busy: atWork });
}

export default { render };
