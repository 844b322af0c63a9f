/** A report to save: what the page shows of an answer, with its styles, in one file. */
import { make, save } from "./dom.js";
import { say } from "./locale.js";

const STYLES = ["theme.css", "answer.css", "report.css"];

/**
 * What stands above the answer in a report and on paper.
 * @param {import("./api.js").Model} model
 * @param {Date} date of the answer
 * @param {string} requestId
 * @param {string} reference
 */
export function heading(model, date, requestId, reference) {
  const when = date.toLocaleString(document.documentElement.lang, {
    dateStyle: "long",
    timeStyle: "short",
  });
  return make(
    "div",
    { class: "paper" },
    make("p", { class: "title" }, `agfnet: ${say("title")}`),
    make("p", { class: "reference" }, reference),
    make("p", {}, `${say("report.date")}: ${when}`),
    make(
      "p",
      {},
      `${say("report.model")}: agfnet ${model.agfnet}, ${model.network}, ${model.sha256.slice(0, 12)}. ID ${requestId}`,
    ),
  );
}

/**
 * Save an answer as a page that needs nothing else.
 * @param {HTMLElement} answer as it is shown
 */
export async function saveReport(answer) {
  const copy = /** @type {HTMLElement} */ (answer.cloneNode(true));
  for (const part of copy.querySelectorAll(".screen")) part.remove();
  const styles = await Promise.all(
    STYLES.map(async (name) => (await fetch(`/static/${name}`)).text()),
  );
  const root = make("html", { lang: document.documentElement.lang, "data-theme": "light" });
  const notice = make("p", { class: "notice" }, say("notice"));
  root.append(
    make(
      "head",
      {},
      make("meta", { charset: "utf-8" }),
      make("meta", { name: "viewport", content: "width=device-width" }),
      make("title", {}, `${say("report.title")}: agfnet`),
      make("style", {}, styles.join("\n")),
    ),
    make("body", { class: "report" }, notice, make("main", {}, copy)),
  );
  const blob = new Blob(["<!doctype html>\n", root.outerHTML], { type: "text/html" });
  save(blob, `agfnet-${new Date().toISOString().slice(0, 19).replaceAll(/[:T]/g, "-")}.html`);
}
