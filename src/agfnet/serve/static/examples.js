/** Examples to try: simulated lesions that the server offers, with their truth. */
import { ROOT } from "./api.js";
import { byId, h, render } from "./dom.js";
import { t } from "./locale.js";

/** @typedef {{label: string, images: Record<string, string>}} Example */

const FOLDER = new URL("static/examples/", ROOT);
const KINDS = /** @type {const} */ ({ clinical: "photo", ultrasound: "ultrasound" });

/**
 * Offer the examples while the lesion has no files, if the model reads a photograph and ultrasound.
 * @param {import("./lesion.js").Lesion} lesion
 */
export async function offerExamples(lesion) {
  const { modalities } = lesion.model;
  const nameOfKind = (/** @type {string} */ kind) =>
    modalities.find((modality) => modality.kind === kind)?.name;
  if (modalities.length !== 2 || !Object.values(KINDS).every(nameOfKind)) return;
  const response = await fetch(new URL("examples.json", FOLDER));
  if (!response.ok) return;
  /** @type {Example[]} */
  const examples = await response.json();

  /** @param {Example} example */
  const load = async (example) => {
    const files = await Promise.all(
      Object.entries(example.images).map(async ([name, file]) => {
        const content = await (await fetch(new URL(file, FOLDER))).blob();
        const kind = KINDS[/** @type {keyof typeof KINDS} */ (name)];
        return { name: nameOfKind(kind) ?? "", file: new File([content], `${name}.jpg`) };
      }),
    );
    lesion.open(example.label, files);
  };
  const show = () =>
    render(
      byId("examples"),
      lesion.empty && [
        h("p", { class: "quiet" }, t("examples.title")),
        h(
          "div",
          { class: "buttons" },
          examples.map((example, k) =>
            h(
              "button",
              { type: "button", "data-key": `example-${k}`, onclick: () => load(example) },
              t("examples.number", { number: k + 1 }),
            ),
          ),
        ),
      ],
    );
  lesion.addEventListener("change", show);
  document.addEventListener("language", show);
  show();
}
