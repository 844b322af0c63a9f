/** A report to save: the result as the page shows it, with its styles, in one file. */
import { h, save } from "./dom.js";
import { listOf, t } from "./locale.js";

const STYLES = ["theme.css", "answer.css", "report.css"];

/**
 * The heading of a report and of a printed page.
 * @param {import("./api.js").Model} model
 * @param {Date} date of the result
 * @param {string} requestId
 * @param {string} reference
 */
export function heading(model, date, requestId, reference) {
  const when = date.toLocaleString(document.documentElement.lang, {
    dateStyle: "long",
    timeStyle: "short",
  });
  return h(
    "div",
    { class: "paper" },
    h("p", { class: "title" }, `agfnet${t("colon")}${t("title")}`),
    h("p", { class: "reference" }, reference),
    h("p", {}, t("report.date") + t("colon") + when),
    h(
      "p",
      {},
      t("report.model") +
        t("colon") +
        listOf([`agfnet ${model.agfnet}`, model.network, model.sha256.slice(0, 12), `ID ${requestId}`]),
    ),
  );
}

/**
 * Save a result as a page that needs no other file.
 * @param {HTMLElement} answer as shown
 */
export async function saveReport(answer) {
  const copy = /** @type {HTMLElement} */ (answer.cloneNode(true));
  for (const part of copy.querySelectorAll(".screen")) part.remove();
  for (const picture of copy.querySelectorAll(".stack")) picture.removeAttribute("tabindex");
  const styles = await Promise.all(
    STYLES.map(async (name) => (await fetch(new URL(name, import.meta.url))).text()),
  );
  const root = h("html", { lang: document.documentElement.lang, "data-theme": "light" });
  const notice = h("p", { class: "notice" }, t("notice"));
  root.append(
    h(
      "head",
      {},
      h("meta", { charset: "utf-8" }),
      h("meta", { name: "viewport", content: "width=device-width" }),
      h("title", {}, `${t("report.title")}: agfnet`),
      h("style", {}, styles.join("\n")),
    ),
    h("body", { class: "report" }, notice, h("main", {}, copy)),
  );
  const blob = new Blob(["<!doctype html>\n", root.outerHTML], { type: "text/html" });
  save(blob, `agfnet-${new Date().toISOString().slice(0, 19).replaceAll(/[:T]/g, "-")}.html`);
}
