/** The training lesions that are most similar, with their diagnoses. */
import { h, wideTable } from "./dom.js";
import { listOf, nameOf, t } from "./locale.js";

/**
 * How often each diagnosis occurs among them, in a sentence, and a table.
 * @param {import("./api.js").Prediction} prediction
 */
export function similarLesions({ similar }) {
  if (!similar?.length) return [];
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { label } of similar) counts.set(label, (counts.get(label) ?? 0) + 1);
  const names = [...counts].sort(([, a], [, b]) => b - a);
  const title = t("similar.title");
  const heads = ["similar.lesion", "similar.label", "similar.distance"];
  return [
    h("h3", {}, title),
    h(
      "p",
      { class: "similar" },
      t("similar.summary", {
        count: similar.length,
        names: listOf(names.map(([label, count]) => `${nameOf("class", label)} ${count}`)),
      }),
    ),
    h(
      "details",
      { class: "similar-list", "data-key": "similar" },
      h("summary", {}, t("similar.title")),
      h("p", { class: "quiet" }, t("similar.explain")),
      wideTable(
        title,
        heads.map((key) => h("th", { scope: "col" }, t(key))),
        similar.map(({ lesion_id: id, label, distance }) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, id),
            h("td", {}, nameOf("class", label)),
            h("td", {}, distance.toFixed(2)),
          ),
        ),
      ),
    ),
  ];
}
