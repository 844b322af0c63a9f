/** The results of a finished batch as a list: diagnoses and doubts; the numbers are in the files. */
import { ask } from "./api.js";
import { h, wideTable } from "./dom.js";
import { currentLocale, nameOf, t } from "./locale.js";

const MAX_ROWS_SHOWN = 100;

/**
 * @typedef {{
 *   lesion: string, predicted: string, refer: boolean, positive: boolean, foreign: boolean,
 * }} Row  `predicted` is empty where an image could not be read.
 */

/**
 * Read the rows of a finished batch.
 * @param {import("./api.js").BatchStatus} status
 * @returns {Promise<Row[]>}
 */
export async function fetchRows({ id, tables }) {
  const read = async (/** @type {string} */ name) =>
    tables.includes(name) ? records(await (await ask(`v1/batches/${id}/${name}`)).text()) : [];
  const [predictions, decisions, problems] = await Promise.all(
    ["predictions.csv", "decisions.csv", "problems.csv"].map(read),
  );
  const known = new Map(decisions.map((row) => [row.lesion_id, row]));
  const answered = predictions.map(({ lesion_id: lesion, predicted }) => {
    const { abstain, out_of_distribution: outside, above_threshold: above, foreign } =
      known.get(lesion) ?? {};
    const refer = abstain === "1" || outside === "1";
    return { lesion, predicted, refer, positive: above === "1", foreign: foreign === "1" };
  });
  const unread = problems.map(({ lesion_id: lesion }) => ({
    lesion, predicted: "", refer: false, positive: false, foreign: false,
  }));
  return [...unread, ...answered];
}

/**
 * Read a table of comma-separated values; the first line has the names of the columns.
 * @param {string} text
 * @returns {Record<string, string>[]}
 */
export function records(text) {
  /** @type {string[][]} */
  const lines = [[""]];
  let quoted = false;
  for (let k = 0; k < text.length; k++) {
    const line = lines[lines.length - 1];
    if (quoted && text[k] === '"' && text[k + 1] === '"') line[line.length - 1] += text[k++];
    else if (text[k] === '"') quoted = !quoted;
    else if (!quoted && text[k] === ",") line.push("");
    else if (!quoted && text[k] === "\n") lines.push([""]);
    else if (quoted || text[k] !== "\r") line[line.length - 1] += text[k];
  }
  const [names, ...rows] = lines.filter((line) => line.length > 1 || line[0] !== "");
  return rows.map((row) => Object.fromEntries(names.map((name, k) => [name, row[k] ?? ""])));
}

/**
 * @param {Row[]} rows
 * @param {import("./api.js").Model} model
 */
export function resultsTable(rows, model) {
  const heads = ["batch.lesion", "batch.diagnosis", "batch.note"];
  const shown = Math.min(rows.length, MAX_ROWS_SHOWN);
  return [
    model.warnings[currentLocale()].map((text) => h("p", { class: "warning" }, text)),
    wideTable(
      t("batch.table.predictions.csv"),
      heads.map((key) => h("th", { scope: "col" }, t(key))),
      rows.slice(0, shown).map((row) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, row.lesion),
          h("td", {}, row.predicted && !row.foreign ? nameOf("class", row.predicted) : "—"),
          h("td", {}, notes(row).map((text) => h("p", {}, text))),
        ),
      ),
    ),
    h("p", { class: "quiet" }, t("batch.shown", { shown, total: rows.length })),
  ];
}

/**
 * What to know before relying on a result.
 * @param {Row} row
 */
function notes({ predicted, foreign, refer, positive }) {
  if (!predicted) return [t("batch.unread")];
  if (foreign) return [t("batch.foreign")];
  return [positive && t("batch.positive"), refer && t("answer.refer")].filter(Boolean);
}
