// The viewer's view: controls around a stage, the keyboard, and what is said aloud.
//
// A view keeps nothing of its own but elements, and `refresh` makes them say what the store holds. Frames are
// counted from 1 for people, from 0 inside.

const CUSTOM = "custom";
const GONE =
  "The kernel does not know this viewer any more. Run the cell again; what was loaded can still be seen.";
const LATE_MS = 200; // how long a frame of the same series stays, with its own number, when another is wanted
const SILENT = "No answer from the kernel yet. It may be busy; in a reopened notebook, run the cell again.";

/** What was made up for in a picture, as a sentence. */
function noted(notes = []) {
  const text = notes.join("; ");
  return text && `${text[0].toUpperCase()}${text.slice(1)}.`;
}

function press(element, isPressed) {
  element.setAttribute("aria-pressed", String(isPressed));
}

class ImageView {
  constructor(store, el) {
    this.store = store;
    this.toggles = [];
    this.undoDocument = () => {};
    this.build(el);
    store.views.add(this);
    store.changed();
  }

  close() {
    this.store.views.delete(this);
    this.store.schedulePlay();
    this.undoDocument();
    this.stage.close();
    clearTimeout(this.late);
    cancelAnimationFrame(this.request);
    this.element.remove();
  }

  // Elements

  build(el) {
    const { store } = this;
    this.stage = new Stage(store, {
      onFrameStep: (steps) => this.step(steps),
      onValue: (value) => this.sayValue(value),
    });
    const corner = (name) => make("div", { class: `dk-corner dk-corner-${name} dk-numbers` });
    const hint = make("div", { class: "dk-corner dk-hint", text: "Click to use the wheel and the keys" });
    this.corners = {
      frame: corner("frame"),
      zoom: corner("zoom"),
      value: corner("value"),
      window: corner("window"),
    };
    this.pane = make("div", {
      class: "dk-document",
      tabindex: "0",
      role: "region",
      "aria-label": "Document",
    });
    this.keys = keysTable();
    this.stageElement = make(
      "div",
      { class: "dk-stage", tabindex: "0", role: "application", "aria-roledescription": "image viewer" },
      this.stage.element,
      ...Object.values(this.corners),
      hint,
    );
    this.stageElement.addEventListener("keydown", (event) => this.onKey(event));
    this.status = make("div", { class: "dk-status", role: "status" });
    this.aloud = make("div", { class: "dk-only-read-aloud", "aria-live": "polite" });
    this.element = make(
      "div",
      { class: "dk dk-card dk-viewer", role: "group", "aria-label": "Viewer" },
      (this.controls = this.buildControls()),
      make("div", { class: "dk-middle" }, this.stageElement, this.pane, this.keys),
      this.buildFilm(),
      this.status,
      this.aloud,
    );
    keepKeys(this.element);
    // For tests and for the curious: how often was drawn, and how many tiles of a large picture are kept.
    Object.defineProperty(this.element, "draws", { get: () => this.stage.draws });
    Object.defineProperty(this.element, "tiles", { get: () => this.stage.tiles?.kept.size ?? 0 });
    el.append(this.element);
  }

  /** A button that switches a shared number on and off. */
  toggle(text, title, name) {
    const element = button(text, title, () => this.store.toggle(name));
    this.toggles.push([element, name]);
    return element;
  }

  select(label, onChange) {
    const element = make("select", { class: "dk-input", "aria-label": label });
    element.addEventListener("change", () => onChange(Number(element.value)));
    return element;
  }

  number(label, title, onNumber) {
    const input = textInput("dk-number", { inputmode: "decimal", title });
    input.addEventListener("change", () => {
      const number = Number(input.value.trim().replace(",", "."));
      const problem = input.value.trim() && Number.isFinite(number) ? onNumber(number) : "That is no number.";
      input.setAttribute("aria-invalid", String(Boolean(problem)));
      this.problem = problem ? `${title}: ${problem}` : "";
      this.refresh();
    });
    return [make("label", { class: "dk-field" }, span("", label), input), input];
  }

  buildControls() {
    const { store } = this;
    this.seriesSelect = this.select("Series", (series) => store.set({ series, frame: 0 }, { atOnce: true }));
    this.presetSelect = this.select("Window preset", (position) => this.usePreset(position));
    [this.centerField, this.centerInput] = this.number("C", "Window center", (center) =>
      this.setWindow({ center }),
    );
    [this.widthField, this.widthInput] = this.number("W", "Window width", (width) =>
      this.setWindow({ width }),
    );
    this.windowTool = button("Window", "Dragging changes the window", () => this.useTool("window"));
    this.panTool = button("Pan", "Dragging moves the picture", () => this.useTool("pan"));
    this.tools = make(
      "div",
      { class: "dk-group", role: "group", "aria-label": "Dragging" },
      this.windowTool,
      this.panTool,
    );
    this.invertButton = this.toggle("Invert", "Swap black and white (I)", "invert");
    this.overlaysButton = this.toggle("Overlays", "Show or hide overlays (O)", "show_overlays");
    this.rangeButton = this.toggle(
      "Per frame",
      "The full range is that of each frame, not of the stack",
      "range_per_frame",
    );
    this.resetButton = button("Reset", "The window the picture prefers (R)", () => this.resetWindow());
    this.zooms = make(
      "div",
      { class: "dk-group", role: "group", "aria-label": "Zoom" },
      button("−", "Smaller (−)", () => this.stage.zoomBy(1 / ZOOM_STEP)),
      button("Fit", "Fit the picture into its place (0)", () => store.zoomTo(0)),
      button("1:1", "One screen pixel for one column (1)", () => store.zoomTo(1)),
      button("+", "Larger (+)", () => this.stage.zoomBy(ZOOM_STEP)),
    );
    const forKeys = { "aria-label": "Keys", "aria-expanded": "false" };
    this.keysButton = button(
      "?",
      "What the keyboard and the mouse do",
      () => this.showKeys(this.keys.hidden),
      forKeys,
    );
    return make(
      "div",
      { class: "dk-bar", role: "group", "aria-label": "Picture" },
      ...[
        this.seriesSelect,
        this.presetSelect,
        this.centerField,
        this.widthField,
        this.rangeButton,
        this.resetButton,
      ],
      ...[this.tools, this.invertButton, this.overlaysButton, this.zooms],
      span("dk-spring"),
      this.keysButton,
    );
  }

  buildFilm() {
    const { store } = this;
    this.playButton = this.toggle("▶", "Film (Space)", "playing");
    this.playButton.setAttribute("aria-label", "Film");
    this.slider = make("input", {
      type: "range",
      min: "1",
      step: "1",
      "aria-label": "Frame",
      class: "dk-slider",
    });
    this.slider.addEventListener("input", () => store.set({ frame: Number(this.slider.value) - 1 }));
    [this.rateField, this.rateInput] = this.number("a second", "Frames a second", (rate) => {
      if (rate < 0.1 || rate > 60) return "from 0.1 to 60, please.";
      store.set({ rate });
      return "";
    });
    this.rateField.append(this.rateField.firstChild); // the number first, then what it is
    this.film = make(
      "div",
      { class: "dk-bar", role: "group", "aria-label": "Frames" },
      this.playButton,
      this.slider,
      this.rateField,
    );
    return this.film;
  }

  // What people do

  showKeys(isShown) {
    this.keys.hidden = !isShown;
    this.keysButton.setAttribute("aria-expanded", String(isShown));
  }

  step(steps) {
    const { state, frameCount } = this.store;
    this.store.set({ frame: Math.min(frameCount - 1, Math.max(0, state.frame + steps)) });
  }

  useTool(tool) {
    this.stage.tool = tool;
    this.refresh();
  }

  resetWindow() {
    this.store.set({ automatic: true }, { atOnce: true });
  }

  usePreset(position) {
    const vois = this.stage.frame?.vois ? this.store.vois(this.stage.frame) : [];
    const voi = vois[position];
    if (!voi) return;
    const table = vois.filter((one) => one.entries).indexOf(voi); // -1 for what is a window
    this.store.setWindow(voi.entries ? spanOf(voi) : voi, { table, atOnce: true });
  }

  /** Set center or width as typed; returns what is wrong with it, or nothing. */
  setWindow(change) {
    if (!this.stage.frame) return "there is no picture yet.";
    const window = { ...this.stage.window(), ...change };
    if (window.width <= 0) return "has to be above 0.";
    if (window.function === "LINEAR" && window.width < 1) return "at least 1 for a LINEAR window.";
    this.store.setWindow(window);
    return "";
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = actionFor(event, this);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  middle() {
    const { frame } = this.stage;
    return frame && { column: Math.floor(frame.columns / 2), row: Math.floor(frame.rows / 2) };
  }

  moveProbe([x, y], step) {
    const { frame, probe } = this.stage;
    if (!frame) return;
    const within = (value, count) => Math.min(count - 1, Math.max(0, value));
    const column = within(probe.column + x * step, frame.columns);
    this.setProbe({ column, row: within(probe.row + y * step, frame.rows) });
  }

  setProbe(probe) {
    this.stage.probe = probe ?? null;
    this.stage.schedule();
  }

  // What is said

  sayValue(value) {
    const text = value ? `x ${value.column}  y ${value.row}   ${value.text}` : "";
    this.corners.value.textContent = text;
    this.aloud.textContent =
      this.stage.probe && value ? `column ${value.column}, row ${value.row}: ${value.text}` : "";
  }

  say(text, kind) {
    sayIn(this.status, kind, text);
  }

  /** Let everything say what the store holds, once per screen refresh. */
  refresh() {
    this.request ??= requestAnimationFrame(() => {
      this.request = null;
      this.show();
    });
  }

  show() {
    const shown = this.store.current();
    this.showListing();
    this.showFilm();
    for (const [element, name] of this.toggles) press(element, this.store.state[name]);
    this.element.setAttribute("aria-busy", String(!shown));
    const { isGone, isSilent } = this.store;
    if (!shown) {
      this.waitForFrame();
      this.say(isGone ? GONE : isSilent ? SILENT : "", isGone || isSilent ? "warning" : "");
      return;
    }
    this.stopWaiting();
    const isPicture = shown.kind === "grey" || shown.kind === "colour";
    this.stageElement.hidden = !isPicture;
    this.pane.hidden = isPicture;
    this.zooms.hidden = this.tools.hidden = this.keysButton.hidden = !isPicture;
    this.controls.hidden = !isPicture && this.seriesSelect.hidden;
    this.showDocument(isPicture ? null : shown);
    this.showWindow(shown);
    this.overlaysButton.hidden = !shown.overlays.length;
    const isWrong = shown.kind === "notice" && shown.is_error;
    if (this.problem || isWrong) this.say(this.problem || shown.text, "error");
    else if (isGone) this.say(GONE, "warning");
    else this.say(noted(shown.notes), shown.notes?.length ? "warning" : "");
    if (isPicture) {
      this.stage.draw();
      this.showCorners(shown);
    } else {
      this.stage.blank();
    }
  }

  /** Show nothing rather than another frame than is said: at once where the series is another. */
  waitForFrame() {
    const seen = this.stage.frame ?? this.documented;
    if (seen && seen.series !== this.store.state.series) this.blank();
    else if (seen) this.late ??= setTimeout(() => this.blank(), LATE_MS);
  }

  stopWaiting() {
    clearTimeout(this.late);
    this.late = null;
  }

  blank() {
    this.stopWaiting();
    this.showDocument(null);
    this.pane.hidden = true;
    this.stageElement.hidden = false;
    this.stage.blank();
    for (const corner of Object.values(this.corners)) corner.textContent = "";
    this.stage.canvas.setAttribute("aria-label", "No picture yet");
  }

  showListing() {
    const { listing, state } = this.store;
    this.seriesSelect.hidden = listing.length < 2;
    if (this.listed !== listing) {
      this.listed = listing;
      const label = ({ name, frames }) => (frames > 1 ? `${name} (${frames})` : name);
      const options = listing.map((one, at) => make("option", { value: at, text: label(one) }));
      this.seriesSelect.replaceChildren(...options);
    }
    this.seriesSelect.value = String(state.series);
  }

  showFilm() {
    const { frame, playing, rate } = this.store.state;
    const { frameCount } = this.store;
    this.film.hidden = frameCount < 2;
    this.slider.max = String(frameCount);
    this.slider.value = String(frame + 1);
    this.slider.setAttribute("aria-valuetext", `Frame ${frame + 1} of ${frameCount}`);
    this.playButton.textContent = playing ? "❚❚" : "▶";
    this.fill(this.rateInput, rate);
  }

  showWindow(shown) {
    const isGrey = shown.kind === "grey";
    const parts = [
      this.presetSelect,
      this.centerField,
      this.widthField,
      this.resetButton,
      this.invertButton,
      this.windowTool,
    ];
    for (const part of parts) part.hidden = !isGrey;
    press(this.windowTool, this.stage.tool === "window");
    press(this.panTool, this.stage.tool === "pan" || !isGrey);
    const { state, frameCount } = this.store;
    this.rangeButton.hidden = !isGrey || !state.automatic || shown.range_at !== 0 || frameCount < 2;
    if (!isGrey) return;
    const look = this.store.look(shown);
    if (this.offered !== shown) {
      this.offered = shown;
      const options = shown.vois.map((voi, at) => make("option", { value: at, text: voi.name }));
      options.push(make("option", { value: CUSTOM, text: "Own window" }));
      this.presetSelect.replaceChildren(...options);
    }
    const isSame = (voi) => (look.table ? voi === look.table : isSameWindow(voi, look));
    const position = this.store.vois(shown).findIndex(isSame);
    this.presetSelect.value = position < 0 ? CUSTOM : String(position);
    this.presetSelect.lastChild.hidden = position >= 0;
    const { center, width } = look.table ? { center: "", width: "" } : look;
    this.fill(this.centerInput, center);
    this.fill(this.widthInput, width);
  }

  /** Show a number in its field, unless it is being typed in or is wrong there. */
  fill(input, number) {
    const isInvalid = input.getAttribute("aria-invalid") === "true";
    const isTyped = document.activeElement === input && !this.stage.drag;
    if ((isTyped || isInvalid) && input.dataset.shown === String(number)) return;
    if (isInvalid) this.problem = "";
    input.dataset.shown = String(number);
    input.value = number === "" ? "" : written(number);
    input.setAttribute("aria-invalid", "false");
  }

  showCorners(shown) {
    const { frame } = this.store.state;
    const { frameCount } = this.store;
    const { scale } = this.stage.place(shown);
    this.corners.frame.textContent = frameCount > 1 ? `${frame + 1} / ${frameCount}` : "";
    this.corners.zoom.textContent = `${Math.round(scale * 100)} %`;
    let window = "";
    if (shown.kind === "grey") {
      const look = this.store.look(shown);
      const kind = look.function === "SIGMOID" ? "  sigmoid" : "";
      window = look.table ? look.table.name : `C ${written(look.center)}  W ${written(look.width)}${kind}`;
    }
    this.corners.window.textContent = window;
    const which = frameCount > 1 ? `Frame ${frame + 1} of ${frameCount}` : "Image";
    this.stage.canvas.setAttribute("aria-label", [which, window].filter(Boolean).join(", "));
    this.stageElement.setAttribute("aria-label", `${which}. Arrow keys page, question mark lists the keys.`);
  }

  showDocument(shown) {
    if (this.documented === shown) return;
    this.undoDocument();
    this.documented = shown;
    this.pane.replaceChildren();
    this.undoDocument = shown ? showDocument(this.pane, shown) : () => {};
  }
}

export default viewsOf(ImageView, ViewerStore);
