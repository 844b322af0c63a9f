"""Boxes: parts of images, named in a path or in a column of the cases table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from agfnet.config import ModalityConfig
from agfnet.data.boxes import boxes_cell
from agfnet.data.dataset import CasesDataset
from agfnet.data.frames import expand
from agfnet.data.geometry import Geometry
from agfnet.data.paths import named_frame, parse_box, split_box, with_box, with_frame
from agfnet.data.preprocess import load, locate, read_for
from agfnet.data.readers import read_image, upright_size
from agfnet.data.table import cases_hash, find_modalities, read_cases, write_cases
from agfnet.errors import DataError, ImageError

WriteTable = Callable[..., Path]
WriteImage = Callable[..., Path]
PHOTO = ModalityConfig(modality_type="photo")


def table(folder: Path, *rows: str, header: str = "lesion_id,clinical,clinical_box") -> Path:
    path = folder / "cases.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def fault(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_cases(path, modalities=["clinical"])
    return str(caught.value)


def test_a_path_names_a_file_a_frame_and_a_box() -> None:
    path = with_box(Path("a/scan.dcm"), (1, 2, 30, 40))
    assert path == Path("a/scan.dcm#xywh=1,2,30,40")
    assert split_box(path) == (Path("a/scan.dcm"), (1, 2, 30, 40))
    third = with_frame(path, 3)
    assert third == Path("a/scan.dcm#3#xywh=1,2,30,40")
    assert named_frame(third) == (Path("a/scan.dcm"), 3)
    assert split_box(third) == (Path("a/scan.dcm#3"), (1, 2, 30, 40))
    assert with_frame(path, None) == path


@pytest.mark.parametrize("text", ["1 2 30 40", "1,2,30,40", " 1; 2; 30; 40 ", "1.0 2 30.00 40"])
def test_a_box_is_read(text: str) -> None:
    assert parse_box(text) == (1, 2, 30, 40)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2 30", "is not a box; expected x, y, width and height"),
        ("1 2 30 40 50", "is not a box"),
        ("-1 2 30 40", "is not a box"),
        ("0.1 0.2 0.5 0.5", "is not a box"),
        ("a b c d", "is not a box"),
        ("1 2 30 7", "is 30 x 7 pixels; expected at least 8"),
    ],
)
def test_what_is_not_a_box_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_box(text)


def test_a_file_with_such_a_name_takes_precedence(write_image: WriteImage) -> None:
    path = write_image("a.png").rename(write_image("a.png").with_name("a.png#xywh=1,2,8,8"))
    assert split_box(path) == (path, None)
    assert read_image(path).pixels.shape == (12, 16, 3)


def test_a_wrongly_written_box_is_a_missing_file(write_image: WriteImage) -> None:
    path = write_image("a.png")
    with pytest.raises(ImageError, match=r"no such file, or the box is not written as in photo"):
        read_image(path.with_name("a.png#xywh=1,2,8"))


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_box_counts_in_the_upright_image(tmp_path: Path, orientation: int, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    Pillow.fromarray(pixels).save(path, exif=exif)
    whole = read_image(path).pixels
    assert upright_size(path) == (whole.shape[1], whole.shape[0])
    part = read_image(with_box(path, (5, 9, 40, 30)))
    assert part.boxed
    assert np.array_equal(part.pixels, whole[9:39, 5:45])


def test_a_large_photo_is_decoded_no_smaller_than_its_box_needs(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:2400, :3200]
    pixels = np.stack([rows % 256, columns % 256, rows // 16], axis=-1).astype(np.uint8)
    path = tmp_path / "a.jpg"
    Pillow.fromarray(pixels).save(path, quality=95)
    box = (1600, 800, 640, 640)
    part = read_image(with_box(path, box), side=128).pixels
    assert 128 <= min(part.shape[:2]) <= 640
    whole = Pillow.fromarray(pixels[800:1440, 1600:2240]).resize(part.shape[1::-1])
    assert np.abs(np.asarray(whole)[..., 2].astype(int) - part[..., 2]).mean() < 3
    small = load(with_box(path, box), size=64, modality=PHOTO)
    assert small.shape == (64, 64, 3)


def test_a_box_beyond_the_image_is_refused(write_image: WriteImage) -> None:
    for suffix in ("png", "jpg"):
        path = with_box(write_image(f"a.{suffix}"), (8, 4, 9, 8))
        with pytest.raises(
            ImageError, match=r"a\.\w+: has the box '8 4 9 8', which ends at x 17, y 12"
        ):
            read_image(path)


def test_frames_of_a_file_share_its_box(tmp_path: Path) -> None:
    pages = [Pillow.fromarray(np.full((20, 20), 40 * k, np.uint8)) for k in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    frames = expand([with_box(tmp_path / "a.tif", (2, 2, 10, 8))])
    assert [frame.name for frame in frames] == [f"a.tif#{k}#xywh=2,2,10,8" for k in range(3)]
    assert [read_image(frame).pixels.shape for frame in frames] == [(8, 10, 3)] * 3
    assert int(read_image(frames[2]).pixels[0, 0, 0]) == 80


def test_the_search_for_the_field_of_view_leaves_a_box_alone(tmp_path: Path) -> None:
    pixels = np.zeros((200, 300, 3), dtype=np.uint8)
    pixels[40:160, 60:240] = np.random.default_rng(0).integers(90, 255, (120, 180, 1))
    Pillow.fromarray(pixels).save(tmp_path / "a.png")
    modality = ModalityConfig(modality_type="ultrasound", crop_field_of_view=True)
    path = with_box(tmp_path / "a.png", (0, 0, 200, 200))
    image = read_for(path, size=200, modality=modality)
    geometry: Geometry = locate(image, name="a", size=200, modality=modality)
    assert geometry.box == (0, 0, 1, 1)
    assert np.array_equal(load(path, size=200, modality=modality), pixels[:200, :200])


def test_the_column_reaches_the_network(tmp_path: Path, write_image: WriteImage) -> None:
    source = write_image("a.png", height=40, width=60)
    Pillow.open(source).crop((10, 5, 30, 25)).save(tmp_path / "b.png")
    path = table(tmp_path, "L1,a.png,10 5 20 20", "L2,b.png,", "L3,a.png,")
    assert find_modalities(path) == ("clinical",)
    cases = read_cases(path, modalities=["clinical"]).cases
    assert [case.attributes for case in cases] == [{}, {}, {}]
    data = CasesDataset(
        cases=cases,
        classes=[],
        modalities={"clinical": PHOTO},
        size=16,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        augment=False,
    )
    boxed, cut, whole = (data[i].images[0] for i in range(3))
    assert bool((boxed == cut).all())
    assert not bool((boxed == whole).all())


def test_boxes_are_written_and_read_back(tmp_path: Path, write_image: WriteImage) -> None:
    for name in ("a.png", "b.png", "c.png"):
        write_image(name, height=40, width=60)
    path = table(tmp_path, "L1,a.png|b.png,|1 2 20 30", "L2,c.png,")
    cases = read_cases(path, modalities=["clinical"])
    assert cases.cases[0].images["clinical"][1].name == "b.png#xywh=1,2,20,30"
    copy = tmp_path / "copy.csv"
    write_cases(cases, copy, modalities=["clinical"])
    assert "L1,L1,,a.png|b.png,|1 2 20 30" in copy.read_text()
    again = read_cases(copy, modalities=["clinical"])
    assert [case.images for case in again] == [case.images for case in cases]
    assert cases_hash(again) == cases_hash(cases)
    other = table(tmp_path, "L1,a.png|b.png,|1 2 20 31", "L2,c.png,")
    assert cases_hash(read_cases(other, modalities=["clinical"])) != cases_hash(cases)
    assert boxes_cell([tmp_path / "a.png"]) == ""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("L1,a.png,10 5 20", "a.png: '10 5 20' is not a box"),
        ("L1,a.png,50 5 20 20", "ends at x 70, y 25, beyond the image of 60 x 40 pixels"),
        ("L1,a.png,1 1 9 9|2 2 9 9", "has 2 boxes for 1 images under clinical"),
        ("L1,a.png#xywh=1 1 9 9,1 1 9 9", "the path has a box, too; give one of them"),
    ],
)
def test_faults_name_file_row_and_column(
    tmp_path: Path, write_image: WriteImage, row: str, message: str
) -> None:
    write_image("a.png", height=40, width=60)
    text = fault(table(tmp_path, row))
    assert text.count("\n") == 0
    assert "cases.csv:2 column clinical_box: " in text
    assert message in text
