/** Create and replace elements. Text is inserted as text, never as HTML. */

/**
 * @typedef {Node | string | null | undefined | false | 0} Item
 * @typedef {Item | Item[] | (Item | Item[])[]} Child
 */

/**
 * Create an element.
 * @param {string} tag
 * @param {Record<string, any>} [settings] attributes; `on…` are listeners, `style` an object
 * @param {...Child} children
 * @returns {any} an HTMLElement of the tag's kind
 */
export function h(tag, settings = {}, ...children) {
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
 * Create a table that scrolls sideways, also by keys, where it is wider than the page.
 * @param {string} label of the table, for screen readers
 * @param {Child} head cells of its only head row
 * @param {Child} rows
 */
export function wideTable(label, head, rows) {
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
  );
}

/**
 * Replace the children of an element. The focus moves from a child with a `data-key` to the new child
 * with the same key, and open details with a key stay open.
 * @param {Element} root
 * @param {...Child} children
 */
export function render(root, ...children) {
  const active = document.activeElement;
  const inside = active !== null && active !== root && root.contains(active);
  const key = active?.getAttribute("data-key") ?? null;
  const open = [...root.querySelectorAll("details[open]")].map(keyOf);
  root.replaceChildren(
    .../** @type {(Node | string)[]} */ (children.flat(Infinity).filter(Boolean)),
  );
  const keyed = [...root.querySelectorAll("[data-key]")];
  for (const element of keyed) {
    if (element instanceof HTMLDetailsElement) element.open = open.includes(keyOf(element));
  }
  if (!inside) return;
  const same = keyed.find((element) => key !== null && keyOf(element) === key);
  const next = same ?? root.querySelector("button") ?? root.parentElement?.querySelector("button");
  /** @type {HTMLElement | null | undefined} */ (next)?.focus();
}

/** @param {Element} element */
const keyOf = (element) => element.getAttribute("data-key");

/**
 * Return the element with an id; it must exist.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`no element ${id}`);
  return element;
}

/**
 * Let a screen reader read a text; the focus stays.
 * @param {string} text
 */
export function announce(text) {
  byId("status").textContent = text;
}

/**
 * Download a file.
 * @param {Blob} content
 * @param {string} name
 */
export function save(content, name) {
  const url = URL.createObjectURL(content);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
