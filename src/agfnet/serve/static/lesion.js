/** The images of one lesion: files by modality, which of their frames are used, which are refused. */
import { ServerError } from "./api.js";

const MEGABYTE = 2 ** 20;
const ROOM = 64 * 1024; // what a request holds besides its files

/**
 * @typedef {{
 *   file: File, facts: import("./api.js").Facts | null, error: ServerError | null,
 *   chosen: Set<number> | null,
 * }} Item  `chosen` are the frames to use, null is all
 */

/** Says `change` when its files or frames do. */
export class Lesion extends EventTarget {
  /** @param {import("./api.js").Model} model */
  constructor(model) {
    super();
    this.model = model;
    /** @type {Map<string, Item[]>} */
    this.items = new Map(model.modalities.map(({ name }) => [name, []]));
  }

  /** @param {"files" | "frames"} what */
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

  /** All files that can be sent. */
  get all() {
    return [...this.items.keys()].flatMap((name) => this.usable(name));
  }

  /**
   * @param {string} name
   * @param {Iterable<File>} files
   */
  add(name, files) {
    const { request_mb: megabytes, files: most } = this.model.limits;
    for (const file of files) {
      const size = this.all.reduce((sum, item) => sum + item.file.size, file.size);
      let code = "";
      if (size > megabytes * MEGABYTE - ROOM) code = "too_large";
      else if (this.all.length >= most) code = "too_many_files";
      const error = code ? new ServerError({ code }) : null;
      this.items.get(name)?.push({ file, facts: null, error, chosen: null });
    }
    this.changed("files");
  }

  /**
   * @param {string} name
   * @param {Item} item
   */
  remove(name, item) {
    this.items.set(
      name,
      (this.items.get(name) ?? []).filter((one) => one !== item),
    );
    this.changed("files");
  }

  /** Exchange the files of the first photograph and the first ultrasound. */
  swap() {
    const [a, b] = ["photo", "ultrasound"].map(
      (kind) => this.model.modalities.find((one) => one.kind === kind)?.name ?? "",
    );
    const [mine, other] = [this.items.get(a) ?? [], this.items.get(b) ?? []];
    this.items.set(a, other).set(b, mine);
    this.changed("files");
  }

  /** Forget all files. */
  clear() {
    for (const name of this.items.keys()) this.items.set(name, []);
    this.changed("files");
  }

  /**
   * Use this frame, or not; none is all.
   * @param {Item} item
   * @param {number} frame
   */
  toggle(item, frame) {
    const chosen = item.chosen ?? new Set();
    if (!chosen.delete(frame)) chosen.add(frame);
    item.chosen = chosen.size ? chosen : null;
    this.changed("frames");
  }

  /** @param {Item} item */
  useAll(item) {
    item.chosen = null;
    this.changed("frames");
  }

  /**
   * Refuse the file that an error is about; without a name, those that are new.
   * @param {ServerError} error
   * @returns {boolean} whether there is such a file
   */
  blame(error) {
    const named = error.modality !== null && error.file !== null;
    if (!named && !error.code.startsWith("too_many") && error.code !== "too_large") return false;
    const guilty = named
      ? [this.usable(error.modality ?? "")[error.file ?? 0]]
      : this.all.filter((item) => item.facts === null);
    for (const item of guilty) if (item) item.error = error;
    return guilty.some(Boolean);
  }

  /**
   * The body of a request; names of files stay here.
   * @param {Record<string, unknown>} [options] besides the frames
   */
  form(options = {}) {
    const form = new FormData();
    /** @type {Record<string, {file: number, frame: number}[]>} */
    const frames = {};
    for (const name of this.items.keys()) {
      const items = this.usable(name);
      for (const item of items) form.append(name, item.file, "image");
      if (items.some((item) => item.chosen) && items.every((item) => item.facts)) {
        frames[name] = items.flatMap((item, file) =>
          framesOf(item).map((frame) => ({ file, frame })),
        );
      }
    }
    form.append("options", JSON.stringify({ ...options, frames }));
    return form;
  }
}

/**
 * @param {Item} item
 * @returns {number[]} the frames that are used, in order
 */
const framesOf = (item) =>
  item.chosen
    ? [...item.chosen].sort((a, b) => a - b)
    : Array.from({ length: item.facts?.frames ?? 1 }, (_, frame) => frame);
