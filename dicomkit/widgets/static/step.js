// The bar of a step: title, field, choice, buttons and notes, as the kernel words them.
//
// Strategy: every state is whole, and what has not changed is left alone, so that the keyboard's place and what is being
// typed stay.

const PATIENCE_MS = 5000;

class StepView {
  constructor(model, el) {
    this.model = model;
    this.title = make("h2", { class: "dk-step-title" });
    this.hint = make("span", { class: "dk-muted" });
    this.head = make("div", { class: "dk-step-head", hidden: "" }, this.title, this.hint);
    this.label = make("span", { class: "dk-muted" });
    this.input = make("input", { type: "text", class: "dk-input dk-path", autocomplete: "off", spellcheck: "false" });
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.field = make("label", { class: "dk-field dk-step-field", hidden: "" }, this.label, this.input);
    this.choiceLabel = make("span", { class: "dk-muted" });
    this.select = make("select", { class: "dk-input" });
    this.select.addEventListener("change", () => this.press(this.state.choice.act, this.select.value));
    this.choice = make("label", { class: "dk-field dk-step-choice", hidden: "" }, this.choiceLabel, this.select);
    this.buttons = make("span", { class: "dk-step-buttons" });
    this.tools = make("div", { class: "dk-bar dk-step-tools", hidden: "" }, this.buttons, this.field, this.choice);
    this.notes = make("div", { role: "status" }, make("div", { class: "dk-status", text: "Waiting for the kernel …" }));
    this.element = make("div", { class: "dk dk-step", role: "group" }, this.head, this.tools, this.notes);
    keepKeys(this.element);
    el.append(this.element);
    this.onMessage = (message) => {
      if (message.kind === "state") this.show(message);
    };
    model.on("msg:custom", this.onMessage);
    this.onParting = () => this.warn("The kernel does not know this any more. Run the cell again.");
    model.on("comm_live_update", this.onParting); // it was live, so it is no more
    this.patience = setTimeout(() => this.warn("The kernel does not answer. Run the cell again."), PATIENCE_MS);
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
      this.onParting();
    }
  }

  press(act, text) {
    this.say({ kind: "press", act, label: "", text });
  }

  warn(says) {
    this.notes.replaceChildren(make("div", { class: "dk-status", "data-kind": "warning", text: says }));
    delete this.notes.dataset.about;
  }

  onKey(event) {
    if (event.key === "Enter") this.press(this.state.field.act, this.input.value);
    if (event.key === "Escape") this.input.value = this.state.field.value;
  }

  show(state) {
    clearTimeout(this.patience);
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
      if (before?.field?.value !== state.field.value) this.input.value = state.field.value;
    }
    this.showChoice(state.choice);
    this.showButtons(state.buttons);
    fill(this.notes, state.notes, () =>
      state.notes.map(({ says, kind }) => make("div", { class: "dk-status", "data-kind": kind || null }, make("span", { text: says }))),
    );
  }

  showChoice(choice) {
    this.choice.hidden = !choice;
    if (!choice) return;
    this.choiceLabel.textContent = choice.label;
    fill(this.select, choice.options, () => choice.options.map(([value, text]) => make("option", { value, text })));
    this.select.value = choice.value;
  }

  /** The same buttons keep their elements, so that the keyboard stays where it is. */
  showButtons(buttons) {
    const hadFocus = this.buttons.contains(document.activeElement);
    fill(this.buttons, buttons.map(({ act }) => act), () =>
      buttons.map(({ act }) => button("", "", () => this.press(act, ""))),
    );
    buttons.forEach(({ label, title, is_allowed: isAllowed, is_main: isMain }, place) => {
      const element = this.buttons.children[place];
      element.classList.toggle("dk-main", isMain);
      if (element.textContent !== label) element.textContent = label;
      allow(element, isAllowed, title);
    });
    if (hadFocus && !this.buttons.contains(document.activeElement)) this.buttons.firstElementChild?.focus();
  }
}

export default () => ({
  initialize() {},
  render({ model, el }) {
    const view = new StepView(model, el);
    return () => view.close();
  },
});
