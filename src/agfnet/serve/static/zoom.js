/** Zoom and move a picture by wheel, fingers, keys and buttons, with a bar of millimetres. */
import { h } from "./dom.js";
import { t } from "./locale.js";
import { followPointers } from "./pointers.js";

const MAX_ZOOM = 8;
const STEP = 1.25; // for a key, a button or a notch of the wheel
const MOVE = 0.1; // of the visible part, for a key

/**
 * The visible part: x and y of its corner as fractions of the picture.
 * @typedef {{zoom: number, x: number, y: number, draw: () => void}} View
 */

/** @type {Map<string, View>} by modality; they outlive a redraw of the result */
const views = new Map();

/** Show the whole of every picture. */
export function showWhole() {
  for (const view of views.values()) {
    Object.assign(view, { zoom: 1, x: 0, y: 0 });
    view.draw();
  }
}

/**
 * The length of a scale bar: 1, 2 or 5 times a power of ten, at most a third of a width.
 * @param {number} width
 */
export function barLength(width) {
  const power = 10 ** Math.floor(Math.log10(width / 3));
  return [5, 2].map((step) => step * power).find((length) => length <= width / 3) ?? power;
}

/**
 * Draw a picture that can be zoomed and moved, and its buttons.
 * @param {string} key of the picture
 * @param {string} label of the picture, in words
 * @param {number | null} width in millimetres, if it is known
 * @param {...HTMLElement} layers of one size, the lowest first
 * @returns {HTMLElement[]}
 */
export function zoomable(key, label, width, ...layers) {
  const view = views.get(key) ?? { zoom: 1, x: 0, y: 0, draw() {} };
  views.set(key, view);
  const content = h("div", { class: "layers" }, layers);
  const line = h("span", { class: "bar-line", "aria-hidden": "true" });
  const text = h("span", {});
  const bar = width && h("div", { class: "scale-bar" }, text, line);
  const stage = h(
    "div",
    {
      class: "stack",
      tabindex: "0",
      role: "group",
      "aria-label": t("zoom.label", { picture: label }),
      "data-key": `picture-${key}`,
    },
    content,
    bar,
  );

  view.draw = () => {
    const { zoom, x, y } = view;
    content.style.transform = zoom === 1 ? "" : `scale(${zoom}) translate(${-100 * x}%, ${-100 * y}%)`;
    stage.style.touchAction = zoom === 1 ? "pan-y" : "none"; // or the page could not be scrolled
    if (!width) return;
    const length = barLength(width / zoom);
    line.style.width = `${(100 * length * zoom) / width}%`;
    text.textContent = t("scale.bar", { length: Number(length.toPrecision(1)) });
  };
  const move = (/** @type {number} */ x, /** @type {number} */ y) => {
    const last = 1 - 1 / view.zoom;
    view.x = Math.min(last, Math.max(0, x));
    view.y = Math.min(last, Math.max(0, y));
    view.draw();
  };
  /** Zoom around a point of the stage, given as fractions of it. */
  const zoomBy = (/** @type {number} */ ratio, across = 0.5, down = 0.5) => {
    const old = view.zoom;
    view.zoom = Math.min(MAX_ZOOM, Math.max(1, old * ratio));
    const gain = 1 / old - 1 / view.zoom;
    move(view.x + across * gain, view.y + down * gain);
  };
  const pointOf = (/** @type {number} */ x, /** @type {number} */ y) => {
    const area = stage.getBoundingClientRect();
    return [(x - area.left) / area.width, (y - area.top) / area.height];
  };
  followPointers(stage, {
    start: (event) => {
      event.preventDefault();
      stage.focus({ preventScroll: true });
    },
    drag: (dx, dy) => {
      const { width: across, height: down } = stage.getBoundingClientRect();
      move(view.x - dx / across / view.zoom, view.y - dy / down / view.zoom);
    },
    pinch: (ratio, x, y) => zoomBy(ratio, ...pointOf(x, y)),
  });
  stage.addEventListener(
    "wheel",
    (/** @type {WheelEvent} */ event) => {
      const inward = event.deltaY < 0;
      const selected = event.ctrlKey || document.activeElement === stage;
      if (!selected || (!inward && view.zoom === 1)) return; // or the page could not be scrolled
      event.preventDefault();
      zoomBy(inward ? STEP : 1 / STEP, ...pointOf(event.clientX, event.clientY));
    },
    { passive: false },
  );
  const whole = () => zoomBy(1 / MAX_ZOOM);
  stage.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = MOVE / view.zoom;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => move(view.x - step, view.y),
      ArrowRight: () => move(view.x + step, view.y),
      ArrowUp: () => move(view.x, view.y - step),
      ArrowDown: () => move(view.x, view.y + step),
      "+": () => zoomBy(STEP),
      "=": () => zoomBy(STEP),
      "-": () => zoomBy(1 / STEP),
      0: whole,
    };
    const scrolls = view.zoom === 1 && event.key.startsWith("Arrow");
    if (!keys[event.key] || scrolls || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  view.draw();
  const button = (
    /** @type {string} */ name,
    /** @type {string} */ sign,
    /** @type {() => void} */ act,
  ) =>
    h(
      "button",
      {
        type: "button",
        title: t(`zoom.${name}`),
        "aria-label": t(`zoom.${name}`) + t("colon") + label,
        "data-key": `zoom-${name}-${key}`,
        onclick: act,
      },
      sign,
    );
  return [
    stage,
    h(
      "div",
      { class: "zoom screen" },
      button("out", "−", () => zoomBy(1 / STEP)),
      button("in", "+", () => zoomBy(STEP)),
      button("whole", t("zoom.whole"), whole),
    ),
  ];
}
