"""A clean cohort, and one fault after another planted in a row of its own."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from PIL.ExifTags import IFD, Base
from pydicom import dcmread

from agfnet.phantom.dicom import write_sweep

VIEWS = ("clinical", "ultrasound")


def save_table(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


class Planter:
    """The rows of a clean cohort, whose patients have one lesion each, and what is wrong in them.

    `expected` holds pairs of a kind and the lesion, or the column where it concerns no lesion.
    """

    def __init__(self, cohort: Path, folder: Path) -> None:
        self.folder = folder
        self.expected: set[tuple[str, str]] = set()
        with cohort.open(newline="") as file:
            rows = list(csv.DictReader(file))
        people = [row["patient_id"] for row in rows]
        self.rows = [row for row in rows if people.count(row["patient_id"]) == 1]
        for row in self.rows:
            for name in (*VIEWS, *(f"{view}_mask" for view in VIEWS)):
                row[name] = "|".join(str(cohort.parent / path) for path in row[name].split("|"))
        self._free = {
            split: [row for row in self.rows if row["split"] == split]
            for split in ("train", "test")
        }

    def expect(self, kind: str, place: str) -> None:
        self.expected.add((kind, place))

    def take(self, *kinds: str, split: str = "train", last: bool = False) -> dict[str, str]:
        """A row that nobody has touched; these kinds will be found in it."""
        row = self._free[split].pop(-1 if last else 0)
        for kind in kinds:
            self.expect(kind, row["lesion_id"])
        return row

    def path(self, row: dict[str, str], view: str, suffix: str) -> Path:
        """A new file for one view of a lesion, without a mask."""
        number = len(list(self.folder.iterdir()))
        path = self.folder / f"{number}{suffix}"
        row[view], row[f"{view}_mask"] = str(path), ""
        return path

    def save(self, row: dict[str, str], view: str, image: Image.Image, **options: Any) -> None:
        image.save(self.path(row, view, ".jpg" if view == "clinical" else ".png"), **options)

    def copy(self, row: dict[str, str], view: str, source: str) -> None:
        shutil.copy(source, self.path(row, view, Path(source).suffix))


def first(row: dict[str, str], view: str) -> str:
    return row[view].split("|")[0]


def opened(row: dict[str, str], view: str) -> Image.Image:
    with Image.open(first(row, view)) as image:
        return image.convert("RGB")


def plant_rows(plant: Planter) -> None:
    known = plant.take()
    row = plant.take()
    row["lesion_id"] = known["lesion_id"]
    plant.expect("lesion_repeated", known["lesion_id"])
    plant.take()["lesion_id"] = ""
    plant.expect("lesion_empty", "lesion_id")
    row = plant.take("no_image")
    row.update(dict.fromkeys((*VIEWS, "clinical_mask", "ultrasound_mask"), ""))
    row = plant.take("path_repeated")
    row["clinical"] += "|" + row["clinical"]
    row["clinical_mask"] = ""
    plant.take("split_unknown")["split"] = "training"
    plant.take("split_empty")["split"] = ""
    row = plant.take("patient_splits")
    row["patient_id"], row["split"] = known["patient_id"], "val"
    plant.take()["patient_id"] = "Q 7"
    plant.take("patient_spelling", last=True)["patient_id"] = "q-07"
    plant.take("patient_placeholder")["patient_id"] = "unknown"
    plant.take("patient_rounded")["patient_id"] = "1.23457E+11"
    row = plant.take("image_placeholder")
    row["ultrasound"], row["ultrasound_mask"] = "nan", ""
    row = plant.take()
    row["lesion_id"] = row["lesion_id"][:2] + "\u200b" + row["lesion_id"][2:]
    plant.expect("invisible", row["lesion_id"])


def plant_labels(plant: Planter) -> None:
    plant.take("label_spelling", last=True)["label"] = "Mela noma"
    plant.expect("label_similar", "label")  # of this pair and the next
    plant.take("label_rare")["label"] = "melanomma"
    plant.take("label_placeholder")["label"] = "N/A"
    plant.take("label_rare", "label_doubtful")["label"] = "possible lipoma"
    plant.expect("label_untested", "split")
    plant.take()["label"] = ""
    plant.expect("label_missing", "label")
    plant.take("label_rare", "label_untrained", split="test")["label"] = "angioma"


def plant_files(plant: Planter) -> None:
    plant.take("file_missing")["clinical"] = "gone.jpg"
    row = plant.take("file_folder")
    row["clinical"], row["clinical_mask"] = str(plant.folder), ""
    plant.path(plant.take("file_empty"), "clinical", ".jpg").touch()
    plant.path(plant.take("not_image"), "clinical", ".jpg").write_text("not an image")
    row = plant.take("image_damaged")
    content = Path(row["clinical"]).read_bytes()
    plant.path(row, "clinical", ".jpg").write_bytes(content[: len(content) // 2])
    row = plant.take("image_damaged")
    content = Path(first(row, "ultrasound")).read_bytes()
    plant.path(row, "ultrasound", ".png").write_bytes(content[: len(content) // 2])


def plant_duplicates(plant: Planter) -> None:
    known, tested = plant.take(), plant.take(split="test")

    def later(kind: str, row: dict[str, str], other: dict[str, str]) -> None:
        plant.expect(kind, max(row, other, key=plant.rows.index)["lesion_id"])

    row = plant.take()
    plant.copy(row, "clinical", known["clinical"])
    later("file_lesions", row, known)
    row = plant.take()
    one = plant.take()
    row["patient_id"] = one["patient_id"]
    plant.save(row, "clinical", opened(one, "clinical"), quality=85)
    later("one_patient", row, one)
    row = plant.take()
    plant.copy(row, "clinical", tested["clinical"])
    later("file_leak", row, tested)
    for source, kind in ((known, "image_lesions"), (tested, "image_leak")):
        row = plant.take()
        image = opened(source, "ultrasound").resize((90, 80))
        plant.save(row, "ultrasound", image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        later(kind, row, source)
    row = plant.take("file_modalities", "colour_ultrasound")
    plant.copy(row, "ultrasound", row["clinical"])
    row = plant.take("image_modalities", "grey_photo")
    plant.save(row, "clinical", opened(row, "ultrasound"), quality=80)
    row = plant.take("file_frames")
    frame = first(row, "ultrasound")
    plant.copy(row, "ultrasound", frame)
    row["ultrasound"] += f"|{frame}"


def plant_looks(plant: Planter) -> None:
    noise = np.random.default_rng(0).integers(0, 9, (64, 64, 3), dtype=np.uint8)
    for kind, pixels in {
        "constant": noise * 0 + 90,
        "black": noise,
        "white": noise + 245,
        "flat": noise + np.uint8(120),
    }.items():
        plant.save(plant.take(kind), "ultrasound", Image.fromarray(pixels.astype(np.uint8)))
    for kind, size in {"size": (640, 640), "shape": (150, 50)}.items():
        row = plant.take(kind)
        plant.save(row, "clinical", opened(row, "clinical").resize(size))
    row = plant.take("blurred")
    image = opened(row, "clinical").resize((128, 128)).filter(ImageFilter.GaussianBlur(6))
    plant.save(row, "clinical", image, quality=95)
    row = plant.take("frame_sizes")
    image, known = opened(row, "clinical"), row["clinical"]
    plant.save(row, "clinical", image.resize((90, 90)))
    row["clinical"] += f"|{known}"
    row = plant.take("grey_photo", "colour_ultrasound")
    photo, scan = opened(row, "clinical"), opened(row, "ultrasound")
    plant.save(row, "clinical", scan)
    plant.save(row, "ultrasound", photo)


def plant_marks(plant: Planter) -> None:
    row = plant.take("white_marks")
    image = opened(row, "ultrasound").resize((160, 160))
    ImageDraw.Draw(image).text((4, 140), "1 D 4.2 mm", fill="white")
    plant.save(row, "ultrasound", image)
    row = plant.take("coloured_marks")
    image = opened(row, "ultrasound").resize((160, 160))
    for x, y in ((30, 60), (120, 70)):
        ImageDraw.Draw(image).line([(x - 6, y), (x + 6, y)], fill="yellow")
        ImageDraw.Draw(image).line([(x, y - 6), (x, y + 6)], fill="yellow")
    plant.save(row, "ultrasound", image)


def plant_masks(plant: Planter) -> None:
    row = plant.take("mask_count")
    row["clinical_mask"] += "|" + row["ultrasound_mask"].split("|")[0]
    plant.take("box")["clinical_box"] = "0,0,40"
    row = plant.take("mask_size")
    opened(row, "clinical_mask").resize((32, 32)).save(path := plant.folder / "small.png")
    row["clinical_mask"] = str(path)
    row = plant.take("mask_blank")
    Image.new("L", (64, 64)).save(path := plant.folder / "blank.png")
    row["clinical_mask"] = str(path)


def plant_identities(plant: Planter) -> None:
    exif = Image.Exif()
    exif.get_ifd(IFD.GPSInfo)[1] = "N"
    row = plant.take("exif_gps")
    plant.save(row, "clinical", opened(row, "clinical"), exif=exif, quality=95)
    exif = Image.Exif()
    exif[Base.Artist] = "Dr. Who"
    exif[Base.Orientation] = 6  # which is no fault
    row = plant.take("exif_identity")
    plant.save(row, "clinical", opened(row, "clinical"), exif=exif, quality=95)
    for name in ("Doe^Jane", "scan_dob_19800229", "jane.doe@example.org", "Mrs_Doe", "1954-03-01"):
        row = plant.take()
        row["lesion_id"] = f"{name} {row['lesion_id']}"
        plant.expect("identity_name", row["lesion_id"])
    for row in plant.rows:
        row["Date of birth"] = ""
    plant.rows[0]["Date of birth"] = "1.2.90"
    plant.expect("identity_column", "Date of birth")


def plant_dicom(plant: Planter) -> None:
    known, other = plant.take(), plant.take()
    partners = {"same patient": known, "across": other}
    rows = {
        "clean": known,
        "clean too": other,
        "PatientName": plant.take("dicom_identity"),
        "BurnedInAnnotation": plant.take("burned_in"),
        "PixelSpacing": plant.take("spacing"),
        "same patient": plant.take("dicom_identity"),
        "across": plant.take("dicom_identity", split="test"),
    }
    for name, row in rows.items():
        pixels = np.asarray(opened(row, "ultrasound").convert("L"))
        path = plant.path(row, "ultrasound", ".dcm")
        write_sweep(
            path,
            [pixels],
            lesion_id=row["lesion_id"],
            patient_id=row["patient_id"],
            station="A",
            spacing=0.1,
            frequency=20,
            burned_in=name == "BurnedInAnnotation",
        )
        file = dcmread(path)
        if name == "PatientName":
            file.PatientName, file.PatientBirthDate = "Doe^Jane", "19800229"
        elif name == "PixelSpacing":
            del file.PixelSpacing, file.SequenceOfUltrasoundRegions
        elif name in partners:
            file.PatientID = file.PatientName = partners[name]["patient_id"]
            later = max(partners[name], row, key=plant.rows.index)
            kind = "dicom_patient" if name == "same patient" else "dicom_patient_leak"
            plant.expect(kind, later["lesion_id"])
        file.save_as(path)
    row = plant.take("dicom_patients", split="test")
    pixels = np.asarray(opened(row, "ultrasound").convert("L"))
    paths = []
    for turned, patient in enumerate((row["patient_id"], "somebody else")):
        path = plant.path(row, "ultrasound", ".dcm")
        write_sweep(
            path,
            [np.rot90(pixels, 2 * turned)],
            lesion_id=row["lesion_id"],
            patient_id=patient,
            station="A",
            spacing=0.1,
            frequency=20,
            burned_in=False,
        )
        file = dcmread(path)
        file.PatientIdentityRemoved, file.DeidentificationMethod = "YES", "by hand"
        file.save_as(path)
        paths.append(str(path))
    row["ultrasound"] = "|".join(paths)
