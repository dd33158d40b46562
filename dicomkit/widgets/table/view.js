// One view of a table: a bar with search, filters, counts and details, the grid, and below it what a row
// opens to.

const SEARCH_QUIET_MS = 200; // a search waits until nobody types
const READ_ALOUD_QUIET_MS = 600;

/** A number as people read it: 100,000. */
function numeral(count) {
  return count.toLocaleString("en-US");
}

/** Copies without a permission where the page may not use the clipboard. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", { "aria-hidden": "true", style: "position: fixed; opacity: 0" });
    area.value = text;
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    before?.focus?.();
    return isCopied;
  }
}

class RowsBar {
  constructor(look, say, onDetails) {
    this.look = look;
    this.say = say;
    const label = `Search ${look.noun[1]}`;
    this.search = textInput("dk-rows-search", { type: "search", placeholder: label, "aria-label": label });
    this.typed = whenQuiet(SEARCH_QUIET_MS, () => say({ kind: "search", text: this.search.value }));
    this.search.addEventListener("input", this.typed.later);
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.typed.now();
      if (event.key === "Escape" && this.search.value) {
        this.search.value = "";
        this.typed.now();
      }
    });
    this.choices = span("dk-rows-filters");
    this.count = span("dk-muted dk-numbers");
    this.aloud = make("span", { class: "dk-only-read-aloud", role: "status" });
    this.read = whenQuiet(READ_ALOUD_QUIET_MS, () => {
      if (this.aloud.textContent !== this.count.textContent) this.aloud.textContent = this.count.textContent;
    });
    const meaning = "What the row with the cursor opens to (Enter)";
    this.details = button("Details", meaning, onDetails, { "aria-pressed": "false" });
    const spring = span("dk-spring");
    this.el = make("div", { class: "dk-bar" }, this.search, this.choices, spring, this.count, this.aloud);
    if (look.hasDetail) this.el.append(this.details);
  }

  show({ search, opened, filters, total, hits, checked }) {
    if (document.activeElement !== this.search || this.search.value === "") this.search.value = search;
    this.showOpened(opened);
    const noun = this.look.noun[total === 1 ? 0 : 1];
    const isNarrowed = search !== "" || filters.some(({ choices }) => choices.some((one) => one.isChosen));
    const count = isNarrowed ? `${numeral(hits)} of ${numeral(total)}` : numeral(total);
    this.count.textContent = `${count} ${noun}${this.look.canCheck ? `, ${numeral(checked)} checked` : ""}`;
    this.read.later();
    this.showFilters(filters);
  }

  showOpened(key) {
    this.details.setAttribute("aria-pressed", String(key !== null));
  }

  showFilters(filters) {
    const focused = this.choices.contains(document.activeElement)
      ? document.activeElement.dataset.choice
      : null;
    fill(this.choices, filters, () =>
      filters
        .filter(({ choices }) => choices.length > 0)
        .map((filter) => {
          const chips = filter.choices.map((choice) => this.chip(filter, choice));
          return make(
            "span",
            { role: "group", "aria-label": filter.label, class: "dk-rows-filter" },
            ...chips,
          );
        }),
    );
    if (focused !== null) {
      [...this.choices.querySelectorAll("button")].find((chip) => chip.dataset.choice === focused)?.focus();
    }
  }

  chip({ name }, { value, label, count, tone, isChosen }) {
    const chip = button("", null, () => this.say({ kind: "choose", name, value }), {
      "aria-pressed": String(isChosen),
      class: "dk-button dk-rows-chip",
      "data-choice": `${name} ${value}`,
    });
    chip.append(make("span", { "data-tone": tone || null }, label));
    if (count !== null) chip.append(" ", span("dk-muted dk-numbers", numeral(count)));
    return chip;
  }

  sayAloud(text) {
    this.aloud.textContent = text;
  }

  close() {
    this.typed.stop();
    this.read.stop();
  }
}

// What a row opens to: facts with their whole text, which can be selected and copied.
class RowsDetail {
  constructor(onClose, onCopied) {
    this.onCopied = onCopied;
    this.title = make("strong", { class: "dk-rows-detail-title" });
    this.facts = make("dl", { class: "dk-rows-facts" });
    const close = button("\u2715", "Close (Escape)", onClose, { "aria-label": "Close details" });
    this.el = make(
      "section",
      { class: "dk-rows-detail", "aria-label": "Details", tabindex: "0", hidden: "" },
      make("div", { class: "dk-rows-detail-head" }, this.title, span("dk-spring"), close),
      this.facts,
    );
    this.el.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      onClose();
    });
  }

  show([title, ...facts]) {
    this.el.hidden = !title;
    this.title.textContent = title ? title.text : "";
    this.el.setAttribute("aria-label", `Details: ${this.title.textContent}`);
    this.facts.replaceChildren(...facts.flatMap((fact) => this.fact(fact)));
  }

  fact(fact) {
    const look = { class: fact.is_code ? "dk-rows-code" : null, "data-tone": fact.tone || null };
    const value = make("dd", {}, make("span", look, fact.text));
    if (fact.can_copy) value.append(this.copyButton(fact));
    return [make("dt", {}, fact.label), value];
  }

  copyButton({ label, text }) {
    const onClick = async () => {
      const isCopied = await copyText(text);
      element.textContent = isCopied ? "Copied" : "Not allowed";
      this.onCopied(isCopied, label);
    };
    const element = button("Copy", null, onClick, {
      class: "dk-button dk-rows-copy",
      "aria-label": `Copy ${label}`,
    });
    return element;
  }
}

class RowsView {
  constructor(model, el) {
    this.id = `dk-rows-${Math.random().toString(36).slice(2, 10)}`;
    const waiting = "Waiting for the kernel; if nothing runs there, run the cell again.";
    this.root = make("div", { class: "dk dk-card dk-rows", role: "group" });
    this.root.append(make("div", { class: "dk-rows-empty dk-muted" }, waiting));
    keepKeys(this.root);
    el.append(this.root);
    this.caption = make("div", { class: "dk-rows-caption" });
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
    if (message.kind === "active") this.grid.follow(message);
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
    this.grid.follow(state);
  }

  onParting() {
    const says = "The kernel does not know this table any more. Run the cell again.";
    this.parting.dataset.kind = "warning";
    this.parting.replaceChildren(span("", says));
  }

  build(look) {
    this.root.setAttribute("aria-label", look.label);
    this.bar = new RowsBar(
      look,
      (message) => this.say(message),
      () => this.toggleDetail(this.grid.active),
    );
    this.detail = new RowsDetail(
      () => this.closeDetail(),
      (isCopied, label) => this.sayCopied(isCopied, `${label} copied`),
    );
    this.grid = new RowsGrid(this, look);
    this.bar.search.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      this.grid.el.focus();
      if (this.grid.activeIndex < 0) this.grid.go(0);
    });
    this.root.replaceChildren(this.caption, this.bar.el, this.parting, this.grid.el, this.detail.el);
  }

  toggleDetail(key) {
    const { opened } = this.grid.state;
    if (opened !== null && (key === null || key === opened)) this.closeDetail();
    else if (key !== null) this.say({ kind: "detail", key });
    else this.bar.sayAloud("Choose a row first");
  }

  closeDetail() {
    this.say({ kind: "detail", key: null });
    this.grid.el.focus();
  }

  onDetail({ key, facts }) {
    const isOpening = this.detail.el.hidden;
    this.grid.state.opened = key;
    this.bar.showOpened(key);
    this.detail.show(facts);
    if (isOpening && this.grid.activeIndex >= 0) this.grid.reveal(this.grid.activeIndex);
  }

  async onCopied(text) {
    this.sayCopied(await copyText(text), "Copied");
  }

  sayCopied(isCopied, words) {
    this.bar.sayAloud(isCopied ? words : "The browser does not allow to copy");
  }

  close() {
    this.say({ kind: "bye" });
    this.kernel.close();
    this.bar?.close();
    this.grid?.close();
    this.root.remove();
  }
}

export default viewsOf(RowsView);
