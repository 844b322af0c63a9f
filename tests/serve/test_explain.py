"""Maps of the API: one scale, and attribution outside the tissue."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from agfnet.config import ModalityConfig
from agfnet.data.geometry import Geometry
from agfnet.explain.compute.images import PreparedImage
from agfnet.phantom.dicom import write_sweep
from agfnet.serve.explain import layers, local_mean, outside_tissue, picture

SIZE = 32


def scan() -> np.ndarray:
    """A scan whose upper half is gel."""
    pixels = np.full((SIZE, SIZE, 3), 90, np.uint8)
    pixels[: SIZE // 2] = 0
    return pixels


def spot(row: int, strength: float = 1.0) -> np.ndarray:
    values = np.zeros((SIZE, SIZE))
    values[row - 2 : row + 2, 10:20] = strength
    return values


def test_attribution_in_gel_is_reported() -> None:
    assert outside_tissue(spot(6), scan())
    assert not outside_tissue(spot(26), scan())
    assert not outside_tissue(np.zeros((SIZE, SIZE)), scan())
    paper = np.full((SIZE, SIZE, 3), 255, np.uint8)
    assert outside_tissue(spot(16), paper)


def test_a_few_dark_pixels_within_tissue_are_tissue() -> None:
    pixels = scan()
    pixels[26, 10:20] = 0
    assert not outside_tissue(spot(26), pixels)


def test_local_mean_by_hand() -> None:
    values = np.arange(9.0).reshape(3, 3)
    assert local_mean(values, 1)[1, 1] == values.mean()
    assert local_mean(np.full((4, 5), 7.0), 2).tolist() == np.full((4, 5), 7.0).tolist()


class Identity(Geometry):
    """The square image is the picture."""

    def __init__(self) -> None: ...

    def to_image(self, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return values


def opacity(uri: str) -> int:
    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    return int(np.asarray(picture)[..., 3].max())


def test_a_map_of_an_image_that_matters_little_is_pale() -> None:
    view = PreparedImage(
        path=None, frames=1, square=scan(), geometry=Identity(), mask=None, misfit=False
    )
    views = {"clinical": view, "ultrasound": view}
    pictures = dict.fromkeys(views, view.square)
    maps = {"clinical": spot(26), "ultrasound": spot(26, strength=0.05)}
    drawn = layers(views, pictures, maps)
    assert opacity(drawn["clinical"]["layer"]) > 5 * opacity(drawn["ultrasound"]["layer"])
    assert "share" not in drawn["clinical"]


@pytest.mark.parametrize(
    ("spacing", "size", "across"),
    [
        ((0.1, 0.1), (60, 40), 0.1),
        ((0.2, 0.1), (60, 80), 0.1),  # depth and width get one scale
        ((0.1, 0.2), (120, 40), 0.1),
        ((100.0, 0.001), (1, 1024), 0.06),  # a wrong header makes no huge image
    ],
)
def test_a_scan_is_shown_with_square_pixels(
    tmp_path: Path, spacing: tuple[float, float], size: tuple[int, int], across: float
) -> None:
    path = tmp_path / "scan.dcm"
    write_sweep(
        path,
        [np.full((40, 60), 90, np.uint8)],
        lesion_id="L1",
        patient_id="P1",
        station="probe",
        spacing=0.1,
        frequency=20.0,
        burned_in=False,
    )
    scan = dcmread(path)
    region = scan.SequenceOfUltrasoundRegions[0]
    region.PhysicalDeltaY, region.PhysicalDeltaX = (value / 10 for value in spacing)  # cm
    scan.save_as(path)
    pixels, shown = picture(path, ModalityConfig(modality_type="ultrasound"))
    assert (pixels.shape[1], pixels.shape[0]) == size
    assert shown == pytest.approx(across)
    assert picture(path, ModalityConfig(modality_type="photo"))[1] is None
