// The place where a picture is drawn, and what a pointer does there.
//
// A frame is painted at its own size once per window, and drawn from there at any zoom, or from tiles where
// it is large; however often something changes, there is one drawing per screen refresh.

const OVERLAY_COLOUR = 0xff40c8ff; // amber, bytes in reverse
const MOST_ZOOM = 64;
const LEAST_ZOOM = 0.02;
const SHARP_FROM = 3; // screen pixels per column from which pixels are shown as they are
const DRAG_SPAN = 400; // pixels of dragging that double the width of a window
const NARROW = 40; // a window of whole numbers is dragged as if it were no narrower than this

class Stage {
  constructor(store, { onFrameStep, onValue }) {
    this.store = store;
    this.onFrameStep = onFrameStep;
    this.onValue = onValue;
    this.draws = 0;
    this.tool = "window";
    this.probe = null;
    this.pointer = null;
    this.drag = null;
    this.wheel = 0;
    this.canvas = make("canvas", { role: "img" });
    this.element = make("div", { class: "dk-stage-picture" }, this.canvas);
    this.paper = this.canvas.getContext("2d");
    this.picture = document.createElement("canvas"); // the frame at its own size
    this.overlays = new WeakMap(); // a canvas, or tiles, for each overlay that was drawn
    this.tiles = null; // of a large frame
    this.painted = null;
    // A notebook takes its outputs off the page and puts them back; what was seen last stays until there is
    // room again.
    this.size = { width: 0, height: 0 };
    this.watcher = new ResizeObserver(([{ contentRect }]) => {
      if (!contentRect.width || !contentRect.height) return;
      this.size = { width: contentRect.width, height: contentRect.height };
      this.schedule();
    });
    this.watcher.observe(this.element);
    this.listen();
  }

  close() {
    this.watcher.disconnect();
    cancelAnimationFrame(this.request);
  }

  // Drawing

  blank() {
    this.frame = null;
    this.canvas.width = this.canvas.width; // clears it
    this.showValue();
  }

  schedule() {
    this.request ??= requestAnimationFrame(() => {
      this.request = null;
      this.draw();
    });
  }

  draw() {
    const frame = this.store.current();
    if (!frame || (frame.kind !== "grey" && frame.kind !== "colour")) return;
    this.frame = frame;
    if (!this.size.width) return;
    this.paint(frame);
    const density = window.devicePixelRatio || 1;
    const width = Math.round(this.size.width * density);
    const height = Math.round(this.size.height * density);
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const { x, y, scale } = this.place(frame);
    const { paper } = this;
    paper.setTransform(1, 0, 0, 1, 0, 0);
    paper.clearRect(0, 0, width, height);
    paper.imageSmoothingEnabled = scale * density < SHARP_FROM;
    paper.imageSmoothingQuality = this.drag ? "low" : "high";
    paper.setTransform(scale * density, 0, 0, scale * density * frame.aspect, x * density, y * density);
    if (this.tiles) this.drawTiles(this.tiles, 0, 0);
    else paper.drawImage(this.picture, 0, 0);
    if (this.store.state.show_overlays) this.drawOverlays(frame);
    if (this.probe) this.drawProbe(frame, scale * density);
    this.draws += 1;
    this.showValue();
  }

  paint(frame) {
    const look = frame.kind === "grey" ? this.store.look(frame) : null;
    if (this.painted?.frame === frame && isSameLook(this.painted.look, look)) return;
    this.painted = { frame, look };
    this.tiles = isLarge(frame) ? new Tiles(frame, frameTiles(frame, look)) : null;
    if (this.tiles) {
      this.picture.width = this.picture.height = 0;
      this.image = null;
      return;
    }
    if (this.picture.width !== frame.columns || this.picture.height !== frame.rows || !this.image) {
      this.picture.width = frame.columns;
      this.picture.height = frame.rows;
      this.image = new ImageData(frame.columns, frame.rows);
    }
    const pixels = new Uint32Array(this.image.data.buffer);
    if (look) paintGrey(frame, look, pixels);
    else pixels.set(frame.colours);
    this.picture.getContext("2d", { willReadFrequently: true }).putImageData(this.image, 0, 0);
  }

  /**
   * Draw tiles whose corner lies at a column and row of the picture; each takes its own place on the screen.
   */
  drawTiles(tiles, column, row) {
    const { paper } = this;
    const { a: across, d: down, e, f } = paper.getTransform();
    paper.save();
    paper.setTransform(1, 0, 0, 1, 0, 0);
    tiles.draw(paper, { x: e + column * across, y: f + row * down, across, down }, this.drag ? 1 : undefined);
    paper.restore();
  }

  drawOverlays(frame) {
    for (const one of frame.overlays) {
      if (!this.overlays.has(one)) {
        this.overlays.set(
          one,
          isLarge(one) ? new Tiles(one, overlayTiles(one, OVERLAY_COLOUR)) : this.canvasOf(one),
        );
      }
      const drawn = this.overlays.get(one);
      if (drawn instanceof Tiles) this.drawTiles(drawn, one.column, one.row);
      else this.paper.drawImage(drawn, one.column, one.row);
    }
  }

  canvasOf(overlay) {
    const canvas = document.createElement("canvas");
    canvas.width = overlay.columns;
    canvas.height = overlay.rows;
    const image = new ImageData(overlay.columns, overlay.rows);
    paintOverlay(overlay.bits, OVERLAY_COLOUR, new Uint32Array(image.data.buffer));
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  drawProbe(frame, scale) {
    const { column, row } = this.probe;
    this.paper.strokeStyle = "#ffd54a";
    this.paper.lineWidth = 1.5 / scale;
    this.paper.strokeRect(column - 2, row - 2, 5, 5);
    this.paper.strokeRect(column, row, 1, 1);
  }

  // Geometry: screen pixels against columns and rows

  place(frame) {
    const { width, height } = this.size;
    const { zoom, pan } = this.store.state;
    const fit = Math.min(width / frame.columns, height / (frame.rows * frame.aspect)) || 1;
    const scale = zoom > 0 ? zoom : fit;
    const x = (width - frame.columns * scale) / 2 + pan[0] * scale;
    const y = (height - frame.rows * frame.aspect * scale) / 2 + pan[1] * scale * frame.aspect;
    return { x: Math.round(x), y: Math.round(y), scale };
  }

  at(position) {
    const { x, y, scale } = this.place(this.frame);
    return { column: (position.x - x) / scale, row: (position.y - y) / (scale * this.frame.aspect) };
  }

  /** Zoom by a factor, keeping the place under `position` (the middle without one) where it is. */
  zoomBy(factor, position) {
    if (!this.frame) return;
    const middle = { x: this.size.width / 2, y: this.size.height / 2 };
    const fixed = position ?? middle;
    const { column, row } = this.at(fixed);
    const { scale } = this.place(this.frame);
    const zoom = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, scale * factor));
    const pan = [
      (fixed.x - middle.x) / zoom - column + this.frame.columns / 2,
      (fixed.y - middle.y) / (zoom * this.frame.aspect) - row + this.frame.rows / 2,
    ];
    this.store.set({ zoom, pan });
  }

  panBy(x, y, [column, row] = this.store.state.pan) {
    if (!this.frame) return;
    const { scale } = this.place(this.frame);
    this.store.set({ pan: [column + x / scale, row + y / (scale * this.frame.aspect)] });
  }

  // Windowing

  /** The window to start from: the one that is set, or the span of the table that is. */
  window() {
    const look = this.store.look(this.frame);
    return look.table ? spanOf(look.table) : look;
  }

  /** Move a window by pixels of dragging: right is wider, up is brighter. */
  windowBy(start, x, y) {
    const isWhole = start.function === "LINEAR" && Number.isInteger(start.center * 2);
    const step = (isWhole ? Math.max(start.width, NARROW) : start.width) / DRAG_SPAN;
    const least = start.function === "LINEAR" ? 1 : start.width / 1000;
    const round = (value) => (isWhole ? Math.round(value) : value);
    const center = round(start.center - y * step);
    const width = Math.max(least, round(start.width + x * step));
    this.store.setWindow({ center, width, function: start.function });
  }

  // Pointer

  listen() {
    const position = (event) => {
      const box = this.element.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const on = (name, listener, options) => this.element.addEventListener(name, listener, options);
    on("pointerdown", (event) => {
      if (!this.frame || event.button > 1) return;
      if (event.button === 1) event.preventDefault();
      const isPan = this.tool === "pan" || event.button === 1 || event.shiftKey || this.frame.kind !== "grey";
      this.element.setPointerCapture(event.pointerId);
      this.drag = { from: position(event), pan: this.store.state.pan, window: isPan ? null : this.window() };
    });
    on("pointermove", (event) => {
      this.pointer = position(event);
      if (this.drag) this.dragTo(this.pointer);
      else this.showValue();
    });
    const end = (event) => {
      if (!this.drag) return;
      this.drag = null;
      if (this.element.hasPointerCapture(event.pointerId))
        this.element.releasePointerCapture(event.pointerId);
      this.store.set({}, { atOnce: true });
      this.schedule();
    };
    on("pointerup", end);
    on("pointercancel", end);
    on("pointerleave", () => {
      this.pointer = null;
      this.showValue();
    });
    on("dblclick", () => this.store.zoomTo(0));
    on("wheel", (event) => this.onWheel(event, position(event)), { passive: false });
  }

  dragTo({ x, y }) {
    const { from, pan, window } = this.drag;
    if (window) this.windowBy(window, x - from.x, from.y - y);
    else this.panBy(x - from.x, y - from.y, pan);
  }

  /** Turn frames or zoom; the page has the wheel without the focus, at both ends, and while it scrolls. */
  onWheel(event, position) {
    if (!event.cancelable || !this.element.closest(".dk-viewer").matches(":focus-within")) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.zoomBy(2 ** (-event.deltaY / 300), position);
    } else if (this.canStep(Math.sign(event.deltaY))) {
      event.preventDefault();
      // A notch of a wheel is one frame, and so are as many pixels of a touchpad.
      const notch = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 50 : 1;
      this.wheel += event.deltaY / notch;
      const steps = Math.abs(event.deltaY) >= notch ? Math.sign(event.deltaY) : Math.trunc(this.wheel);
      if (steps) this.wheel = 0;
      this.onFrameStep(steps);
    }
  }

  canStep(step) {
    const next = this.store.state.frame + step;
    return step !== 0 && next >= 0 && next < this.store.frameCount;
  }

  /** Say what is under the probe, or the pointer. */
  showValue() {
    if (!this.frame) {
      this.onValue(null);
      return;
    }
    const place = this.probe ?? (this.pointer && this.at(this.pointer));
    const column = Math.floor(place?.column ?? -1);
    const row = Math.floor(place?.row ?? -1);
    const isInside = column >= 0 && row >= 0 && column < this.frame.columns && row < this.frame.rows;
    this.onValue(isInside ? { column, row, text: valueText(this.frame, column, row) } : null);
  }
}
