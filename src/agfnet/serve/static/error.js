/** What went wrong, in the user's language and then in the server's words. */
import { ServerError } from "./api.js";
import { make } from "./dom.js";
import { say } from "./locale.js";

const TELLING = ["bad_request", "invalid", "no_room", "unreadable_image"]; // the others say no more

/**
 * @param {unknown} error
 * @param {Record<string, number>} limits of the server
 * @returns {HTMLElement[]}
 * @throws what is not an answer of the server
 */
export function problem(error, limits) {
  if (!(error instanceof ServerError)) throw error;
  return [
    make("p", {}, say(`error.${error.code}`, limits)),
    TELLING.includes(error.code) &&
      make(
        "p",
        { class: "details" },
        `${say("error.details")}: `,
        make("q", { lang: "en" }, told(error)),
      ),
  ].filter(Boolean);
}

/**
 * What to do about it: try again, or load the page anew if it is about a model that is gone.
 * @param {unknown} error
 * @param {() => void} again
 */
export function wayOut(error, again) {
  const stale = error instanceof ServerError && error.code === "other_model";
  const [onclick, text] = stale ? [() => location.reload(), "reload"] : [again, "again"];
  return make("button", { type: "button", class: "main", onclick }, say(text));
}

/**
 * The server's words, without the place, which counts from 0 and is where the page shows this.
 * @param {ServerError} error
 */
const told = ({ message, modality, file }) =>
  message.startsWith(`${modality}, file ${file}: `)
    ? message.slice(`${modality}, file ${file}: `.length)
    : message;
