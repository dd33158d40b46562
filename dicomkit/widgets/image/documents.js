// Objects that are no pictures: a report as a list in a list, a PDF in the browser's own viewer, curves on a
// canvas.
//
// Every text is set as text; each function fills an empty pane, and returns what undoes it.

function showDocument(pane, shown) {
  if (shown.kind === "report") return showReport(pane, shown.lines);
  if (shown.kind === "pdf") return showPdf(pane, shown.document);
  if (shown.kind === "waveform") return showCurves(pane, shown.groups);
  // What went wrong is said, and read aloud, by the status line below.
  pane.append(
    make("p", {
      class: "dk-notice",
      text: shown.is_error ? "This cannot be shown. The reason is below." : shown.text,
    }),
  );
  return () => {};
}

function showReport(pane, lines) {
  const [title, ...items] = lines;
  const list = make("ul", { class: "dk-report" });
  const open = [list];
  for (const item of items) {
    open.length = Math.min(open.length, Math.max(1, item.depth));
    const line = make("li", { title: item.relation || null });
    if (item.name) line.append(make("span", { class: "dk-report-name", text: item.name }));
    if (item.value) line.append(make("span", { class: "dk-report-value", text: item.value }));
    open.at(-1).append(line);
    const below = make("ul");
    line.append(below);
    open.push(below);
  }
  for (const empty of list.querySelectorAll("ul:empty")) empty.remove();
  pane.append(make("h3", { class: "dk-report-title", text: title?.name || title?.value || "Report" }), list);
  return () => {};
}

function showPdf(pane, bytes) {
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/pdf" }));
  const links = make(
    "p",
    { class: "dk-bar" },
    make("span", { text: `PDF document, ${Math.ceil(bytes.length / 1024)} kB` }),
    make("span", { class: "dk-spring" }),
    make("a", {
      class: "dk-button",
      href: url,
      target: "_blank",
      rel: "noopener",
      text: "Open in a new tab",
    }),
    make("a", { class: "dk-button", href: url, download: "document.pdf", text: "Save" }),
  );
  pane.append(links, make("iframe", { class: "dk-pdf", src: url, title: "PDF document" }));
  return () => URL.revokeObjectURL(url);
}

function showCurves(pane, groups) {
  const undo = groups.map((group) => {
    const seconds = group.samples.length / Math.max(1, group.channels.length) / group.rate_hz;
    const caption = `${group.name || "Waveform"}: ${group.channels.length} channels, ${written(seconds)} s`;
    const canvas = make("canvas", { role: "img", "aria-label": caption });
    pane.append(make("figure", { class: "dk-curves" }, make("figcaption", { text: caption }), canvas));
    const watcher = new ResizeObserver(() => drawCurves(canvas, group, seconds));
    watcher.observe(canvas.parentElement);
    return () => watcher.disconnect();
  });
  return () => undo.forEach((one) => one());
}

const CHANNEL_HEIGHT = 64;
const LABEL_WIDTH = 92;
const AXIS_HEIGHT = 22;

function drawCurves(canvas, group, seconds) {
  const count = group.channels.length;
  const width = canvas.parentElement.clientWidth;
  const height = count * CHANNEL_HEIGHT + AXIS_HEIGHT;
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.height = `${height}px`;
  // The style sheet puts the colours of grid and curves where a computed style has them as colours.
  const {
    fontFamily,
    color,
    borderTopColor: gridColour,
    borderBottomColor: curveColour,
  } = getComputedStyle(canvas);
  const paper = canvas.getContext("2d");
  paper.scale(density, density);
  paper.font = `12px ${fontFamily}`;
  paper.textBaseline = "middle";
  const span = width - LABEL_WIDTH;
  const perChannel = Math.floor(group.samples.length / count);
  const second =
    [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300].find((step) => (span * step) / seconds > 50) ?? seconds;
  for (let at = 0; at <= seconds + 1e-9; at += second) {
    const x = LABEL_WIDTH + (span * at) / seconds;
    paper.fillStyle = gridColour;
    paper.fillRect(Math.round(x), 0, 1, height - AXIS_HEIGHT);
    paper.fillStyle = color;
    paper.textAlign = at ? "right" : "left";
    paper.fillText(`${written(at)} s`, Math.min(x + 2, width), height - AXIS_HEIGHT / 2);
  }
  paper.textAlign = "left";
  for (let channel = 0; channel < count; channel++) {
    const samples = group.samples.subarray(channel * perChannel, (channel + 1) * perChannel);
    let low = Infinity;
    let high = -Infinity;
    for (const sample of samples) {
      if (sample < low) low = sample;
      if (sample > high) high = sample;
    }
    const top = channel * CHANNEL_HEIGHT;
    const scale = high > low ? (CHANNEL_HEIGHT - 12) / (high - low) : 0;
    paper.fillStyle = color;
    paper.fillText(group.channels[channel], 8, top + CHANNEL_HEIGHT / 2 - 8, LABEL_WIDTH - 14);
    paper.globalAlpha = 0.7;
    const range = `${written(low)} to ${written(high)} ${group.units[channel] ?? ""}`;
    paper.fillText(range, 8, top + CHANNEL_HEIGHT / 2 + 9, LABEL_WIDTH - 14);
    paper.globalAlpha = 1;
    paper.strokeStyle = curveColour;
    paper.beginPath();
    samples.forEach((sample, at) => {
      paper.lineTo(
        LABEL_WIDTH + (span * at) / samples.length,
        top + CHANNEL_HEIGHT - 6 - (sample - low) * scale,
      );
    });
    paper.stroke();
  }
}
