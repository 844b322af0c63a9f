/** Calls to the server: see docs/serve.md. The token is kept here, in memory, and nowhere else. */

/**
 * @typedef {{name: string, kind: "photo" | "ultrasound"}} Modality
 * @typedef {{
 *   agfnet: string, network: string, sha256: string, classes: string[], modalities: Modality[],
 *   methods: string[], coverage: number | null, risk: number | null, card: string,
 *   limits: Record<string, number>,
 * }} Model
 * @typedef {{frame: number, thumbnail: string, hints: string[]}} Shown
 * @typedef {{type: string, width: number, height: number, frames: number, shown: Shown[]}} Facts
 * @typedef {{images: Record<string, Facts[]>, swapped: boolean}} Preview
 * @typedef {Record<string, number>} Probabilities
 * @typedef {{
 *   images: Record<string, {file: number, frame: number}>, predicted: string,
 *   probabilities: Probabilities,
 * }} Pass
 * @typedef {{
 *   request_id: string, refer: boolean, predicted: string,
 *   probabilities: {name: string, probability: number, possible: boolean | null}[],
 *   prediction_set: string[] | null, abstain: boolean | null, out_of_distribution: boolean | null,
 *   missing: string[], frames: Pass[],
 * }} Prediction
 * @typedef {{
 *   class: string, pass: number, frame: Pass, contributions: Record<string, Probabilities>,
 *   answers: {modalities: string[], predicted: string, probabilities: Probabilities}[],
 *   images: Record<string, {width: number, height: number, image: string}>,
 *   maps: Record<string, Record<string, {share: number | null, layer: string}>>,
 * }} Explanation
 * @typedef {{
 *   id: string, state: "reading" | "running" | "done" | "failed", done: number, total: number,
 *   problems: number, error: string | null, tables: string[],
 * }} BatchStatus
 */

const PATIENCE = 3;
let token = "";
let model = "";
/** @type {Promise<string | null> | null} */
let asking = null;
/** @type {(wrong: boolean) => Promise<string | null>} */
let askToken = async () => null;

/**
 * Say who asks the user for the token.
 * @param {(wrong: boolean) => Promise<string | null>} ask
 */
export function onToken(ask) {
  askToken = ask;
}

/**
 * From now on, ask this model only: another that a restart brings refuses.
 * @param {string} sha256
 */
export function pin(sha256) {
  model = sha256;
}

/** Why the server gave no answer. */
export class ServerError extends Error {
  /**
   * @param {{code: string, message?: string, modality?: string | null, file?: number | null}} error
   * @param {string} [requestId]
   */
  constructor({ code, message = "", modality = null, file = null }, requestId = "") {
    super(message);
    this.code = code;
    this.modality = modality;
    this.file = file;
    this.requestId = requestId;
  }
}

/**
 * Ask the server, and again where it asks for a token or to wait.
 * @param {string} path
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
    if (onWait && seconds > 0 && waits++ < PATIENCE) {
      onWait(seconds);
      await pause(seconds, options.signal);
      continue;
    }
    throw await errorOf(response);
  }
}

/**
 * Ask for a reply in JSON.
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
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    throw new ServerError({ code: "offline" });
  }
}

/**
 * Have another token than the one that was refused.
 * @param {string} refused
 */
async function renewed(refused) {
  if (token !== refused) return true; // another call has asked meanwhile
  asking ??= askToken(refused !== "").finally(() => (asking = null));
  const given = await asking;
  if (given) token = given;
  return Boolean(given);
}

/** @param {Response} response */
async function errorOf(response) {
  try {
    const { error, request_id: id } = await response.json();
    return new ServerError(error, id);
  } catch {
    return new ServerError({ code: "internal" }); // a proxy's own page, or cut off
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
