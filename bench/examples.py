"""Draw the examples of the web page: three phantom lesions with their truth.

python bench/examples.py src/agfnet/serve/static/examples
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image

from agfnet.config import PhantomConfig
from agfnet.data.table import read_cases
from agfnet.files import write_json
from agfnet.phantom.cohort import make_cohort

LABELS = ("melanoma", "basal_cell_carcinoma", "naevus")
MODALITIES = ("clinical", "ultrasound")
SEED = 21


def main() -> None:
    """Write the images, and `examples.json` with the truth."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    examples = []
    with tempfile.TemporaryDirectory() as temporary:
        config = PhantomConfig(out=f"{temporary}/cohort", lesions=42, size=224, seed=SEED)
        cases = read_cases(make_cohort(config), modalities=MODALITIES).cases
        for label in LABELS:
            case = next(c for c in cases if c.label == label and all(c.images.values()))
            images = {}
            for name in MODALITIES:
                file = f"{label}_{name}.jpg"
                Image.open(case.images[name][0]).convert("RGB").save(folder / file, quality=85)
                images[name] = file
            examples.append({"label": label, "images": images})
    write_json(folder / "examples.json", examples)


if __name__ == "__main__":
    main()
