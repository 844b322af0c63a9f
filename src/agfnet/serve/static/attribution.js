/** Where the evidence lies, what each modality contributed, and the answer with and without each. */
import { make } from "./dom.js";
import { nameOf, percent, say } from "./locale.js";

/** @typedef {import("./api.js").Explanation} Explanation */
/** @typedef {{class: string, pass: number, method: string}} Choice `pass` counts from 0 */

let opacity = 0.6;

/**
 * What can be chosen about the evidence, then the evidence.
 * @param {Explanation} found
 * @param {Choice} choice
 * @param {number} count of passes
 * @param {import("./api.js").Model} model
 * @param {(choice: Choice) => void} choose
 */
export function overlays(found, choice, count, model, choose) {
  const map = found.maps[choice.method];
  const pictures = make(
    "div",
    { class: "pictures" },
    Object.entries(found.images).map(([name, picture]) =>
      overlay(name, picture, map?.[name], found.class),
    ),
  );
  pictures.style.setProperty("--opacity", String(opacity));
  const slider = make("input", {
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
    make("h3", {}, say("evidence.title", { name: nameOf("class", found.class) })),
    count > 1 &&
      make("p", { class: "quiet" }, say("evidence.pass", { number: found.pass + 1, count })),
    make(
      "div",
      { class: "controls screen" },
      select("evidence.for", "class", model.classes, choice.class, (value) =>
        choose({ ...choice, class: value }),
      ),
      model.methods.length > 1 &&
        select("evidence.method", "method", model.methods, choice.method, (value) =>
          choose({ ...choice, method: value }),
        ),
      make("label", {}, say("evidence.opacity"), slider),
    ),
    map ? pictures : make("p", {}, say("evidence.none")),
    make(
      "p",
      { class: "quiet scale" },
      say("evidence.low"),
      make("span", { class: "ramp", "aria-hidden": "true" }),
      say("evidence.high"),
    ),
    make("p", { class: "quiet" }, say("evidence.caution")),
  ];
}

/**
 * @param {string} label key of its words
 * @param {"class" | "method"} group
 * @param {string[]} names
 * @param {string} chosen
 * @param {(name: string) => void} choose
 */
function select(label, group, names, chosen, choose) {
  const listen = (/** @type {Event} */ event) =>
    choose(/** @type {HTMLSelectElement} */ (event.target).value);
  return make(
    "label",
    {},
    say(label),
    make(
      "select",
      { "data-key": `select-${group}`, onchange: listen },
      names.map((name) =>
        make("option", { value: name, selected: name === chosen }, nameOf(group, name)),
      ),
    ),
  );
}

/**
 * @param {string} name of the modality
 * @param {{width: number, height: number, image: string}} picture
 * @param {{share: number | null, layer: string} | undefined} layer
 * @param {string} label whose evidence
 */
function overlay(name, { width, height, image }, layer, label) {
  const modality = nameOf("modality", name);
  const alt = say("evidence.alt", { modality, name: nameOf("class", label) });
  return make(
    "figure",
    {},
    make(
      "div",
      { class: "stack" },
      make("img", { src: image, width, height, alt }),
      layer && make("img", { class: "layer", src: layer.layer, alt: "" }),
    ),
    make(
      "figcaption",
      {},
      modality,
      layer &&
        layer.share !== null &&
        make("span", { class: "quiet" }, say("evidence.share", { share: percent(layer.share) })),
    ),
  );
}

/**
 * What each modality contributed to the class, in points.
 * @param {Explanation} found
 */
export function contributions(found) {
  const rows = Object.entries(found.contributions).map(([name, parts]) => ({
    name,
    part: parts[found.class],
  }));
  const most = Math.max(...rows.map(({ part }) => Math.abs(part)), 0.01);
  return [
    make("h3", {}, say("parts.title")),
    make("p", { class: "quiet" }, say("parts.explain", { name: nameOf("class", found.class) })),
    make(
      "ul",
      { class: "bars signed" },
      rows.map(({ name, part }) => {
        const points = Math.round(100 * part);
        const text = points > 0 ? `+${points}` : String(points || 0).replace("-", "−");
        const half = (50 * Math.abs(part)) / most;
        return make(
          "li",
          {},
          make("span", { class: "name" }, nameOf("modality", name)),
          make("span", { class: "number" }, say("parts.points", { points: text })),
          make(
            "span",
            { class: "track", "aria-hidden": "true" },
            make("span", {
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
 * The answer with all images, and without each modality.
 * @param {Explanation} found
 */
export function comparison(found) {
  const present = Object.keys(found.contributions);
  if (present.length < 2) return [];
  const used = [null, ...present].map((without) => {
    const kept = present.filter((name) => name !== without);
    const answer = found.answers.find(
      ({ modalities }) =>
        modalities.length === kept.length && kept.every((name) => modalities.includes(name)),
    );
    return { without, answer };
  });
  const cells = (/** @type {Explanation["answers"][0]} */ { predicted, probabilities }) => [
    make("td", {}, `${nameOf("class", predicted)} (${percent(probabilities[predicted])})`),
    make("td", {}, percent(probabilities[found.class])),
  ];
  const heads = [say("compare.used"), say("table.answer"), nameOf("class", found.class)];
  return [
    make("h3", {}, say("compare.title")),
    make(
      "div",
      { class: "wide" },
      make(
        "table",
        { id: "comparison" },
        make(
          "thead",
          {},
          make(
            "tr",
            {},
            heads.map((text) => make("th", { scope: "col" }, text)),
          ),
        ),
        make(
          "tbody",
          {},
          used.map(({ without, answer }) =>
            make(
              "tr",
              {},
              make(
                "th",
                { scope: "row" },
                without === null
                  ? say("compare.all")
                  : say("compare.without", { modality: nameOf("modality", without) }),
              ),
              answer && cells(answer),
            ),
          ),
        ),
      ),
    ),
  ];
}
