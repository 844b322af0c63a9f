/** Start the page: ask the server for its model, then create the panels. */
import { AnswerPanel } from "./answer_panel.js";
import { askJson, onToken, pin } from "./api.js";
import { BatchPanel } from "./batch.js";
import { byId, h, render } from "./dom.js";
import { acceptFiles } from "./drop.js";
import { offerExamples } from "./examples.js";
import { Fields } from "./fields.js";
import { Lesion } from "./lesion.js";
import { describeError, retryButton } from "./error.js";
import { startTheme } from "./theme.js";
import { askUser } from "./token.js";
import { chooseLocale, currentLocale, listOf, nameOf, otherLocale, setLabels, setLocale, t } from "./locale.js";

/** @type {Lesion | null} */
let lesion = null;

/** Ask for the model; on failure, offer to try again. */
async function start() {
  render(byId("start"), h("p", {}, t("starting")));
  try {
    open(await askJson("v1/model", { onWait() {} }));
  } catch (error) {
    render(
      byId("start"),
      h("div", { class: "error", role: "alert" }, describeError(error, {})),
      retryButton(error, start),
    );
  }
}

/** @param {import("./api.js").Model} model */
function open(model) {
  pin(model.sha256);
  setLabels(model.labels);
  byId("start").hidden = true;
  for (const id of ["lesion", "answer", "batch", "about"]) byId(id).hidden = false;
  lesion = new Lesion(model);
  const fields = new Fields(lesion);
  new AnswerPanel(lesion);
  offerExamples(lesion);
  new BatchPanel(model);
  document.addEventListener("language", () => {
    fields.show();
    about(model);
  });
  about(model);
}

/** @param {import("./api.js").Model} model */
function about(model) {
  const entries = {
    "about.classes": listOf(model.classes.map((name) => nameOf("class", name))),
    "about.modalities": listOf(model.modalities.map(({ name }) => nameOf("modality", name))),
    "about.network": `${model.network}, SHA-256 ${model.sha256}`,
  };
  const cardLanguage = model.card[currentLocale()] ? currentLocale() : "en";
  const card = model.card[cardLanguage];
  render(
    byId("about-body"),
    model.warnings[currentLocale()].map((text) => h("p", { class: "warning" }, text)),
    h(
      "ul",
      {},
      model.about[currentLocale()].map((text) => h("li", {}, text)),
    ),
    h(
      "dl",
      {},
      Object.entries(entries).map(([key, text]) => [h("dt", {}, t(key)), h("dd", {}, text)]),
    ),
    card && [
      h("h3", {}, t("about.card")),
      h("pre", { tabindex: "0", lang: cardLanguage, "aria-label": t("about.card") }, card),
    ],
    h("p", {}, h("a", { href: "docs" }, t("about.api"))),
  );
}

document.addEventListener("language", () => {
  const button = byId("language");
  button.lang = otherLocale();
  button.textContent = t("language.name", {}, button.lang);
});
byId("language").addEventListener("click", () => chooseLocale(otherLocale()));
onToken(askUser);
acceptFiles(() => lesion);
startTheme();
setLocale(currentLocale());
start();
