// What all views of one form share: what Python last said, and what was typed that Python has not answered
// yet.
//
// Python answers every edit with the whole state. While an edit is unanswered, its side is passed over in
// what Python says, so nothing that is being typed is overwritten. One edit is under way at a time; what is
// typed meanwhile goes out together when the answer comes. The JSON waits for quiet before it goes.

const QUIET_MS = 300;
const PATIENCE_MS = 5000;
const JSON_SIDE = ""; // its key among the fields' names, in what is unanswered

class FormStore {
  constructor(model) {
    this.me = Math.random().toString(36).slice(2);
    this.number = 0;
    this.underWay = 0;
    this.unanswered = new Map(); // side, to the number of the edit that sent it; Infinity before it is sent
    this.unsent = { fields: {} };
    this.isSilent = false; // no answer yet, and none soon
    this.isGone = false; // there is nobody to answer: the kernel was started again
    this.form = null;
    this.state = null;
    this.views = new Set();
    this.quiet = whenQuiet(QUIET_MS, () => this.sendJson());
    this.patience = whenQuiet(PATIENCE_MS, () => this.changed({ isSilent: true }));
    this.kernel = new Kernel(
      model,
      (message) => this.hear(message),
      () => this.changed({ isGone: true }),
    );
    this.kernel.say({ kind: "hello" });
    this.patience.later();
  }

  close() {
    this.kernel.close();
    this.quiet.stop();
    this.patience.stop();
    this.views.clear();
  }

  changed(what = {}) {
    Object.assign(this, what);
    for (const view of this.views) view.refresh();
  }

  // What people do

  editField(name, text) {
    this.takeJson();
    this.state.fields[name].text = text;
    this.unsent.fields[name] = text;
    this.unanswered.set(name, Infinity);
    this.pump();
    this.changed();
  }

  editJson(text) {
    this.state.json = text;
    this.unanswered.set(JSON_SIDE, Infinity);
    this.quiet.later();
    this.changed();
  }

  /** Take the JSON as it is, without waiting for quiet. */
  takeJson() {
    this.quiet.stop();
    if (this.unanswered.get(JSON_SIDE) === Infinity) this.unsent.json = this.state.json;
  }

  sendJson() {
    this.takeJson();
    this.pump();
  }

  act(act, path = "") {
    this.takeJson();
    this.pump({ atOnce: true });
    this.kernel.say({ kind: "act", act, path });
  }

  // What Python is sent, and says

  pump({ atOnce = false } = {}) {
    const isNothing = this.unsent.json === undefined && !Object.keys(this.unsent.fields).length;
    if (isNothing || (this.underWay && !this.isSilent && !atOnce)) return;
    this.number += 1;
    this.underWay = this.number;
    for (const name of Object.keys(this.unsent.fields)) this.unanswered.set(name, this.number);
    if (this.unsent.json !== undefined) this.unanswered.set(JSON_SIDE, this.number);
    this.kernel.say({ kind: "edit", from: this.me, number: this.number, ...this.unsent });
    this.unsent = { fields: {} };
    this.patience.later();
  }

  hear(message) {
    if (message.kind === "form") this.form = message;
    if (message.kind !== "state") return;
    if (message.from === this.me) {
      if (message.number >= this.underWay) this.underWay = 0;
      for (const [side, number] of this.unanswered)
        if (number <= message.number) this.unanswered.delete(side);
    }
    if (!this.underWay) this.patience.stop();
    for (const side of this.state ? this.unanswered.keys() : []) {
      if (side === JSON_SIDE) message.json = this.state.json;
      else message.fields[side].text = this.state.fields[side].text;
    }
    this.state = message;
    this.isSilent = false;
    this.pump();
    this.changed();
  }
}
