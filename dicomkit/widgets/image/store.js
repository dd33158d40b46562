// What all views of one viewer share: the frames that came, what is asked for next, and the numbers both
// sides agree on.
//
// Views change numbers here, which costs nothing; Python gets them at most ten times a second, and at the
// end. While something has not been sent, what Python says of it is older than what is seen, and is passed
// over.

const CACHE_BYTES = 256 * 1024 * 1024;
const ASKED_AT_ONCE = 2;
const AHEAD = 3;
const SAVE_MS = 100;
const PATIENCE_MS = 5000; // then it is asked again, and waited for twice as long
const MOST_PATIENCE_MS = 300000;
const SHARED = [
  ...["series", "series_count", "frame", "playing", "rate", "sweeping"],
  ...["window_center", "window_width", "window_function", "voi_lut", "automatic"],
  ...["range_per_frame", "invert"],
  ...["show_overlays", "zoom", "pan"],
];

class ViewerStore {
  constructor(model) {
    this.model = model;
    this.state = Object.fromEntries(SHARED.map((name) => [name, model.get(name)]));
    this.listing = [];
    this.ranges = new Map(); // of each series, as far as Python has seen it
    this.isSilent = false;
    this.isGone = false; // there is nobody to answer: the kernel was started again
    this.views = new Set();
    this.frames = new Map(); // by series and index, what was looked at last at the end
    this.bytes = 0;
    this.asked = new Set();
    this.askedOf = null; // the series that it was asked for
    this.patience = PATIENCE_MS;
    this.unsaved = {};
    this.savedAt = -Infinity;
    this.direction = 1;
    this.timers = {};
    this.onChange = Object.fromEntries(SHARED.map((name) => [name, () => this.takeOver(name)]));
    for (const name of SHARED) model.on(`change:${name}`, this.onChange[name]);
    const onParting = () => {
      this.isGone = true;
      this.refresh();
    };
    this.kernel = new Kernel(model, (message, buffers) => this.hear(message, buffers), onParting);
    this.kernel.say({ kind: "hello" });
    this.pump();
  }

  close() {
    for (const name of SHARED) this.model.off(`change:${name}`, this.onChange[name]);
    this.kernel.close();
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
    this.views.clear();
    this.frames.clear();
  }

  refresh() {
    for (const view of this.views) view.refresh();
  }

  // Numbers

  /** Change shared numbers; `atOnce` sends them to Python now, as at the end of a drag. */
  set(changes, { atOnce = false } = {}) {
    for (const [name, value] of Object.entries(changes)) {
      if (this.state[name] === value) continue;
      if (name === "frame") this.direction = value >= this.state.frame ? 1 : -1;
      this.state[name] = value;
      this.unsaved[name] = value;
    }
    this.changed();
    if (!Object.keys(this.unsaved).length) return;
    if (atOnce) this.save();
    else
      this.timers.save ??= setTimeout(
        () => this.save(),
        Math.max(0, this.savedAt + SAVE_MS - performance.now()),
      );
  }

  toggle(name) {
    this.set({ [name]: !this.state[name] });
  }

  /** Screen pixels for a column, 0 to fit the picture into its place; in the middle. */
  zoomTo(zoom) {
    this.set({ zoom, pan: [0, 0] });
  }

  /** Look through a window from now on, or through the VOI LUT that has this number and spans it. */
  setWindow({ center, width, function: window_function }, { table = -1, ...options } = {}) {
    const window = { window_function, window_center: center, window_width: width };
    this.set({ automatic: false, voi_lut: table, ...window }, options);
  }

  save() {
    this.clear("save");
    for (const [name, value] of Object.entries(this.unsaved)) this.model.set(name, value);
    this.unsaved = {};
    this.savedAt = performance.now();
    this.model.save_changes();
  }

  clear(timer) {
    clearTimeout(this.timers[timer]);
    delete this.timers[timer];
  }

  takeOver(name) {
    const value = this.model.get(name);
    if (name in this.unsaved || this.state[name] === value) return;
    this.state[name] = value;
    this.changed();
  }

  changed() {
    this.pump();
    this.schedulePlay();
    this.refresh();
  }

  // Frames

  /** How many frames the series has: Python's number may still be that of the series before. */
  get frameCount() {
    return this.listing[this.state.series]?.frames ?? this.model.get("frame_count");
  }

  key(index = this.state.frame) {
    return `${this.state.series}:${index}`;
  }

  /** What came for the current frame; undefined while it is under way. */
  current() {
    const key = this.key();
    const frame = this.frames.get(key);
    this.frames.delete(key);
    if (frame) this.frames.set(key, frame);
    return frame;
  }

  /** The looks on offer for a frame, its full range being its own or the stack's. */
  vois(frame) {
    const range = this.state.range_per_frame ? null : this.ranges.get(this.state.series);
    if (!range || frame.range_at === null) return frame.vois;
    return frame.vois.map((voi, at) => (at === frame.range_at ? { ...voi, ...range } : voi));
  }

  /** How the current frame is looked at. */
  look(frame) {
    const {
      window_center: center,
      window_width: width,
      window_function,
      voi_lut,
      invert,
      automatic,
    } = this.state;
    if (!automatic) {
      const table = frame.vois.filter((voi) => voi.entries)[voi_lut];
      if (table) return { table, invert };
      if (center !== null && width !== null) return { center, width, function: window_function, invert };
    }
    const [first] = this.vois(frame);
    return first.entries ? { table: first, invert } : { ...first, invert };
  }

  /**
   * Ask for what is missing: the current frame, then those ahead in the direction of travel, then the one
   * behind.
   */
  pump() {
    const { frame, series } = this.state;
    if (this.askedOf !== series) {
      this.askedOf = series;
      this.asked.clear();
      this.waitAnew();
    }
    const wanted = [frame];
    if (!this.isTight()) {
      for (let step = 1; step <= AHEAD; step++) wanted.push(frame + step * this.direction);
      wanted.push(frame - this.direction);
    }
    for (const index of wanted) {
      if (this.asked.size >= ASKED_AT_ONCE) break;
      const key = this.key(index);
      if (index < 0 || index >= this.frameCount || this.frames.has(key) || this.asked.has(key)) continue;
      this.asked.add(key);
      this.kernel.say({ kind: "frame", series, index });
    }
    const isWaiting = this.asked.size > 0 || !this.listing.length;
    if (isWaiting && !this.isGone) this.timers.patience ??= setTimeout(() => this.askAgain(), this.patience);
  }

  /** The kernel may be busy, or what it said got lost. */
  askAgain() {
    delete this.timers.patience;
    this.patience = Math.min(2 * this.patience, MOST_PATIENCE_MS);
    this.isSilent = true;
    this.asked.clear();
    if (!this.listing.length) this.kernel.say({ kind: "hello" });
    this.changed();
  }

  waitAnew() {
    this.clear("patience");
    this.patience = PATIENCE_MS;
  }

  /** Whether frames are so large that fetching ahead would push out the one that is seen. */
  isTight() {
    const seen = this.frames.get(this.key());
    return seen !== undefined && seen.bytes * (AHEAD + 2) > CACHE_BYTES;
  }

  hear(message, buffers = []) {
    this.waitAnew();
    this.isSilent = false;
    if (message.kind === "series") {
      this.listing = message.series;
    } else if ("index" in message) {
      const key = `${message.series}:${message.index}`;
      this.asked.delete(key);
      if (message.range) this.ranges.set(message.series, message.range);
      this.keep(key, unpacked(message, buffers));
    } else {
      return;
    }
    this.changed();
  }

  keep(key, frame) {
    this.bytes += frame.bytes - (this.frames.get(key)?.bytes ?? 0);
    this.frames.delete(key);
    this.frames.set(key, frame);
    for (const [oldest, dropped] of this.frames) {
      if (this.bytes <= CACHE_BYTES) return;
      if (oldest === this.key() || oldest === key) continue;
      this.frames.delete(oldest);
      this.bytes -= dropped.bytes;
    }
  }

  // Film

  schedulePlay() {
    const { playing, rate } = this.state;
    if (!playing || !this.views.size) this.clear("play");
    else this.timers.play ??= setTimeout(() => this.playOn(), 1000 / rate);
  }

  playOn() {
    delete this.timers.play;
    const next = this.nextOfFilm();
    // A film waits for its frames rather than leaving any out.
    if (this.frames.has(this.key(next)) || this.isTight()) this.set({ frame: next });
    else {
      this.direction = next < this.state.frame && this.state.sweeping ? -1 : 1;
      this.pump();
      this.schedulePlay();
    }
  }

  /** Which frame follows: the first one after the last, or the one before it where the film runs back. */
  nextOfFilm() {
    const { frame, sweeping } = this.state;
    const count = this.frameCount;
    if (!sweeping) return (frame + 1) % count;
    const next = frame + this.direction;
    const step = next < 0 || next >= count ? -this.direction : this.direction;
    return Math.min(count - 1, Math.max(0, frame + step));
  }
}

/** A message with its buffers put where they belong. */
function unpacked(message, buffers) {
  const bytes = buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0);
  const table = (one) =>
    "buffer" in one ? { ...one, entries: numbersOf(buffers[one.buffer], "uint16") } : one;
  const frame = { ...message, bytes };
  if (message.kind === "grey") {
    frame.stored = numbersOf(buffers[message.buffer], message.dtype);
    frame.modality = table(message.modality);
    frame.vois = message.vois.map(table);
    const { shutter, palette } = message;
    frame.shutter = shutter && {
      colour: colourNumber(...shutter.colour),
      bits: numbersOf(buffers[shutter.buffer], "uint8"),
    };
    frame.palette = palette && {
      first: palette.first,
      colours: numbersOf(buffers[palette.buffer], "uint32"),
    };
  } else if (message.kind === "colour") {
    frame.colours = numbersOf(buffers[message.buffer], "uint32");
  } else if (message.kind === "pdf") {
    frame.document = numbersOf(buffers[message.buffer], "uint8");
  } else if (message.kind === "waveform") {
    frame.groups = message.groups.map((one) => ({
      ...one,
      samples: numbersOf(buffers[one.buffer], "float32"),
    }));
  }
  frame.overlays = (message.overlays ?? []).map((one) => ({
    ...one,
    bits: numbersOf(buffers[one.buffer], "uint8"),
  }));
  return frame;
}
