// The grid: as many row elements as can be seen, moved over all the rows that there are.
//
// The kernel has all rows; we hold a window of them, of the revision that we know, and ask for the next one
// when what is seen comes near its end. Until that comes, rows that we do not hold are drawn as waiting. A
// cursor is moved here at once; the kernel's answer is passed over when we have moved on meanwhile.

const WINDOW_ROWS = 200; // the kernel never answers with more
const ROW_PX = 27;
const SPARE_ROWS = 12; // drawn above and below what is seen
const MOST_ELEMENTS = 280; // of rows in the document, however tall the grid
const MOST_PX = 8_000_000; // taller than that, and browsers lose their place: scrolling is then scaled
const EDGE_ROWS = 40; // nearer to the end of the window than that, and the next one is asked for
const WIDTH_STEP_PX = 16;
const LEAST_WIDTH_PX = 40;
const CHECK_PX = 34;
const LEVEL_PX = 12; // a branch is moved in by that

/** The text with what was searched for marked in it. */
function marked(text, words) {
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return [text]; // letters that change their length with their case
  const hits = [];
  for (const word of words) {
    for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + word.length)) {
      hits.push([at, at + word.length]);
    }
  }
  hits.sort((a, b) => a[0] - b[0]);
  const parts = [];
  let done = 0;
  for (const [start, stop] of hits) {
    if (stop <= done) continue;
    const from = Math.max(start, done);
    parts.push(text.slice(done, from), make("mark", {}, text.slice(from, stop)));
    done = stop;
  }
  return [...parts, text.slice(done)];
}

class RowsGrid {
  constructor(view, look) {
    this.view = view;
    this.look = look;
    this.state = { revision: -1, count: 0, order: null, search: "", checkedShown: 0, opened: null };
    this.held = { start: 0, rows: [] };
    this.asked = null; // the first row of the window that is under way
    this.active = null;
    this.activeIndex = -1;
    this.moves = 0; // how often the cursor was moved here
    this.wasAt = 0;
    this.elements = new Map(); // place -> element
    this.widths = look.columns.map((column) => column.width_px);
    this.stretches = look.columns.map((column) => column.stretch);
    this.build();
    this.resized = new ResizeObserver(() => {
      // a notebook that moves its cells takes us out and puts us back, scrolled to the top
      if (this.el.clientHeight > 0 && this.wasAt && this.el.scrollTop === 0) this.el.scrollTop = this.wasAt;
      this.draw();
    });
    this.resized.observe(this.el);
  }

  build() {
    const { look } = this;
    this.headers = look.columns.map((column, number) => this.header(column, number));
    this.head = make("div", { role: "row", "aria-rowindex": "1", class: "dk-rows-row dk-rows-head" });
    if (look.canCheck) {
      this.checkAll = make("input", { type: "checkbox", "aria-label": `Check all ${look.noun[1]} shown` });
      this.checkAll.addEventListener("change", () => this.sayChecked({ isChecked: this.checkAll.checked }));
      this.head.append(
        make("div", { role: "columnheader", class: "dk-rows-cell dk-rows-check" }, this.checkAll),
      );
    }
    this.head.append(...this.headers);
    this.body = make("div", { role: "rowgroup", class: "dk-rows-body" });
    this.empty = make("div", { class: "dk-rows-empty dk-muted" });
    this.el = make(
      "div",
      {
        role: look.isTree ? "treegrid" : "grid",
        class: "dk-rows-grid",
        tabindex: "0",
        "aria-label": look.label,
        "aria-colcount": String(look.columns.length + (look.canCheck ? 1 : 0)),
        "aria-multiselectable": look.canCheck ? "true" : null,
        style: `max-height: ${look.height}px; --dk-row: ${ROW_PX}px`,
      },
      make("div", { role: "rowgroup", class: "dk-rows-top" }, this.head),
      this.body,
    );
    this.layOut();
    this.el.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.el.addEventListener("keydown", (event) => this.onKey(event));
    // Neither the clicks that open a row nor those that check several select their words.
    this.body.addEventListener(
      "mousedown",
      (event) => (event.shiftKey || event.detail > 1) && event.preventDefault(),
    );
    this.body.addEventListener("click", (event) => this.onClick(event));
    this.body.addEventListener("dblclick", (event) => this.onDoubleClick(event));
  }

  header(column, number) {
    const label = span("dk-rows-label", column.label);
    const cell = make("div", {
      role: "columnheader",
      class: "dk-rows-cell",
      "data-align": column.align,
      title: column.meaning || null,
      "aria-sort": column.is_sortable ? "none" : null,
    });
    if (column.is_sortable) {
      const keys = { "aria-keyshortcuts": "Alt+ArrowLeft Alt+ArrowRight" };
      const sort = button("", null, () => this.saySorted(column.name), { class: "dk-rows-sort", ...keys });
      sort.append(label);
      sort.addEventListener("keydown", (event) => {
        if (!event.altKey || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
        event.preventDefault();
        this.widen(number, event.key === "ArrowLeft" ? -WIDTH_STEP_PX : WIDTH_STEP_PX);
      });
      cell.append(sort);
    } else {
      cell.append(label);
    }
    const edge = make("span", { class: "dk-rows-edge", "aria-hidden": "true" });
    edge.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      edge.setPointerCapture(event.pointerId);
    });
    edge.addEventListener("pointermove", (event) => {
      if (edge.hasPointerCapture(event.pointerId)) this.widen(number, event.movementX);
    });
    cell.append(edge);
    return cell;
  }

  widen(number, by) {
    this.widths[number] = Math.max(LEAST_WIDTH_PX, this.headers[number].getBoundingClientRect().width + by);
    this.stretches[number] = 0;
    this.layOut();
  }

  layOut() {
    const checkPx = this.look.canCheck ? CHECK_PX : 0;
    const tracks = this.widths.map((width, number) =>
      this.stretches[number] ? `minmax(${width}px, ${this.stretches[number]}fr)` : `${width}px`,
    );
    if (checkPx) tracks.unshift(`${checkPx}px`);
    this.el.style.setProperty("--dk-tracks", tracks.join(" "));
    this.el.style.setProperty("--dk-least", `${this.widths.reduce((sum, width) => sum + width, checkPx)}px`);
  }

  // What the kernel says

  show(state, window, { isSame, toTop, isLive }) {
    const wasAtEnd = this.isAtEnd();
    const grew = state.count > this.state.count && this.state.count > 0;
    this.state = state;
    this.asked = null;
    if (window) this.held = window;
    else if (!isSame) this.held = { start: 0, rows: [] };
    this.words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    this.el.setAttribute("aria-rowcount", String(state.count + 1));
    this.body.style.height = `${Math.min(state.count * ROW_PX, MOST_PX)}px`;
    this.showHead(state);
    this.empty.textContent = `No ${this.look.noun[1]} ${state.total > 0 ? "match" : "yet"}.`;
    if (state.count === 0) this.el.append(this.empty);
    else this.empty.remove();
    if (toTop) this.el.scrollTop = 0;
    else if (isLive && grew && wasAtEnd) this.el.scrollTop = this.el.scrollHeight;
    this.redraw();
  }

  showHead({ order, count, checkedShown }) {
    this.look.columns.forEach(({ name, is_sortable: isSortable }, number) => {
      if (!isSortable) return;
      const isIt = order?.[0] === name;
      this.headers[number].setAttribute("aria-sort", isIt ? (order[1] ? "descending" : "ascending") : "none");
    });
    if (!this.look.canCheck) return;
    this.checkAll.checked = count > 0 && checkedShown === count;
    this.checkAll.indeterminate = !this.checkAll.checked && checkedShown > 0;
  }

  take(window) {
    if (window.revision !== this.state.revision) return; // stale: taken from an order that is no more
    this.asked = null;
    this.held = window;
    this.redraw();
  }

  follow({ active, activeIndex, by, move }) {
    const isOurs = by === this.view.id;
    if (isOurs && move < this.moves) return; // we have moved on
    const isMoved = active !== this.active || activeIndex !== this.activeIndex;
    if (!isOurs && isMoved && activeIndex >= 0) this.reveal(activeIndex);
    this.setActive(active, activeIndex);
  }

  setActive(key, index) {
    this.active = key;
    this.activeIndex = index;
    this.draw();
    this.showCursor();
  }

  // Where we are

  get viewPx() {
    return Math.max(0, this.el.clientHeight - this.head.offsetHeight);
  }

  // How far down the rows we are, in pixels of the rows as if nothing was scaled.
  get topPx() {
    const all = this.state.count * ROW_PX;
    if (all <= MOST_PX) return this.el.scrollTop;
    return (this.el.scrollTop / (MOST_PX - this.viewPx)) * (all - this.viewPx);
  }

  scrollTo(topPx) {
    const all = this.state.count * ROW_PX;
    const target = Math.max(0, Math.min(topPx, all - this.viewPx));
    this.el.scrollTop = all <= MOST_PX ? target : (target / (all - this.viewPx)) * (MOST_PX - this.viewPx);
  }

  isAtEnd() {
    const { scrollHeight, clientHeight, scrollTop } = this.el;
    return scrollHeight > clientHeight && scrollTop + clientHeight >= scrollHeight - 2;
  }

  seen() {
    const first = Math.floor(this.topPx / ROW_PX);
    return [first, Math.min(this.state.count, first + Math.ceil(this.viewPx / ROW_PX) + 1)];
  }

  reveal(index) {
    if (index * ROW_PX < this.topPx) this.scrollTo(index * ROW_PX);
    else if ((index + 1) * ROW_PX > this.topPx + this.viewPx)
      this.scrollTo((index + 1) * ROW_PX - this.viewPx);
  }

  rowAt(index) {
    return this.held.rows[index - this.held.start];
  }

  // Drawing

  onScroll() {
    if (this.el.clientHeight > 0) this.wasAt = this.el.scrollTop;
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  redraw() {
    for (const element of this.elements.values()) element.row = undefined;
    this.draw();
    this.showCursor();
  }

  draw() {
    const { count } = this.state;
    const [seenFirst, seenStop] = this.seen();
    const first = Math.max(0, Math.min(seenFirst - SPARE_ROWS, count));
    const stop = Math.min(count, seenStop + SPARE_ROWS, first + MOST_ELEMENTS);
    const free = [];
    for (const [place, element] of this.elements) {
      if (place >= first && place < stop) continue;
      this.elements.delete(place);
      element.remove();
      free.push(element);
    }
    const base = this.el.scrollTop - this.topPx; // 0 unless scrolling is scaled
    let next = this.body.firstChild; // elements stand in the order in which they are read aloud
    for (let place = first; place < stop; place += 1) {
      const element = this.elements.get(place) ?? this.elementFor(place, free);
      element.style.transform = `translateY(${place * ROW_PX + base}px)`;
      const row = this.rowAt(place) ?? null;
      if (element.row !== row) this.fill(element, row);
      if (element === next) next = next.nextSibling;
      else this.body.insertBefore(element, next);
    }
    this.askIfNeeded(seenFirst, seenStop);
  }

  elementFor(place, free) {
    const element = free.pop() ?? make("div", { role: "row", class: "dk-rows-row" });
    element.row = undefined;
    element.place = place;
    element.id = `${this.view.id}-row-${place}`;
    element.setAttribute("aria-rowindex", String(place + 2));
    this.elements.set(place, element);
    return element;
  }

  askIfNeeded(first, stop) {
    const { count, revision } = this.state;
    if (count === 0 || this.asked !== null || stop <= first) return;
    const { start: heldStart } = this.held;
    const heldStop = heldStart + this.held.rows.length;
    const isNearStart = heldStart > 0 && first - EDGE_ROWS < heldStart;
    const isNearStop = heldStop < count && stop + EDGE_ROWS > heldStop;
    if (!isNearStart && !isNearStop) return;
    const middle = Math.floor((first + stop) / 2);
    const start = Math.max(0, Math.min(middle - WINDOW_ROWS / 2, count - WINDOW_ROWS));
    const end = Math.min(count, start + WINDOW_ROWS);
    if (start === heldStart && end === heldStop) return;
    this.asked = start;
    this.view.say({ kind: "window", start, stop: end, revision });
  }

  fill(element, row) {
    element.row = row;
    element.replaceChildren();
    element.classList.toggle("dk-rows-heading", row?.isHeading ?? false);
    for (const name of ["aria-level", "aria-expanded", "aria-selected", "aria-busy", "data-tone"]) {
      element.removeAttribute(name);
    }
    if (!row) {
      const waiting = { class: "dk-rows-cell dk-rows-waiting", "aria-label": "Waiting for the kernel" };
      element.setAttribute("aria-busy", "true");
      element.append(make("div", { role: "gridcell", ...waiting }));
      return;
    }
    if (row.tone) element.dataset.tone = row.tone;
    if (this.look.isTree) element.setAttribute("aria-level", String(row.level));
    if (row.isOpen !== null) element.setAttribute("aria-expanded", String(row.isOpen));
    if (this.look.canCheck) {
      element.setAttribute("aria-selected", String(row.isChecked));
      const box = make("input", {
        type: "checkbox",
        tabindex: "-1",
        "aria-label": `Check row ${element.place + 1}`,
      });
      box.checked = row.isChecked;
      element.append(make("div", { role: "gridcell", class: "dk-rows-cell dk-rows-check" }, box));
    }
    row.cells.forEach((cell, number) => element.append(this.cell(row, cell, number)));
  }

  cell(row, cell, number) {
    const column = this.look.columns[number];
    const { text, tone, note } = typeof cell === "string" ? { text: cell } : cell;
    const classes = column.is_code ? "dk-rows-cell dk-rows-code" : "dk-rows-cell";
    const node = make("div", { role: "gridcell", class: classes, "data-align": column.align });
    if (number === 0 && this.look.isTree) {
      node.style.paddingInlineStart = `${4 + (row.level - 1) * LEVEL_PX}px`;
      node.append(make("span", { class: "dk-rows-twisty", "aria-hidden": "true" }));
    }
    node.append(
      make("span", { class: "dk-rows-text", "data-tone": tone || null }, ...marked(text, this.words)),
    );
    if (note) node.append(make("span", { class: "dk-rows-note" }, ...marked(note, this.words)));
    return node;
  }

  showCursor() {
    for (const [place, element] of this.elements) {
      element.classList.toggle("dk-rows-active", place === this.activeIndex);
    }
    const element = this.elements.get(this.activeIndex);
    if (element) this.el.setAttribute("aria-activedescendant", element.id);
    else this.el.removeAttribute("aria-activedescendant");
  }

  // What is done here

  go(index) {
    if (this.state.count === 0) return;
    const place = Math.max(0, Math.min(index, this.state.count - 1));
    const key = this.rowAt(place)?.key ?? null;
    this.reveal(place);
    this.setActive(key, place);
    this.moves += 1;
    this.view.say({ kind: "activate", key, index: place, revision: this.state.revision, move: this.moves });
  }

  expand({ key, isOpen }) {
    this.view.say({ kind: "expand", key, isOpen: !isOpen });
  }

  enter(row) {
    if (!row) return;
    if (row.isOpen !== null) this.expand(row);
    else this.view.toggleDetail(row.key);
  }

  sayChecked(what) {
    this.view.say({ kind: "check", revision: this.state.revision, ...what });
  }

  /** First up, then down, then as they came. */
  saySorted(column) {
    const [name, isDescending] = this.state.order ?? [null, false];
    const isSame = name === column;
    const isBack = isSame && isDescending;
    this.view.say({ kind: "order", column: isBack ? null : column, isDescending: isSame && !isBack });
  }

  check(place, isChecked, isRange) {
    const { revision } = this.state;
    if (isRange && this.anchor?.revision === revision) {
      const [start, last] = [this.anchor.place, place].sort((a, b) => a - b);
      this.sayChecked({ start, stop: last + 1, isChecked: this.anchor.isChecked });
      return;
    }
    this.anchor = { place, isChecked, revision: revision + 1 }; // the kernel's answer is the next
    this.sayChecked({ key: this.rowAt(place).key, isChecked });
  }

  onClick(event) {
    const place = event.target.closest(".dk-rows-row")?.place;
    const row = this.rowAt(place);
    if (!row) return;
    if (event.target.closest(".dk-rows-check")) this.check(place, !row.isChecked, event.shiftKey);
    else if (event.target.closest(".dk-rows-twisty") && row.isOpen !== null) this.expand(row);
    this.go(place);
  }

  onDoubleClick(event) {
    if (event.target.closest(".dk-rows-check, .dk-rows-twisty")) return;
    this.enter(this.rowAt(event.target.closest(".dk-rows-row")?.place));
  }

  onKey(event) {
    if (event.target !== this.el || event.altKey) return;
    const isCommand = event.ctrlKey || event.metaKey;
    const act = isCommand ? this.commands[event.key.toLowerCase()] : this.keys[event.key];
    if (!act || act(event) === false) return;
    event.preventDefault();
    event.stopPropagation();
  }

  get commands() {
    return {
      home: () => this.go(0),
      end: () => this.go(this.state.count - 1),
      a: () => (this.look.canCheck ? this.sayChecked({ isChecked: true }) : false),
      c: () => {
        const row = this.rowAt(this.activeIndex);
        if (!row || String(getSelection())) return false; // what is selected is copied by the browser
        return this.view.say({ kind: "copy", key: row.key });
      },
    };
  }

  get keys() {
    const page = Math.max(1, Math.floor(this.viewPx / ROW_PX) - 1);
    const at = this.activeIndex;
    const row = this.rowAt(at);
    return {
      ArrowDown: () => this.go(at + 1),
      ArrowUp: () => this.go(at - 1),
      PageDown: () => this.go(Math.max(0, at) + page),
      PageUp: () => this.go(at - page),
      Home: () => this.go(0),
      End: () => this.go(this.state.count - 1),
      ArrowRight: () => {
        if (row?.isOpen === false) this.expand(row);
        else if (row?.isOpen) this.go(at + 1);
        else this.el.scrollLeft += ROW_PX;
      },
      ArrowLeft: () => {
        if (row?.isOpen) this.expand(row);
        else if (row && row.level > 1) this.view.say({ kind: "parent", key: row.key });
        else this.el.scrollLeft -= ROW_PX;
      },
      Enter: (event) => (event.shiftKey && row ? this.view.toggleDetail(row.key) : this.enter(row)),
      " ": (event) => {
        if (this.look.canCheck && row) this.check(at, !row.isChecked, event.shiftKey);
      },
      "/": () => this.view.bar.search.focus(),
      Escape: () => (this.state.opened !== null ? this.view.toggleDetail(null) : false),
    };
  }

  close() {
    this.resized.disconnect();
    cancelAnimationFrame(this.waiting);
  }
}
