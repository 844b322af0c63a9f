"""Models and results: every form of an image gives the same answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import agfnet
from agfnet.api.model import Model
from agfnet.api.result import Results
from agfnet.data.table import read_cases
from agfnet.errors import ConfigError, DataError, ImageError, RunError
from agfnet.translation import words

VIEWS = ("clinical", "ultrasound")


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return agfnet.load(trained)


@pytest.fixture(scope="module")
def pair(cohort: Path) -> dict[str, str]:
    images = read_cases(cohort, modalities=VIEWS).cases[0].images
    return {name: str(images[name][0]) for name in VIEWS}


def probabilities(model: Model, **images: Any) -> np.ndarray:
    return model.predict(**images).diagnosis.probabilities


def test_every_form_of_an_image_gives_the_same_answer(model: Model, pair: dict[str, str]) -> None:
    expected = probabilities(model, **pair)
    with Image.open(pair["clinical"]) as photo, Image.open(pair["ultrasound"]) as scan:
        pixels = {"clinical": np.asarray(photo), "ultrasound": np.asarray(scan)}
        forms = [
            {name: Path(path) for name, path in pair.items()},
            {name: [path] for name, path in pair.items()},
            {"clinical": photo, "ultrasound": scan},
            pixels,
            {**pixels, "clinical": np.stack([pixels["clinical"]] * 2)},  # two equal frames
        ]
        for images in forms:
            np.testing.assert_allclose(probabilities(model, **images), expected, atol=1e-5)


def test_every_page_of_a_tiff_is_a_frame(
    model: Model, pair: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "scan.tif"
    with Image.open(pair["ultrasound"]) as scan:
        pages = [scan.rotate(angle) for angle in (0, 90, 180)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    expected = model.predict(clinical=pair["clinical"], ultrasound=path).probabilities
    with Image.open(path) as opened:
        opened.seek(1)
        answer = model.predict(clinical=pair["clinical"], ultrasound=opened).probabilities
        assert opened.tell() == 1
    assert answer == pytest.approx(expected, abs=1e-5)


def test_a_dicom_data_set_is_read(model: Model, pair: dict[str, str]) -> None:
    pydicom = pytest.importorskip("pydicom")
    with Image.open(pair["ultrasound"]) as scan:
        pixels = np.asarray(scan.convert("L"))
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = pixels.tobytes()
    expected = probabilities(model, clinical=pair["clinical"], ultrasound=pixels)
    answer = probabilities(model, clinical=pair["clinical"], ultrasound=data)
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_result(model: Model, pair: dict[str, str]) -> None:
    result = model.predict(**pair)
    values = list(result.probabilities.values())
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1)
    assert result.label == next(iter(result.probabilities))
    assert set(result.prediction_set or ()) <= set(model.classes)
    assert set(result.contributions or {}) == set(VIEWS)
    content = json.loads(json.dumps(result.to_dict()))
    assert content["label"] == result.label
    assert content["notice"] == agfnet.NOTICE
    assert 0 < content["groups"]["malignant"] < 1
    html = result._repr_html_()
    assert agfnet.NOTICE in html
    assert html.count("<img") == 2
    assert "<script" not in html
    assert result.plot().get_axes()


def test_contributions_sum_to_the_difference_from_no_image(
    model: Model, pair: dict[str, str]
) -> None:
    result = model.predict(**pair)
    (nothing,) = model.predictor.stream([{}])
    index = model.classes.index(result.label)
    difference = result.diagnosis.probabilities[index] - nothing.probabilities[index]
    total = sum((result.contributions or {}).values())
    assert total == pytest.approx(difference, rel=1e-4, abs=1e-6)  # float32 probabilities


def test_labels_are_escaped_in_a_notebook(model: Model, pair: dict[str, str]) -> None:
    from dataclasses import replace

    result = replace(model.predict(**pair), names=("<b>x</b>", *model.classes[1:]))
    assert "<b>x" not in result._repr_html_()


def test_a_notebook_shows_display_names(model: Model, pair: dict[str, str]) -> None:
    from dataclasses import replace

    answer = model.predict(**pair)
    names = tuple(f"name of {name}" for name in model.classes)
    result = replace(answer, names=names)
    assert result.display_names[result.label] == f"name of {result.label}"
    for html in (result._repr_html_(), Results([result])._repr_html_()):
        assert f"name of {result.label}" in html
    labels = [text.get_text() for axes in result.plot().axes for text in axes.get_yticklabels()]
    assert set(names) <= set(labels)


def test_a_missing_modality_has_no_contribution(model: Model, pair: dict[str, str]) -> None:
    assert model.predict(clinical=pair["clinical"], ultrasound=None).contributions is None


def test_an_answer_has_the_warnings_of_its_model_and_of_missing_images(
    model: Model, pair: dict[str, str]
) -> None:
    simulated = words()["model.simulated"]
    complete, single = model.predict(**pair), model.predict(clinical=pair["clinical"])
    assert simulated in complete.warnings
    assert not any("Ultrasound" in text for text in complete.warnings)
    assert simulated in single.warnings
    assert single.warnings[-1].startswith("Not provided")
    assert "Ultrasound" in single.warnings[-1]
    assert single.warnings[-1] in single.to_dict()["warnings"]
    (row,) = model.predict([{"clinical": pair["clinical"], "ultrasound": None}])
    assert row.warnings == single.warnings


def test_tables(model: Model, cohort: Path, pair: dict[str, str]) -> None:
    rows = [{"lesion_id": "a", **pair}, {"lesion_id": "b", "clinical": np.zeros((8, 8, 3), "u1")}]
    results = model.predict(rows)
    assert [result.lesion_id for result in results] == ["a", "b"]
    assert results[0].label == model.predict(**pair).label
    assert set(results.rows()[0]) >= {"lesion_id", "label", f"p_{model.classes[0]}"}
    assert agfnet.NOTICE in results._repr_html_()
    assert len(model.predict(cohort)) == len(read_cases(cohort, modalities=VIEWS))


@pytest.mark.parametrize(
    ("images", "error", "text"),
    [
        ({}, DataError, "no image"),
        ({"dermoscopy": "a.jpg"}, DataError, "unknown modality 'dermoscopy'"),
        ({"clinical": "none.jpg"}, ImageError, "none.jpg"),
        ({"clinical": 3}, ImageError, "clinical: int is no image"),
        ({"clinical": np.zeros((4, 4, 3))}, ImageError, "float64"),
        ({"clinical": np.zeros((4, 4, 2), "u1")}, ImageError, "(4, 4, 2)"),
    ],
)
def test_errors_name_the_modality(
    model: Model, images: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text.replace("(", r"\(").replace(")", r"\)")):
        model.predict(**images)


def test_errors_name_the_lesion_and_no_temporary_file(model: Model, pair: dict[str, str]) -> None:
    tiny = np.zeros((3, 3, 3), "u1")
    with pytest.raises(ImageError, match=r"^clinical-1\.png: is 3 x 3 pixels"):
        model.predict(
            ultrasound=Image.new("L", (32, 32)), clinical=[Image.new("RGB", (32, 32)), tiny]
        )
    with pytest.raises(ImageError, match=r"^lesion 'b': clinical-0\.png: is 3 x 3 pixels"):
        model.predict([{"lesion_id": "a", **pair}, {"lesion_id": "b", "clinical": tiny}])
    with pytest.raises(DataError, match=r"^lesion '2': no image"):
        model.predict([pair, dict.fromkeys(VIEWS)])


def test_misuse(model: Model, trained: Path, pair: dict[str, str]) -> None:
    with pytest.raises(DataError, match="int is no table"):
        model.predict(3)
    with pytest.raises(ConfigError, match="not both"):
        model.predict([pair], clinical="a.jpg")
    with pytest.raises(ConfigError, match="backend: 'gpu'; expected auto, torch, onnx, int8"):
        agfnet.load(trained, backend="gpu")  # type: ignore[arg-type]
    with pytest.raises(RunError, match="run"):
        agfnet.load(trained / "bundle").evaluate()
    with pytest.raises(ConfigError, match="did you mean 'resamples'"):
        model.evaluate(resample=3)
