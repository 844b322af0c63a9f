"""Content of images that does not fit the modality of their column."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agfnet.check.findings import Findings
from agfnet.check.images import Facts
from agfnet.check.survey import Use
from agfnet.config import ModalityType
from agfnet.data.quality import BLACK, BLURRED, COLOURED, DARK, FLAT, GREY, WHITE
from agfnet.data.table import Case

ODD_SIZE, ODD_SHAPE = 4.0, 2.0
"""Factor to the median of the column, or its inverse, from which a side or a ratio is odd."""
RARE = 0.05
"""Fraction of a column above which an odd size is common, and not reported."""


def check_appearance(
    column: str, modality_type: ModalityType, uses: Sequence[Use], findings: Findings
) -> None:
    """Report images without content, or with content that does not fit their column."""
    for use in uses:
        for name, message in _faults(use.facts):
            findings.add(name, f"{use.path.name!r} {message}", case=use.case, column=column)
    _check_modality(column, modality_type, uses, findings)
    _check_sizes(column, uses, findings)
    _check_frames(column, uses, findings)
    dicom = [use for use in uses if use.facts.header.format == "DICOM"]
    if any(use.facts.scaled for use in dicom):
        for use in dicom:
            if not use.facts.scaled:
                message = (
                    f"{use.path.name!r} does not state its millimetres per pixel; others do: "
                    "export it again with its scale"
                )
                findings.add("spacing", message, case=use.case, column=column)


def _faults(facts: Facts) -> list[tuple[str, str]]:
    seen, faults = facts.appearance, []
    if seen.constant:
        faults.append(("constant", "is of one colour; replace it, or empty the cell"))
    elif seen.high < BLACK:
        faults.append(("black", "is nearly black; replace it, or empty the cell"))
    elif seen.low >= WHITE:
        faults.append(("white", "is nearly white; replace it, or empty the cell"))
    elif seen.high - seen.low < FLAT:
        faults.append(("flat", "has hardly any contrast; replace it, or empty the cell"))
    elif seen.detail <= BLURRED:
        faults.append(("blurred", "shows no detail at all; replace it, or empty the cell"))
    hint = "a network may learn it instead of the lesion: use the image without it"
    if facts.white_marks:
        faults.append(("white_marks", f"has callipers, text or a frame drawn into it; {hint}"))
    if facts.coloured_marks:
        faults.append(("coloured_marks", f"has coloured callipers or text drawn into it; {hint}"))
    if facts.header.burned_in:
        faults.append(("burned_in", f"says that it has annotations burnt in; {hint}"))
    return faults


def _check_modality(
    column: str, modality_type: ModalityType, uses: Sequence[Use], findings: Findings
) -> None:
    if modality_type == "photo":
        suspects = [
            use
            for use in uses
            if use.facts.appearance.chroma < GREY and not use.facts.appearance.constant
        ]
        code, fault = "grey_photo", "is grey, among photographs"
    else:
        suspects = [
            use
            for use in uses
            if use.facts.appearance.coloured >= COLOURED and use.facts.appearance.dark <= DARK
        ]
        code, fault = "colour_ultrasound", "looks like a colour photograph, among ultrasound"
    if len(suspects) > len(uses) / 2:
        findings.add(
            "column_type",
            f"{len(suspects)} of {len(uses)} images do not look like {modality_type}; exchange the "
            f"columns, or set modalities.{column}.modality_type",
            column=column,
        )
        return
    for use in suspects:
        message = f"{use.path.name!r} {fault}; check whether the columns were exchanged in this row"
        findings.add(code, message, case=use.case, column=column)


def _check_sizes(column: str, uses: Sequence[Use], findings: Findings) -> None:
    sides = np.array([use.facts.size for use in uses], dtype=float).reshape(-1, 2)
    size = np.sqrt(sides.prod(1))
    shape = sides.max(1) / sides.min(1)
    for code, values, factor in (("size", size, ODD_SIZE), ("shape", shape, ODD_SHAPE)):
        for number in _odd(values, factor):
            use = uses[number]
            middle = "x".join(f"{side:g}" for side in np.median(sides, axis=0))
            findings.add(
                code,
                f"{use.path.name!r} is {use.facts.size[0]}x{use.facts.size[1]} pixels, most are "
                f"about {middle}; check whether it is a thumbnail, a cut-out or a screenshot",
                case=use.case,
                column=column,
            )


def _odd(values: NDArray[np.float64], factor: float) -> list[int]:
    """Return the positions of values that are far from the median, if they are rare."""
    if not values.size:
        return []
    far = np.abs(np.log(values / np.median(values))) >= np.log(factor)
    return np.nonzero(far)[0].tolist() if far.sum() <= max(1, RARE * len(values)) else []


def _check_frames(column: str, uses: Sequence[Use], findings: Findings) -> None:
    sizes: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
    for use in uses:
        sizes[use.case.row].add(use.facts.size)
    cases: dict[int, Case] = {use.case.row: use.case for use in uses}
    for row, several in sizes.items():
        if len(several) > 1:
            listed = ", ".join(f"{width}x{height}" for width, height in sorted(several))
            message = f"its images have different sizes: {listed}; use frames of one export"
            findings.add("frame_sizes", message, case=cases[row], column=column)


def check_masks(
    case: Case, column: str, images: Sequence[Use], masks: Sequence[Use], findings: Findings
) -> None:
    """Report masks of a lesion that do not fit its images."""
    sizes = [use.facts.size for use in images for _ in range(use.facts.frames)]
    if len(masks) != len(sizes):
        message = f"has {len(masks)} masks for {len(sizes)} images; give one each, in their order"
        findings.add("mask_count", message, case=case, column=column)
    for number, mask in enumerate(masks):
        size = sizes[min(number, len(sizes) - 1)] if sizes else mask.facts.size
        if mask.facts.size != size:
            findings.add(
                "mask_size",
                f"{mask.path.name!r} is {mask.facts.size[0]}x{mask.facts.size[1]} pixels, its "
                f"image {size[0]}x{size[1]}; draw the mask on the image as it is",
                case=case,
                column=column,
            )
        if mask.facts.appearance.constant:
            message = f"{mask.path.name!r} has one value only; draw the lesion, or empty the cell"
            findings.add("mask_blank", message, case=case, column=column)
