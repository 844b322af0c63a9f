from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agfnet.bundle import Abstention, Calibration, PredictionSets
from agfnet.data.table import Case, read_cases
from agfnet.errors import DataError
from agfnet.inference.combinations import frame_combinations
from agfnet.inference.diagnosis import common_hints
from agfnet.inference.postprocessing import calibrated, prediction_set
from agfnet.inference.predictor import Predictor
from agfnet.phantom.dicom import write_sweep

VIEWS = ("clinical", "ultrasound")


@pytest.fixture(scope="module")
def cases(cohort: Path) -> tuple[Case, ...]:
    return tuple(case for case in read_cases(cohort, modalities=VIEWS) if case.split == "test")


@pytest.fixture(scope="module")
def predictor(trained: Path) -> Predictor:
    return Predictor.load(trained)


def test_alone_and_in_a_batch_are_the_same(predictor: Predictor, cases: tuple[Case, ...]) -> None:
    together = predictor.predict(cases).probabilities
    for case, expected in zip(cases[:4], together, strict=False):
        np.testing.assert_allclose(
            predictor.diagnose(case.images).probabilities, expected, atol=1e-6
        )
    np.testing.assert_allclose(together.sum(axis=1), 1)


def test_frames_are_averaged_in_log_probability(
    predictor: Predictor, cases: tuple[Case, ...]
) -> None:
    photo = cases[0].images["clinical"][:1]
    scans = [case.images["ultrasound"][0] for case in cases[:3]]
    diagnosis = predictor.diagnose({"clinical": photo, "ultrasound": scans})
    single = np.stack(
        [
            predictor.diagnose({"clinical": photo, "ultrasound": [scan]}).probabilities
            for scan in scans
        ]
    )
    np.testing.assert_allclose(diagnosis.frames, single, atol=1e-6)
    mean = np.exp(np.log(single).mean(axis=0))
    np.testing.assert_allclose(diagnosis.probabilities, mean / mean.sum(), atol=1e-6)


def test_frames_go_together_in_turn() -> None:
    a, b, c = Path("a"), Path("b"), Path("c")
    assert frame_combinations({"x": (a,), "y": (b, c)}, ["x", "y"]) == [
        {"x": a, "y": b},
        {"x": a, "y": c},
    ]
    assert frame_combinations({"x": (), "y": (b,)}, ["x", "y"]) == [{"y": b}]


def test_a_missing_view_still_gets_an_answer(predictor: Predictor, cases: tuple[Case, ...]) -> None:
    answer = predictor.diagnose({"clinical": cases[0].images["clinical"]}).probabilities
    same = predictor.diagnose({**cases[0].images, "ultrasound": ()}).probabilities
    np.testing.assert_array_equal(answer, same)
    assert np.isfinite(answer).all()


def test_no_image_and_unknown_modality_are_errors(predictor: Predictor) -> None:
    with pytest.raises(DataError, match="no image"):
        predictor.diagnose({"clinical": ()})
    with pytest.raises(DataError, match=r"'dermoscopy'; this model reads clinical, ultrasound"):
        predictor.diagnose({"dermoscopy": (Path("x.png"),)})


@pytest.mark.parametrize("size", [(97, 131), (640, 480)])
def test_images_of_any_size(predictor: Predictor, tmp_path: Path, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    answer = predictor.diagnose({"clinical": (path,), "ultrasound": (path,)})
    assert answer.probabilities.sum() == pytest.approx(1)


def test_progress_reaches_the_end(predictor: Predictor, cases: tuple[Case, ...]) -> None:
    seen: list[int] = []
    predictor.predict(cases, progress=seen.append)
    assert seen == list(range(1, len(cases) + 1))


def test_a_case_with_other_images_only_is_answered_from_a_table(
    predictor: Predictor, cases: tuple[Case, ...]
) -> None:
    blind = [replace(cases[0], images={"clinical": (), "ultrasound": ()}), cases[1]]
    answers = predictor.predict(blind).probabilities
    assert np.isfinite(answers).all()
    np.testing.assert_allclose(answers[1], predictor.diagnose(cases[1].images).probabilities)


def test_what_the_calibration_adds_to_an_answer(
    predictor: Predictor, cases: tuple[Case, ...]
) -> None:
    count = len(predictor.bundle.config.classes)
    calibration = Calibration(
        temperature=0.5,
        sets=PredictionSets(score="lac", coverage=0.9, by_class=False, quantiles=(1.0,) * count),
        abstention=Abstention(
            threshold=0.2, target_risk=0.1, confidence=0.95, bound=0.1, coverage=0.5
        ),
        ood_threshold=-2.0,
    )
    full = Predictor(
        bundle=replace(predictor.bundle, calibration=calibration), backend=predictor.backend
    )
    plain = Predictor(
        bundle=replace(predictor.bundle, calibration=Calibration()), backend=predictor.backend
    )
    answer, raw = full.diagnose(cases[0].images), plain.diagnose(cases[0].images)
    np.testing.assert_allclose(
        answer.probabilities, calibrated(np.log(raw.probabilities), calibration)
    )
    assert answer.prediction_set is not None
    np.testing.assert_array_equal(
        answer.prediction_set, prediction_set(answer.probabilities[None], calibration.sets)[0]
    )
    assert answer.prediction_set.all()
    assert answer.abstain is bool(answer.probabilities.max() < 0.2)  # as JSON takes it
    assert answer.ood_score == raw.ood_score  # before calibration
    assert answer.out_of_distribution == (answer.ood_score > -2.0)
    assert (raw.prediction_set, raw.abstain, raw.out_of_distribution) == (None, None, None)
    table = full.predict(cases)
    assert table.prediction_set is not None
    assert table.abstain is not None
    np.testing.assert_array_equal(table.prediction_set[0], answer.prediction_set)
    assert table.abstain[0] == answer.abstain
    assert table.ood_score is not None
    assert table.ood_score[0] == pytest.approx(answer.ood_score)
    bare = plain.predict(cases[:0])
    assert (len(bare), bare.ood_score) == (0, None)


def test_the_quality_of_the_images_of_one_lesion(predictor: Predictor, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for number, level in enumerate((20, 20, 140)):
        path = tmp_path / f"{number}.png"
        pixels = rng.integers(0, 2 * level, (90, 90, 1)) * np.array([1.0, 0.6, 0.4])
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        paths.append(path)
    assert predictor.diagnose({"clinical": paths}).quality == {
        "clinical": ("dark",)
    }  # two of three
    assert predictor.diagnose({"clinical": paths[2:]}).quality == {}
    (tabled,) = predictor.stream([{"clinical": paths}])
    assert tabled.quality == {}  # not measured


def test_the_same_image_twice_is_said(predictor: Predictor, tmp_path: Path) -> None:
    """Its answer would count twice in the average."""
    pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8)
    for name in ("a.png", "b.bmp"):
        Image.fromarray(pixels).save(tmp_path / name)
    Image.fromarray(255 - pixels).save(tmp_path / "c.png")
    a, b, c = (tmp_path / name for name in ("a.png", "b.bmp", "c.png"))
    for repeated in ([a, b], [a, a], [a, c, b]):
        assert "repeated" in predictor.diagnose({"clinical": repeated}).quality["clinical"]
    assert "repeated" not in predictor.diagnose({"clinical": [a, c]}).quality.get("clinical", ())


def test_the_same_file_under_two_modalities_is_said(predictor: Predictor, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8)
    for name, values in (("a.png", pixels), ("copy.png", pixels), ("other.png", 255 - pixels)):
        Image.fromarray(values).save(tmp_path / name)
    a, copy, other = (tmp_path / name for name in ("a.png", "copy.png", "other.png"))
    for second, said in ((copy, True), (a, True), (other, False)):
        quality = predictor.diagnose({"clinical": [a], "ultrasound": [second]}).quality
        for name in VIEWS:
            assert ("repeated" in quality.get(name, ())) == said
    parts = {
        "clinical": [Path(f"{a}#xywh=0,0,40,40")],
        "ultrasound": [Path(f"{a}#xywh=40,40,40,40")],
    }
    assert "repeated" not in str(predictor.diagnose(parts).quality)


def test_an_animation_is_said(predictor: Predictor, tmp_path: Path) -> None:
    """A clip that was exported as GIF has one picture in the answer."""
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (90, 90)).astype(np.uint8)) for _ in range(3)]
    path = tmp_path / "clip.gif"
    for further in (frames[1:], []):
        frames[0].save(path, save_all=True, append_images=further)
        quality = predictor.diagnose({"ultrasound": [path]}).quality
        assert ("animation" in quality.get("ultrasound", ())) == bool(further)


@pytest.mark.parametrize(
    ("patients", "said"),
    [(("P1", "P2"), True), (("P1", "p1 "), False), (("P1", ""), False), (("P1", "unknown"), False)],
)
def test_images_of_two_patients_are_said(
    predictor: Predictor, tmp_path: Path, patients: tuple[str, str], said: bool
) -> None:
    """The photo of one patient with the scan of another has an answer for nobody."""
    pytest.importorskip("pydicom")
    images = {}
    for modality, patient in zip(VIEWS, patients, strict=True):
        images[modality] = [tmp_path / f"{modality}.dcm"]
        pixels = np.random.default_rng(0).integers(0, 256, (90, 90)).astype(np.uint8)
        write_sweep(
            images[modality][0],
            [pixels, 255 - pixels],
            lesion_id="L1",
            patient_id=patient,
            station="s",
            spacing=0.1,
            frequency=20.0,
            burned_in=False,
        )
    quality = predictor.diagnose(images).quality
    for modality in VIEWS:
        assert ("patients" in quality.get(modality, ())) == said
    photo = tmp_path / "photo.png"  # names no patient
    Image.fromarray(pixels).save(photo)
    quality = predictor.diagnose({**images, "clinical": [photo]}).quality
    assert "patients" not in str(quality)


def test_an_unfamiliar_image_is_not_called_of_another_type_as_well() -> None:
    hints = {("clinical", Path("a")): ("dark", "grey_photo")}
    assert common_hints(hints, {"clinical": 0.5}) == {"clinical": ("dark", "grey_photo")}
    assert common_hints(hints, {"clinical": 1.5}) == {"clinical": ("dark",)}
    assert common_hints(hints, {}) == {"clinical": ("dark", "grey_photo")}
