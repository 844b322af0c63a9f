/** The part of the page with the answer: asks for it, then for the evidence, and shows both. */
import { answerParts, passes, spoken } from "./answer.js";
import { askJson, ServerError } from "./api.js";
import { announce, at, fill, make } from "./dom.js";
import { comparison, contributions, overlays } from "./attribution.js";
import { problem, wayOut } from "./error.js";
import { heading, saveReport } from "./report.js";
import { say } from "./locale.js";

/**
 * @typedef {{date: Date, prediction: import("./api.js").Prediction}} Answer
 */

/** Answers one lesion. */
export class AnswerPart {
  /** @param {import("./lesion.js").Lesion} lesion */
  constructor(lesion) {
    this.lesion = lesion;
    /** @type {AbortController | null} */
    this.call = null;
    this.seconds = 0;
    this.forget();
    lesion.addEventListener("change", () => this.forget());
    document.addEventListener("language", () => this.show());
    at("ask").addEventListener("click", () => this.ask());
    at("clear").addEventListener("click", () => lesion.clear());
    at("reference").addEventListener("input", () => this.head());
    at("print").addEventListener("click", () => window.print());
    at("save-report").addEventListener("click", async () => {
      await saveReport(at("answer"));
      announce(say("report.saved"));
    });
  }

  /** The images have changed: there is no answer to them. */
  forget() {
    this.call?.abort();
    /** @type {Answer | null} */
    this.answer = null;
    /** @type {import("./api.js").Explanation | null} */
    this.explanation = null;
    /** @type {import("./attribution.js").Choice | null} */
    this.choice = null;
    /** @type {{error: unknown, again: () => void} | null} */
    this.failure = null;
    this.busy = "";
    at("reference").value = "";
    this.show();
  }

  /**
   * Ask the server one thing at a time.
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
        this.work("waiting", seconds);
        announce(say("waiting", { seconds }));
      },
    });
  }

  /**
   * @param {string} busy what is going on; nothing if empty
   * @param {number} [seconds] that it waits
   */
  work(busy, seconds = 0) {
    Object.assign(this, { busy, seconds });
    this.show();
  }

  /** Ask for the answer. */
  async ask() {
    this.forget();
    this.work("asking");
    announce(say("asking"));
    try {
      const prediction = await this.post("/v1/predict", {});
      this.answer = { date: new Date(), prediction };
    } catch (error) {
      this.fail(error, () => this.ask());
      return;
    }
    this.work("");
    announce(spoken(this.answer.prediction).join(" "));
    at("answer").focus();
    const { prediction } = this.answer;
    const name = prediction.predicted;
    await this.explain({
      class: name,
      pass: strongest(prediction.frames, name),
      method: this.lesion.model.methods[0],
    });
  }

  /**
   * Ask for the evidence.
   * @param {import("./attribution.js").Choice} choice
   */
  async explain(choice) {
    this.choice = choice;
    this.failure = null;
    this.work("evidence.working");
    try {
      const { class: name, pass, method } = choice;
      this.explanation = await this.post("/v1/explain", { class: name, pass, methods: [method] });
    } catch (error) {
      this.fail(error, () => this.explain(choice));
      return;
    }
    this.work("");
  }

  /**
   * @param {unknown} error
   * @param {() => void} again
   */
  fail(error, again) {
    if (/** @type {Error} */ (error).name === "AbortError") return; // for a newer question
    this.failure = { error, again };
    this.work("");
    if (!(error instanceof ServerError)) throw error;
  }

  /** Draw the answer, or how far it is. */
  show() {
    const { answer, explanation, failure, busy, seconds } = this;
    fill(
      at("answer-body"),
      answer && this.paper(answer),
      answer && answerParts(answer.prediction, this.lesion.model.coverage),
      !answer && !busy && !failure && make("p", { class: "quiet" }, say("answer.empty")),
      busy && make("p", { class: "busy screen" }, say(busy, { seconds })),
      failure &&
        make(
          "div",
          { class: "error screen", role: "alert" },
          problem(failure.error, this.lesion.model.limits),
          wayOut(failure.error, failure.again),
        ),
      answer && explanation && this.evidence(answer, explanation),
    );
    at("save").hidden = answer === null;
  }

  /**
   * @param {Answer} answer
   * @param {import("./api.js").Explanation} explanation
   */
  evidence({ prediction }, explanation) {
    const { model } = this.lesion;
    const choice = this.choice ?? { class: explanation.class, pass: 0, method: model.methods[0] };
    const count = prediction.frames.length;
    return [
      ...overlays(explanation, choice, count, model, (chosen) => this.explain(chosen)),
      ...contributions(explanation),
      ...comparison(explanation),
      passes(prediction, explanation.pass, (pass) => this.explain({ ...choice, pass })),
    ];
  }

  /** @param {Answer} answer */
  paper({ date, prediction }) {
    return heading(this.lesion.model, date, prediction.request_id, at("reference").value);
  }

  /** Renew what stands above a report. */
  head() {
    const [old] = at("answer-body").getElementsByClassName("paper");
    if (old && this.answer) old.replaceWith(this.paper(this.answer));
  }
}

/**
 * The pass that speaks most for a class.
 * @param {import("./api.js").Pass[]} passes
 * @param {string} name
 */
function strongest(passes, name) {
  const found = passes.map(({ probabilities }) => probabilities[name]);
  return found.indexOf(Math.max(...found));
}
