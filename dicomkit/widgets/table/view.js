// One view of a table: it says hello to the kernel, shows what that tells, and says what its hands do.

class RowsView {
  constructor(model, el) {
    this.id = `dk-rows-${Math.random().toString(36).slice(2, 10)}`;
    this.move = 0; // how often the cursor was moved here
    this.root = make("div", { class: "dk dk-card dk-rows", role: "group" });
    keepKeys(this.root);
    this.root.append(
      make("div", { class: "dk-rows-empty dk-muted" }, "Waiting for the kernel; if nothing runs there, run the cell again."),
    );
    el.append(this.root);
    this.parting = make("div", { class: "dk-status", role: "status" });
    this.kernel = new Kernel(
      model,
      (message) => this.onMessage(message),
      () => this.onParting(),
    );
    this.say({ kind: "hello" });
  }

  say(message) {
    this.kernel.say({ view: this.id, ...message });
  }

  onMessage(message) {
    if (message.kind === "state") this.onState(message);
    if (!this.grid) return;
    if (message.kind === "window" && message.view === this.id) this.grid.take(message);
    if (message.kind === "active") this.onActive(message);
    if (message.kind === "detail") this.onDetail(message);
    if (message.kind === "copied" && message.view === this.id) this.onCopied(message.text);
  }

  onState(message) {
    if (message.for && message.for !== this.id) return;
    const { state, look } = message;
    if (!this.grid) {
      if (!look) return; // the answer to our hello is under way
      this.build(look);
    } else if (state.revision < this.grid.state.revision) {
      return;
    }
    const window = message.windows[this.id] ?? message.windows["*"];
    this.caption.textContent = state.caption;
    this.caption.hidden = state.caption === "";
    this.bar.show(state);
    this.grid.show(state, window, { ...message, isSame: message.same.includes(this.id) });
    this.onActive(state);
  }

  onParting() {
    const says = "The kernel does not know this table any more. Run the cell again.";
    this.parting.dataset.kind = "warning";
    this.parting.replaceChildren(make("span", {}, says));
  }

  build(look) {
    this.root.setAttribute("aria-label", look.label);
    this.caption = make("div", { class: "dk-rows-caption" });
    this.bar = new RowsBar(look, (message) => this.say(message));
    this.detail = new RowsDetail(
      `${this.id}-detail`,
      () => this.closeDetail(),
      (text) => this.bar.tell(text),
    );
    this.grid = new RowsGrid(this.id, look, {
      ask: (start, stop, revision) => this.say({ kind: "window", start, stop, revision }),
      activate: (key, index, revision) => {
        this.move += 1;
        this.say({ kind: "activate", key, index, revision, move: this.move });
      },
      expand: (key, isOpen) => this.say({ kind: "expand", key, isOpen }),
      parent: (key) => this.say({ kind: "parent", key }),
      detail: (key) => this.toggleDetail(key),
      check: (what) => this.say({ kind: "check", revision: this.grid.state.revision, ...what }),
      sort: (column) => this.sort(column),
      copy: (key) => this.say({ kind: "copy", key }),
      leave: () => this.bar.search.focus(),
    });
    this.bar.onDetails = () => this.toggleDetail(this.grid.active);
    this.bar.search.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      this.grid.el.focus();
      if (this.grid.activeIndex < 0) this.grid.go(0);
    });
    this.root.replaceChildren(this.caption, this.bar.el, this.parting, this.grid.el, this.detail.el);
  }

  // First up, then down, then as they came.
  sort(column) {
    const [name, isDescending] = this.grid.state.order ?? [null, false];
    if (name !== column) this.say({ kind: "order", column, isDescending: false });
    else if (!isDescending) this.say({ kind: "order", column, isDescending: true });
    else this.say({ kind: "order", column: null, isDescending: false });
  }

  onActive({ active, activeIndex, by, move }) {
    const isOurs = by === this.id;
    if (isOurs && move < this.move) return; // we have moved on
    this.grid.setActive(active, activeIndex, { reveal: !isOurs });
  }

  toggleDetail(key) {
    const isOpen = this.grid.state.opened !== null;
    if (isOpen && (key === null || key === this.grid.state.opened)) this.closeDetail();
    else if (key !== null) this.say({ kind: "detail", key });
    else this.bar.tell("Choose a row first");
  }

  closeDetail() {
    this.say({ kind: "detail", key: null });
    this.grid.el.focus();
  }

  onDetail({ key, facts }) {
    const isOpening = this.detail.el.hidden;
    this.grid.state.opened = key;
    this.bar.details.setAttribute("aria-pressed", String(key !== null));
    this.detail.show(facts);
    if (isOpening && this.grid.activeIndex >= 0) this.grid.reveal(this.grid.activeIndex);
  }

  async onCopied(text) {
    this.bar.tell((await copyText(text)) ? "Copied" : "The browser does not allow to copy");
  }

  close() {
    this.say({ kind: "bye" });
    this.kernel.close();
    this.bar?.close();
    this.grid?.close();
    this.root.remove();
  }
}

export default () => ({
  initialize() {
    return () => {};
  },
  render({ model, el }) {
    const view = new RowsView(model, el);
    return () => view.close();
  },
});
