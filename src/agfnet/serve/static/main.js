/** The page: asks the server what it reads, then lets the parts do their work. */
import { AnswerPart } from "./answer_panel.js";
import { askJson, onToken, pin } from "./api.js";
import { BatchPart } from "./batch.js";
import { at, fill, make } from "./dom.js";
import { takeFiles } from "./drop.js";
import { Intake } from "./fields.js";
import { Lesion } from "./lesion.js";
import { problem, wayOut } from "./error.js";
import { startTheme } from "./theme.js";
import { askUser } from "./token.js";
import { choose, current, languages, nameOf, say, speak } from "./locale.js";

/** @type {Lesion | null} */
let lesion = null;

/** Ask for the model until the server answers. */
async function start() {
  fill(at("start"), make("p", {}, say("starting")));
  try {
    open(await askJson("/v1/model", { onWait() {} }));
  } catch (error) {
    const show = () =>
      fill(
        at("start"),
        make("div", { class: "error", role: "alert" }, problem(error, {})),
        wayOut(error, start),
      );
    show();
  }
}

/** @param {import("./api.js").Model} model */
function open(model) {
  pin(model.sha256);
  at("start").hidden = true;
  for (const id of ["lesion", "answer", "batch", "about"]) at(id).hidden = false;
  lesion = new Lesion(model);
  const intake = new Intake(lesion);
  new AnswerPart(lesion);
  new BatchPart(model.limits);
  document.addEventListener("language", () => {
    intake.show();
    about(model);
  });
  about(model);
}

/** @param {import("./api.js").Model} model */
function about(model) {
  const facts = {
    "about.classes": model.classes.map((name) => nameOf("class", name)).join(", "),
    "about.reads": model.modalities.map(({ name }) => nameOf("modality", name)).join(", "),
    "about.network": `${model.network}, SHA-256 ${model.sha256}`,
  };
  fill(
    at("about-body"),
    make(
      "dl",
      {},
      Object.entries(facts).map(([key, text]) => [make("dt", {}, say(key)), make("dd", {}, text)]),
    ),
    model.card && [
      make("h3", {}, say("about.card")),
      make("pre", { tabindex: "0", lang: "en", "aria-label": say("about.card") }, model.card),
    ],
    make("p", {}, make("a", { href: "/docs" }, say("about.api"))),
  );
}

const others = () => languages().filter((one) => one !== current());
document.addEventListener("language", () => {
  const [next] = others();
  const button = at("language");
  button.textContent = say("language.name", {}, next);
  button.lang = next;
});
at("language").addEventListener("click", () => choose(others()[0]));
onToken(askUser);
takeFiles(() => lesion);
startTheme();
speak(current());
start();
