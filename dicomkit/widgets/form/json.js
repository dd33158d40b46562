// The JSON side: an editor with line numbers, and each fault at its line and column with a caret under it. A
// textarea with invisible text lies over the same text in colours, in a box that scrolls both; so typing,
// selecting and undoing are the browser's own.

const TOKEN = /("(?:[^"\\\n]|\\.)*"?)(\s*:)?|-?\d[\d.eE+-]*|\b(?:true|false|null)\b/g;
const SHOWN_FAULTS = 3;

/** The text in pieces: what kind of token each is, and whether it is marked as a fault. */
function pieces(text, marks) {
  const kinds = [];
  let end = 0;
  const add = (kind, from, to) => {
    if (to > from) kinds.push([kind, from, to]);
  };
  for (const match of text.matchAll(TOKEN)) {
    add("", end, match.index);
    const [all, string, colon] = match;
    end = match.index + (string ?? all).length;
    add(colon ? "name" : string ? "string" : "word", match.index, end);
  }
  add("", end, text.length);
  const cuts = [...new Set(marks.flatMap((mark) => [mark.start, mark.end]))].sort((a, b) => a - b);
  const isMarked = (from) => marks.some((mark) => mark.start <= from && from < mark.end);
  return kinds.flatMap(([kind, from, to]) => {
    const points = [from, ...cuts.filter((cut) => from < cut && cut < to), to];
    return points
      .slice(1)
      .map((point, index) => [kind, text.slice(points[index], point), isMarked(points[index])]);
  });
}

class JsonEditor {
  constructor(store, prefix) {
    this.store = store;
    const id = `${prefix}-json`;
    this.gutter = make("div", { class: "dk-json-gutter", "aria-hidden": "true" });
    this.colours = make("pre", { class: "dk-json-colours", "aria-hidden": "true" });
    this.input = make("textarea", {
      id,
      class: "dk-json-input",
      wrap: "off",
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      "aria-describedby": `${id}-faults`,
    });
    this.input.addEventListener("input", () => store.editJson(this.input.value));
    this.input.addEventListener("blur", () => store.sendJson());
    const text = make("div", { class: "dk-json-text" }, this.colours, this.input);
    this.faults = make("div", { class: "dk-json-faults", role: "status", id: `${id}-faults` });
    this.element = make(
      "section",
      { class: "dk-json", "aria-label": "JSON" },
      make(
        "div",
        { class: "dk-json-title" },
        make("label", { for: id, class: "dk-group-title", text: "JSON" }),
        span("dk-muted", "the same setting, both ways"),
      ),
      make("div", { class: "dk-json-editor" }, this.gutter, text),
      this.faults,
    );
  }

  refresh(state) {
    const text = state.json;
    if (this.input.value !== text) {
      const { selectionStart, selectionEnd } = this.input;
      this.input.value = text;
      this.input.setSelectionRange(selectionStart, selectionEnd);
    }
    // Places are those of the text that Python judged: while another is being typed, nothing is marked.
    const isJudged = !this.store.unanswered.has(JSON_SIDE);
    const marks = isJudged ? state.pointers : [];
    this.input.setAttribute("aria-invalid", String(state.pointers.length > 0));
    fill(this.colours, [text, marks], () => [
      ...pieces(text, marks).map(([kind, piece, isMarked]) =>
        make(isMarked ? "mark" : "span", { class: kind ? `dk-token-${kind}` : null, text: piece }),
      ),
      "\n",
    ]);
    const count = text.split("\n").length;
    const faulty = marks.map((mark) => mark.line);
    fill(this.gutter, [count, faulty], () =>
      Array.from({ length: count }, (_, index) =>
        make("div", { text: String(index + 1), class: faulty.includes(index + 1) ? "dk-faulty" : null }),
      ),
    );
    fill(this.faults, [state.pointers, state.behind, state.others], () => this.faultLines(state));
  }

  faultLines({ pointers, behind, others }) {
    const lines = pointers.slice(0, SHOWN_FAULTS).map((pointer) => this.faultLine(pointer));
    const more = pointers.length - SHOWN_FAULTS;
    if (more > 0) lines.push(make("p", { class: "dk-muted", text: `and ${more} more` }));
    if (behind.length) {
      const message = `${behind.join(", ")}: what is typed in the form is refused`;
      const remedy = "the JSON still has what was there before";
      lines.push(...noteLines([{ severity: "warning", message, remedy }]));
    }
    return [
      ...lines,
      ...noteLines(others.map((note) => ({ ...note, message: `${note.field}: ${note.message}` }))),
    ];
  }

  faultLine(pointer) {
    const place = `Line ${pointer.line}, column ${pointer.column}`;
    const link = button(place, "Go there in the JSON", () => this.goTo(pointer), { class: "dk-place" });
    return make(
      "div",
      { class: "dk-fault" },
      make(
        "p",
        { class: "dk-note", "data-kind": "error" },
        make("span", { class: "dk-note-mark", "aria-hidden": "true", text: MARKS.error }),
        make("span", {}, link, sentence(pointer)),
      ),
      make("pre", {
        class: "dk-excerpt",
        "aria-hidden": "true",
        text: `${pointer.excerpt}\n${pointer.caret}`,
      }),
    );
  }

  goTo({ start, end }) {
    this.input.focus();
    this.input.setSelectionRange(start, end);
    this.colours.querySelector("mark")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
