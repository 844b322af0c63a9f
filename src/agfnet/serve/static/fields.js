/** The fields for images, one per modality: drop, paste, choose, camera; what the files show. */
import { askJson, ServerError } from "./api.js";
import { announce, at, fill, make } from "./dom.js";
import { problem } from "./error.js";
import { nameOf, say } from "./locale.js";

/** @typedef {import("./lesion.js").Item} Item */

const PHOTOS = "image/jpeg,image/png,image/tiff,.dcm"; // phones then send JPEG, not HEIC

/** Shows a lesion's images and lets the user change them. */
export class Intake {
  /** @param {import("./lesion.js").Lesion} lesion */
  constructor(lesion) {
    this.lesion = lesion;
    this.swapped = false;
    this.looking = false;
    /** @type {unknown} */
    this.error = null;
    /** @type {AbortController | null} */
    this.call = null;
    /** @type {Map<string, HTMLElement>} */
    this.bodies = new Map();
    lesion.addEventListener("change", (event) => {
      if (/** @type {CustomEvent} */ (event).detail === "files") this.look();
      else this.show();
    });
    this.show();
  }

  /** Ask what the files show; files that the server refuses are marked, and the rest is asked again. */
  async look() {
    const { lesion } = this;
    this.call?.abort();
    this.call = new AbortController();
    const { signal } = this.call;
    this.swapped = false;
    this.error = null;
    this.looking = lesion.all.length > 0;
    this.show();
    while (lesion.all.length > 0) {
      try {
        this.take(
          await askJson("/v1/preview", {
            method: "POST",
            body: lesion.form(),
            signal,
            onWait() {},
          }),
        );
        break;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ServerError && lesion.blame(error)) continue;
        this.error = error;
        break;
      }
    }
    this.looking = false;
    this.show();
    announce(
      [...at("fields").querySelectorAll(".warning, .error")]
        .map((one) => one.textContent)
        .join(" "),
    );
  }

  /** @param {import("./api.js").Preview} reply */
  take(reply) {
    for (const [name, found] of Object.entries(reply.images)) {
      this.lesion.usable(name).forEach((item, k) => (item.facts = found[k]));
    }
    this.swapped = reply.swapped;
  }

  /** Draw all fields. */
  show() {
    const { modalities, limits } = this.lesion.model;
    if (this.bodies.size === 0)
      at("fields").replaceChildren(...modalities.map((one) => this.field(one)));
    at("kinds").textContent = say("field.kinds", limits);
    for (const { name } of modalities) {
      const items = this.lesion.items.get(name) ?? [];
      fill(
        /** @type {HTMLElement} */ (this.bodies.get(name)),
        items.map((item, k) => this.file(name, item, k)),
      );
    }
    fill(
      at("advice"),
      this.looking && make("p", { class: "quiet" }, say("field.looking")),
      this.swapped &&
        make(
          "div",
          { class: "warning" },
          make("p", {}, say("swap.question")),
          make(
            "button",
            { type: "button", id: "swap", onclick: () => this.lesion.swap() },
            say("swap.do"),
          ),
        ),
      this.error !== null &&
        make(
          "div",
          { class: "error", role: "alert" },
          problem(this.error, limits),
          make("button", { type: "button", onclick: () => this.look() }, say("again")),
        ),
    );
    at("clear").hidden = ![...this.lesion.items.values()].flat().length;
    at("ask").disabled = !this.lesion.all.length;
  }

  /**
   * One field.
   * @param {import("./api.js").Modality} modality
   */
  field({ name, kind }) {
    const body = make("ul", { class: "files" });
    this.bodies.set(name, body);
    const label = `field-${name}`;
    const take = (/** @type {Event} */ event) => {
      const input = /** @type {HTMLInputElement} */ (event.target);
      this.lesion.add(name, [...(input.files ?? [])]);
      input.value = "";
    };
    const photo = kind === "photo";
    const input = make("input", {
      type: "file",
      multiple: true,
      hidden: true,
      accept: photo ? PHOTOS : null,
      onchange: take,
    });
    const camera = make("input", {
      type: "file",
      hidden: true,
      accept: "image/jpeg",
      capture: "environment",
      onchange: take,
    });
    const button = (/** @type {string} */ key, /** @type {HTMLInputElement} */ target) =>
      make(
        "button",
        {
          type: "button",
          "data-say": key,
          "aria-describedby": label,
          onclick: () => target.click(),
        },
        say(key),
      );
    const field = make(
      "div",
      { class: "field", role: "group", "aria-labelledby": label, "data-modality": name },
      make("h3", { id: label }, nameOf("modality", name)),
      make("p", { class: "quiet", "data-say": "field.drop" }, say("field.drop")),
      make(
        "div",
        { class: "buttons" },
        button("field.choose", input),
        input,
        photo && make("span", { class: "camera" }, button("field.camera", camera)),
        camera,
      ),
      body,
    );
    document.addEventListener("language", () => (at(label).textContent = nameOf("modality", name)));
    return field;
  }

  /**
   * One file.
   * @param {string} name of the modality
   * @param {Item} item
   * @param {number} k counted from 0
   */
  file(name, item, k) {
    const { facts, error } = item;
    const remove = make(
      "button",
      {
        type: "button",
        "data-key": `remove-${name}-${k}`,
        "aria-label": `${say("field.remove")}: ${item.file.name}`,
        onclick: () => this.lesion.remove(name, item),
      },
      say("field.remove"),
    );
    const single = facts?.frames === 1 && facts.shown[0];
    const hints = facts?.shown.flatMap((one) => one.hints) ?? [];
    return make(
      "li",
      { class: "file" },
      single && make("img", { src: single.thumbnail, alt: say("file.number", { number: k + 1 }) }),
      make(
        "div",
        { class: "about" },
        make("p", { class: "name" }, item.file.name),
        facts && make("p", { class: "quiet" }, `${facts.type}, ${facts.width} × ${facts.height}`),
      ),
      remove,
      make(
        "div",
        { class: "remarks" },
        error &&
          make(
            "div",
            { class: "error" },
            make("strong", {}, say("field.unused")),
            problem(error, this.lesion.model.limits),
          ),
        hints.map((hint) => make("p", { class: "warning" }, say(`hint.${hint}`))),
      ),
      facts && facts.frames > 1 && this.frames(name, item, facts, k),
    );
  }

  /**
   * The choice of frames of a file.
   * @param {string} name
   * @param {Item} item
   * @param {import("./api.js").Facts} facts
   * @param {number} k
   */
  frames(name, item, facts, k) {
    const { chosen } = item;
    const count = facts.frames;
    const used = chosen
      ? say("frames.some", { chosen: chosen.size, count })
      : say("frames.all", { count });
    const some =
      facts.shown.length < count ? ` ${say("frames.shown", { shown: facts.shown.length })}` : "";
    return make(
      "div",
      {
        class: "frames",
        role: "group",
        "aria-label": `${nameOf("modality", name)}, ${say("file.number", { number: k + 1 })}`,
      },
      make("p", { class: "quiet" }, used + some),
      make(
        "div",
        { class: "strip" },
        facts.shown.map(({ frame, thumbnail }) => {
          const label = say("frame.number", { number: frame + 1 });
          return make(
            "button",
            {
              type: "button",
              class: "frame",
              title: label,
              "aria-pressed": Boolean(chosen?.has(frame)),
              "data-key": `frame-${name}-${k}-${frame}`,
              onclick: () => this.lesion.toggle(item, frame),
            },
            make("img", { src: thumbnail, alt: label }),
          );
        }),
      ),
      chosen &&
        make(
          "button",
          { type: "button", onclick: () => this.lesion.useAll(item) },
          say("frames.reset"),
        ),
    );
  }
}
