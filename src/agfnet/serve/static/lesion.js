/** The images of one lesion: files by modality, frames in use, files that were refused. */
import { ServerError } from "./api.js";

const MEGABYTE = 2 ** 20;
const OVERHEAD = 64 * 1024; // bytes of a request besides its files

/**
 * @typedef {{
 *   file: File, info: import("./api.js").FileInfo | null, error: ServerError | null,
 *   selected: Set<number> | null, crop: import("./api.js").Rectangle | null, moved: boolean, dropped: boolean,
 * }} Item  `selected` are the frames to use; null means all. `crop` is the part to use; null leaves it to
 *   the network. `moved` says that the page proposed the crop. `dropped` files were dropped on no field:
 *   the page may sort them by content.
 */

/** Dispatches `change` when its files or frames change. */
export class Lesion extends EventTarget {
  /** @param {import("./api.js").Model} model */
  constructor(model) {
    super();
    this.model = model;
    /** The true diagnosis of an example; empty for other lesions. */
    this.truth = "";
    /** @type {Map<string, Item[]>} */
    this.items = new Map(model.modalities.map(({ name }) => [name, []]));
  }

  /** @param {"files" | "frames" | "crop"} what */
  changed(what) {
    this.dispatchEvent(new CustomEvent("change", { detail: what }));
  }

  /**
   * Files of a modality that can be sent.
   * @param {string} name
   */
  usable(name) {
    return (this.items.get(name) ?? []).filter((item) => item.error === null);
  }

  /** Whether there are no files. */
  get empty() {
    return [...this.items.values()].every((items) => items.length === 0);
  }

  /**
   * Show an example.
   * @param {string} truth its diagnosis
   * @param {{name: string, file: File}[]} files by modality
   */
  open(truth, files) {
    this.clear();
    this.truth = truth;
    for (const { name, file } of files) this.put(name, file);
    this.changed("files");
  }

  /** All files that can be sent. */
  get all() {
    return [...this.items.keys()].flatMap((name) => this.usable(name));
  }

  /**
   * @param {string} name
   * @param {Iterable<File>} files
   * @param {boolean} [dropped] on no field
   */
  add(name, files, dropped = false) {
    this.truth = "";
    for (const file of files) this.put(name, file, dropped);
    this.changed("files");
  }

  /**
   * @param {string} name
   * @param {File} file
   * @param {boolean} [dropped]
   */
  put(name, file, dropped = false) {
    const { request_mb: megabytes, files: maxFiles } = this.model.limits;
    const size = this.all.reduce((sum, item) => sum + item.file.size, file.size);
    let code = "";
    if (size > megabytes * MEGABYTE - OVERHEAD) code = "too_large";
    else if (this.all.length >= maxFiles) code = "too_many_files";
    const error = code ? new ServerError({ code }) : null;
    this.items
      .get(name)
      ?.push({ file, info: null, error, selected: null, crop: null, moved: false, dropped });
  }

  /**
   * @param {string} name
   * @param {Item} item
   */
  remove(name, item) {
    this.items.set(
      name,
      (this.items.get(name) ?? []).filter((other) => other !== item),
    );
    this.changed("files");
  }

  /**
   * Move dropped files whose content does not suit their field to the field that it suits.
   * @returns {{file: string, modality: string}[]} what was moved
   */
  sortDropped() {
    /** @type {{file: string, modality: string}[]} */
    const moves = [];
    const fieldOf = (/** @type {string} */ kind) =>
      this.model.modalities.filter((modality) => modality.kind === kind).map(({ name }) => name);
    const moving = [
      { hint: "grey_photo", from: fieldOf("photo"), to: fieldOf("ultrasound")[0] },
      { hint: "colour_ultrasound", from: fieldOf("ultrasound"), to: fieldOf("photo")[0] },
    ].flatMap(({ hint, from, to }) =>
      to === undefined ? [] : from.flatMap((name) =>
        this.usable(name)
          .filter((item) => item.dropped && item.info?.shown.some(({ hints }) => hints.includes(hint)))
          .map((item) => ({ item, name, to })),
      ),
    );
    for (const { item, name, to } of moving) {
      this.items.set(name, (this.items.get(name) ?? []).filter((other) => other !== item));
      Object.assign(item, { info: null, crop: null, moved: false, dropped: false });
      this.items.get(to)?.push(item);
      moves.push({ file: item.file.name, modality: to });
    }
    return moves;
  }

  /** Exchange the files of the first photograph and the first ultrasound. */
  swap() {
    const [a, b] = ["photo", "ultrasound"].map(
      (kind) => this.model.modalities.find((modality) => modality.kind === kind)?.name ?? "",
    );
    const files = this.items.get(a) ?? [];
    this.items.set(a, this.items.get(b) ?? []).set(b, files);
    this.changed("files");
  }

  /** Remove all files. */
  clear() {
    this.truth = "";
    for (const name of this.items.keys()) this.items.set(name, []);
    this.changed("files");
  }

  /**
   * Select a frame, or deselect it; without a selection, all frames are used.
   * @param {Item} item
   * @param {number} frame
   */
  toggle(item, frame) {
    const selected = item.selected ?? new Set();
    if (!selected.delete(frame)) selected.add(frame);
    item.selected = selected.size ? selected : null;
    this.changed("frames");
  }

  /**
   * Choose the part of a photograph to use.
   * @param {Item} item
   * @param {import("./api.js").Rectangle | null} crop
   */
  crop(item, crop) {
    Object.assign(item, { crop, moved: false });
    this.changed("crop");
  }

  /** @param {Item} item */
  useAll(item) {
    item.selected = null;
    this.changed("frames");
  }

  /**
   * Mark the file that an error is about; if the error names no file, mark the new files.
   * @param {ServerError} error
   * @returns {boolean} whether there is such a file
   */
  reject(error) {
    const named = error.modality !== null && error.file !== null;
    if (!named && !error.code.startsWith("too_many") && error.code !== "too_large") return false;
    const rejected = named
      ? [this.usable(error.modality ?? "")[error.file ?? 0]]
      : this.all.filter((item) => item.info === null);
    for (const item of rejected) if (item) item.error = error;
    return rejected.some(Boolean);
  }

  /**
   * Make the body of a request; names of files are not sent.
   * @param {Record<string, unknown>} [options] besides the frames and crops
   */
  form(options = {}) {
    const form = new FormData();
    /** @type {Record<string, {file: number, frame: number}[]>} */
    const frames = {};
    /** @type {Record<string, Record<string, number>[]>} */
    const crops = {};
    for (const name of this.items.keys()) {
      const items = this.usable(name);
      for (const item of items) form.append(name, item.file, "image");
      if (items.some((item) => item.selected) && items.every((item) => item.info)) {
        frames[name] = items.flatMap((item, file) =>
          framesOf(item).map((frame) => ({ file, frame })),
        );
      }
      const cropped = items.flatMap(({ crop }, file) => (crop ? [{ file, ...crop }] : []));
      if (cropped.length) crops[name] = cropped;
    }
    form.append("options", JSON.stringify({ ...options, frames, crops }));
    return form;
  }
}

/**
 * @param {Item} item
 * @returns {number[]} the frames that are used, in order
 */
const framesOf = (item) =>
  item.selected
    ? [...item.selected].sort((a, b) => a - b)
    : Array.from({ length: item.info?.frames ?? 1 }, (_, frame) => frame);
