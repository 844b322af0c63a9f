"""Draw docs/img/corruptions.jpg: every corruption at every severity, on a phantom lesion.

python docs/figures/corruptions.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from agfnet.config import ModalityType, PhantomConfig
from agfnet.data.readers import read_image
from agfnet.data.table import read_cases
from agfnet.phantom.cohort import make_cohort
from agfnet.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from agfnet.robustness.corruptions_photo import Pixels

OUT = Path(__file__).parents[1] / "img" / "corruptions.jpg"
VIEWS: dict[str, ModalityType] = {"clinical": "photo", "ultrasound": "ultrasound"}
TILE, HEAD, LEFT = 128, 20, 150


def main() -> None:
    """Draw it."""
    images = {name: lesion(name) for name in VIEWS}
    lines = [(view, name) for view, kind in VIEWS.items() for name in CORRUPTIONS[kind]]
    width = LEFT + TILE * (1 + len(SEVERITIES))
    sheet = Pillow.new("RGB", (width, HEAD + TILE * len(lines)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    for column, text in enumerate(["as it is", *(f"severity {s}" for s in SEVERITIES)]):
        draw.text((LEFT + TILE * column + 4, 2), text, fill="black", font=font)
    for row, (view, name) in enumerate(lines):
        top, kind = HEAD + TILE * row, VIEWS[view]
        title = CORRUPTIONS[kind][name].title
        draw.text((6, top + TILE // 2 - 8), title, fill="black", font=font)
        done = [
            corrupt(images[view], modality_type=kind, name=name, severity=severity, key="figure")
            for severity in SEVERITIES
        ]
        for column, pixels in enumerate([images[view], *done]):
            tile = Pillow.fromarray(pixels).resize((TILE - 2, TILE - 2))
            sheet.paste(tile, (LEFT + TILE * column, top))
    sheet.save(OUT, quality=82)


def lesion(view: str) -> Pixels:
    """The first image of a view of a phantom lesion."""
    with tempfile.TemporaryDirectory() as folder:
        table = make_cohort(PhantomConfig(out=f"{folder}/cohort", lesions=12, size=256, seed=4))
        case = next(
            case
            for case in read_cases(table, modalities=tuple(VIEWS))
            if case.label.startswith("melanoma")
        )
        return read_image(case.images[view][0]).pixels


if __name__ == "__main__":
    main()
