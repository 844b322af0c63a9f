"""Findings of `agfnet check` on phantom cohorts, and its speed.

    python bench/check.py --json check.json

- findings: errors and warnings on clean cohorts, where none are expected.
- share_found: fraction of modified copies, each added as another lesion, that are found among all
  images of the cohort.
- share_reported: fraction of ultrasound images with and without drawn callipers that are reported.
- cramers_v: Cramér's V of the association that the presets shortcut and missing contain; 0 if it is
  not reported.
- files_per_second: in processor time. Baseline: the decoder alone, on the same files.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import finish, options, row
from PIL import Image

from agfnet.check.images import THUMB, Role, look
from agfnet.check.pairs import same_images
from agfnet.check.run import Checked, check_cases
from agfnet.config import CheckConfig, PhantomConfig
from agfnet.data.readers import read_image
from agfnet.data.table import read_cases
from agfnet.phantom.cohort import make_cohort

CLEAN = ("easy", "hard", "imbalanced")
VIEWS: dict[str, Role] = {"clinical": "photo", "ultrasound": "ultrasound"}
COPIED = 300


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Compress an image as JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG at quality 50": lambda image: jpeg(image, 50),
    "JPEG at quality 20": lambda image: jpeg(image, 20),
    "half the size, quality 80": lambda image: jpeg(image.reduce(2), 80),
    "mirrored, quality 80": lambda image: jpeg(
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 80
    ),
    "brighter, quality 80": lambda image: jpeg(image.point(lambda x: int(1.15 * x + 8)), 80),
}


def thumb(image: Image.Image) -> np.ndarray:
    """Return the thumbnail by which images are compared."""
    return np.asarray(image.convert("L").resize((THUMB, THUMB), Image.Resampling.BOX))


def copies_found(files: list[Path]) -> dict[str, float]:
    """Return the fraction of copies that are found, by the kind of copy."""
    sample = np.random.default_rng(0).choice(len(files), COPIED, replace=False)
    thumbs = [thumb(Image.open(file)) for file in files]
    fractions = {}
    for name, change in COPIES.items():
        changed = [thumb(change(Image.open(files[i]).convert("RGB"))) for i in sample]
        numbers = np.arange(len(files) + COPIED)
        pairs = set(map(tuple, same_images(np.stack(thumbs + changed), numbers).tolist()))
        hits = [(int(i), len(files) + k) in pairs for k, i in enumerate(sample)]
        fractions[name] = float(np.mean(hits))
    return fractions


def callipers_found(table: Path, checked: Checked) -> tuple[float, float]:
    """Return the fractions of images with and without callipers that are reported."""
    with (table.parent / "truth.csv").open(newline="") as file:
        drawn = {row["lesion_id"]: row["callipers"] == "1" for row in csv.DictReader(file)}
    total = {True: 0, False: 0}
    for case in read_cases(table, modalities=tuple(VIEWS)):
        total[drawn[case.lesion_id]] += len(case.images["ultrasound"])
    reported = [drawn[each.lesion] for each in checked.findings if each.name == "white_marks"]
    return reported.count(True) / total[True], reported.count(False) / total[False]


def strength(checked: Checked, name: str) -> float:
    """Return Cramér's V of the first finding of a name; 0 without one."""
    messages = [each.message for each in checked.findings if each.name == name]
    return float(re.findall(r"V (\d\.\d+)", messages[0])[0]) if messages else 0.0


def speed(files: list[Path], action: Callable[[Path], object]) -> float:
    """Return files per second of processor time, the best of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        for file in files:
            action(file)
        times.append(time.process_time() - start)
    return len(files) / min(times)


def main() -> None:
    """Make cohorts, check them, and measure."""
    parser = options(__doc__)
    parser.add_argument("--lesions", type=int, default=1000)
    parser.add_argument("--size", type=int, default=224)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tables = {}
        for preset in (*CLEAN, "shortcut", "missing"):
            config = PhantomConfig(
                out=f"{scratch}/{preset}",
                preset=preset,
                lesions=arguments.lesions,
                size=arguments.size,
            )
            tables[preset] = make_cohort(config)
        checked = {name: check_cases(CheckConfig(cases=str(path))) for name, path in tables.items()}
        rows = []
        for preset in CLEAN:
            counts = checked[preset].counts()
            rows.append(row(preset, "findings", counts["error"] + counts["warning"]))
        with_marks, without = callipers_found(tables["shortcut"], checked["shortcut"])
        rows += [
            row("callipers, drawn", "share_reported", with_marks),
            row("callipers, not drawn", "share_reported", without),
            row("shortcut", "cramers_v", strength(checked["shortcut"], "shortcut_marks")),
            row("missing", "cramers_v", strength(checked["missing"], "shortcut_missing")),
        ]
        cases = read_cases(tables["easy"], modalities=tuple(VIEWS)).cases
        for view, role in VIEWS.items():
            files = [case.images[view][0] for case in cases]
            for name, fraction in copies_found(files).items():
                rows.append(row(f"{view}: {name}", "share_found", fraction))
            files = files[:COPIED]
            alone = speed(files, read_image)
            value = speed(files, lambda path, role=role: look(path, role))
            rows.append(row(view, "files_per_second", value, alone))
    finish(rows, arguments)


if __name__ == "__main__":
    main()
