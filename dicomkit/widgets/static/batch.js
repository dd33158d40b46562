// The bar of a batch panel: buttons, progress, notes, as the kernel words them.
//
// Strategy: every state is whole, so a view keeps nothing but its elements; what has not changed is left alone, so that
// the keyboard's place and what is being typed stay, and nothing is read aloud twice.

const PATIENCE_MS = 5000;

class BatchBar {
  constructor(model, el) {
    this.model = model;
    this.buttons = make("div", { class: "dk-bar dk-batch-buttons", role: "group", "aria-label": "Batch" });
    this.question = make("div", { class: "dk-question", role: "alertdialog", "aria-label": "Before it is done", hidden: "" });
    this.meter = make("progress", { "aria-label": "Progress of the batch" });
    this.progressText = make("span", { class: "dk-numbers" });
    this.progress = make("div", { class: "dk-bar dk-batch-progress", hidden: "" }, this.meter, this.progressText);
    this.path = make("input", { type: "text", class: "dk-input dk-path", "aria-label": "File to save the rows in", autocomplete: "off", spellcheck: "false" });
    this.path.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.press("export", "", this.path.value);
    });
    this.files = make(
      "div",
      { class: "dk-bar", role: "group", "aria-label": "Export", hidden: "" },
      make("span", { class: "dk-muted", text: "Rows to a file (.csv, .parquet, .json)" }),
      this.path,
      button("Export", "Write every attempt as a row", () => this.press("export", "", this.path.value)),
    );
    this.notes = make("div", { class: "dk-batch-notes", role: "status" }, make("div", { class: "dk-status", text: "Waiting for the kernel …" }));
    this.element = make(
      "div",
      { class: "dk dk-card dk-batch", role: "group", "aria-label": "Send a batch" },
      this.buttons,
      this.question,
      this.progress,
      this.files,
      this.notes,
    );
    keepKeys(this.element);
    el.append(this.element);
    this.onMessage = (message) => {
      if (message.kind === "state") this.show(message);
    };
    model.on("msg:custom", this.onMessage);
    this.onParting = () => this.part();
    model.on("comm_live_update", this.onParting); // it was live, so it is no more
    this.patience = setTimeout(() => this.despair(), PATIENCE_MS);
    this.say({ kind: "hello" });
  }

  close() {
    clearTimeout(this.patience);
    this.model.off("msg:custom", this.onMessage);
    this.model.off("comm_live_update", this.onParting);
    this.element.remove();
  }

  say(message) {
    try {
      this.model.send(message);
    } catch {
      this.part();
    }
  }

  press(act, label, text = "") {
    this.say({ kind: "press", act, label, text });
  }

  despair() {
    this.warn("The kernel does not answer. Run the cell again: a batch that still runs there is found.");
  }

  part() {
    this.warn("The kernel does not know this batch any more. Run the cell again; the file with its rows, if you gave one, has what was sent.");
  }

  warn(says) {
    this.notes.replaceChildren(make("div", { class: "dk-status", "data-kind": "warning", text: says }));
    delete this.notes.dataset.about;
  }

  show({ buttons, question, answers, progress, path, notes }) {
    clearTimeout(this.patience);
    this.showButtons(this.buttons, buttons);
    this.showQuestion(question, answers);
    this.progress.hidden = !progress;
    if (progress) this.showProgress(progress);
    this.files.hidden = path === null;
    if (path !== null && path !== this.proposed) {
      this.proposed = path;
      this.path.value = path;
    }
    fill(this.notes, notes, () => notes.map(({ says, kind }) => make("div", { class: "dk-status", "data-kind": kind || null }, make("span", { text: says }))));
  }

  /** The same buttons keep their elements while their labels change, so that the keyboard stays where it is. */
  showButtons(box, buttons) {
    const hadFocus = box.contains(document.activeElement);
    fill(box, buttons.map(({ act }) => act), () =>
      buttons.map(({ act, is_main: isMain }) => {
        const element = button("", "", () => this.press(act, element.textContent), { class: `dk-button${isMain ? " dk-main" : ""}` });
        return element;
      }),
    );
    buttons.forEach(({ label, title, is_allowed: isAllowed }, place) => {
      const element = box.children[place];
      if (element.textContent !== label) element.textContent = label;
      allow(element, isAllowed, title);
    });
    if (hadFocus && !box.contains(document.activeElement)) box.firstElementChild?.focus();
  }

  showQuestion(says, answers) {
    const isNew = says && this.question.hidden;
    this.question.hidden = !says;
    fill(this.question, [says, answers], () => [
      make("span", { text: says }),
      ...answers.map(({ act, label, title }) => button(label, title, () => this.press(act, label))),
    ]);
    if (isNew && this.element.contains(document.activeElement)) this.question.querySelector("button")?.focus();
    if (!says && document.activeElement === document.body && this.hadQuestion) this.buttons.firstElementChild?.focus();
    this.hadQuestion = Boolean(says);
  }

  showProgress({ done, total, says }) {
    if (total) {
      this.meter.max = total;
      this.meter.value = done;
    } else {
      this.meter.removeAttribute("value");
    }
    this.progressText.textContent = says;
  }
}

export default () => ({
  initialize() {},
  render({ model, el }) {
    const bar = new BatchBar(model, el);
    return () => bar.close();
  },
});
