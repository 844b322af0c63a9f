/** What the browser keeps between visits: the language and the theme, and nothing about anybody. */

/**
 * @param {"language" | "theme"} name
 * @returns {string | null} null too where the browser keeps nothing
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
export function keep(name, value) {
  try {
    localStorage.setItem(`agfnet.${name}`, value);
  } catch {
    // it then lasts until the page is closed
  }
}
