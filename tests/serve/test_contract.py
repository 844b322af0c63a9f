"""What the API answers, to those who ask as they should."""

from __future__ import annotations

import base64
import io
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agfnet.inference.postprocessing import refer
from agfnet.inference.predictor import Predictor

from .live import CLASSES, Live, encoded, noise

Files = dict[str, bytes]


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def pair(files: Files) -> list[tuple[str, tuple[str, bytes]]]:
    return [("clinical", ("a", files["JPEG"])), ("ultrasound", ("b", files["DICOM"]))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "DICOM", "HEIC"])
def test_every_kind_is_answered_as_the_predictor_answers(
    kind: str, live: Live, files: Files, bundle: Path, tmp_path: Path
) -> None:
    for modality in ("clinical", "ultrasound"):
        path = tmp_path / "image"
        path.write_bytes(files[kind])
        expected = Predictor.load(bundle).diagnose({modality: [path]})
        reply = live.client.post("/v1/predict", files={modality: ("x.txt", files[kind])})
        assert reply.status_code == 200, reply.text
        said = reply.json()
        found = {one["name"]: one["probability"] for one in said["probabilities"]}
        np.testing.assert_allclose(
            [found[name] for name in CLASSES], expected.probabilities, atol=1e-5
        )
        assert said["images"][modality][0]["type"] == kind
        assert len(said["frames"]) == len(expected.frames)
        assert said["ood_score"] == pytest.approx(expected.ood_score, abs=1e-5)


def test_the_prediction_without_each_image(live: Live, files: Files) -> None:
    several = {"options": json.dumps({"leave_out": True})}
    said = live.client.post("/v1/predict", files=pair(files), data=several).json()
    assert [(one["modality"], one["image"]["frame"]) for one in said["without"]] == [
        ("ultrasound", k) for k in range(4)
    ]
    rest = {"frames": {"ultrasound": [{"file": 0, "frame": k} for k in (0, 1, 3)]}}
    again = {"options": json.dumps(rest)}
    fewer = live.client.post("/v1/predict", files=pair(files), data=again).json()
    expected = {one["name"]: one["probability"] for one in fewer["probabilities"]}
    assert said["without"][2]["probabilities"] == pytest.approx(expected, abs=1e-5)
    assert fewer["without"] == []  # not asked for


def test_a_prediction_says_all_that_follows_from_it(live: Live, files: Files) -> None:
    said = live.client.post("/v1/predict", files=pair(files)).json()
    values = [one["probability"] for one in said["probabilities"]]
    assert values == sorted(values, reverse=True)
    assert said["predicted"] == said["probabilities"][0]["name"]
    sums = {row["name"]: row["probability"] for row in said["probabilities"]}
    for group in said["groups"]:
        assert group["probability"] == pytest.approx(sum(sums[name] for name in group["classes"]))
    malignant = said["groups"][0]
    assert malignant["classes"] == ["melanoma"]
    assert malignant["positive"] == (malignant["probability"] >= 0.395)
    possible = [one["name"] for one in said["probabilities"] if one["possible"]]
    assert said["prediction_set"] == possible
    assert said["refer"] == refer(said["abstain"], said["out_of_distribution"])
    assert said["sentence"].endswith(".")
    assert said["notice"] == "Research use only, not a medical device."
    assert said["missing"] == []
    assert [one["images"]["ultrasound"]["frame"] for one in said["frames"]] == [0, 1, 2, 3]
    assert {one["images"]["clinical"]["frame"] for one in said["frames"]} == {0}


def test_frames_can_be_chosen_and_a_modality_left_out(live: Live, files: Files) -> None:
    def ask(chosen: Any) -> dict[str, Any]:
        options = {"options": json.dumps({"frames": chosen})}
        reply = live.client.post("/v1/predict", files=pair(files), data=options)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    whole = ask({})
    one = ask({"ultrasound": [{"file": 0, "frame": 2}]})
    assert [frame["images"]["ultrasound"]["frame"] for frame in one["frames"]] == [2]
    third = whole["frames"][2]["probabilities"]
    assert one["frames"][0]["probabilities"] == pytest.approx(third, abs=1e-5)
    alone = ask({"ultrasound": []})
    photo = live.predict(files["JPEG"]).json()
    assert alone["missing"] == photo["missing"] == ["ultrasound"]
    assert alone["probabilities"] == photo["probabilities"]


@pytest.mark.parametrize(
    "options",
    [
        {"frames": {"clinical": [{"file": 1}]}},
        {"frames": {"clinical": [{"file": 0, "frame": 1}]}},
        {"frames": {"clinical": [{"file": -1}]}},
        {"frames": {"clinical": [{"file": "0"}]}},
        {"frames": {"dermoscopy": [{"file": 0}]}},
        {"frames": {"clinical": []}},
        {"frame": {}},
        {"frames": {"clinical": [{"file": 0}] * 7}},
        [],
        "text",
        None,
    ],
)
def test_a_choice_that_cannot_be_is_refused(options: Any, live: Live, files: Files) -> None:
    reply = live.predict(files["JPEG"], data={"options": json.dumps(options)})
    assert reply.status_code in (413, 422)
    assert reply.json()["error"]["code"] in ("invalid", "too_many_frames")


def test_an_explanation_adds_up(live: Live, files: Files) -> None:
    options = {"class": "melanoma", "pass": 1, "methods": ["occlusion", "guide"]}
    asked = {"files": pair(files), "data": {"options": json.dumps(options)}}
    reply = live.client.post("/v1/explain", **asked)
    assert reply.status_code == 200, reply.text
    said = reply.json()
    assert (said["class"], said["pass"]) == ("melanoma", 1)
    assert said["frame"]["images"]["ultrasound"] == {"file": 0, "frame": 1}
    answers = {tuple(one["modalities"]): one["probabilities"] for one in said["answers"]}
    assert len(answers) == 4
    for name in CLASSES:
        owed = sum(part[name] for part in said["contributions"].values())
        whole = answers["clinical", "ultrasound"][name]
        assert owed == pytest.approx(whole - answers[()][name], abs=1e-5)
    for maps in said["maps"].values():
        for modality, one in maps.items():
            layer, image = opened(one["layer"]), said["images"][modality]
            assert layer.mode == "RGBA"
            assert layer.size == (image["width"], image["height"])
            assert opened(image["image"]).size == layer.size
    predicted = live.client.post("/v1/predict", files=pair(files)).json()["frames"][1]
    assert predicted["probabilities"] == pytest.approx(said["frame"]["probabilities"], abs=1e-5)


def test_a_layer_lies_where_the_evidence_is(live: Live) -> None:
    pixels = np.zeros((120, 240, 3), np.uint8)
    pixels[20:50, 150:175] = (0, 255, 0)  # the graph reads melanoma in green
    options = {"options": json.dumps({"class": "melanoma"})}
    asked = {"files": {"clinical": ("x", encoded(pixels, "PNG"))}, "data": options}
    said = live.client.post("/v1/explain", **asked).json()
    layer = np.asarray(opened(said["maps"]["occlusion"]["clinical"]["layer"]))
    assert (layer[60, [10, 230], :3] == layer[60, 10, 0]).all()  # grey: cropped away
    cover = layer[:, 60:180, 3].astype(float)
    rows, columns = np.indices(cover.shape)
    assert (rows * cover).sum() / cover.sum() == pytest.approx(35, abs=6)
    assert 60 + (columns * cover).sum() / cover.sum() == pytest.approx(162, abs=6)


@pytest.mark.parametrize(
    "options", [{"class": "flower"}, {"pass": 9}, {"methods": []}, {"methods": ["magic"]}]
)
def test_an_explanation_that_cannot_be_is_refused(options: Any, live: Live, files: Files) -> None:
    data = {"options": json.dumps(options)}
    reply = live.client.post("/v1/explain", files=pair(files), data=data)
    assert reply.status_code == 422, reply.text
    assert reply.json()["error"]["code"] == "invalid"


def test_a_preview_shows_frames_and_hints(live: Live, files: Files) -> None:
    reply = live.client.post("/v1/preview", files=pair(files))
    assert reply.status_code == 200, reply.text
    (clip,) = reply.json()["images"]["ultrasound"]
    assert (clip["type"], clip["frames"]) == ("DICOM", 4)
    assert [one["frame"] for one in clip["shown"]] == [0, 1, 2, 3]
    assert opened(clip["shown"][0]["thumbnail"]).format == "JPEG"


def test_the_same_file_twice_in_a_request_is_said(live: Live) -> None:
    files = [("clinical", ("x", encoded(noise(300, 300, (200, 120, 90)), "PNG")))] * 2
    answer = live.client.post("/v1/predict", files=files).json()
    assert {"hint": "repeated", "modalities": ["clinical"]} in answer["quality"]
    assert any("given more than once" in text for text in answer["doubts"])


@pytest.mark.parametrize(
    ("modality", "pixels", "hint"),
    [
        ("clinical", np.full((60, 60, 3), 90, np.uint8), "constant"),
        ("clinical", noise(300, 300, (0, 0, 0)), "dark"),
        ("clinical", noise(300, 300, (120, 120, 120)), "grey_photo"),
        ("ultrasound", noise(300, 300, (200, 120, 90)), "colour_ultrasound"),
    ],
)
def test_hints_on_the_quality(modality: str, pixels: Any, hint: str, live: Live) -> None:
    data = encoded(pixels, "PNG")
    said = live.client.post("/v1/preview", files={modality: ("x", data)}).json()
    assert hint in said["images"][modality][0]["shown"][0]["hints"]
    assert hint in said["hints"]
    assert said["swapped"] is False
    answer = live.client.post("/v1/predict", files={modality: ("x", data)}).json()
    assert {"hint": hint, "modalities": [modality]} in answer["quality"]
    assert sum(said["hints"][hint] in text for text in answer["doubts"]) == 1


def test_the_answer_has_all_warnings_of_the_page(live: Live, files: Files) -> None:
    model = live.client.get("/v1/model").json()
    answer = live.client.post("/v1/predict", files={"clinical": ("x", files["PNG"])}).json()
    *others, last = answer["warnings"]
    assert others == [*model["warnings"]["en"], *answer["doubts"]]
    assert answer["missing"] == ["ultrasound"]
    assert last == "Not provided: Ultrasound."


def test_exchanged_images_are_noticed(live: Live) -> None:
    grey, skin = noise(300, 300, (90, 90, 90)), noise(300, 300, (200, 120, 90))
    swapped = {"clinical": ("x", encoded(grey, "PNG")), "ultrasound": ("y", encoded(skin, "PNG"))}
    assert live.client.post("/v1/preview", files=swapped).json()["swapped"] is True


def test_the_model_says_what_it_reads(live: Live) -> None:
    said = live.client.get("/v1/model").json()
    assert said["classes"] == list(CLASSES)
    assert said["methods"] == ["occlusion", "guide"]
    assert (said["backend"], said["coverage"], said["risk"]) == ("onnx", 0.9, 0.1)
    assert said["limits"]["files"] == 4
    assert said["card"]["en"].startswith("# By colour")


def test_request_ids(live: Live) -> None:
    given = uuid.uuid4()
    same = live.client.get("/v1/model", headers={"X-Request-ID": str(given)})
    assert same.headers["X-Request-ID"] == same.json()["request_id"] == given.hex
    other = live.client.get("/v1/model", headers={"X-Request-ID": "Anna Mueller"})
    assert uuid.UUID(other.headers["X-Request-ID"]) != given


def test_pages_need_nothing_from_elsewhere(live: Live) -> None:
    for path in ("/", "/docs", "/static/docs.css"):
        reply = live.client.get(path)
        assert reply.status_code == 200
        assert "http://" not in reply.text
        assert "https://" not in reply.text
        assert "<script>" not in reply.text
    assert "/v1/predict" in live.client.get("/docs").text
    assert live.client.get("/static/../app.py").status_code == 404
    assert live.client.get("/static/%2e%2e/app.py").status_code == 404


def test_metrics_count(live: Live, files: Files) -> None:
    route = 'agfnet_requests_total{route="/v1/predict",status="200"}'
    live.predict(files["JPEG"])
    before = live.metric(route)
    live.predict(files["JPEG"])
    assert live.metric(route) == before + 1
    assert live.metric("agfnet_workers") == 2
    text = live.client.get("/metrics").text
    assert "agfnet_answers_total" in text
    assert "process_resident_memory_bytes" in text
