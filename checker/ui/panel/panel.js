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
    message: make("p"),
    evidence: make("dl"),
    meaning: make("p", {}, meaning, lesson),
    hints: make("ol"),
    hint: make("button", { type: "button", onclick: () => ask({ do: "hint", task: id }) }),
  };
  const summary = make("summary");
  const why = make("details", { class: "kc-why" }, summary, parts.message, parts.evidence, parts.meaning);
  const element = make(
    "li", { class: "kc-task" },
    make("div", { class: "kc-row" }, parts.word, parts.title, parts.points),
    parts.text, why, make("div", { class: "kc-hints" }, parts.hints, parts.hint),
  );

  function update(task) {
    if (element.dataset.word && element.dataset.word !== task.word) {
      element.classList.remove("kc-new");
      void element.offsetWidth; // the animation begins anew
      element.classList.add("kc-new");
    }
    element.dataset.word = task.word;
    write(parts.word, `${task.symbol} ${task.word}`);
    write(parts.title, task.title);
    write(parts.points, task.points === 1 ? "1 point" : `${task.points} points`);
    writeMarked(parts.text, task.text);

    const told = task.same_as ? `The same root as “${task.same_as}”.` : task.message ?? "";
    show(why, told);
    write(summary, `Why: ${task.title}`);
    write(parts.message, told);
    const lines = [["Expected", task.expected], ["Observed", task.observed], ["Look", task.look && `\`${task.look}\``]].filter(([, text]) => text);
    const wanted = JSON.stringify(lines);
    if (parts.evidence.dataset.lines !== wanted) {
      parts.evidence.dataset.lines = wanted;
      parts.evidence.replaceChildren(...lines.flatMap(([name, text]) => {
        const said = make("dd");
        (name === "Look" ? writeMarked : write)(said, text);
        return [make("dt", {}, name), said];
      }));
    }
    show(parts.evidence, lines.length);
    show(parts.meaning, task.meaning);
    write(meaning, `${task.meaning ?? ""} `);
    write(lesson, task.lesson ? `lesson ${task.lesson}` : "");
    const address = addressOf(task.page);
    if (address) lesson.href = address;

    while (parts.hints.children.length > task.hints.length) parts.hints.lastChild.remove();
    task.hints.forEach((text, number) => {
      if (!parts.hints.children[number]) parts.hints.append(make("li"));
      writeMarked(parts.hints.children[number], text);
    });
    show(parts.hints, task.hints.length);
    write(parts.hint, task.hints.length ? "Another hint" : "Hint");
    parts.hint.setAttribute("aria-label", `${parts.hint.textContent} for: ${task.title}`);
    show(parts.hint, task.more_hints && task.word !== "passed");
  }
  return { element, why, update };
}

function render({ model, el }) {
  const ask = (what) => model.send(what);
  const heading = make("h3");
  const goal = make("p", { class: "kc-goal" });
  const bar = make("div", { class: "kc-bar" });
  const progress = make("div", { class: "kc-progress", role: "progressbar", "aria-label": "Points", "aria-valuemin": "0" }, bar);
  const list = make("ul", { class: "kc-tasks" });
  const check = make("button", { type: "button", onclick: () => work("check") }, "Check now");
  const reset = make("button", { type: "button", onclick: () => sureOrNot(true) }, "Reset …");
  const question = make("p");
  const yes = make("button", { type: "button", onclick: () => { sureOrNot(false); work("reset"); } }, "Delete and begin anew");
  const no = make("button", { type: "button", onclick: () => sureOrNot(false) }, "Keep it");
  const sure = make("div", { class: "kc-sure", role: "group", "aria-label": "Reset", hidden: "" }, question, yes, no);
  const said = make("p", { role: "status", "aria-live": "polite" });
  const section = make("section", { class: "kc-panel" }, heading, goal, progress, list, make("div", {}, check, reset), sure, said);
  const tasks = new Map();
  let opened = ""; // the task that was opened on its explanation by itself

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
    section.setAttribute("aria-label", `Lab ${view.number}: ${view.title}`);
    write(heading, `Lab ${view.number}: ${view.title} — ${view.score} of ${view.max_score} points`);
    write(goal, view.goal);
    progress.setAttribute("aria-valuemax", view.max_score);
    progress.setAttribute("aria-valuenow", view.score);
    progress.setAttribute("aria-valuetext", `${view.score} of ${view.max_score} points`);
    bar.style.width = `${(100 * view.score) / view.max_score}%`;
    write(question, `This deletes everything that you made in namespace ${view.namespace}, and sets the lab up anew.`);
    for (const task of view.tasks) {
      if (!tasks.has(task.id)) {
        tasks.set(task.id, makeTask(task.id, ask));
        list.append(tasks.get(task.id).element);
      }
      tasks.get(task.id).update(task);
    }
    const first = view.tasks.find((task) => task.word === "failed" || task.word === "unknown")?.id ?? "";
    if (first !== opened) {
      if (tasks.has(opened)) tasks.get(opened).why.open = false;
      if (first) tasks.get(first).why.open = true;
      opened = first;
    }
  }

  function tell() {
    write(said, model.get("said"));
  }

  function atWork() {
    for (const button of [check, reset]) button.setAttribute("aria-disabled", model.get("busy"));
  }

  const attention = attend(model, { view: draw, said: tell, busy: atWork });
  section.append(attention.silent);
  el.append(section);
  return attention.end;
}

export default { render };
