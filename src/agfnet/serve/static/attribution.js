/** Attribution maps, the contribution of each modality, and the result without each. */
import { h } from "./dom.js";
import { nameOf, percentText, t, withProbability } from "./locale.js";
import { zoomable } from "./zoom.js";

/** @typedef {import("./api.js").Explanation} Explanation */
/** @typedef {{class: string, pass: number, method: string}} Choice `pass` counts from 0 */

let opacity = 0.6;

/**
 * The maps over the images, then the controls.
 * @param {Explanation} explanation
 * @param {Choice} choice
 * @param {import("./api.js").Prediction} prediction
 * @param {import("./api.js").Model} model
 * @param {(choice: Choice) => void} choose
 */
export function overlays(explanation, choice, prediction, model, choose) {
  const count = prediction.frames.length;
  const map = explanation.maps[choice.method];
  const pictures = h(
    "div",
    { class: "pictures" },
    Object.entries(explanation.images).map(([name, picture]) =>
      overlay(name, picture, map?.[name], explanation.class, cropText(name, explanation, prediction)),
    ),
  );
  pictures.style.setProperty("--opacity", String(opacity));
  const slider = h("input", {
    type: "range",
    min: 0,
    max: 100,
    value: 100 * opacity,
    "data-key": "opacity",
    oninput: (/** @type {Event} */ event) => {
      opacity = Number(/** @type {HTMLInputElement} */ (event.target).value) / 100;
      pictures.style.setProperty("--opacity", String(opacity));
    },
  });
  return [
    h("h3", {}, t("attribution.title", { name: nameOf("class", explanation.class) })),
    count > 1 &&
      h("p", { class: "quiet" }, t("attribution.frame", { number: explanation.pass + 1, count })),
    map ? pictures : h("p", {}, t("attribution.none")),
    h(
      "p",
      { class: "quiet scale" },
      t("attribution.low"),
      h("span", { class: "ramp", "aria-hidden": "true" }),
      t("attribution.high"),
    ),
    h("p", { class: "quiet" }, t("attribution.caution")),
    h("p", { class: "quiet screen" }, t("zoom.help")),
    h(
      "div",
      { class: "controls screen" },
      select("attribution.class", "class", model.classes, choice.class, (value) =>
        choose({ ...choice, class: value }),
      ),
      model.methods.length > 1 &&
        select("attribution.method", "method", model.methods, choice.method, (value) =>
          choose({ ...choice, method: value }),
        ),
      h("label", {}, t("attribution.opacity"), slider),
    ),
  ];
}

/**
 * @param {string} label key of its words
 * @param {"class" | "method"} group
 * @param {string[]} names
 * @param {string} selected
 * @param {(name: string) => void} choose
 */
function select(label, group, names, selected, choose) {
  const listen = (/** @type {Event} */ event) =>
    choose(/** @type {HTMLSelectElement} */ (event.target).value);
  return h(
    "label",
    {},
    t(label),
    h(
      "select",
      { "data-key": `select-${group}`, onchange: listen },
      names.map((name) =>
        h("option", { value: name, selected: name === selected }, nameOf(group, name)),
      ),
    ),
  );
}

/**
 * The part of an image that was used, in words; empty if it was not cropped.
 * @param {string} name of the modality
 * @param {Explanation} explanation
 * @param {import("./api.js").Prediction} prediction
 */
function cropText(name, { frame }, { images }) {
  const file = images[name]?.[frame.images[name].file];
  return file?.crop ? t("crop.used", { ...file.crop }) : "";
}

/**
 * @param {string} name of the modality
 * @param {Explanation["images"][string]} picture
 * @param {{outside: boolean, layer: string} | undefined} layer
 * @param {string} label the class that the map is about
 * @param {string} part that was used, in words
 */
function overlay(name, { width, height, image, pixel_spacing: spacing }, layer, label, part) {
  const modality = nameOf("modality", name);
  const alt = t("attribution.alt", { modality, name: nameOf("class", label) });
  return h(
    "figure",
    {},
    zoomable(
      name,
      modality,
      spacing && spacing * width,
      h("img", { src: image, width, height, alt, draggable: "false" }),
      layer && h("img", { class: "layer", src: layer.layer, alt: "", draggable: "false" }),
    ),
    h(
      "figcaption",
      {},
      modality,
      part && h("span", { class: "quiet" }, part),
      layer?.outside && h("span", { class: "quiet" }, t("attribution.outside")),
    ),
  );
}

/**
 * The contribution of each modality to the probability of the class, in percentage points.
 * @param {Explanation} explanation
 */
export function contributions(explanation) {
  const rows = Object.entries(explanation.contributions).map(([name, parts]) => ({
    name,
    part: parts[explanation.class],
  }));
  const largest = Math.max(...rows.map(({ part }) => Math.abs(part)), 0.01);
  return [
    h("h3", {}, t("contributions.title")),
    h("p", { class: "quiet" }, t("contributions.explain", { name: nameOf("class", explanation.class) })),
    h(
      "ul",
      { class: "bars signed" },
      rows.map(({ name, part }) => {
        const points = Math.round(100 * part);
        const text = points > 0 ? `+${points}` : String(points || 0).replace("-", "−");
        const half = (50 * Math.abs(part)) / largest;
        return h(
          "li",
          {},
          h("span", { class: "name" }, nameOf("modality", name)),
          h("span", { class: "number" }, t("contributions.points", { points: text })),
          h(
            "span",
            { class: "track", "aria-hidden": "true" },
            h("span", {
              class: part < 0 ? "fill against" : "fill",
              style: { width: `${half}%`, marginLeft: `${part < 0 ? 50 - half : 50}%` },
            }),
          ),
        );
      }),
    ),
  ];
}

/**
 * The answer with all images (`without` is null), and without each modality.
 * @param {Explanation} explanation
 */
function answersWithout(explanation) {
  const present = Object.keys(explanation.contributions);
  return [null, ...present].map((without) => {
    const kept = present.filter((name) => name !== without);
    const answer = explanation.answers.find(
      ({ modalities }) =>
        modalities.length === kept.length && kept.every((name) => modalities.includes(name)),
    );
    return { without, answer };
  });
}

/**
 * How the result depends on each image, in sentences.
 * @param {Explanation} explanation
 * @param {import("./api.js").Prediction} prediction
 */
export function dependence(explanation, { frames, predicted }) {
  const [whole, ...others] = answersWithout(explanation);
  // the numbers are those of one frame: with several, they would differ from the result above
  if (others.length < 2 || frames.length > 1 || whole.answer?.predicted !== predicted) return [];
  const changed = others.filter(({ answer }) => answer && answer.predicted !== predicted);
  const texts = changed.map(({ without, answer }) =>
    t("comparison.other", {
      modality: nameOf("modality", without ?? ""),
      name: nameOf("class", answer?.predicted ?? ""),
      p: percentText(answer?.percents[answer.predicted] ?? 0),
    }),
  );
  return (texts.length ? texts : [t("comparison.same")]).map((text) =>
    h("p", { class: "dependence" }, text),
  );
}

/**
 * The result with all images, and without each modality.
 * @param {Explanation} explanation
 * @param {number} count of frame combinations
 */
export function comparison(explanation, count) {
  const used = answersWithout(explanation);
  if (used.length < 3) return [];
  const cells = (/** @type {Explanation["answers"][0]} */ { predicted, percents }) => [
    h("td", {}, withProbability(predicted, percents[predicted])),
    h("td", {}, percentText(percents[explanation.class])),
  ];
  const heads = [t("comparison.used"), t("table.result"), nameOf("class", explanation.class)];
  return [
    h("h3", {}, t("comparison.title")),
    count > 1 && h("p", { class: "quiet" }, t("comparison.frame", { number: explanation.pass + 1 })),
    h(
      "div",
      { class: "wide" },
      h(
        "table",
        { id: "comparison" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            heads.map((text) => h("th", { scope: "col" }, text)),
          ),
        ),
        h(
          "tbody",
          {},
          used.map(({ without, answer }) =>
            h(
              "tr",
              {},
              h(
                "th",
                { scope: "row" },
                without === null
                  ? t("comparison.all")
                  : t("comparison.without", { modality: nameOf("modality", without) }),
              ),
              answer && cells(answer),
            ),
          ),
        ),
      ),
    ),
  ];
}
