// The bar of a step: title, field and choice besides buttons and notes (see bar.js), as the kernel words
// them.

class StepBar extends Bar {
  constructor(model, el) {
    super(model, {
      silent: "The kernel does not answer. Run the cell again.",
      parted: "The kernel does not know this any more. Run the cell again.",
    });
    this.title = make("h2", { class: "dk-step-title" });
    this.hint = span("dk-muted");
    this.head = make("div", { class: "dk-step-head", hidden: "" }, this.title, this.hint);
    this.label = span("dk-muted");
    this.input = textInput("dk-path");
    this.isEntered = false; // what is typed was handed over, and waits for what the kernel makes of it
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.input.addEventListener("input", () => {
      this.isEntered = false;
    });
    this.field = make("label", { class: "dk-field dk-step-field", hidden: "" }, this.label, this.input);
    this.choiceLabel = span("dk-muted");
    this.select = make("select", { class: "dk-input" });
    this.select.addEventListener("change", () => this.press(this.state.choice.act, "", this.select.value));
    this.choice = make(
      "label",
      { class: "dk-field dk-step-choice", hidden: "" },
      this.choiceLabel,
      this.select,
    );
    this.buttons = span("dk-step-buttons");
    this.tools = make(
      "div",
      { class: "dk-bar dk-step-tools", hidden: "" },
      this.buttons,
      this.field,
      this.choice,
    );
    const element = make("div", { class: "dk dk-step", role: "group" }, this.head, this.tools, this.notes);
    this.open(element, el);
  }

  onKey(event) {
    if (event.key === "Enter") {
      this.isEntered = true;
      this.press(this.state.field.act, "", this.input.value);
    }
    if (event.key === "Escape") this.input.value = this.state.field.value;
  }

  show(state) {
    const before = this.state;
    this.state = state;
    this.element.setAttribute("aria-label", state.label);
    this.head.hidden = !state.title;
    this.title.textContent = state.title;
    this.hint.textContent = state.hint;
    this.tools.hidden = !(state.field || state.choice || state.buttons.length);
    this.field.hidden = !state.field;
    if (state.field) {
      this.label.textContent = state.field.label;
      const isTaken = this.isEntered && !state.notes.some(({ kind }) => kind === "error");
      if (isTaken || before?.field?.value !== state.field.value) this.input.value = state.field.value;
    }
    this.showChoice(state.choice);
    this.showButtons(this.buttons, state.buttons);
    this.showNotes(state.notes);
  }

  showChoice(choice) {
    this.choice.hidden = !choice;
    if (!choice) return;
    this.choiceLabel.textContent = choice.label;
    fill(this.select, choice.options, () =>
      choice.options.map(([value, text]) => make("option", { value, text })),
    );
    this.select.value = choice.value;
  }
}

export default viewsOf(StepBar);
