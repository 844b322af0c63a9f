/** How the result changes without one of several images of a modality. */
import { h, wideTable } from "./dom.js";
import { nameOf, percentText, t, withProbability } from "./locale.js";

/** @typedef {import("./api.js").Prediction} Prediction */

/**
 * The result without each image, in sentences and in a table.
 * @param {Prediction} prediction
 */
export function leftOut({ without, predicted, images }) {
  if (!without.length) return [];
  const rows = without.map(({ modality, image, ...result }) => {
    const several = images[modality][image.file].frames > 1;
    const number = t(several ? "file.frame" : "file.number", {
      number: image.file + 1,
      file: image.file + 1,
      frame: image.frame + 1,
    });
    return { ...result, image: t("leave_out.image", { modality: nameOf("modality", modality), number }) };
  });
  const changed = rows.filter((row) => row.predicted !== predicted);
  const sentences = changed.map((row) =>
    t("leave_out.other", {
      image: row.image,
      name: nameOf("class", row.predicted),
      p: percentText(row.percents[row.predicted]),
    }),
  );
  const title = t("leave_out.title");
  const heads = [t("leave_out.column"), t("table.result"), nameOf("class", predicted)];
  return [
    ...(sentences.length ? sentences : [t("leave_out.same")]).map((text) =>
      h("p", { class: "dependence" }, text),
    ),
    h(
      "details",
      { class: "left-out", "data-key": "left-out" },
      h("summary", {}, title),
      wideTable(
        title,
        heads.map((text) => h("th", { scope: "col" }, text)),
        rows.map((row) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, row.image),
            h("td", {}, withProbability(row.predicted, row.percents[row.predicted])),
            h("td", {}, percentText(row.percents[predicted])),
          ),
        ),
      ),
    ),
  ];
}
