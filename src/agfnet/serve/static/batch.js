/** Batch analysis: send a zip archive, follow its progress, download the tables. */
import { ask, askJson, pause, ServerError } from "./api.js";
import { fetchRows, resultsTable } from "./batch_results.js";
import { announce, byId, h, render, save } from "./dom.js";
import { describeError } from "./error.js";
import { currentLocale, t } from "./locale.js";

/** @typedef {import("./api.js").BatchStatus} BatchStatus */

const POLL_S = 1;

/** The panel for batches. */
export class BatchPanel {
  /** @param {import("./api.js").Model} model */
  constructor(model) {
    this.model = model;
    this.limits = model.limits;
    this.rules = model.batches;
    /** @type {BatchStatus | null} */
    this.status = null;
    /** @type {"" | "sending" | "deleted"} */
    this.phase = "";
    /** @type {import("./batch_results.js").Row[] | null} */
    this.rows = null;
    /** @type {unknown} */
    this.error = null;
    byId("batch-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.start();
    });
    document.addEventListener("language", () => this.show());
    this.show();
  }

  /** Send the chosen files, and follow the batch until it ends; an earlier batch is deleted. */
  async start() {
    // nobody could reach it any more, and it would occupy the server
    if (this.status !== null) await this.delete(this.status.id);
    const form = new FormData();
    for (const field of ["archive", "cases"]) {
      const file = byId(`batch-${field}`).files[0];
      if (file) form.append(field, file, field);
    }
    Object.assign(this, { status: null, rows: null, error: null, phase: "sending" });
    this.show();
    try {
      this.status = await askJson("v1/batches", { method: "POST", body: form });
      this.phase = "";
      await this.follow();
      if (this.status?.state === "done") this.rows = await fetchRows(this.status);
    } catch (error) {
      this.error = error;
    }
    if (this.phase === "sending") this.phase = "";
    this.show();
    announce(byId("batch-state").querySelector("p")?.textContent ?? ""); // not the whole table
  }

  /** Ask for the progress until the batch is done or deleted. */
  async follow() {
    while (this.status !== null && ["reading", "running"].includes(this.status.state)) {
      this.show();
      await pause(POLL_S);
      if (this.status === null) return;
      try {
        const status = await askJson(`v1/batches/${this.status.id}`);
        if (this.status !== null) this.status = status;
        this.error = null;
      } catch (error) {
        if (!(error instanceof ServerError)) throw error;
        if (error.code !== "offline") this.status = null; // deleted, or the server restarted
        this.error = error;
      }
    }
  }

  /**
   * Save a table.
   * @param {string} id
   * @param {string} name
   */
  async fetchTable(id, name) {
    await this.attempt(async () =>
      save(await (await ask(`v1/batches/${id}/${name}`)).blob(), name),
    );
  }

  /** @param {string} id */
  async delete(id) {
    Object.assign(this, { status: null, rows: null });
    await this.attempt(async () => {
      await ask(`v1/batches/${id}`, { method: "DELETE" });
      this.phase = "deleted";
    });
    this.show();
  }

  /** @param {() => Promise<void>} action */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      this.error = error;
      this.show();
    }
  }

  /** Draw the progress. */
  show() {
    const { status, phase } = this;
    byId("batch-start").disabled =
      phase === "sending" || ["reading", "running"].includes(status?.state ?? "");
    const minutes = Math.round(this.rules.keep_s / 60);
    render(
      byId("batch-rules"),
      t(this.rules.survive_restart ? "batch.kept" : "batch.lost", { minutes }),
    );
    render(
      byId("batch-state"),
      phase && h("p", {}, t(`batch.${phase}`)),
      status &&
        h(
          "p",
          { class: status.state === "failed" ? "error" : "" },
          t(`batch.${status.state}`, { ...status }),
        ),
      status && this.rows && resultsTable(this.rows, this.model),
      status?.error && errorText(status),
      status?.state === "running" &&
        h("progress", {
          max: status.total,
          value: status.done,
          "aria-label": t("batch.title"),
        }),
      this.error !== null &&
        h("div", { class: "error", role: "alert" }, describeError(this.error, this.limits)),
      status &&
        h(
          "div",
          { class: "buttons" },
          status.tables.map((name) =>
            h(
              "button",
              { type: "button", "data-key": name, onclick: () => this.fetchTable(status.id, name) },
              t("batch.table", { title: t(`batch.table.${name}`), file: name }),
            ),
          ),
          h(
            "button",
            { type: "button", "data-key": "delete", onclick: () => this.delete(status.id) },
            t(["done", "failed"].includes(status.state) ? "batch.delete" : "batch.stop"),
          ),
        ),
    );
  }
}

/**
 * The problems of the table or the archive, in English where the language of the page has none.
 * @param {BatchStatus} status
 */
function errorText(status) {
  const translated = status.sentences[currentLocale()];
  return translated
    ? h("pre", { tabindex: "0" }, translated)
    : h("pre", { lang: "en", tabindex: "0" }, status.error);
}
