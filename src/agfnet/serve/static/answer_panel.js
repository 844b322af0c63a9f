/** The panel with the result: requests the prediction, then the explanation, and shows both. */
import { answerParts, frameTable, summary } from "./answer.js";
import { askJson, ServerError } from "./api.js";
import { announce, byId, h, render } from "./dom.js";
import { comparison, contributions, dependence, overlays } from "./attribution.js";
import { describeError, retryButton } from "./error.js";
import { leftOut } from "./leave_out.js";
import { heading, saveReport } from "./report.js";
import { similarLesions } from "./similar.js";
import { nameOf, t } from "./locale.js";
import { showWhole } from "./zoom.js";

/**
 * @typedef {{date: Date, prediction: import("./api.js").Prediction}} Answer
 */

/** Analyses one lesion. */
export class AnswerPanel {
  /** @param {import("./lesion.js").Lesion} lesion */
  constructor(lesion) {
    this.lesion = lesion;
    /** @type {AbortController | null} */
    this.call = null;
    this.seconds = 0;
    this.reset();
    lesion.addEventListener("change", () => this.reset());
    document.addEventListener("language", () => this.show());
    byId("analyse").addEventListener("click", () => this.analyse());
    byId("clear").addEventListener("click", () => lesion.clear());
    byId("reference").addEventListener("input", () => this.updateHeading());
    byId("print").addEventListener("click", () => window.print());
    window.addEventListener("beforeprint", showWhole);
    byId("save-report").addEventListener("click", async () => {
      showWhole();
      await saveReport(byId("answer"));
      announce(t("report.saved"));
    });
  }

  /** Remove the result, as after a change of the images. */
  reset() {
    this.call?.abort();
    showWhole();
    /** @type {Answer | null} */
    this.answer = null;
    /** @type {import("./api.js").Explanation | null} */
    this.explanation = null;
    /** @type {import("./attribution.js").Choice | null} */
    this.choice = null;
    /** @type {{error: unknown, retry: () => void} | null} */
    this.failure = null;
    this.busy = "";
    byId("reference").value = "";
    this.show();
  }

  /**
   * Send a request; an earlier one that is still running is aborted.
   * @param {string} path
   * @param {Record<string, unknown>} options
   */
  post(path, options) {
    this.call?.abort();
    const call = (this.call = new AbortController());
    return askJson(path, {
      method: "POST",
      body: this.lesion.form(options),
      signal: call.signal,
      onWait: (seconds) => {
        this.setBusy("waiting", seconds);
        announce(t("waiting", { seconds }));
      },
    });
  }

  /**
   * @param {string} busy key of the words for the work in progress; empty for none
   * @param {number} [seconds] of the wait
   */
  setBusy(busy, seconds = 0) {
    Object.assign(this, { busy, seconds });
    this.show();
  }

  /** Request the prediction, then the explanation. */
  async analyse() {
    this.reset();
    this.setBusy("analysing");
    announce(t("analysing"));
    try {
      const prediction = await this.post("v1/predict", { leave_out: true, similar: true });
      this.answer = { date: new Date(), prediction };
    } catch (error) {
      this.fail(error, () => this.analyse());
      return;
    }
    this.setBusy("");
    announce(summary(this.answer.prediction, this.lesion.model).join(" "));
    byId("answer").focus();
    const { prediction } = this.answer;
    if (prediction.foreign.length) return; // nothing to explain
    const name = prediction.predicted;
    await this.explain({
      class: name,
      pass: strongest(prediction.frames, name),
      method: this.lesion.model.methods[0],
    });
  }

  /**
   * Request the explanation.
   * @param {import("./attribution.js").Choice} choice
   */
  async explain(choice) {
    this.choice = choice;
    this.failure = null;
    this.setBusy("attribution.working");
    try {
      const { class: name, pass, method } = choice;
      this.explanation = await this.post("v1/explain", { class: name, pass, methods: [method] });
    } catch (error) {
      this.fail(error, () => this.explain(choice));
      return;
    }
    this.setBusy("");
  }

  /**
   * @param {unknown} error
   * @param {() => void} retry
   */
  fail(error, retry) {
    if (/** @type {Error} */ (error).name === "AbortError") return; // replaced by a newer request
    this.failure = { error, retry };
    this.setBusy("");
    if (!(error instanceof ServerError)) throw error;
  }

  /** Draw the result, or the progress. */
  show() {
    const { answer, explanation, failure, busy, seconds } = this;
    render(
      byId("answer-body"),
      answer && this.heading(answer),
      answer && answerParts(answer.prediction, this.lesion.model),
      answer && !answer.prediction.foreign.length && leftOut(answer.prediction),
      answer &&
        this.lesion.truth &&
        h("p", { class: "truth" }, t("examples.truth", { name: nameOf("class", this.lesion.truth) })),
      !answer && !busy && !failure && h("p", { class: "quiet" }, t("answer.empty")),
      busy && h("p", { class: "busy screen" }, t(busy, { seconds })),
      failure &&
        h(
          "div",
          { class: "error screen", role: "alert" },
          this.fileOf(failure.error),
          describeError(failure.error, this.lesion.model.limits),
          retryButton(failure.error, failure.retry),
        ),
      answer && explanation && this.explanationParts(answer, explanation),
    );
    byId("save").hidden = answer === null;
  }

  /**
   * The name of the file that an error is about, if it is about one.
   * @param {unknown} error
   */
  fileOf(error) {
    if (!(error instanceof ServerError) || error.file === null) return null;
    const item = this.lesion.usable(error.modality ?? "")[error.file];
    return item ? h("p", {}, h("strong", {}, item.file.name)) : null;
  }

  /**
   * @param {Answer} answer
   * @param {import("./api.js").Explanation} explanation
   */
  explanationParts({ prediction }, explanation) {
    const { model } = this.lesion;
    const choice = this.choice ?? { class: explanation.class, pass: 0, method: model.methods[0] };
    return [
      ...dependence(explanation, prediction),
      ...overlays(explanation, choice, prediction, model, (selected) => this.explain(selected)),
      ...contributions(explanation),
      ...comparison(explanation, prediction.frames.length),
      ...similarLesions(prediction),
      frameTable(prediction, explanation.pass, (pass) => this.explain({ ...choice, pass })),
    ];
  }

  /** @param {Answer} answer */
  heading({ date, prediction }) {
    return heading(this.lesion.model, date, prediction.request_id, byId("reference").value);
  }

  /** Draw the heading of the report again. */
  updateHeading() {
    const [old] = byId("answer-body").getElementsByClassName("paper");
    if (old && this.answer) old.replaceWith(this.heading(this.answer));
  }
}

/**
 * The frame combination with the highest probability of a class.
 * @param {import("./api.js").Pass[]} passes
 * @param {string} name
 */
function strongest(passes, name) {
  const values = passes.map(({ probabilities }) => probabilities[name]);
  return values.indexOf(Math.max(...values));
}
