/** An error in the user's language, followed by the server's message where it says more. */
import { ServerError } from "./api.js";
import { h } from "./dom.js";
import { currentLocale, t } from "./locale.js";

const WITH_MESSAGE = ["bad_request", "invalid", "no_room", "unreadable_image", "unsupported_type"];

/**
 * @param {unknown} error
 * @param {Record<string, number>} limits of the server
 * @returns {HTMLElement[]}
 * @throws an error that is not an answer of the server
 */
export function describeError(error, limits) {
  if (!(error instanceof ServerError)) throw error;
  const ofFile = error.sentences[currentLocale()];
  return [
    h("p", {}, ofFile ?? t(`error.${error.code}`, limits)),
    error.code === "unsupported_type" && /\bis HEIC\b/.test(error.message) && h("p", {}, t("error.heic")),
    !ofFile &&
      WITH_MESSAGE.includes(error.code) &&
      h(
        "p",
        { class: "details" },
        t("error.details") + t("colon"),
        h("q", { lang: "en" }, error.message),
      ),
  ].filter(Boolean);
}

/**
 * A button that tries again, or reloads the page if the error is about a model that was replaced.
 * @param {unknown} error
 * @param {() => void} retry
 */
export function retryButton(error, retry) {
  const stale = error instanceof ServerError && error.code === "other_model";
  const [onclick, text] = stale ? [() => location.reload(), "reload"] : [retry, "again"];
  return h("button", { type: "button", class: "main", onclick }, t(text));
}
