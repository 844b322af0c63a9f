/** Calls to the server: see docs/serve.md. The token is kept here, in memory, and nowhere else. */

export const ROOT = new URL("..", import.meta.url); // the server may lie below a path of a proxy

/**
 * @typedef {{name: string, kind: "photo" | "ultrasound"}} Modality
 * @typedef {{en: string, zh: string, group: string | null, synonyms: string[]}} Label
 * @typedef {{value: number | null, low: number | null, high: number | null}} Rate
 * @typedef {{
 *   group: string, threshold: number, sensitivity: Rate, specificity: Rate, positives: number,
 *   negatives: number,
 * }} OperatingPoint
 * @typedef {{threshold: number, target_risk: number, confidence: number}} Abstention
 * @typedef {{
 *   agfnet: string, network: string, sha256: string, classes: string[], modalities: Modality[],
 *   types: string[], methods: string[], coverage: number | null, consider: number | null, risk: number | null, card: Record<string, string>,
 *   limits: Record<string, number>, batches: {survive_restart: boolean, keep_s: number}, labels: Record<string, Label>,
 *   about: Record<string, string[]>, warnings: Record<string, string[]>,
 *   operating_point: OperatingPoint | null, abstention: Abstention | null,
 * }} Model
 * @typedef {{frame: number, thumbnail: string, hints: string[]}} Shown
 * @typedef {{x: number, y: number, width: number, height: number}} Rectangle
 * @typedef {{
 *   width: number, height: number, seen: Rectangle, lesion: Rectangle | null, crop: Rectangle | null,
 *   advised: boolean,
 * }} Framing
 * @typedef {{
 *   type: string, width: number, height: number, frames: number, shown: Shown[],
 *   framing: Framing | null,
 * }} FileInfo
 * @typedef {{images: Record<string, FileInfo[]>, swapped: boolean}} Preview
 * @typedef {Record<string, number>} Probabilities
 * @typedef {{
 *   images: Record<string, {file: number, frame: number}>, predicted: string,
 *   probabilities: Probabilities, percents: Probabilities,
 * }} Pass
 * @typedef {{
 *   modality: string, image: {file: number, frame: number}, predicted: string, percents: Probabilities,
 * }} LeftOut
 * @typedef {{
 *   request_id: string, refer: boolean | null, predicted: string,
 *   probabilities: {name: string, probability: number, percent: number, possible: boolean | null}[],
 *   prediction_set: string[] | null, abstain: boolean | null, out_of_distribution: boolean | null,
 *   missing: string[], missing_untrained: boolean, unfamiliar: string[], foreign: string[],
 *   frames: Pass[], without: LeftOut[],
 *   similar: {lesion_id: string, label: string, distance: number}[] | null, quality: {hint: string, modalities: string[]}[],
 *   images: Record<string, {width: number, height: number, frames: number, crop: Rectangle | null}[]>,
 *   groups: {
 *     name: string, percent: number, percent_others: number, classes: string[], positive: boolean | null,
 *   }[],
 * }} Prediction
 * @typedef {{
 *   class: string, pass: number, frame: Pass, contributions: Record<string, Probabilities>,
 *   answers: {modalities: string[], predicted: string, percents: Probabilities}[],
 *   images: Record<string, {
 *     width: number, height: number, pixel_spacing: number | null, image: string,
 *   }>,
 *   maps: Record<string, Record<string, {outside: boolean, layer: string}>>,
 * }} Explanation
 * @typedef {{
 *   id: string, state: "reading" | "running" | "done" | "failed", done: number, total: number,
 *   problems: number, error: string | null, sentences: Record<string, string>, tables: string[],
 * }} BatchStatus
 */

const MAX_WAITS = 3;
let token = "";
let model = "";
/** @type {Promise<string | null> | null} */
let asking = null;
/** @type {(wrong: boolean) => Promise<string | null>} */
let askToken = async () => null;

/**
 * Set the function that asks the user for the token.
 * @param {(wrong: boolean) => Promise<string | null>} ask
 */
export function onToken(ask) {
  askToken = ask;
}

/**
 * Accept answers of this model only: after a restart with another model, the server refuses.
 * @param {string} sha256
 */
export function pin(sha256) {
  model = sha256;
}

/** An error of the server, or of the way to it. */
export class ServerError extends Error {
  /**
   * @param {{
   *   code: string, message?: string, modality?: string | null, file?: number | null,
   *   sentences?: Record<string, string>,
   * }} error
   * @param {string} [requestId]
   */
  constructor({ code, message = "", modality = null, file = null, sentences = {} }, requestId = "") {
    super(message);
    this.code = code;
    this.modality = modality;
    this.file = file;
    this.sentences = sentences;
    this.requestId = requestId;
  }
}

/**
 * Send a request, and again after a token or a wait that the server requires.
 * @param {string} path relative to the root of the server
 * @param {RequestInit & {onWait?: (seconds: number) => void}} [options]
 * @returns {Promise<Response>}
 * @throws {ServerError}
 */
export async function ask(path, { onWait, ...options } = {}) {
  for (let waits = 0; ;) {
    const sent = token;
    const response = await send(path, options, sent);
    if (response.ok) return response;
    if (response.status === 401 && (await renewed(sent))) continue;
    const seconds = Number(response.headers.get("Retry-After"));
    if (onWait && seconds > 0 && waits++ < MAX_WAITS) {
      onWait(seconds);
      await pause(seconds, options.signal);
      continue;
    }
    throw await errorOf(response);
  }
}

/**
 * Send a request whose reply is JSON.
 * @param {string} path
 * @param {Parameters<typeof ask>[1]} [options]
 * @returns {Promise<any>}
 */
export const askJson = async (path, options) => (await ask(path, options)).json();

/**
 * @param {string} path
 * @param {RequestInit} options
 * @param {string} bearer
 */
async function send(path, options, bearer) {
  const headers = new Headers();
  if (bearer) headers.set("Authorization", `Bearer ${bearer}`);
  if (model) headers.set("If-Match", `"${model}"`);
  try {
    return await fetch(new URL(path, ROOT), { ...options, headers });
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    throw new ServerError({ code: "offline" });
  }
}

/**
 * Replace a token that was refused; false if the user has none.
 * @param {string} refused
 */
async function renewed(refused) {
  if (token !== refused) return true; // another call has replaced it
  asking ??= askToken(refused !== "").finally(() => (asking = null));
  const answer = await asking;
  if (answer) token = answer;
  return Boolean(answer);
}

/** @param {Response} response */
async function errorOf(response) {
  try {
    const { error, request_id: id } = await response.json();
    return new ServerError(error, id);
  } catch {
    return new ServerError({ code: "internal" }); // the page of a proxy, or incomplete
  }
}

/**
 * @param {number} seconds
 * @param {AbortSignal | null} [signal]
 */
export const pause = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
