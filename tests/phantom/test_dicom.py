import numpy as np
import pytest

from agfnet.phantom.dicom import MULTIFRAME, write_sweep

pydicom = pytest.importorskip("pydicom")


def write(path, frames):
    write_sweep(
        path,
        frames,
        lesion_id="L1",
        patient_id="P1",
        station="centre_1",
        spacing=0.05,
        frequency=22.0,
        burned_in=False,
    )
    return path


@pytest.mark.parametrize("shape", [(31, 31), (32, 32, 3)])
def test_round_trip(tmp_path, shape):
    frames = [np.random.default_rng(i).integers(0, 256, shape, dtype=np.uint8) for i in range(3)]
    read = pydicom.dcmread(write(tmp_path / "a.dcm", frames))
    np.testing.assert_array_equal(read.pixel_array, np.stack(frames))
    assert read.SOPClassUID == MULTIFRAME
    assert read.NumberOfFrames == 3
    region = read.SequenceOfUltrasoundRegions[0]
    assert region.PhysicalDeltaX == pytest.approx(0.005)  # cm
    assert (region.RegionLocationMaxX1, region.PhysicalUnitsXDirection) == (shape[1] - 1, 3)
    assert [float(x) for x in read.PixelSpacing] == [0.05, 0.05]


def test_same_bytes_again(tmp_path):
    frames = [np.zeros((8, 8), np.uint8)]
    one, two = write(tmp_path / "a.dcm", frames), write(tmp_path / "b.dcm", frames)
    assert one.read_bytes() == two.read_bytes()
