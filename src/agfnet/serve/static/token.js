/** The dialog that asks for the access token. */
import { byId } from "./dom.js";

/**
 * @param {boolean} wrong whether the server refused a token
 * @returns {Promise<string | null>} the token, null if the user has none
 */
export function askUser(wrong) {
  /** @type {HTMLDialogElement} */
  const dialog = byId("token");
  const input = byId("token-text");
  input.value = "";
  dialog.returnValue = "";
  byId("token-wrong").hidden = !wrong;
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
