// From stored values to the screen: the arithmetic of preview/_windows.py, operation for operation, in double
// precision.
//
// Up to 16 bits, a table with a colour for every stored value is made when the window changes, and a picture
// is one look into it per pixel. Wider values are computed one by one. Functions here know nothing of the
// page.

const WHITE = 255;
const TABLE_SIZES = { uint8: 256, int8: 256, uint16: 65536, int16: 65536 };
const ARRAYS = {
  ...{ uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array },
  ...{ int8: Int8Array, int16: Int16Array, int32: Int32Array, float64: Float64Array },
};

/** The bytes of a message's buffer as an array of numbers; copied only where they are not aligned. */
function numbersOf(buffer, dtype) {
  const Kind = ARRAYS[dtype];
  const bytes = ArrayBuffer.isView(buffer) ? buffer : new DataView(buffer);
  const aligned = bytes.byteOffset % Kind.BYTES_PER_ELEMENT === 0;
  const whole = aligned
    ? bytes.buffer
    : bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return new Kind(
    whole,
    aligned ? bytes.byteOffset : 0,
    Math.floor(bytes.byteLength / Kind.BYTES_PER_ELEMENT),
  );
}

function roundHalfUp(level) {
  if (!(level > 0)) return 0; // not a number, too
  return level >= WHITE ? WHITE : Math.floor(level + 0.5);
}

function lookUp(table, input) {
  if (Number.isNaN(input)) return table.entries[0];
  const step = Math.floor(input + 0.5) - table.first;
  return table.entries[step < 0 ? 0 : Math.min(step, table.entries.length - 1)];
}

/** What makes a modality value of a stored one. */
function modalityFunction(modality) {
  if (modality.entries) return (stored) => lookUp(modality, stored);
  const { slope, intercept } = modality;
  return (stored) => stored * slope + intercept;
}

function isSameWindow(one, other) {
  return one.center === other.center && one.width === other.width && one.function === other.function;
}

/** Whether two looks give the same picture of the same frame; a table is itself, whatever it is called. */
function isSameLook(one, other) {
  if (!one || !other) return one === other;
  return one.table === other.table && one.invert === other.invert && isSameWindow(one, other);
}

/**
 * The window over all that a VOI LUT has an entry for: what its numbers are in a field, and when it is
 * dragged.
 */
function spanOf({ first, entries }) {
  return { center: first + entries.length / 2, width: entries.length, function: "LINEAR" };
}

/** What makes a grey level 0..255 of a modality value: a VOI LUT, or a window (PS3.3 C.11.2.1.2). */
function levelFunction(look) {
  if (look.table) {
    const most = 2 ** look.table.bits - 1;
    return (value) => roundHalfUp((lookUp(look.table, value) * WHITE) / most);
  }
  if (look.function === "SIGMOID") {
    const { center, width } = look;
    return (value) => roundHalfUp(WHITE / (1 + Math.exp((-4 * (value - center)) / width)));
  }
  const isLinear = look.function === "LINEAR";
  const center = isLinear ? look.center - 0.5 : look.center;
  const width = isLinear ? look.width - 1 : look.width;
  const low = center - width / 2;
  const high = center + width / 2;
  return (value) => {
    if (value <= low) return 0;
    if (value > high) return WHITE;
    return roundHalfUp(((value - center) / width + 0.5) * WHITE);
  };
}

/** A colour in the four bytes of a canvas, alpha first in the number as it is last in memory. */
function colourNumber(red, green, blue) {
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}

/** What a supplemental palette has for a stored value; undefined where that is grey. */
function paletteColour({ palette }, stored) {
  if (!palette || !(stored >= palette.first)) return undefined;
  return palette.colours[Math.min(stored - palette.first, palette.colours.length - 1)];
}

/** What makes a colour of a stored value as seen through `look`. */
function colourOfStored(frame, look) {
  const valueOf = modalityFunction(frame.modality);
  const levelOf = levelFunction(look);
  const isInverse = frame.inverse !== look.invert;
  const greyOf = (stored) => {
    const level = isInverse ? WHITE - levelOf(valueOf(stored)) : levelOf(valueOf(stored));
    return colourNumber(level, level, level);
  };
  return frame.palette ? (stored) => paletteColour(frame, stored) ?? greyOf(stored) : greyOf;
}

/** A colour for every stored value that its type can hold; null where there are too many. */
function colourTable({ dtype }, colourOf) {
  const size = TABLE_SIZES[dtype];
  if (!size) return null;
  const table = new Uint32Array(size);
  const firstNegative = dtype.startsWith("int") ? size / 2 : size;
  for (let at = 0; at < size; at++) table[at] = colourOf(at < firstNegative ? at : at - size);
  return table;
}

/** Whether the bit of a place is set; the lowest comes first. */
function isMarked(bits, place) {
  return (bits[place >> 3] >> (place & 7)) & 1;
}

/** What makes the colour of a place in a grey frame. */
function colourFunction(frame, look) {
  const { stored, shutter } = frame;
  const colourOf = colourOfStored(frame, look);
  const table = colourTable(frame, colourOf);
  const mask = table && table.length - 1;
  const open = table ? (place) => table[stored[place] & mask] : (place) => colourOf(stored[place]);
  if (!shutter) return open;
  return (place) => (isMarked(shutter.bits, place) ? shutter.colour : open(place));
}

/** Draw a grey frame as seen through `look` into `pixels`, a Uint32Array of its size. */
function paintGrey(frame, look, pixels) {
  const { stored, shutter } = frame;
  const colourOf = colourOfStored(frame, look);
  const table = colourTable(frame, colourOf);
  if (table) {
    const mask = table.length - 1;
    for (let at = 0; at < pixels.length; at++) pixels[at] = table[stored[at] & mask];
  } else {
    for (let at = 0; at < pixels.length; at++) pixels[at] = colourOf(stored[at]);
  }
  if (!shutter) return;
  for (let at = 0; at < pixels.length; at++) if (isMarked(shutter.bits, at)) pixels[at] = shutter.colour;
}

/** Unpack an overlay's bits, the lowest first, into `pixels` as one colour or nothing. */
function paintOverlay(bits, colour, pixels) {
  for (let at = 0; at < pixels.length; at++) pixels[at] = isMarked(bits, at) ? colour : 0;
}

/** A number as people write it: no more digits than it has, no less than it needs. */
function written(number) {
  if (!Number.isFinite(number)) return String(number);
  return Number.isInteger(number) ? String(number) : String(Number(number.toPrecision(6)));
}

/** What is under the cursor, in words. */
function valueText(frame, column, row) {
  const at = row * frame.columns + column;
  const said = (colour) => `R ${colour & 0xff}  G ${(colour >>> 8) & 0xff}  B ${(colour >>> 16) & 0xff}`;
  if (frame.kind === "colour") return said(frame.colours[at]);
  const stored = frame.stored[at];
  const supplemental = paletteColour(frame, stored);
  if (supplemental !== undefined) return `${stored}  ${said(supplemental)}`;
  if (frame.padding && stored >= frame.padding[0] && stored <= frame.padding[1]) return "padding";
  return `${written(modalityFunction(frame.modality)(stored))} ${frame.unit}`.trim();
}
