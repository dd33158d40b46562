// The bar above a table: search, filters, how many rows, details.

class RowsBar {
  constructor(look, say) {
    this.look = look;
    this.say = say;
    this.filters = "";
    this.search = make("input", {
      type: "search",
      class: "dk-input dk-rows-search",
      placeholder: `Search ${look.noun[1]}`,
      "aria-label": `Search ${look.noun[1]}`,
      autocomplete: "off",
      spellcheck: "false",
    });
    this.typed = whenQuiet(SEARCH_QUIET_MS, () => say({ kind: "search", text: this.search.value }));
    this.search.addEventListener("input", this.typed.later);
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.typed.now();
      if (event.key === "Escape" && this.search.value) {
        this.search.value = "";
        this.typed.now();
      }
    });
    this.choices = make("span", { class: "dk-rows-filters" });
    this.count = make("span", { class: "dk-muted dk-numbers dk-rows-count" });
    this.aloud = make("span", { class: "dk-only-read-aloud", role: "status" });
    this.read = whenQuiet(READ_ALOUD_QUIET_MS, () => {
      if (this.aloud.textContent !== this.count.textContent) this.aloud.textContent = this.count.textContent;
    });
    this.details = button("Details", "What the row with the cursor opens to (Enter)", () => this.onDetails(), { "aria-pressed": "false" });
    this.onDetails = () => {};
    this.el = make("div", { class: "dk-bar" });
    if (look.canSearch) this.el.append(this.search);
    this.el.append(this.choices, make("span", { class: "dk-spring" }), this.count, this.aloud);
    if (look.hasDetail) this.el.append(this.details);
  }

  show(state) {
    if (document.activeElement !== this.search || this.search.value === "") this.search.value = state.search;
    this.details.setAttribute("aria-pressed", String(state.opened !== null));
    const [one, several] = this.look.noun;
    const noun = state.total === 1 ? one : several;
    const isNarrowed = state.search !== "" || state.filters.some((filter) => filter.choices.some((c) => c.isChosen));
    this.count.textContent =
      (isNarrowed ? `${numeral(state.hits)} of ${numeral(state.total)} ${noun}` : `${numeral(state.total)} ${noun}`) +
      (this.look.canCheck ? `, ${numeral(state.checked)} checked` : "");
    this.read.later();
    this.showFilters(state.filters);
  }

  showFilters(filters) {
    const drawn = JSON.stringify(filters);
    if (drawn === this.filters) return;
    this.filters = drawn;
    const focused = this.choices.contains(document.activeElement) ? document.activeElement.dataset.choice : null;
    this.choices.replaceChildren(
      ...filters
        .filter((filter) => filter.choices.length > 0)
        .map((filter) =>
          make(
            "span",
            { role: "group", "aria-label": filter.label, class: "dk-rows-filter" },
            ...filter.choices.map((choice) => this.chip(filter, choice)),
          ),
        ),
    );
    if (focused !== null) {
      [...this.choices.querySelectorAll("button")].find((chip) => chip.dataset.choice === focused)?.focus();
    }
  }

  chip(filter, choice) {
    const chip = button("", null, () => this.say({ kind: "choose", name: filter.name, value: choice.value }), {
      "aria-pressed": String(choice.isChosen),
      class: "dk-button dk-rows-chip",
    });
    chip.append(make("span", { "data-tone": choice.tone || null }, choice.label));
    chip.dataset.choice = `${filter.name} ${choice.value}`;
    if (choice.count !== null) chip.append(" ", make("span", { class: "dk-muted dk-numbers" }, numeral(choice.count)));
    return chip;
  }

  tell(text) {
    this.aloud.textContent = text;
  }

  close() {
    this.typed.stop();
    this.read.stop();
  }
}
