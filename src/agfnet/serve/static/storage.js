/** Settings that the browser remembers between visits: language and theme, nothing else. */

/**
 * @param {"language" | "theme"} name
 * @returns {string | null} null also where the browser stores nothing
 */
export function recall(name) {
  try {
    return localStorage.getItem(`agfnet.${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {"language" | "theme"} name
 * @param {string} value
 */
export function remember(name, value) {
  try {
    localStorage.setItem(`agfnet.${name}`, value);
  } catch {
    // the setting then lasts until the page is closed
  }
}
