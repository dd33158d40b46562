// A large picture as tiles: no browser has a canvas of more than 16384 columns and rows everywhere.
//
// Only what is in sight is painted, no finer than the screen shows it: a tile of step 4 has one pixel for 4 x
// 4 of the picture, the mean of some of them. Tiles that were seen last are kept, so many at most, whatever
// the size of the picture.

const TILE = 1024;
const MOST_TILES = 32; // of 4 MiB each
const LARGE_SIDE = 8192;
const LARGE_AREA = 2 ** 25; // up to here one canvas is faster; it takes 8 bytes a pixel
const SAMPLES = 4; // a side of the block of a pixel: of more, not all are counted

/** Whether something is drawn from tiles. */
function isLarge({ columns, rows }) {
  return Math.max(columns, rows) > LARGE_SIDE || columns * rows > LARGE_AREA;
}

class Tiles {
  /** `paint` fills a Uint32Array with the colours of a part: { left, top, columns, rows, step, samples }. */
  constructor({ columns, rows }, paint) {
    this.columns = columns;
    this.rows = rows;
    this.paint = paint;
    this.kept = new Map(); // what was drawn last at the end
  }

  /**
   * Draw what is in sight: `x` and `y` is where the corner lies, `across` and `down` a pixel's size, on a
   * canvas.
   */
  draw(paper, { x, y, across, down }, samples = SAMPLES) {
    const { width, height } = paper.canvas;
    const step = 2 ** Math.max(0, Math.floor(Math.log2(1 / Math.max(across, down))));
    const size = TILE * step;
    const first = (corner, scale) => Math.max(0, Math.floor(-corner / scale / size));
    const last = (corner, scale, room, count) =>
      Math.min(Math.ceil(count / size), Math.ceil((room - corner) / scale / size));
    for (let row = first(y, down); row < last(y, down, height, this.rows); row++) {
      for (let column = first(x, across); column < last(x, across, width, this.columns); column++) {
        const part = {
          left: column * size,
          top: row * size,
          columns: Math.min(TILE, Math.ceil((this.columns - column * size) / step)),
          rows: Math.min(TILE, Math.ceil((this.rows - row * size) / step)),
          step,
          samples: Math.min(step, samples),
        };
        // Edges are at whole pixels of the screen, and those of neighbours are the same: there is no seam.
        const edge = (corner, scale, at) => Math.round(corner + at * scale);
        const left = edge(x, across, part.left);
        const top = edge(y, down, part.top);
        const right = edge(x, across, part.left + part.columns * step);
        const bottom = edge(y, down, part.top + part.rows * step);
        paper.drawImage(this.tile(part), left, top, right - left, bottom - top);
      }
    }
  }

  tile(part) {
    const key = [part.step, part.samples, part.left, part.top].join();
    let canvas = this.kept.get(key);
    this.kept.delete(key);
    if (!canvas) {
      const [oldest] = this.kept.keys();
      if (this.kept.size >= MOST_TILES) {
        canvas = this.kept.get(oldest); // its memory is used again
        this.kept.delete(oldest);
      }
      canvas ??= document.createElement("canvas");
      canvas.width = part.columns;
      canvas.height = part.rows;
      const image = new ImageData(part.columns, part.rows);
      this.paint(new Uint32Array(image.data.buffer), part);
      canvas.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
    }
    this.kept.set(key, canvas);
    return canvas;
  }
}

/**
 * Call `visit` for each pixel of a part with the places, in the array of the whole, of the samples it stands
 * for.
 */
function eachBlock({ left, top, columns, rows, step, samples }, whole, visit) {
  const places = new Array(samples * samples);
  const offset = (sample) => Math.floor(((sample + 0.5) * step) / samples);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let down = 0; down < samples; down++) {
        const y = Math.min(whole.rows - 1, top + row * step + offset(down));
        for (let across = 0; across < samples; across++) {
          const x = Math.min(whole.columns - 1, left + column * step + offset(across));
          places[down * samples + across] = y * whole.columns + x;
        }
      }
      visit(at++, places);
    }
  }
}

/**
 * What paints the tiles of a frame, a grey one as seen through a look: the mean of colours, each channel for
 * itself.
 */
function frameTiles(frame, look) {
  const colourAt = look ? colourFunction(frame, look) : (place) => frame.colours[place];
  const mean = (sum, places) => Math.floor(sum / places.length + 0.5);
  if (look && !frame.palette && !frame.shutter) {
    return (pixels, part) =>
      eachBlock(part, frame, (at, places) => {
        let sum = 0;
        for (const place of places) sum += colourAt(place) & 0xff;
        const level = mean(sum, places);
        pixels[at] = colourNumber(level, level, level);
      });
  }
  return (pixels, part) =>
    eachBlock(part, frame, (at, places) => {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (const place of places) {
        const colour = colourAt(place);
        red += colour & 0xff;
        green += (colour >>> 8) & 0xff;
        blue += (colour >>> 16) & 0xff;
      }
      pixels[at] = colourNumber(mean(red, places), mean(green, places), mean(blue, places));
    });
}

/** What paints the tiles of an overlay: a mark that is anywhere in a block is seen. */
function overlayTiles(overlay, colour) {
  const isSet = (place) => isMarked(overlay.bits, place);
  return (pixels, part) =>
    eachBlock(part, overlay, (at, places) => (pixels[at] = places.some(isSet) ? colour : 0));
}
