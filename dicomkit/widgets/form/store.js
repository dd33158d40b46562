// What all views of one form share: what Python last said, and what was typed that Python has not answered yet.
//
// Strategy: Python answers every edit with the whole state. While an edit is unanswered, its side is passed over in
// what Python says, so nothing that is being typed is overwritten. One edit is under way at a time; what is typed
// meanwhile goes out together when the answer comes. The JSON waits for quiet before it goes.

const QUIET_MS = 300;
const PATIENCE_MS = 5000;
const JSON_SIDE = ""; // its key among the fields' names, in what is unanswered

class FormStore {
  constructor(model) {
    this.me = Math.random().toString(36).slice(2);
    this.number = 0;
    this.underWay = 0;
    this.unanswered = new Map(); // side, to the number of the edit that told Python; Infinity before it is told
    this.unsent = { fields: {} };
    this.isSilent = false; // no answer yet, and none soon
    this.isGone = false; // there is nobody to answer: the kernel was started again
    this.form = null;
    this.state = null;
    this.views = new Set();
    this.kernel = new Kernel(
      model,
      (message) => this.hear(message),
      () => this.part(),
    );
    this.kernel.say({ kind: "hello" });
    this.beginToWait();
  }

  close() {
    this.kernel.close();
    clearTimeout(this.quiet);
    clearTimeout(this.patience);
    this.views.clear();
  }

  changed() {
    for (const view of this.views) view.refresh();
  }

  // What people do

  editField(name, text) {
    this.flushJson();
    this.state.fields[name].text = text;
    this.unsent.fields[name] = text;
    this.unanswered.set(name, Infinity);
    this.pump();
    this.changed();
  }

  editJson(text) {
    this.state.json = text;
    this.unanswered.set(JSON_SIDE, Infinity);
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      this.flushJson();
      this.pump();
    }, QUIET_MS);
    this.changed();
  }

  /** Take the JSON as it is, without waiting for quiet. */
  flushJson() {
    clearTimeout(this.quiet);
    if (this.unanswered.get(JSON_SIDE) === Infinity) this.unsent.json = this.state.json;
  }

  act(act, path = "") {
    this.flushJson();
    this.pump({ atOnce: true });
    this.kernel.say({ kind: "act", act, path });
  }

  // What Python is told and says

  part() {
    this.isGone = true;
    this.changed();
  }

  pump({ atOnce = false } = {}) {
    const isNothing = this.unsent.json === undefined && !Object.keys(this.unsent.fields).length;
    if (isNothing || (this.underWay && !this.isSilent && !atOnce)) return;
    this.number += 1;
    this.underWay = this.number;
    for (const name of Object.keys(this.unsent.fields)) this.unanswered.set(name, this.number);
    if (this.unsent.json !== undefined) this.unanswered.set(JSON_SIDE, this.number);
    this.kernel.say({ kind: "edit", from: this.me, number: this.number, ...this.unsent });
    this.unsent = { fields: {} };
    this.beginToWait();
  }

  beginToWait() {
    clearTimeout(this.patience);
    this.patience = setTimeout(() => {
      this.isSilent = true;
      this.changed();
    }, PATIENCE_MS);
  }

  hear(message) {
    if (message.kind === "form") this.form = message;
    if (message.kind !== "state") return;
    if (message.from === this.me) {
      if (message.number >= this.underWay) this.underWay = 0;
      for (const [side, number] of this.unanswered) if (number <= message.number) this.unanswered.delete(side);
    }
    if (!this.underWay) clearTimeout(this.patience);
    this.isSilent = false;
    const before = this.state;
    this.state = message;
    if (before) {
      for (const side of this.unanswered.keys()) {
        if (side === JSON_SIDE) message.json = before.json;
        else message.fields[side].text = before.fields[side].text;
      }
    }
    this.pump();
    this.changed();
  }
}
