/** Drag with one pointer and pinch with two: mouse, pen or fingers. */

/**
 * Follow the pointers on an element, also when they leave it.
 * @param {HTMLElement} element
 * @param {{
 *   start?: (event: PointerEvent, count: number) => void,
 *   drag: (dx: number, dy: number) => void,
 *   pinch: (ratio: number, x: number, y: number) => void,
 *   end?: () => void,
 * }} listeners `drag` gets the movement and `pinch` the ratio of the distances of two pointers and the
 *   point between them, in CSS pixels of the window; `end` is called when the last pointer is gone
 */
export function followPointers(element, { start, drag, pinch, end }) {
  /** @type {Map<number, {x: number, y: number}>} */
  const pointers = new Map();
  const pair = () => {
    const [a, b] = [...pointers.values()];
    return { gap: Math.hypot(a.x - b.x, a.y - b.y) || 1, x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };
  element.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    start?.(event, pointers.size);
  });
  element.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const before = pointers.size > 1 ? pair() : null;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (!before) return drag(event.clientX - last.x, event.clientY - last.y);
    const after = pair();
    pinch(after.gap / before.gap, after.x, after.y);
  });
  const release = (/** @type {PointerEvent} */ event) => {
    if (pointers.delete(event.pointerId) && pointers.size === 0) end?.();
  };
  element.addEventListener("pointerup", release);
  element.addEventListener("pointercancel", release);
}
