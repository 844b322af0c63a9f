from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from agfnet.data import frames as module
from agfnet.data.frames import choices, expand
from agfnet.data.readers import read_image
from agfnet.errors import ImageError


def tiff(path: Path, pages: int) -> Path:
    images = [Pillow.new("L", (6, 4), 10 * number) for number in range(pages)]
    images[0].save(path, save_all=True, append_images=images[1:])
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """One frame, three frames, one frame."""
    for name in ("a.png", "c.png"):
        Pillow.new("L", (6, 4), 200).save(tmp_path / name)
    return [tmp_path / "a.png", tiff(tmp_path / "b.tif", 3), tmp_path / "c.png"]


def test_expand(files: list[Path], tmp_path: Path):
    frames = expand(files)
    assert [frame.name for frame in frames] == ["a.png", "b.tif#0", "b.tif#1", "b.tif#2", "c.png"]
    values = [int(read_image(frame).pixels[0, 0, 0]) for frame in frames]
    assert values == [200, 0, 10, 20, 200]
    assert expand(frames) == frames
    assert expand([]) == ()
    with pytest.raises(ImageError, match=r"b\.tif: has 3 frames, so there is no frame 3"):
        expand([tmp_path / "b.tif#3"])
    with pytest.raises(ImageError, match="no such file"):
        expand([tmp_path / "no.dcm"])


def test_a_file_that_is_named_like_a_frame(files: list[Path], tmp_path: Path):
    trap = tmp_path / "b.tif#1"
    trap.write_bytes(files[0].read_bytes())
    with pytest.raises(ImageError, match=r"b\.tif#1: is named like a frame of b\.tif; rename"):
        expand(files)
    assert expand([trap]) == (trap,)


def test_policies(files: list[Path]):
    assert choices(files, "random") == expand(files)
    assert choices(files, "middle") == expand(files)[2:3]
    assert choices(files, "first") == (files[0],)
    assert choices(files[1:2], "first") == (files[1],)  # read_image takes its first frame
    for policy in ("random", "first", "middle"):
        assert choices([], policy) == ()


def test_the_first_frame_opens_nothing(files: list[Path], monkeypatch: pytest.MonkeyPatch):
    def opened(path: Path) -> int:
        raise AssertionError(path)

    monkeypatch.setattr(module, "count_frames", opened)
    assert choices(files, "first") == (files[0],)


def test_masks_of_a_phantom_sweep(tmp_path: Path):
    pytest.importorskip("pydicom")
    from agfnet.config import PhantomConfig
    from agfnet.data.table import read_cases
    from agfnet.phantom.cohort import make_cohort

    settings = {"lesions": 6, "size": 64, "frames": 4, "seed": 2}
    pairs = {}
    for kind in ("png", "dicom"):
        out = tmp_path / kind
        make_cohort(PhantomConfig(out=str(out), ultrasound_format=kind, **settings))
        pairs[kind] = [
            (read_image(frame).pixels, read_image(mask).pixels)
            for case in read_cases(out / "cases.csv", modalities=["ultrasound"])
            for frame, mask in zip(
                expand(case.images["ultrasound"]), expand(case.masks["ultrasound"]), strict=True
            )
        ]
    assert len(pairs["png"]) == len(pairs["dicom"]) > 8
    for one, other in zip(*pairs.values(), strict=True):
        for first, second in zip(one, other, strict=True):
            np.testing.assert_array_equal(first, second)
