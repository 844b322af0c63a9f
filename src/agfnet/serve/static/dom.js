/** Making and replacing elements. Text goes in as text, never as HTML. */

/**
 * @typedef {Node | string | null | undefined | false | 0} Item
 * @typedef {Item | Item[] | (Item | Item[])[]} Child
 */

/**
 * Make an element.
 * @param {string} tag
 * @param {Record<string, any>} [settings] attributes; `on…` are listeners, `style` an object
 * @param {...Child} children
 * @returns {any} an HTMLElement of the tag's kind
 */
export function make(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name.startsWith("aria-")) element.setAttribute(name, String(value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(.../** @type {(Node | string)[]} */ (children.flat(Infinity).filter(Boolean)));
  return element;
}

/**
 * Put other children into an element. Who was at a child with a `data-key` stays at its successor,
 * and details with one stay open.
 * @param {Element} root
 * @param {...Child} children
 */
export function fill(root, ...children) {
  const active = document.activeElement;
  const inside = active !== null && active !== root && root.contains(active);
  const key = active?.getAttribute("data-key") ?? null;
  const open = [...root.querySelectorAll("details[open]")].map(keyOf);
  root.replaceChildren(
    .../** @type {(Node | string)[]} */ (children.flat(Infinity).filter(Boolean)),
  );
  const keyed = [...root.querySelectorAll("[data-key]")];
  for (const one of keyed) {
    if (one instanceof HTMLDetailsElement) one.open = open.includes(keyOf(one));
  }
  if (!inside) return;
  const same = keyed.find((one) => key !== null && keyOf(one) === key);
  const next = same ?? root.querySelector("button") ?? root.parentElement?.querySelector("button");
  /** @type {HTMLElement | null | undefined} */ (next)?.focus();
}

/** @param {Element} element */
const keyOf = (element) => element.getAttribute("data-key");

/**
 * The element of an id, which the page has.
 * @param {string} id
 * @returns {any}
 */
export function at(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element ${id}`);
  return found;
}

/**
 * Let a reader of the screen say something, without moving.
 * @param {string} text
 */
export function announce(text) {
  at("status").textContent = text;
}

/**
 * Hand a file to the user.
 * @param {Blob} content
 * @param {string} name
 */
export function save(content, name) {
  const url = URL.createObjectURL(content);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
