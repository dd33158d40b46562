// What the parts of a table have in common: numbers, marks, the clipboard, and quiet.

const WINDOW_ROWS = 200; // the kernel never answers with more
const SEARCH_QUIET_MS = 200; // a search waits until nobody types
const READ_ALOUD_QUIET_MS = 600;

// A number as people read it: 100,000.
function numeral(count) {
  return count.toLocaleString("en-US");
}

// The text with what was searched for marked in it.
function marked(text, words) {
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return [text]; // letters that change their length with their case
  const hits = [];
  for (const word of words) {
    for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + word.length)) {
      hits.push([at, at + word.length]);
    }
  }
  if (hits.length === 0) return [text];
  hits.sort((a, b) => a[0] - b[0]);
  const parts = [];
  let done = 0;
  for (const [start, stop] of hits) {
    if (stop <= done) continue;
    const from = Math.max(start, done);
    parts.push(text.slice(done, from), make("mark", {}, text.slice(from, stop)));
    done = stop;
  }
  parts.push(text.slice(done));
  return parts;
}

function wordsOf(search) {
  return search.toLowerCase().split(/\s+/).filter(Boolean);
}

// Copies without a permission where the page may not use the clipboard.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", { "aria-hidden": "true", style: "position: fixed; opacity: 0" });
    area.value = text;
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    before?.focus?.();
    return isCopied;
  }
}

// Calls once it has been quiet for a while; `now` does not wait, `stop` forgets.
function whenQuiet(milliseconds, call) {
  let timer = 0;
  const stop = () => clearTimeout(timer);
  const later = () => {
    stop();
    timer = setTimeout(call, milliseconds);
  };
  const now = () => {
    stop();
    call();
  };
  return { later, now, stop };
}
