"""What `agfnet check` finds and does not find on phantom cohorts, and how fast it reads.

    python bench/check.py --json check.json

findings: errors and warnings on clean cohorts, where there should be none. Copies: share of images
that are found again among all others of the cohort after a change, each under another lesion.
Callipers: share of the ultrasound images with and without drawn callipers that are reported.
shortcut, missing: Cramér's V of what these presets plant, 0 where it is not reported.
Speed: files per second of processor time; baseline: the decoder alone, on the same files.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from agfnet.check.images import THUMB, Role, look
from agfnet.check.pairs import same_images
from agfnet.check.run import Checked, check_cases
from agfnet.config import CheckConfig, PhantomConfig
from agfnet.data.readers import read_image
from agfnet.data.table import read_cases
from agfnet.files import write_json
from agfnet.phantom.cohort import make_cohort

CLEAN = ("easy", "hard", "imbalanced")
VIEWS: dict[str, Role] = {"clinical": "photo", "ultrasound": "ultrasound"}
COPIED = 300


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """The image as a JPEG."""
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
    """What images are compared by."""
    return np.asarray(image.convert("L").resize((THUMB, THUMB), Image.Resampling.BOX))


def copies_found(files: list[Path]) -> dict[str, float]:
    """Share of copies that are found, by how they were made."""
    chosen = np.random.default_rng(0).choice(len(files), COPIED, replace=False)
    thumbs = [thumb(Image.open(file)) for file in files]
    shares = {}
    for name, change in COPIES.items():
        changed = [thumb(change(Image.open(files[i]).convert("RGB"))) for i in chosen]
        numbers = np.arange(len(files) + COPIED)
        pairs = set(map(tuple, same_images(np.stack(thumbs + changed), numbers).tolist()))
        hits = [(int(i), len(files) + k) in pairs for k, i in enumerate(chosen)]
        shares[name] = float(np.mean(hits))
    return shares


def callipers_found(table: Path, checked: Checked) -> tuple[float, float]:
    """Shares of images with and without callipers that are reported."""
    with (table.parent / "truth.csv").open(newline="") as file:
        drawn = {row["lesion_id"]: row["callipers"] == "1" for row in csv.DictReader(file)}
    total = {True: 0, False: 0}
    for case in read_cases(table, modalities=tuple(VIEWS)):
        total[drawn[case.lesion_id]] += len(case.images["ultrasound"])
    found = [drawn[each.lesion] for each in checked.findings if each.kind == "white_marks"]
    return found.count(True) / total[True], found.count(False) / total[False]


def strength(checked: Checked, kind: str) -> float:
    """Cramér's V of the first finding of a kind."""
    messages = [each.message for each in checked.findings if each.kind == kind]
    return float(re.findall(r"V (\d\.\d+)", messages[0])[0]) if messages else 0.0


def speed(files: list[Path], action: Callable[[Path], object]) -> float:
    """Files per second of processor time, the best of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        for file in files:
            action(file)
        times.append(time.process_time() - start)
    return len(files) / min(times)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--lesions", type=int, default=1000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args()
    rows = []
    print(f"{'':<34}{'metric':<22}{'value':>9}{'baseline':>10}{'ratio':>7}")

    def report(name: str, metric: str, value: float, baseline: float | None = None) -> None:
        ratio = None if baseline is None else value / baseline
        shown = ["" if each is None else f"{each:.3f}" for each in (value, baseline, ratio)]
        print(f"{name:<34}{metric:<22}{shown[0]:>9}{shown[1]:>10}{shown[2]:>7}")
        rows.append(
            {"name": name, "metric": metric, "value": value, "baseline": baseline, "ratio": ratio}
        )

    with tempfile.TemporaryDirectory() as scratch:
        tables = {}
        for preset in (*CLEAN, "shortcut", "missing"):
            config = PhantomConfig(
                out=f"{scratch}/{preset}",
                preset=preset,
                lesions=settings.lesions,
                size=settings.size,
            )
            tables[preset] = make_cohort(config)
        checked = {name: check_cases(CheckConfig(cases=str(path))) for name, path in tables.items()}
        for preset in CLEAN:
            counts = checked[preset].counts()
            report(preset, "findings", counts["error"] + counts["warning"])
        found, false = callipers_found(tables["shortcut"], checked["shortcut"])
        report("callipers, drawn", "share_reported", found)
        report("callipers, not drawn", "share_reported", false)
        report("shortcut", "cramers_v", strength(checked["shortcut"], "shortcut_marks"))
        report("missing", "cramers_v", strength(checked["missing"], "shortcut_missing"))
        cases = read_cases(tables["easy"], modalities=tuple(VIEWS)).cases
        for view, role in VIEWS.items():
            files = [case.images[view][0] for case in cases]
            for name, share in copies_found(files).items():
                report(f"{view}: {name}", "share_found", share)
            files = files[:COPIED]
            alone = speed(files, read_image)
            report(view, "files_per_second", speed(files, lambda p, r=role: look(p, r)), alone)
    if settings.json:
        write_json(settings.json, rows)


if __name__ == "__main__":
    main()
