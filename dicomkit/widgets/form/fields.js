// The fields' side: a control for each field, with its meaning, and what is wrong or worth knowing beneath
// it. Everything is typed as text and judged by Python; a control keeps what was typed, whatever is said of
// it.

const MARKS = { error: "✕", warning: "⚠", info: "ℹ" };
const SEVERITIES = { error: "Fault", warning: "Warning", info: "Note" };

function sentence({ message, remedy }) {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}; ${remedy}.`;
}

function noteLines(notes) {
  return notes.map((note) =>
    make(
      "p",
      { class: "dk-note", "data-kind": note.severity },
      make("span", { class: "dk-note-mark", "aria-hidden": "true", text: MARKS[note.severity] }),
      span("dk-only-read-aloud", `${SEVERITIES[note.severity]}: `),
      span("", sentence(note)),
    ),
  );
}

class FieldControl {
  constructor(store, field, prefix) {
    this.store = store;
    this.field = field;
    const id = `${prefix}-${field.name.replace("$", "")}`;
    this.input = this.buildInput(id);
    this.absent = make("span", { class: "dk-absent", text: "not in the JSON", hidden: "" });
    this.name = make("output", { class: "dk-choice-name dk-muted", for: id });
    this.notes = make("div", { role: "status", id: `${id}-notes` });
    this.more = make(
      "div",
      { class: "dk-more", id: `${id}-more`, hidden: "" },
      make("p", { text: `When sending: ${field.effect}` }),
      make("p", { text: `A new setting has: ${field.default}` }),
    );
    this.moreButton = button("?", `More about ${field.label}`, () => this.showMore(this.more.hidden), {
      class: "dk-button dk-more-button",
      "aria-label": `More about ${field.label}`,
      "aria-expanded": "false",
      "aria-controls": `${id}-more`,
    });
    const label = make("label", { for: id, text: field.label });
    const jsonName = make("code", {
      class: "dk-json-name",
      text: field.name === field.label ? "" : field.name,
    });
    const isSwitch = field.kind === "boolean";
    const control = this.choices ? [this.input, this.choices, this.name] : [this.input];
    const head = [...(isSwitch ? control : []), label, jsonName, this.absent, this.moreButton];
    this.element = make(
      "div",
      { class: "dk-form-field", "data-field": field.name },
      make("div", { class: "dk-form-label" }, ...head),
      ...(isSwitch ? [] : [make("div", { class: "dk-form-control" }, ...control)]),
      make("p", { class: "dk-meaning", id: `${id}-meaning`, text: field.meaning }),
      this.more,
      this.notes,
    );
  }

  buildInput(id) {
    const { kind, name, choices } = this.field;
    const shared = { id, "aria-describedby": `${id}-notes ${id}-meaning` };
    if (kind === "boolean") {
      const input = make("input", { ...shared, type: "checkbox" });
      input.addEventListener("change", () => this.store.editField(name, String(input.checked)));
      return input;
    }
    const isLong = kind === "json" || name === "MessageTemplate";
    const hints = {
      placeholder: kind === "json" ? "null" : null,
      inputmode: kind === "integer" ? "numeric" : null,
    };
    const list = choices.length ? `${id}-choices` : null;
    const input = textInput(`dk-${kind}`, { ...shared, ...hints, list }, isLong);
    input.addEventListener("input", () => this.store.editField(name, input.value));
    if (choices.length) {
      const options = choices.map(({ text, name }) =>
        make("option", { value: text, label: `${text} ${name}` }),
      );
      this.choices = make("datalist", { id: list }, ...options);
    }
    return input;
  }

  showMore(isShown) {
    this.more.hidden = !isShown;
    this.moreButton.setAttribute("aria-expanded", String(isShown));
  }

  refresh(state) {
    const { text, notes, is_written: isWritten } = state.fields[this.field.name];
    if (this.field.kind === "boolean") {
      this.input.checked = text === "true";
      this.input.indeterminate = text !== "true" && text !== "false";
      this.input.disabled = !state.is_json;
    } else {
      if (this.input.value !== text) this.input.value = text;
      this.input.readOnly = !state.is_json;
    }
    const isFaulty = notes.some((note) => note.severity === "error");
    this.input.setAttribute("aria-invalid", String(isFaulty));
    this.element.dataset.kind = isFaulty
      ? "error"
      : notes.some((note) => note.severity === "warning")
        ? "warning"
        : "";
    this.absent.hidden = isWritten || !state.is_json;
    if (this.choices)
      this.name.textContent = this.field.choices.find((one) => one.text === text.trim())?.name ?? "";
    fill(this.notes, notes, () => noteLines(notes));
  }
}

class FieldGroup {
  constructor(store, group, prefix) {
    this.names = group.fields.map((field) => field.name);
    this.controls = group.fields.map((field) => new FieldControl(store, field, prefix));
    const title = [span("dk-group-title", group.title), span("dk-muted", group.hint)];
    const fields = make("div", { class: "dk-form-fields" }, ...this.controls.map((one) => one.element));
    this.counts = span();
    this.faults = 0;
    if (group.is_folded) {
      this.element = make(
        "details",
        { class: "dk-form-group" },
        make("summary", {}, ...title, this.counts),
        fields,
      );
    } else {
      this.element = make("fieldset", { class: "dk-form-group" }, make("legend", {}, ...title), fields);
    }
  }

  refresh(state) {
    for (const control of this.controls) control.refresh(state);
    const notes = this.names.flatMap((name) => state.fields[name].notes);
    const count = (severity) => notes.filter((note) => note.severity === severity).length;
    const faults = count("error");
    if (faults > this.faults) this.element.open = true; // what cannot be seen cannot be corrected
    this.faults = faults;
    const counts = [
      ["error", faults, "fault"],
      ["warning", count("warning"), "warning"],
    ].filter(([, number]) => number);
    fill(this.counts, counts, () =>
      counts.map(([kind, number, word]) => {
        const text = `${MARKS[kind]} ${number} ${word}${number > 1 ? "s" : ""}`;
        return make("span", { class: "dk-count", "data-kind": kind, text });
      }),
    );
  }
}
