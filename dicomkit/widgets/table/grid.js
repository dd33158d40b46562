// The grid: as many row elements as can be seen, moved over all the rows that there are.

const ROW_PX = 27;
const SPARE_ROWS = 12; // drawn above and below what is seen
const MOST_ELEMENTS = 280; // of rows in the document, however tall the grid
const MOST_PX = 8_000_000; // taller than that, and browsers lose their place: scrolling is then scaled
const EDGE_ROWS = 40; // nearer to the end of the window than that, and the next one is asked for
const WIDTH_STEP_PX = 16;
const LEAST_WIDTH_PX = 40;
const CHECK_PX = 34;
const LEVEL_PX = 12; // a branch is moved in by that

class RowsGrid {
  // `act` has what the grid asks for: ask, activate, expand, parent, detail, check, sort, copy, leave.
  constructor(id, look, act) {
    this.id = id;
    this.look = look;
    this.act = act;
    this.state = { revision: -1, count: 0, order: null, search: "", checkedShown: 0, opened: null };
    this.held = { start: 0, rows: [] }; // the rows we have, of the revision that we know
    this.asked = null; // the first row of the window that is under way
    this.active = null;
    this.activeIndex = -1;
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
    this.head = make("div", { role: "row", "aria-rowindex": "1", class: "dk-rows-row dk-rows-head" });
    if (look.canCheck) {
      this.checkAll = make("input", { type: "checkbox", "aria-label": `Check all ${look.noun[1]} shown` });
      this.checkAll.addEventListener("change", () => this.act.check({ isChecked: this.checkAll.checked }));
      this.head.append(make("div", { role: "columnheader", class: "dk-rows-cell dk-rows-check" }, this.checkAll));
    }
    look.columns.forEach((column, number) => this.head.append(this.header(column, number)));
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
    this.body.addEventListener("mousedown", (event) => (event.shiftKey || event.detail > 1) && event.preventDefault());
    this.body.addEventListener("click", (event) => this.onClick(event));
    this.body.addEventListener("dblclick", (event) => this.onDoubleClick(event));
  }

  header(column, number) {
    const label = make("span", { class: "dk-rows-label" }, column.label);
    const cell = make("div", {
      role: "columnheader",
      class: "dk-rows-cell",
      "data-align": column.align,
      title: column.meaning || null,
      "aria-sort": column.is_sortable ? "none" : null,
    });
    if (column.is_sortable) {
      const sort = button("", null, () => this.act.sort(column.name), {
        class: "dk-rows-sort",
        "aria-keyshortcuts": "Alt+ArrowLeft Alt+ArrowRight",
      });
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
    const cell = this.head.children[number + (this.look.canCheck ? 1 : 0)];
    this.widths[number] = Math.max(LEAST_WIDTH_PX, cell.getBoundingClientRect().width + by);
    this.stretches[number] = 0;
    this.layOut();
  }

  layOut() {
    const tracks = this.widths.map((width, number) =>
      this.stretches[number] ? `minmax(${width}px, ${this.stretches[number]}fr)` : `${width}px`,
    );
    if (this.look.canCheck) tracks.unshift(`${CHECK_PX}px`);
    const least = this.widths.reduce((sum, width) => sum + width, this.look.canCheck ? CHECK_PX : 0);
    this.el.style.setProperty("--dk-tracks", tracks.join(" "));
    this.el.style.setProperty("--dk-least", `${least}px`);
  }

  // What the kernel tells

  show(state, window, { isSame, toTop, isLive }) {
    const wasAtEnd = this.isAtEnd();
    const grew = state.count > this.state.count && this.state.count > 0;
    this.state = state;
    this.asked = null;
    if (window) this.held = window;
    else if (!isSame) this.held = { start: 0, rows: [] };
    this.words = wordsOf(state.search);
    this.el.setAttribute("aria-rowcount", String(state.count + 1));
    this.body.style.height = `${Math.min(state.count * ROW_PX, MOST_PX)}px`;
    this.showOrder();
    this.showChecked();
    this.showEmpty();
    if (toTop) this.el.scrollTop = 0;
    else if (isLive && grew && wasAtEnd) this.el.scrollTop = this.el.scrollHeight;
    this.redraw();
  }

  take(window) {
    if (window.revision !== this.state.revision) return; // stale: taken from an order that is no more
    this.asked = null;
    this.held = window;
    this.redraw();
  }

  setActive(key, index, { reveal }) {
    const isMoved = key !== this.active || index !== this.activeIndex;
    this.active = key;
    this.activeIndex = index;
    if (reveal && isMoved && index >= 0) this.reveal(index);
    this.draw();
    this.showCursor();
  }

  showOrder() {
    this.look.columns.forEach((column, number) => {
      if (!column.is_sortable) return;
      const cell = this.head.children[number + (this.look.canCheck ? 1 : 0)];
      const isIt = this.state.order?.[0] === column.name;
      cell.setAttribute("aria-sort", isIt ? (this.state.order[1] ? "descending" : "ascending") : "none");
    });
  }

  showChecked() {
    if (!this.look.canCheck) return;
    this.checkAll.checked = this.state.count > 0 && this.state.checkedShown === this.state.count;
    this.checkAll.indeterminate = !this.checkAll.checked && this.state.checkedShown > 0;
  }

  showEmpty() {
    const several = this.look.noun[1];
    const isNarrowed = this.state.total > 0;
    this.empty.textContent = isNarrowed ? `No ${several} match.` : `No ${several} yet.`;
    if (this.state.count === 0) this.el.append(this.empty);
    else this.empty.remove();
  }

  // Where we are

  get headPx() {
    return this.head.offsetHeight;
  }

  get viewPx() {
    return Math.max(0, this.el.clientHeight - this.headPx);
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
    return this.el.scrollHeight > this.el.clientHeight && this.el.scrollTop + this.el.clientHeight >= this.el.scrollHeight - 2;
  }

  seen() {
    const first = Math.floor(this.topPx / ROW_PX);
    return [first, Math.min(this.state.count, first + Math.ceil(this.viewPx / ROW_PX) + 1)];
  }

  reveal(index) {
    if (index * ROW_PX < this.topPx) this.scrollTo(index * ROW_PX);
    else if ((index + 1) * ROW_PX > this.topPx + this.viewPx) this.scrollTo((index + 1) * ROW_PX - this.viewPx);
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
      free.push(element);
    }
    const base = this.el.scrollTop - this.topPx; // 0 unless scrolling is scaled
    let before = null;
    for (let place = first; place < stop; place += 1) {
      let element = this.elements.get(place);
      if (!element) {
        element = free.pop() ?? make("div", { role: "row", class: "dk-rows-row" });
        element.row = undefined;
        element.place = place;
        element.id = `${this.id}-row-${place}`;
        element.setAttribute("aria-rowindex", String(place + 2));
        this.elements.set(place, element);
      }
      element.style.transform = `translateY(${place * ROW_PX + base}px)`;
      const row = this.rowAt(place) ?? null;
      if (element.row !== row) this.fill(element, row);
      // in the order in which they are read aloud
      if (before === null ? this.body.firstChild !== element : before.nextSibling !== element) {
        this.body.insertBefore(element, before === null ? this.body.firstChild : before.nextSibling);
      }
      before = element;
    }
    for (const element of free) element.remove();
    this.askIfNeeded(seenFirst, seenStop);
  }

  askIfNeeded(first, stop) {
    const { count, revision } = this.state;
    if (count === 0 || this.asked !== null || stop <= first) return;
    const heldStop = this.held.start + this.held.rows.length;
    const isMissing = first < this.held.start || stop > heldStop;
    const isNearEdge =
      (this.held.start > 0 && first - EDGE_ROWS < this.held.start) || (heldStop < count && stop + EDGE_ROWS > heldStop);
    if (!isMissing && !isNearEdge) return;
    const middle = Math.floor((first + stop) / 2);
    const start = Math.max(0, Math.min(middle - WINDOW_ROWS / 2, count - WINDOW_ROWS));
    const end = Math.min(count, start + WINDOW_ROWS);
    if (start === this.held.start && end === heldStop) return;
    this.asked = start;
    this.act.ask(start, end, revision);
  }

  fill(element, row) {
    element.row = row;
    element.replaceChildren();
    element.classList.toggle("dk-rows-heading", row?.isHeading ?? false);
    for (const name of ["aria-level", "aria-expanded", "aria-selected", "aria-busy", "data-tone"]) element.removeAttribute(name);
    if (!row) {
      element.setAttribute("aria-busy", "true");
      element.append(make("div", { role: "gridcell", class: "dk-rows-cell dk-rows-waiting", "aria-label": "Waiting for the kernel" }));
      return;
    }
    if (row.tone) element.dataset.tone = row.tone;
    if (this.look.isTree) element.setAttribute("aria-level", String(row.level));
    if (row.isOpen !== null) element.setAttribute("aria-expanded", String(row.isOpen));
    if (this.look.canCheck) {
      element.setAttribute("aria-selected", String(row.isChecked));
      const box = make("input", { type: "checkbox", tabindex: "-1", "aria-label": `Check row ${element.place + 1}` });
      box.checked = row.isChecked;
      element.append(make("div", { role: "gridcell", class: "dk-rows-cell dk-rows-check" }, box));
    }
    row.cells.forEach((cell, number) => element.append(this.cell(row, cell, number)));
  }

  cell(row, cell, number) {
    const column = this.look.columns[number];
    const { text, tone, note } = typeof cell === "string" ? { text: cell, tone: "", note: "" } : cell;
    const node = make("div", {
      role: "gridcell",
      class: column.is_code ? "dk-rows-cell dk-rows-code" : "dk-rows-cell",
      "data-align": column.align,
    });
    if (number === 0 && this.look.isTree) {
      node.style.paddingInlineStart = `${4 + (row.level - 1) * LEVEL_PX}px`;
      node.append(make("span", { class: "dk-rows-twisty", "aria-hidden": "true" }));
    }
    node.append(make("span", { class: "dk-rows-text", "data-tone": tone || null }, ...marked(text, this.words ?? [])));
    if (note) node.append(make("span", { class: "dk-rows-note" }, ...marked(note, this.words ?? [])));
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

  // Hands

  go(index) {
    if (this.state.count === 0) return;
    const place = Math.max(0, Math.min(index, this.state.count - 1));
    const key = this.rowAt(place)?.key ?? null;
    this.reveal(place);
    this.setActive(key, place, { reveal: false });
    this.act.activate(key, place, this.state.revision);
  }

  place(event) {
    return event.target.closest(".dk-rows-row")?.place;
  }

  onClick(event) {
    const place = this.place(event);
    const row = place === undefined ? undefined : this.rowAt(place);
    if (!row) return;
    if (event.target.closest(".dk-rows-check")) this.check(place, !row.isChecked, event.shiftKey);
    else if (event.target.closest(".dk-rows-twisty") && row.isOpen !== null) this.act.expand(row.key, !row.isOpen);
    this.go(place);
  }

  onDoubleClick(event) {
    const place = this.place(event);
    if (place === undefined || event.target.closest(".dk-rows-check, .dk-rows-twisty")) return;
    this.enter(this.rowAt(place));
  }

  enter(row) {
    if (!row) return;
    if (row.isOpen !== null) this.act.expand(row.key, !row.isOpen);
    else this.act.detail(row.key);
  }

  check(place, isChecked, isRange) {
    const { revision } = this.state;
    if (isRange && this.anchor?.revision === revision) {
      const [start, last] = [this.anchor.place, place].sort((a, b) => a - b);
      this.act.check({ start, stop: last + 1, isChecked: this.anchor.isChecked });
      return;
    }
    this.anchor = { place, isChecked, revision: revision + 1 }; // the kernel's answer is the next
    this.act.check({ key: this.rowAt(place).key, isChecked });
  }

  onKey(event) {
    if (event.target !== this.el || event.altKey) return;
    const isCommand = event.ctrlKey || event.metaKey;
    const hand = isCommand ? this.commands[event.key.toLowerCase()] : this.keys[event.key];
    if (!hand || hand.call(this, event) === false) return;
    event.preventDefault();
    event.stopPropagation();
  }

  get commands() {
    return {
      home: () => this.go(0),
      end: () => this.go(this.state.count - 1),
      a: () => (this.look.canCheck ? this.act.check({ isChecked: true }) : false),
      c: () => {
        const row = this.rowAt(this.activeIndex);
        if (!row || String(getSelection())) return false; // what is selected is copied by the browser
        return this.act.copy(row.key);
      },
    };
  }

  get keys() {
    const page = Math.max(1, Math.floor(this.viewPx / ROW_PX) - 1);
    const row = this.rowAt(this.activeIndex);
    return {
      ArrowDown: () => this.go(this.activeIndex + 1),
      ArrowUp: () => this.go(this.activeIndex - 1),
      PageDown: () => this.go(Math.max(0, this.activeIndex) + page),
      PageUp: () => this.go(this.activeIndex - page),
      Home: () => this.go(0),
      End: () => this.go(this.state.count - 1),
      ArrowRight: () => {
        if (row?.isOpen === false) this.act.expand(row.key, true);
        else if (row?.isOpen) this.go(this.activeIndex + 1);
        else this.el.scrollLeft += ROW_PX;
      },
      ArrowLeft: () => {
        if (row?.isOpen) this.act.expand(row.key, false);
        else if (row && row.level > 1) this.act.parent(row.key);
        else this.el.scrollLeft -= ROW_PX;
      },
      Enter: (event) => (event.shiftKey && row ? this.act.detail(row.key) : this.enter(row)),
      " ": (event) => {
        if (this.look.canCheck && row) this.check(this.activeIndex, !row.isChecked, event.shiftKey);
      },
      "/": () => this.act.leave(),
      Escape: () => (this.state.opened !== null ? this.act.detail(null) : false),
    };
  }

  close() {
    this.resized.disconnect();
    cancelAnimationFrame(this.waiting);
  }
}
