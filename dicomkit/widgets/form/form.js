// The form's view: the file, both sides, and what can be done with a setting that has no fault. It keeps
// nothing of its own but elements, and `refresh` makes them say what the store holds.

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
    const revert = () => store.act("revert");
    this.revertButton = button("Back to the last valid", "Forget what is refused, on both sides", revert);
    const actions = make("div", { class: "dk-bar dk-actions", role: "group", "aria-label": "Actions" });
    actions.append(this.echoButton, this.cancelButton, this.sendButton, this.revertButton, this.status);
    this.element.replaceChildren(
      files,
      make("div", { class: "dk-sides" }, make("div", { class: "dk-form-side" }, ...sides), json),
      actions,
    );
  }

  refresh() {
    const { form, state, isSilent, isGone } = this.store;
    if (!form || !state) {
      const says = "The kernel does not answer. Run the cell to have the form back.";
      if (isSilent || isGone) this.status.textContent = says;
      return;
    }
    if (!this.parts) this.build(form);
    for (const part of this.parts) part.refresh(state);
    const { refusal, echo } = state;
    const title = (act, meaning) => (refusal ? `${act} waits for this: ${refusal}` : meaning);
    const mayEcho = !refusal && !echo.is_running;
    allow(this.echoButton, mayEcho, title("Echo", "Ask the peer for a sign of life (C-ECHO)"));
    allow(this.sendButton, !refusal, title("Send", "Send with this setting"));
    this.cancelButton.hidden = !echo.is_running;
    this.revertButton.hidden = !refusal;
    sayIn(this.status, ...this.statusOf(state));
  }

  statusOf({ refusal, echo }) {
    const { isGone, isSilent } = this.store;
    const waiting = this.sendButton.hidden ? "Echo and Save" : "Echo, Send and Save";
    if (isGone) return ["error", "The kernel does not know this form any more. Run the cell again."];
    if (isSilent) return ["warning", "The kernel is busy or gone: what is typed has not been checked yet."];
    if (refusal) return ["error", `${waiting} wait for this: ${refusal}.`];
    if (echo.is_old) return ["", `Before the last change: ${echo.says}`];
    return [echo.status, echo.says];
  }
}

export default viewsOf(FormView, FormStore);
