// The form's view: the file, both sides, and what can be done with a setting that has no fault. It keeps nothing of its
// own but elements, and `refresh` makes them say what the store holds.

let formCount = 0;

class FormView {
  constructor(store, el) {
    this.store = store;
    formCount += 1;
    this.prefix = `dk-form-${formCount}`;
    this.status = make("div", { class: "dk-status", role: "status", text: "Waiting for the kernel …" });
    this.element = make(
      "div",
      { class: "dk dk-card dk-form", role: "group", "aria-label": "DICOM sender setting" },
      this.status,
    );
    keepKeys(this.element);
    el.append(this.element);
    store.views.add(this);
    this.refresh();
  }

  close() {
    this.store.views.delete(this);
    this.element.remove();
  }

  build({ groups, can_send: canSend }) {
    const { store, prefix } = this;
    this.parts = [
      new FileBar(store, prefix),
      ...groups.map((group) => new FieldGroup(store, group, prefix)),
      new JsonEditor(store, prefix),
    ];
    const [files, ...sides] = this.parts.map((part) => part.element);
    const json = sides.pop();
    this.echoButton = button("Echo", "", () => store.act("echo"), { class: "dk-button dk-main" });
    this.cancelButton = button("Stop waiting", "Forget this echo", () => store.act("cancel_echo"));
    this.sendButton = button("Send", "", () => store.act("send"));
    this.sendButton.hidden = !canSend;
    this.revertButton = button("Back to the last valid", "Forget what is refused, on both sides", () => store.act("revert"));
    this.element.replaceChildren(
      files,
      make("div", { class: "dk-sides" }, make("div", { class: "dk-form-side" }, ...sides), json),
      make("div", { class: "dk-bar dk-actions", role: "group", "aria-label": "Actions" }, this.echoButton, this.cancelButton, this.sendButton, this.revertButton, this.status),
    );
  }

  refresh() {
    const { form, state, isSilent, isGone } = this.store;
    if (!form || !state) {
      if (isSilent || isGone) this.status.textContent = "The kernel does not answer. Run the cell to have the form back.";
      return;
    }
    if (!this.parts) this.build(form);
    for (const part of this.parts) part.refresh(state);
    const { refusal, echo } = state;
    allow(this.echoButton, !refusal && !echo.is_running, refusal ? `Echo waits for this: ${refusal}` : "Ask the peer for a sign of life (C-ECHO)");
    allow(this.sendButton, !refusal, refusal ? `Send waits for this: ${refusal}` : "Send with this setting");
    this.cancelButton.hidden = !echo.is_running;
    this.revertButton.hidden = !refusal;
    this.sayStatus(state);
  }

  sayStatus({ refusal, echo }) {
    let [kind, says] = [echo.status, echo.says];
    if (this.store.isGone) [kind, says] = ["error", "The kernel does not know this form any more. Run the cell again."];
    else if (this.store.isSilent) [kind, says] = ["warning", "The kernel is busy or gone: what is typed has not been checked yet."];
    else if (refusal) [kind, says] = ["error", `${this.sendButton.hidden ? "Echo and Save" : "Echo, Send and Save"} wait for this: ${refusal}.`];
    else if (echo.is_old) [kind, says] = ["", `Before the last change: ${echo.says}`];
    fill(this.status, [kind, says], () => [make("span", { text: says })]);
    this.status.dataset.kind = kind;
    if (!kind) delete this.status.dataset.kind;
  }
}

export default () => {
  let store = null;
  return {
    initialize({ model }) {
      store = new FormStore(model);
      return () => store.close();
    },
    render({ el }) {
      const view = new FormView(store, el);
      return () => view.close();
    },
  };
};
