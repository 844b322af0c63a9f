/** The fields for images, one per modality: drop, paste, choose, camera; previews and warnings. */
import { askJson, ServerError } from "./api.js";
import { cropTool, cropWarnings } from "./crop.js";
import { announce, byId, h, render } from "./dom.js";
import { describeError } from "./error.js";
import { listOf, nameOf, t } from "./locale.js";

/** @typedef {import("./lesion.js").Item} Item */

const PHOTOS = "image/jpeg,image/png,image/tiff,.dcm"; // phones then send JPEG, not HEIC
const HEIC = ",.heic,.heif,image/heic"; // where the server reads it

/** Shows a lesion's images and lets the user change them. */
export class Fields {
  /** @param {import("./lesion.js").Lesion} lesion */
  constructor(lesion) {
    this.lesion = lesion;
    this.swapped = false;
    /** @type {{file: string, modality: string}[]} */
    this.sorted = [];
    this.checking = false;
    /** @type {unknown} */
    this.error = null;
    /** @type {AbortController | null} */
    this.call = null;
    /** @type {Map<string, HTMLElement>} */
    this.bodies = new Map();
    lesion.addEventListener("change", (event) => {
      if (/** @type {CustomEvent} */ (event).detail === "files") this.preview();
      else this.show();
    });
    this.show();
  }

  /** Request previews; a file that the server refuses is marked, and the others are sent again. */
  async preview(sorted = /** @type {{file: string, modality: string}[]} */ ([])) {
    const { lesion } = this;
    this.call?.abort();
    this.call = new AbortController();
    const { signal } = this.call;
    this.swapped = false;
    this.sorted = sorted;
    this.error = null;
    this.checking = lesion.all.length > 0;
    this.show();
    while (lesion.all.length > 0) {
      try {
        this.setPreviews(
          await askJson("v1/preview", {
            method: "POST",
            body: lesion.form(),
            signal,
            onWait() {},
          }),
        );
        const moves = lesion.sortDropped();
        if (moves.length) return this.preview(moves);
        break;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ServerError && lesion.reject(error)) continue;
        this.error = error;
        break;
      }
    }
    this.checking = false;
    this.show();
    announce(
      [...byId("lesion").querySelectorAll(".sorted, .warning, .error")]
        .map((element) => element.textContent)
        .join(" "),
    );
  }

  /** @param {import("./api.js").Preview} reply */
  setPreviews(reply) {
    for (const [name, files] of Object.entries(reply.images)) {
      this.lesion.usable(name).forEach((item, k) => {
        const known = item.info !== null;
        item.info = files[k];
        const { framing } = files[k];
        if (known || !framing?.advised) return;
        Object.assign(item, { crop: framing.crop, moved: true });
      });
    }
    this.swapped = reply.swapped;
  }

  /** Draw all fields. */
  show() {
    const { modalities, limits, types } = this.lesion.model;
    if (this.bodies.size === 0)
      byId("fields").replaceChildren(...modalities.map((modality) => this.field(modality)));
    byId("types").textContent = t("field.types", { ...limits, types: listOf(types) });
    for (const { name } of modalities) {
      const items = this.lesion.items.get(name) ?? [];
      render(
        /** @type {HTMLElement} */ (this.bodies.get(name)),
        items.map((item, k) => this.file(name, item, k)),
      );
    }
    render(
      byId("advice"),
      this.sorted.map(({ file, modality }) =>
        h(
          "p",
          { class: "sorted" },
          t("field.sorted", { file, modality: nameOf("modality", modality) }),
        ),
      ),
      this.checking && h("p", { class: "quiet" }, t("field.checking")),
      this.swapped &&
        h(
          "div",
          { class: "warning" },
          h("p", {}, t("swap.question")),
          h(
            "button",
            { type: "button", id: "swap", onclick: () => this.lesion.swap() },
            t("swap.do"),
          ),
        ),
      this.error !== null &&
        h(
          "div",
          { class: "error", role: "alert" },
          describeError(this.error, limits),
          h("button", { type: "button", onclick: () => this.preview() }, t("again")),
        ),
    );
    byId("clear").hidden = ![...this.lesion.items.values()].flat().length;
    byId("analyse").disabled = !this.lesion.all.length;
  }

  /**
   * Draw one field.
   * @param {import("./api.js").Modality} modality
   */
  field({ name, kind }) {
    const body = h("ul", { class: "files" });
    this.bodies.set(name, body);
    const label = `field-${name}`;
    const addFiles = (/** @type {Event} */ event) => {
      const input = /** @type {HTMLInputElement} */ (event.target);
      this.lesion.add(name, [...(input.files ?? [])]);
      input.value = "";
    };
    const photo = kind === "photo";
    const input = h("input", {
      type: "file",
      multiple: true,
      hidden: true,
      accept: photo ? PHOTOS + (this.lesion.model.types.includes("HEIC") ? HEIC : "") : null,
      onchange: addFiles,
    });
    const camera = h("input", {
      type: "file",
      hidden: true,
      accept: "image/jpeg",
      capture: "environment",
      onchange: addFiles,
    });
    const button = (/** @type {string} */ key, /** @type {HTMLInputElement} */ target) =>
      h(
        "button",
        {
          type: "button",
          "data-t": key,
          "aria-describedby": label,
          onclick: () => target.click(),
        },
        t(key),
      );
    const field = h(
      "div",
      { class: "field", role: "group", "aria-labelledby": label, "data-modality": name },
      h("h3", { id: label }, nameOf("modality", name)),
      h("p", { class: "quiet", "data-t": "field.drop" }, t("field.drop")),
      h(
        "div",
        { class: "buttons" },
        button("field.choose", input),
        input,
        photo && h("span", { class: "camera" }, button("field.camera", camera)),
        camera,
      ),
      body,
    );
    document.addEventListener("language", () => (byId(label).textContent = nameOf("modality", name)));
    return field;
  }

  /**
   * Draw one file.
   * @param {string} name of the modality
   * @param {Item} item
   * @param {number} k counted from 0
   */
  file(name, item, k) {
    const { info, error } = item;
    const remove = h(
      "button",
      {
        type: "button",
        "data-key": `remove-${name}-${k}`,
        "aria-label": t("field.remove") + t("colon") + item.file.name,
        onclick: () => this.lesion.remove(name, item),
      },
      t("field.remove"),
    );
    const single = info?.frames === 1 && info.shown[0];
    const framing = info?.framing ?? null;
    const alt = t("file.number", { number: k + 1 });
    const hints = info?.shown.flatMap((frame) => frame.hints) ?? [];
    return h(
      "li",
      { class: "file" },
      single && !framing && h("img", { src: single.thumbnail, alt }),
      h(
        "div",
        { class: "about" },
        h("p", { class: "name" }, item.file.name),
        info && h("p", { class: "quiet" }, t("file.size", { ...info })),
      ),
      remove,
      h(
        "div",
        { class: "remarks" },
        error &&
          h(
            "div",
            { class: "error" },
            h("strong", {}, t("field.unused")),
            describeError(error, this.lesion.model.limits),
          ),
        hints.map((hint) => h("p", { class: "warning" }, t(`hint.${hint}`))),
        item.moved && h("p", { class: "warning" }, t("crop.moved")),
        framing &&
          cropWarnings(framing, item.crop).map((key) => h("p", { class: "warning" }, t(key))),
      ),
      single &&
        framing &&
        cropTool({
          framing,
          picture: single.thumbnail,
          alt,
          crop: item.crop,
          key: `${name}-${k}`,
          choose: (crop) => this.lesion.crop(item, crop),
        }),
      info && info.frames > 1 && this.frames(name, item, info, k),
    );
  }

  /**
   * Draw the frames of a file to choose from.
   * @param {string} name
   * @param {Item} item
   * @param {import("./api.js").FileInfo} info
   * @param {number} k
   */
  frames(name, item, info, k) {
    const { selected } = item;
    const count = info.frames;
    const used = selected
      ? t("frames.some", { selected: selected.size, count })
      : t("frames.all", { count });
    const some =
      info.shown.length < count ? ` ${t("frames.shown", { shown: info.shown.length })}` : "";
    return h(
      "div",
      {
        class: "frames",
        role: "group",
        "aria-label": listOf([nameOf("modality", name), t("file.number", { number: k + 1 })]),
      },
      h("p", { class: "quiet" }, used + some),
      h(
        "div",
        { class: "strip" },
        info.shown.map(({ frame, thumbnail }) => {
          const label = t("frame.number", { number: frame + 1 });
          return h(
            "button",
            {
              type: "button",
              class: "frame",
              title: label,
              "aria-pressed": Boolean(selected?.has(frame)),
              "data-key": `frame-${name}-${k}-${frame}`,
              onclick: () => this.lesion.toggle(item, frame),
            },
            h("img", { src: thumbnail, alt: label }),
          );
        }),
      ),
      selected &&
        h(
          "button",
          { type: "button", onclick: () => this.lesion.useAll(item) },
          t("frames.reset"),
        ),
    );
  }
}
