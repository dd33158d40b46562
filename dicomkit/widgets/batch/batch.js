// The bar of a batch panel (see bar.js): a question before what cannot be undone, the progress, and a file
// for the rows.

class BatchBar extends Bar {
  constructor(model, el) {
    super(model, {
      silent: "The kernel does not answer. Run the cell again: a batch that still runs there is found.",
      parted:
        "The kernel does not know this batch any more. Run the cell again; " +
        "the file with its rows, if you gave one, has what was sent.",
    });
    this.notes.classList.add("dk-batch-notes");
    this.buttons = make("div", { class: "dk-bar dk-batch-buttons", role: "group", "aria-label": "Batch" });
    this.question = make("div", {
      class: "dk-question",
      role: "alertdialog",
      "aria-label": "Before it is done",
      hidden: "",
    });
    this.meter = make("progress", { "aria-label": "Progress of the batch" });
    this.progressText = span("dk-numbers");
    this.progress = make(
      "div",
      { class: "dk-bar dk-batch-progress", hidden: "" },
      this.meter,
      this.progressText,
    );
    this.path = textInput("dk-path", { "aria-label": "Rows to a file" });
    const save = () => this.press("export", "", this.path.value);
    this.path.addEventListener("keydown", (event) => event.key === "Enter" && save());
    this.files = make(
      "div",
      { class: "dk-bar", role: "group", "aria-label": "Export", hidden: "" },
      span("dk-muted", "Rows to a file (.csv, .parquet, .json)"),
      this.path,
      button("Export", "Write every attempt as a row", save),
    );
    const parts = [this.buttons, this.question, this.progress, this.files, this.notes];
    this.open(
      make("div", { class: "dk dk-card dk-batch", role: "group", "aria-label": "Send a batch" }, ...parts),
      el,
    );
  }

  show({ buttons, question, answers, progress, path, notes }) {
    this.showButtons(this.buttons, buttons);
    this.showQuestion(question, answers);
    this.progress.hidden = !progress;
    if (progress) this.showProgress(progress);
    this.files.hidden = path === null;
    if (path !== null && path !== this.proposed) {
      this.proposed = path;
      this.path.value = path;
    }
    this.showNotes(notes);
  }

  showQuestion(says, answers) {
    const isNew = says && this.question.hidden;
    this.question.hidden = !says;
    fill(this.question, [says, answers], () => [
      span("", says),
      ...answers.map(({ act, label, title }) => button(label, title, () => this.press(act, label))),
    ]);
    if (isNew && this.element.contains(document.activeElement))
      this.question.querySelector("button")?.focus();
    if (!says && document.activeElement === document.body && this.hadQuestion)
      this.buttons.firstElementChild?.focus();
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

export default viewsOf(BatchBar);
