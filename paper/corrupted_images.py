"""Write a table whose images are corrupted, for the studies of robustness.

    python paper/corrupted_images.py data/milk10k/folds.csv data/milk10k/corrupted.csv --fold 1

Each image of the fold gets one of the corruptions of `agfnet evaluate --robustness`, drawn from its
lesion and column, so that all kinds are equally frequent. The corrupted images lie next to the new
table, in a folder of its name.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from PIL import Image

from agfnet.data.readers import read_image
from agfnet.robustness.corruptions import PHOTO, corrupt, generator


def main() -> None:
    """Read the table, and write the corrupted images and theirs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--columns", nargs="+", default=["clinical", "dermoscopic"])
    parser.add_argument("--fold", required=True, help="only lesions of this fold")
    parser.add_argument("--severity", type=int, choices=range(1, 6), default=3)
    arguments = parser.parse_args()
    with arguments.source.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == arguments.fold]
    folder = arguments.out.with_suffix("")
    folder.mkdir(exist_ok=True)
    for row in rows:
        for column in arguments.columns:
            key = f"{row['lesion_id']} {column}"
            name = str(generator(key).choice(list(PHOTO)))
            target = folder / f"{row['lesion_id']}_{column}.png"
            pixels = read_image(arguments.source.parent / row[column]).pixels
            changed = corrupt(
                pixels, modality_type="photo", name=name, severity=arguments.severity, key=key
            )
            Image.fromarray(changed).save(target)
            row[column] = target.relative_to(arguments.out.parent).as_posix()
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
