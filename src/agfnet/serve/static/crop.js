/** The frame on a photograph: the part that the network sees, moved and zoomed by pointer and keys. */
import { h } from "./dom.js";
import { t } from "./locale.js";
import { followPointers } from "./pointers.js";

/** @typedef {import("./api.js").Rectangle} Rectangle */
/** @typedef {import("./api.js").Framing} Framing */

const STEP = 0.02; // of the short side, for a key
const ZOOM = 1.1; // for a key or a notch of the wheel
const MIN_PIXELS = 32;
const MIN_PERCENT = 4; // of the short side
const MIN_INSIDE = 0.9; // this and the next as in `agfnet.data.lesion_box`
const SMALL = 0.2;

/**
 * The warnings about a frame: the lesion that was found is cut, or fills little of it.
 * @param {Framing} framing
 * @param {Rectangle | null} crop
 * @returns {string[]} keys of words
 */
export function cropWarnings({ lesion, seen }, crop) {
  if (!lesion) return [];
  const used = crop ?? seen;
  const overlap = (/** @type {"x" | "y"} */ start, /** @type {"width" | "height"} */ length) =>
    Math.max(
      0,
      Math.min(lesion[start] + lesion[length], used[start] + used[length]) -
        Math.max(lesion[start], used[start]),
    );
  const inside = overlap("x", "width") * overlap("y", "height");
  if (inside < MIN_INSIDE * lesion.width * lesion.height) return ["crop.cut"];
  const longest = Math.max(lesion.width, lesion.height);
  return longest < SMALL * Math.min(used.width, used.height) ? ["crop.small"] : [];
}

/**
 * Draw a photograph with its frame.
 * @param {{
 *   framing: Framing, picture: string, alt: string, crop: Rectangle | null, key: string,
 *   choose: (crop: Rectangle | null) => void,
 * }} settings `choose` gets the new frame, or null to use what the network sees by itself
 */
export function cropTool({ framing, picture, alt, crop, key, choose }) {
  const short = Math.min(framing.width, framing.height);
  const least = Math.min(short, Math.max(MIN_PIXELS, Math.round((short * MIN_PERCENT) / 100)));
  let frame = { ...(crop ?? framing.seen) };
  const box = h("button", {
    type: "button",
    class: "frame-box",
    "data-key": `crop-${key}`,
    "aria-label": label(frame),
  });
  const size = h("input", {
    type: "range",
    min: MIN_PERCENT,
    max: 100,
    "data-key": `size-${key}`,
    "aria-label": t("crop.size"),
  });
  const stage = h("div", { class: "crop" }, h("img", { src: picture, alt, draggable: "false" }), box);

  const place = () => {
    Object.assign(box.style, {
      left: `${(100 * frame.x) / framing.width}%`,
      top: `${(100 * frame.y) / framing.height}%`,
      width: `${(100 * frame.width) / framing.width}%`,
      height: `${(100 * frame.height) / framing.height}%`,
    });
    size.value = String(Math.round((100 * Math.min(frame.width, frame.height)) / short));
  };
  /** Move the frame so that it lies in the image; `side` makes it a square around its centre. */
  const set = (/** @type {number} */ x, /** @type {number} */ y, side = frame.width) => {
    const square = side !== frame.width || frame.width > short || frame.height > short;
    const width = square ? Math.round(Math.min(short, Math.max(least, side))) : frame.width;
    const height = square ? width : frame.height;
    const within = (/** @type {number} */ value, /** @type {number} */ length) =>
      Math.round(Math.min(Math.max(0, value), length));
    frame = {
      x: within(x + (square ? (side - width) / 2 : 0), framing.width - width),
      y: within(y + (square ? (side - height) / 2 : 0), framing.height - height),
      width,
      height,
    };
    place();
  };
  const zoom = (/** @type {number} */ side) => {
    const bounded = Math.min(short, Math.max(least, side));
    const x = frame.x + frame.width / 2 - bounded / 2;
    const y = frame.y + frame.height / 2 - bounded / 2;
    set(x, y, bounded);
  };
  const done = () => choose(frame);

  const scale = () => framing.width / stage.getBoundingClientRect().width; // image pixels per CSS pixel
  followPointers(stage, {
    start: (event, count) => {
      event.preventDefault();
      box.focus();
      if (event.target === box || count > 1) return;
      const area = stage.getBoundingClientRect(); // outside the frame: it moves there
      set(
        (event.clientX - area.left) * scale() - frame.width / 2,
        (event.clientY - area.top) * scale() - frame.height / 2,
      );
    },
    drag: (dx, dy) => set(frame.x + dx * scale(), frame.y + dy * scale()),
    pinch: (ratio) => zoom(frame.width / ratio),
    end: done,
  });
  stage.addEventListener(
    "wheel",
    (/** @type {WheelEvent} */ event) => {
      if (document.activeElement !== box) return; // or the page could not be scrolled
      event.preventDefault();
      zoom(frame.width * (event.deltaY > 0 ? ZOOM : 1 / ZOOM));
      clearTimeout(timer);
      timer = window.setTimeout(done, 300);
    },
    { passive: false },
  );
  let timer = 0;
  box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = short * STEP * (event.shiftKey ? 5 : 1);
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => set(frame.x - step, frame.y),
      ArrowRight: () => set(frame.x + step, frame.y),
      ArrowUp: () => set(frame.x, frame.y - step),
      ArrowDown: () => set(frame.x, frame.y + step),
      "+": () => zoom(frame.width / ZOOM),
      "=": () => zoom(frame.width / ZOOM),
      "-": () => zoom(frame.width * ZOOM),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
    done();
  });
  size.addEventListener("input", () => zoom((short * Number(size.value)) / 100));
  size.addEventListener("change", done);
  place();
  return h(
    "div",
    { class: "framing" },
    stage,
    h("label", {}, t("crop.size"), size),
    h("p", { class: "quiet" }, t("crop.help")),
    h(
      "div",
      { class: "buttons" },
      framing.crop &&
        h(
          "button",
          { type: "button", "data-key": `lesion-${key}`, onclick: () => choose(framing.crop) },
          t("crop.lesion"),
        ),
      crop &&
        h(
          "button",
          { type: "button", "data-key": `whole-${key}`, onclick: () => choose(null) },
          t("crop.reset"),
        ),
    ),
  );
}

/** @param {Rectangle} frame */
const label = ({ x, y, width, height }) => t("crop.label", { x, y, width, height });
