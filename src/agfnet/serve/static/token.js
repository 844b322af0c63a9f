/** Asks the user for the token. */
import { at } from "./dom.js";

/**
 * @param {boolean} wrong whether one was given that the server refused
 * @returns {Promise<string | null>} the token, null if the user has none
 */
export function askUser(wrong) {
  /** @type {HTMLDialogElement} */
  const dialog = at("token");
  const input = at("token-text");
  input.value = "";
  dialog.returnValue = "";
  at("token-wrong").hidden = !wrong;
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        resolve(dialog.returnValue === "send" ? input.value.trim() || null : null);
        input.value = "";
      },
      { once: true },
    );
  });
}
