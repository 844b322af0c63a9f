/** The result for one lesion: a plain sentence first, then warnings, probabilities and frames. */
import { h, wideTable } from "./dom.js";
import {
  currentLocale,
  listOf,
  nameOf,
  percent,
  percentText,
  rateText,
  settingPercent,
  t,
  wholePercent,
  withProbability,
} from "./locale.js";

/** @typedef {import("./api.js").Prediction} Prediction */
/** @typedef {import("./api.js").Model} Model */

const MAX_BARS = 8;
const MIN_BAR = 0.01;

/**
 * The result in one sentence, as the server writes it in English.
 * @param {Prediction} prediction
 */
export function sentence({ refer, probabilities: [best, second] }) {
  // "Uncertain" is said once
  return t(refer || best.probability >= 0.5 ? "answer.likely" : "answer.uncertain", {
    best: nameOf("class", best.name),
    p: percentText(best.percent),
    second: nameOf("class", second.name),
    q: percentText(second.percent),
  });
}

/**
 * The probability of each group with its classes; those below one per cent are summed up, except for
 * the most probable one.
 * @param {Prediction} prediction
 */
function groupLines({ groups, probabilities }) {
  return groups.map(({ name, percent: number, percent_others: others, classes }) => {
    const members = probabilities.filter((row) => classes.includes(row.name));
    const shown = members.filter((row, k) => k === 0 || row.percent > 0);
    const parts = shown.map((row) => `${nameOf("class", row.name)} ${percentText(row.percent)}`);
    if (others > 0) parts.push(t("answer.others", { p: percentText(others) }));
    return t("answer.group", {
      group: nameOf("group", name),
      p: percentText(number),
      names: listOf(parts),
    });
  });
}

/**
 * The operating point of the malignant group in words; empty without one.
 * @param {Prediction} prediction
 * @param {Model} model
 */
function thresholdLine({ groups }, { operating_point: point }) {
  const positive = groups.find(({ name }) => name === point?.group)?.positive ?? null;
  if (!point || positive === null) return "";
  return t(positive ? "answer.above" : "answer.below", {
    threshold: wholePercent(point.threshold),
    sensitivity: rateText(point.sensitivity),
    specificity: rateText(point.specificity),
  });
}

/**
 * The abstention rule in words; empty without one.
 * @param {Model} model
 */
function ruleLine({ abstention: rule }) {
  if (!rule) return "";
  return t("rule.abstain", {
    threshold: percent(rule.threshold),
    risk: settingPercent(rule.target_risk),
    confidence: settingPercent(rule.confidence),
  });
}

/**
 * The sentences to read out: groups, referral, result, warnings.
 * @param {Prediction} prediction
 * @param {Model} model
 * @returns {string[]}
 */
export function summary(prediction, model) {
  const namesOf = (/** @type {string[]} */ modalities) =>
    listOf(modalities.map((name) => nameOf("modality", name)));
  const { foreign, unfamiliar } = prediction;
  if (foreign.length) return [t("warning.foreign", { modalities: namesOf(foreign) })];
  const missing = prediction.missing.map((name) => nameOf("modality", name));
  return [
    ...groupLines(prediction),
    prediction.refer ? t("answer.refer") : "",
    sentence(prediction),
    thresholdLine(prediction, model),
    unfamiliar.length ? t("warning.unfamiliar", { modalities: namesOf(unfamiliar) }) : "",
    prediction.out_of_distribution && !unfamiliar.length ? t("warning.out_of_distribution") : "",
    ...prediction.quality.map(({ hint, modalities }) =>
      hint === "swapped"
        ? t("swap.question")
        : t("warning.quality", { modalities: namesOf(modalities), hint: t(`hint.${hint}`) }),
    ),
    prediction.abstain ? ruleLine(model) || t("warning.abstain") : "",
    prediction.refer === null ? t("warning.no_guarantee") : "",
    missing.length
      ? t(prediction.missing_untrained ? "warning.missing_untrained" : "warning.missing", {
          modalities: listOf(missing),
        })
      : "",
  ].filter(Boolean);
}

/**
 * @param {Prediction} prediction
 * @param {Model} model
 * @returns {HTMLElement[]}
 */
export function answerParts(prediction, model) {
  const [first, ...rest] = summary(prediction, model);
  const { probabilities } = prediction;
  // the coverage holds only for images like those of the calibration
  const names = prediction.out_of_distribution ? null : prediction.prediction_set;
  const rows = names ? probabilities : probabilities.map((row) => ({ ...row, possible: null }));
  const large = probabilities.filter(({ probability }) => probability >= MIN_BAR).length;
  const shown = Math.min(MAX_BARS, Math.max(2, large));
  const verdict = h(
    "div",
    { class: prediction.refer ? "verdict refer" : "verdict" },
    h("p", { class: "sentence" }, first),
    rest.map((text) => h("p", {}, text)),
  );
  const banner = model.warnings[currentLocale()].map((text) =>
    h("p", { class: "warning" }, text),
  );
  if (prediction.foreign.length) return [...banner, verdict];
  return [
    ...banner,
    verdict,
    names && possibleDiagnoses(names, model),
    !prediction.abstain && model.abstention && h("p", { class: "quiet" }, ruleLine(model)),
    h("h3", {}, t("bars.title")),
    bars(rows.slice(0, shown)),
    probabilities.length > shown &&
      h(
        "details",
        { "data-key": "more" },
        h("summary", {}, t("bars.more", { count: probabilities.length - shown })),
        bars(rows.slice(shown)),
      ),
  ].filter((part) => part instanceof HTMLElement);
}

/**
 * @param {string[]} names in the prediction set
 * @param {Model} model
 */
function possibleDiagnoses(names, { coverage, consider }) {
  return h(
    "div",
    { class: "possible" },
    h(
      "p",
      {},
      t("set.possible") + t("colon"),
      h("strong", {}, listOf(names.map((name) => nameOf("class", name)))),
    ),
    coverage !== null &&
      consider !== null &&
      h(
        "details",
        { "data-key": "set" },
        h("summary", {}, t("set.explain")),
        h("p", { class: "quiet" }, t("set.coverage", { coverage: settingPercent(coverage) })),
        h("p", { class: "quiet" }, t("set.consider", { consider: settingPercent(consider) })),
      ),
  );
}

/** @param {Prediction["probabilities"]} rows */
function bars(rows) {
  return h(
    "ul",
    { class: "bars" },
    rows.map(({ name, probability, percent: number, possible }) =>
      h(
        "li",
        { class: possible === false ? "ruled-out" : "" },
        h(
          "span",
          { class: "name" },
          nameOf("class", name),
          possible && h("span", { class: "tag" }, t("bars.possible")),
        ),
        h("span", { class: "number" }, percentText(number)),
        h(
          "span",
          { class: "track", "aria-hidden": "true" },
          h("span", { class: "fill", style: { width: `${100 * probability}%` } }),
        ),
      ),
    ),
  );
}

/**
 * The result of each frame combination.
 * @param {Prediction} prediction
 * @param {number} shown the combination whose attribution is shown
 * @param {(pass: number) => void} show
 */
export function frameTable({ frames }, shown, show) {
  if (frames.length < 2) return null;
  const names = Object.keys(frames[0].images);
  const title = t("frames.title", { count: frames.length });
  const heads = [
    t("frames.number"),
    ...names.map((name) => nameOf("modality", name)),
    t("table.result"),
  ];
  return h(
    "details",
    { class: "passes", "data-key": "passes" },
    h("summary", {}, title),
    h("p", { class: "quiet" }, t("frames.explain")),
    wideTable(
      title,
      [heads.map((text) => h("th", { scope: "col" }, text)), h("td", { class: "screen" })],
      frames.map((frame, k) => frameRow(frame, names, k, k === shown, show)),
    ),
  );
}

/**
 * @param {import("./api.js").Pass} frame
 * @param {string[]} names of the modalities
 * @param {number} k
 * @param {boolean} shown
 * @param {(pass: number) => void} show
 */
function frameRow({ images, predicted, percents }, names, k, shown, show) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, String(k + 1)),
    names.map((name) => {
      const { file, frame } = images[name];
      return h("td", {}, t("file.frame", { file: file + 1, frame: frame + 1 }));
    }),
    h("td", {}, withProbability(predicted, percents[predicted])),
    h(
      "td",
      { class: "screen" },
      h(
        "button",
        { type: "button", "data-key": `pass-${k}`, "aria-pressed": shown, onclick: () => show(k) },
        t("frames.show"),
      ),
    ),
  );
}
