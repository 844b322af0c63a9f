"""Sweeps in DICOM files from a cohort to a diagnosis."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agfnet.cli import main
from agfnet.config import ModalityConfig, PhantomConfig, TrainConfig
from agfnet.data.table import CasesTable, read_cases, write_cases
from agfnet.inference.predictor import Predictor
from agfnet.phantom.cohort import make_cohort
from agfnet.study.run import run

pytest.importorskip("pydicom")
pytestmark = pytest.mark.slow
VIEWS = ("clinical", "ultrasound")


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> CasesTable:
    """Many lesions lack a view, and have up to three frames."""
    out = tmp_path_factory.mktemp("dicom") / "cohort"
    config = PhantomConfig(
        out=str(out),
        lesions=56,
        size=64,
        seed=3,
        preset="missing",
        frames=3,
        ultrasound_format="dicom",
    )
    return read_cases(make_cohort(config), modalities=VIEWS)


@pytest.fixture(scope="module")
def trained_on_sweeps(sweeps: CasesTable, settings: TrainConfig, tmp_path_factory) -> Path:
    """With every preparation of ultrasound."""
    scan = ModalityConfig(
        modality_type="ultrasound",
        crop_field_of_view=True,
        remove_annotations=True,
        pixel_spacing=0.16,
        skin_surface="shift",
    )
    modalities = settings.data.modalities | {"ultrasound": scan}
    data = replace(settings.data, cases=str(sweeps.path), modalities=modalities)
    runs = str(tmp_path_factory.mktemp("runs"))
    optim = replace(settings.optim, epochs=1)
    return run(replace(settings, data=data, runs=runs, optim=optim), bar=False)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def means(rows: list[dict[str, str]], lesion: str) -> np.ndarray:
    """Probabilities from the frames of a lesion."""
    frames = [row for row in rows if row["lesion_id"] == lesion]
    logs = np.log([[float(p) for name, p in row.items() if name[:2] == "p_"] for row in frames])
    mean = np.exp(logs.mean(axis=0))
    return mean / mean.sum()


def test_evaluation_lists_every_frame(trained_on_sweeps: Path, sweeps: CasesTable) -> None:
    folder = trained_on_sweeps / "evaluation" / "test"
    frames, lesions = rows_of(folder / "frames.csv"), rows_of(folder / "predictions.csv")
    test = [case for case in sweeps if case.split == "test"]
    assert list(dict.fromkeys(row["lesion_id"] for row in frames)) == [c.lesion_id for c in test]
    assert any("#2" in row["ultrasound"] for row in frames)
    assert any(not row["ultrasound"] for row in frames)
    assert any(not row["clinical"] for row in frames)
    for row in lesions:
        expected = [float(p) for name, p in row.items() if name[:2] == "p_"]
        np.testing.assert_allclose(means(frames, row["lesion_id"]), expected, atol=1e-6)
    for row in frames:
        for path in filter(None, (row[name] for name in VIEWS)):
            assert (sweeps.path.parent / path.split("#")[0]).is_file()


def test_a_frame_by_itself(trained_on_sweeps: Path, sweeps: CasesTable) -> None:
    whole = Predictor.load(trained_on_sweeps)
    answers = (whole.diagnose(case.images) for case in sweeps)
    several = next(answer for answer in answers if len(answer.images) == 3)
    predictor = Predictor.load(trained_on_sweeps, batch_size=2)  # a case spans batches
    for images, expected in zip(several.images, several.frames, strict=True):
        alone = predictor.diagnose({name: [path] for name, path in images.items()})
        np.testing.assert_allclose(alone.probabilities, expected, atol=1e-6)


def test_batches_of_any_size_give_the_same(trained_on_sweeps: Path, sweeps: CasesTable) -> None:
    cases = sweeps.cases[:12]
    large, small = (
        Predictor.load(trained_on_sweeps, batch_size=size).predict(cases).probabilities
        for size in (64, 3)
    )
    np.testing.assert_allclose(large, small, atol=1e-6)


def test_predict_writes_frames_beside_predictions(
    trained_on_sweeps: Path, sweeps: CasesTable, tmp_path: Path
) -> None:
    out = tmp_path / "new.csv"
    arguments = ["predict", str(trained_on_sweeps), "--cases", str(sweeps.path)]
    assert main([*arguments, "--out", str(out)]) == 0
    assert len(rows_of(out)) == len(sweeps)
    frames = rows_of(tmp_path / "new_frames.csv")
    assert list(frames[0])[:4] == ["lesion_id", "frame", *VIEWS]
    assert len(frames) > len(sweeps)


def test_one_lesion_and_one_frame_of_it(
    trained_on_sweeps: Path,
    sweeps: CasesTable,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    predictor = Predictor.load(trained_on_sweeps)
    scan = next(
        case.images["ultrasound"][0]
        for case in sweeps
        if case.images["ultrasound"]
        and len(predictor.diagnose({"ultrasound": case.images["ultrasound"]}).images) == 3
    )
    model = str(trained_on_sweeps)
    picture = str(tmp_path / "a.png")
    given = f"--images.ultrasound={scan}"
    assert main(["predict", model, given, "--picture", picture]) == 0
    assert "The average of 3 frames" in capsys.readouterr().out
    assert main(["predict", model, f"{given}#2", "--picture", picture]) == 0
    assert "The average" not in capsys.readouterr().out
    assert main(["predict", model, f"{given}#3"]) == 1
    assert "has 3 frames, so there is no frame 3" in capsys.readouterr().err
    png = next(c.images["clinical"][0] for c in sweeps if c.images["clinical"])
    assert main(["predict", model, f"--images.ultrasound={png}"]) == 1
    assert "does not state its scale" in capsys.readouterr().err


def test_a_table_may_name_frames(
    trained_on_sweeps: Path, sweeps: CasesTable, tmp_path: Path
) -> None:
    case = next(case for case in sweeps if case.images["ultrasound"])
    scan = case.images["ultrasound"][0]
    named = replace(case, images=case.images | {"ultrasound": (Path(f"{scan}#0"),)})
    table = tmp_path / "named.csv"
    write_cases([named], table, modalities=VIEWS)
    out = tmp_path / "predictions.csv"
    assert main(["predict", str(trained_on_sweeps), "--cases", str(table), "--out", str(out)]) == 0
    (row,) = rows_of(tmp_path / "frames.csv")
    assert row["ultrasound"].endswith(".dcm#0")
