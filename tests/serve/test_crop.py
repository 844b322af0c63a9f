"""The part of a photograph that the network sees: proposed by the preview, chosen by `crops`."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from .live import Live, arm, encoded


def post(live: Live, kind: str, photo: bytes, **options: Any) -> Any:
    return live.client.post(
        f"/v1/{kind}",
        files={"clinical": ("x", photo)},
        data={"options": json.dumps(options)},
    )


def test_the_preview_proposes_a_square_around_the_lesion(live: Live) -> None:
    reply = post(live, "preview", encoded(arm(), "JPEG")).json()
    framing = reply["images"]["clinical"][0]["framing"]
    assert (framing["width"], framing["height"]) == (400, 300)
    assert framing["seen"] == {"x": 50, "y": 0, "width": 300, "height": 300}
    assert framing["advised"]
    lesion = framing["lesion"]
    for name, expected in {"x": 50, "y": 40, "width": 40, "height": 40}.items():
        assert abs(lesion[name] - expected) <= 8
    crop = framing["crop"]
    assert crop["width"] == crop["height"]
    assert crop["x"] <= 50
    assert crop["x"] + crop["width"] >= 90


def test_a_lesion_in_the_middle_needs_no_crop(live: Live) -> None:
    reply = post(live, "preview", encoded(arm(120, 160, (80, 60)), "JPEG")).json()
    assert not reply["images"]["clinical"][0]["framing"]["advised"]


def test_a_photo_on_its_side_is_framed_upright(live: Live) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    target = io.BytesIO()
    Image.fromarray(arm()).save(target, "JPEG", exif=exif)
    framing = post(live, "preview", target.getvalue()).json()["images"]["clinical"][0]["framing"]
    assert (framing["width"], framing["height"]) == (300, 400)
    assert framing["lesion"]["x"] > 150  # a turn clockwise: from the left upper to the right corner


def test_a_crop_is_answered_as_the_cut_photo(live: Live) -> None:
    pixels = arm()
    crop = {"x": 30, "y": 20, "width": 80, "height": 80}
    cut = post(live, "predict", encoded(pixels[20:100, 30:110], "PNG")).json()
    whole = encoded(pixels, "PNG")
    answer = post(live, "predict", whole, crops={"clinical": [{"file": 0, **crop}]}).json()
    assert answer["probabilities"] == cut["probabilities"]
    assert answer["images"]["clinical"][0]["crop"] == crop
    assert cut["images"]["clinical"][0]["crop"] is None
    assert post(live, "predict", whole).json()["probabilities"] != answer["probabilities"]
    explained = post(live, "explain", whole, crops={"clinical": [{"file": 0, **crop}]}).json()
    assert explained["images"]["clinical"]["width"] == 80


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        (
            {"x": 380, "y": 0, "width": 40, "height": 40},
            "clinical, file 0: has the box '380 0 40 40'",
        ),
        ({"x": 0, "y": 0, "width": 4, "height": 40}, "crops.clinical.0.width: Input should be"),
        ({"x": -1, "y": 0, "width": 40, "height": 40}, "crops.clinical.0.x: Input should be"),
        ({"file": 2, "x": 0, "y": 0, "width": 40, "height": 40}, "clinical has no file 2"),
    ],
)
def test_a_wrong_crop_is_refused(live: Live, crop: dict[str, int], message: str) -> None:
    reply = post(live, "predict", encoded(arm(), "PNG"), crops={"clinical": [{"file": 0} | crop]})
    assert reply.status_code == 422
    assert message in reply.json()["error"]["message"]
