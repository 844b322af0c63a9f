"""The remedy that a finding names is applied to a planted cohort, and clears the finding."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agfnet.check.findings import FINDINGS, Finding
from agfnet.check.run import check_cases
from agfnet.cli import main
from agfnet.config import CheckConfig, PhantomConfig
from agfnet.phantom.cohort import make_cohort

from .planted import VIEWS, Planter, save_table
from .test_run import APART, PLANTS, SHORTCUTS

Row = dict[str, str]
DELETED = "deleted"


class Cure:
    """Edits rows as the messages of findings say. `images` are the right images of each row."""

    def __init__(self, rows: list[Row], images: list[Row]) -> None:
        self.rows = rows
        self.images = images

    def replace(self, row: Row, _: Finding) -> None:
        """Use the right image, copy it again, keep it where it belongs, draw the mask on it."""
        row.update(self.images[self.rows.index(row)])

    def delete(self, row: Row, _: Finding) -> None:
        row[DELETED] = "yes"

    def rename(self, row: Row, finding: Finding) -> None:
        row[finding.column] = f"new {finding.row}"

    def draw_split(self, row: Row, _: Finding) -> None:
        """Nothing: the split is drawn again for all."""

    def list_once(self, row: Row, finding: Finding) -> None:
        paths = {Path(path).read_bytes(): path for path in row[finding.column].split("|")}
        row[finding.column] = "|".join(paths.values())

    def empty(self, row: Row, finding: Finding) -> None:
        row[finding.column] = ""

    def diagnose(self, row: Row, _: Finding) -> None:
        row["label"] = "melanoma"

    def join_patients(self, row: Row, finding: Finding) -> None:
        row["patient_id"] = self.other(finding)["patient_id"]

    def restore_both(self, row: Row, finding: Finding) -> None:
        self.replace(row, finding)
        self.replace(self.other(finding), finding)

    def other(self, finding: Finding) -> Row:
        match = re.search(r"row (\d+)", finding.message)
        assert match is not None, finding
        return self.rows[int(match[1]) - 2]

    def write_one_way(self, _: Row, finding: Finding) -> None:
        match = re.match(r"'(.+)' \(\d+\) and '(.+)' \(\d+\) look like one", finding.message)
        assert match is not None, finding
        first, second = match.groups()
        count = [row["label"] for row in self.rows].count
        rare, usual = sorted((first, second), key=count)
        for row in self.rows:
            row["label"] = usual if row["label"] == rare else row["label"]

    def leave_out(self, _: Row, finding: Finding) -> None:
        match = re.match(r"'(.+)' has", finding.message)
        label = match[1] if match else ""
        for row in self.rows:
            if row["label"] == label:
                row[DELETED] = "yes"


def remedies(cure: Cure) -> dict[str, Callable[[Row, Finding], None]]:
    """Return the remedy of each finding that is a change of cells or images by hand."""
    replaced = ("file_missing", "file_folder", "file_empty", "not_image", "image_damaged", "size")
    replaced += ("constant", "black", "white", "flat", "blurred", "shape", "frame_sizes", "spacing")
    replaced += ("grey_photo", "colour_ultrasound", "mask_count", "mask_size", "burned_in")
    replaced += ("white_marks", "coloured_marks", "dicom_patients")
    both = ("file_leak", "file_lesions", "image_leak", "image_lesions", "one_patient")
    both += ("file_modalities", "image_modalities")
    split = ("split_unknown", "split_empty", "patient_splits", "label_untrained", "label_untested")
    return {
        **dict.fromkeys(replaced, cure.replace),
        **dict.fromkeys(both, cure.restore_both),
        **dict.fromkeys(split, cure.draw_split),
        **dict.fromkeys(("path_repeated", "file_frames"), cure.list_once),
        **dict.fromkeys(("dicom_patient", "dicom_patient_leak"), cure.join_patients),
        "lesion_empty": cure.rename,
        "lesion_repeated": cure.rename,
        "patient_rounded": cure.rename,
        "no_image": cure.delete,
        "mask_blank": cure.empty,
        "box": cure.empty,
        "label_placeholder": cure.diagnose,
        "label_doubtful": cure.diagnose,
        "label_similar": cure.write_one_way,
        "label_rare": cure.leave_out,
        "label_missing": cure.leave_out,
    }


BY_FIX = {"label_spelling", "patient_spelling", "patient_placeholder", "image_placeholder"}
BY_FIX |= {"invisible"}
BY_DEIDENTIFY = {"dicom_identity", "exif_gps", "exif_identity", "identity_name", "identity_column"}


@pytest.mark.slow
def test_remedies_clear_every_planted_fault(tmp_path: Path) -> None:
    config = PhantomConfig(out=str(tmp_path / "cohort"), lesions=200, size=64, seed=1)
    planted = tmp_path / "planted"
    planted.mkdir()
    plant = Planter(make_cohort(config), planted)
    columns = [*VIEWS, *(f"{view}_mask" for view in VIEWS)]
    images = [{name: row[name] for name in columns} for row in plant.rows]
    for action in PLANTS:
        action(plant)
    path = save_table(planted / "cases.csv", plant.rows)
    findings = check_cases(CheckConfig(cases=str(path), workers=0)).findings
    by_hand = remedies(Cure(plant.rows, images))
    assert by_hand.keys() | BY_FIX | BY_DEIDENTIFY == FINDINGS.keys() - APART - SHORTCUTS
    assert {finding.name for finding in findings} == by_hand.keys() | BY_FIX | BY_DEIDENTIFY

    for finding in findings:
        if finding.name in by_hand:
            row = plant.rows[(finding.row or 2) - 2]
            by_hand[finding.name](row, finding)
    kept = [row for row in plant.rows if DELETED not in row]
    for row in kept:
        row["split"] = ""
    edited = str(save_table(planted / "edited.csv", kept))
    fixed, split = str(planted / "fixed.csv"), str(planted / "split.csv")
    main(["check", edited, "--fix", fixed, "--images", "false"])
    assert main(["split", fixed, split]) == 0
    left = {finding.name for finding in check_cases(CheckConfig(cases=split, workers=0)).findings}
    assert left == BY_DEIDENTIFY
    shared = tmp_path / "shared"
    arguments = ["deidentify", split, str(shared), "--mapping", str(tmp_path / "key" / "map.csv")]
    assert main(arguments) == 0
    checked = check_cases(CheckConfig(cases=str(shared / "cases.csv"), workers=0))
    assert [finding.name for finding in checked.findings] == []
