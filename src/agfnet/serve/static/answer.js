/** The answer for one lesion: a plain sentence first, then doubts, probabilities and passes. */
import { make } from "./dom.js";
import { nameOf, percent, say } from "./locale.js";

/** @typedef {import("./api.js").Prediction} Prediction */

const MANY = 8;

/** @param {string[]} names */
const list = (names) =>
  new Intl.ListFormat(document.documentElement.lang, { type: "unit" }).format(names);

/**
 * The answer in plain words, as the server says it in English.
 * @param {Prediction} answer
 */
export function sentence({ probabilities: [best, second] }) {
  return say(best.probability >= 0.5 ? "answer.sure" : "answer.unsure", {
    best: nameOf("class", best.name),
    p: percent(best.probability),
    second: nameOf("class", second.name),
    q: percent(second.probability),
  });
}

/**
 * What to read out: whether to refer, the sentence, the doubts.
 * @param {Prediction} answer
 * @returns {string[]}
 */
export function spoken(answer) {
  const missing = answer.missing.map((name) => nameOf("modality", name));
  return [
    answer.refer ? say("answer.refer") : "",
    sentence(answer),
    answer.out_of_distribution ? say("doubt.foreign") : "",
    answer.abstain ? say("doubt.abstain") : "",
    missing.length ? say("doubt.missing", { modalities: list(missing) }) : "",
  ].filter(Boolean);
}

/**
 * @param {Prediction} answer
 * @param {number | null} coverage that prediction sets promise
 * @returns {HTMLElement[]}
 */
export function answerParts(answer, coverage) {
  const [first, ...rest] = spoken(answer);
  return [
    make(
      "div",
      { class: answer.refer ? "verdict refer" : "verdict" },
      make("p", { class: "sentence" }, first),
      rest.map((text) => make("p", {}, text)),
    ),
    // the promise of a prediction set holds for images like those of the calibration only
    answer.prediction_set &&
      !answer.out_of_distribution &&
      possible(answer.prediction_set, coverage),
    make("h3", {}, say("bars.title")),
    bars(answer.probabilities.slice(0, MANY)),
    answer.probabilities.length > MANY &&
      make(
        "details",
        { "data-key": "more" },
        make("summary", {}, say("bars.more", { count: answer.probabilities.length - MANY })),
        bars(answer.probabilities.slice(MANY)),
      ),
  ].filter((part) => part instanceof HTMLElement);
}

/**
 * @param {string[]} names in the prediction set
 * @param {number | null} coverage
 */
function possible(names, coverage) {
  return make(
    "div",
    { class: "possible" },
    make(
      "p",
      {},
      `${say("set.possible")}: `,
      make("strong", {}, list(names.map((name) => nameOf("class", name)))),
    ),
    coverage && make("p", { class: "quiet" }, say("set.coverage", { coverage: percent(coverage) })),
  );
}

/** @param {Prediction["probabilities"]} rows */
function bars(rows) {
  return make(
    "ul",
    { class: "bars" },
    rows.map(({ name, probability, possible: among }) =>
      make(
        "li",
        { class: among === false ? "ruled-out" : "" },
        make(
          "span",
          { class: "name" },
          nameOf("class", name),
          among && make("span", { class: "tag" }, say("bars.possible")),
        ),
        make("span", { class: "number" }, percent(probability)),
        make(
          "span",
          { class: "track", "aria-hidden": "true" },
          make("span", { class: "fill", style: { width: `${100 * probability}%` } }),
        ),
      ),
    ),
  );
}

/**
 * Every pass over the network.
 * @param {Prediction} answer
 * @param {number} shown the pass whose evidence is shown
 * @param {(pass: number) => void} show
 */
export function passes(answer, shown, show) {
  const { frames } = answer;
  const names = Object.keys(frames[0].images);
  const heads = [
    say("frames.pass"),
    ...names.map((name) => nameOf("modality", name)),
    say("table.answer"),
  ];
  return make(
    "details",
    { class: "passes", "data-key": "passes" },
    make("summary", {}, say("frames.title", { count: frames.length })),
    make("p", { class: "quiet" }, say("frames.explain")),
    make(
      "div",
      {
        class: "wide",
        tabindex: "0",
        role: "region",
        "aria-label": say("frames.title", { count: frames.length }),
      },
      make(
        "table",
        {},
        make(
          "thead",
          {},
          make(
            "tr",
            {},
            heads.map((text) => make("th", { scope: "col" }, text)),
            make("td", { class: "screen" }),
          ),
        ),
        make(
          "tbody",
          {},
          frames.map((pass, k) => row(pass, names, k, k === shown, show)),
        ),
      ),
    ),
  );
}

/**
 * @param {import("./api.js").Pass} pass
 * @param {string[]} names of the modalities
 * @param {number} k
 * @param {boolean} shown
 * @param {(pass: number) => void} show
 */
function row(pass, names, k, shown, show) {
  const place = (/** @type {string} */ name) => {
    const { file, frame } = pass.images[name];
    return `${say("file.number", { number: file + 1 })}, ${say("frame.number", { number: frame + 1 })}`;
  };
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, String(k + 1)),
    names.map((name) => make("td", {}, place(name))),
    make(
      "td",
      {},
      `${nameOf("class", pass.predicted)} (${percent(pass.probabilities[pass.predicted])})`,
    ),
    make(
      "td",
      { class: "screen" },
      make(
        "button",
        { type: "button", "data-key": `pass-${k}`, "aria-pressed": shown, onclick: () => show(k) },
        say("frames.show"),
      ),
    ),
  );
}
