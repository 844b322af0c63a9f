/** Many lesions: send a zip, follow its progress, fetch the tables. */
import { ask, askJson, pause, ServerError } from "./api.js";
import { announce, at, fill, make, save } from "./dom.js";
import { problem } from "./error.js";
import { say } from "./locale.js";

/** @typedef {import("./api.js").BatchStatus} BatchStatus */

const EVERY = 1; // seconds between questions

/** The part of the page for many lesions. */
export class BatchPart {
  /** @param {Record<string, number>} limits */
  constructor(limits) {
    this.limits = limits;
    /** @type {BatchStatus | null} */
    this.status = null;
    /** @type {"" | "sending" | "forgotten"} */
    this.phase = "";
    /** @type {unknown} */
    this.error = null;
    at("batch-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.start();
    });
    document.addEventListener("language", () => this.show());
  }

  /** Send what is chosen, and follow it to its end. */
  async start() {
    const form = new FormData();
    for (const field of ["archive", "cases"]) {
      const file = at(`batch-${field}`).files[0];
      if (file) form.append(field, file, field);
    }
    Object.assign(this, { status: null, error: null, phase: "sending" });
    this.show();
    try {
      this.status = await askJson("/v1/batches", { method: "POST", body: form });
      this.phase = "";
      await this.follow();
    } catch (error) {
      this.error = error;
    }
    if (this.phase === "sending") this.phase = "";
    this.show();
    announce(at("batch-state").textContent);
  }

  /** Ask how far it is until it is done, or forgotten. */
  async follow() {
    while (this.status !== null && ["reading", "running"].includes(this.status.state)) {
      this.show();
      await pause(EVERY);
      if (this.status === null) return;
      try {
        const found = await askJson(`/v1/batches/${this.status.id}`);
        if (this.status !== null) this.status = found;
        this.error = null;
      } catch (error) {
        if (!(error instanceof ServerError)) throw error;
        if (error.code !== "offline") this.status = null; // it was forgotten, or the server restarted
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
      save(await (await ask(`/v1/batches/${id}/${name}`)).blob(), name),
    );
  }

  /** @param {string} id */
  async forget(id) {
    this.status = null;
    await this.attempt(async () => {
      await ask(`/v1/batches/${id}`, { method: "DELETE" });
      this.phase = "forgotten";
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

  /** Draw how far it is. */
  show() {
    const { status, phase } = this;
    at("batch-start").disabled =
      phase === "sending" || ["reading", "running"].includes(status?.state ?? "");
    fill(
      at("batch-state"),
      phase && make("p", {}, say(`batch.${phase}`)),
      status &&
        make(
          "p",
          { class: status.state === "failed" ? "error" : "" },
          say(`batch.${status.state}`, { ...status }),
        ),
      status?.error && make("pre", { lang: "en", tabindex: "0" }, status.error),
      status?.state === "running" &&
        make("progress", {
          max: status.total,
          value: status.done,
          "aria-label": say("batch.title"),
        }),
      this.error !== null &&
        make("div", { class: "error", role: "alert" }, problem(this.error, this.limits)),
      status &&
        make(
          "div",
          { class: "buttons" },
          status.tables.map((name) =>
            make(
              "button",
              { type: "button", "data-key": name, onclick: () => this.fetchTable(status.id, name) },
              `${say(`batch.table.${name}`)} (${name})`,
            ),
          ),
          make(
            "button",
            { type: "button", "data-key": "forget", onclick: () => this.forget(status.id) },
            say("batch.stop"),
          ),
        ),
    );
  }
}
