/** Files that are dropped or pasted, onto a field or anywhere on the page. */

/**
 * Accept files anywhere on the page.
 * @param {() => import("./lesion.js").Lesion | null} current the lesion that they are added to
 */
export function acceptFiles(current) {
  /** @param {EventTarget | null} target */
  const fieldAt = (target) =>
    /** @type {HTMLElement | null} */ (
      target instanceof Element ? target.closest("[data-modality]") : null
    );
  const mark = (/** @type {Element | null} */ target) => {
    for (const field of document.querySelectorAll(".field"))
      field.classList.toggle("over", field === target);
  };
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // or the browser would open the file instead of this page
    mark(fieldAt(event.target));
  });
  document.addEventListener("dragleave", () => mark(null));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(null);
    addTo(current(), fieldAt(event.target), [...(event.dataTransfer?.files ?? [])]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    addTo(current(), fieldAt(document.activeElement), files);
  });
}

/**
 * Add files to a field; without a field, each file to the next empty field that suits it,
 * from where the page may move it once the server has seen its content.
 * @param {import("./lesion.js").Lesion | null} lesion
 * @param {HTMLElement | null} field
 * @param {File[]} files
 */
function addTo(lesion, field, files) {
  if (lesion === null || files.length === 0) return;
  if (field) {
    lesion.add(field.dataset.modality ?? "", files);
    return;
  }
  const { modalities } = lesion.model;
  for (const file of files) {
    const scan = /\.(dcm|dicom|ima)$/i.test(file.name);
    const suits = modalities.filter(({ kind }) => !scan || kind === "ultrasound");
    const [first] = suits.length ? suits : modalities;
    const empty = suits.find(({ name }) => lesion.items.get(name)?.length === 0);
    lesion.add((empty ?? first).name, [file], true);
  }
}
