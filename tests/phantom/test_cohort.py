import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image

from agfnet.config import PhantomConfig
from agfnet.data.table import read_cases
from agfnet.errors import ConfigError, DataError
from agfnet.phantom import make_cohort
from agfnet.phantom.observer import VIEWS


def make(folder, **settings):
    settings = {"lesions": 16, "size": 48} | settings
    return make_cohort(PhantomConfig(out=str(folder), **settings))


def contents(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return make(tmp_path_factory.mktemp("cohorts") / "one", lesions=40, preset="missing")


def rows(cases):
    with cases.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_same_bytes_on_any_number_of_workers(tmp_path):
    make(tmp_path / "one", preset="hard")
    make(tmp_path / "two", preset="hard", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    make(tmp_path / "other", preset="hard", seed=1)
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_a_lesion_does_not_depend_on_the_size_of_the_cohort(tmp_path):
    few, many = contents(make(tmp_path / "few", lesions=4).parent), make(tmp_path / "many").parent
    images = {name: data for name, data in few.items() if name.startswith("images/0000/L000000")}
    assert images
    assert images.items() <= contents(many).items()


def test_the_table_is_a_cases_table(cohort):
    table = read_cases(cohort, modalities=("clinical", "ultrasound"))
    assert len(table) == 40
    for case in table:
        assert set(case.attributes) == {"site", "skin_tone", "age", "sex", "centre"}
        for view in ("clinical", "ultrasound"):
            assert len(case.images[view]) == len(case.masks.get(view, ()))
    assert any(not case.images["ultrasound"] for case in table)


def test_images_and_masks_fit(cohort):
    for row in rows(cohort):
        for view, mode in (("clinical", "RGB"), ("ultrasound", "L")):
            names = [row[view].split("|"), row[f"{view}_mask"].split("|")]
            for image, mask in zip(*names, strict=True):
                if image:
                    with Image.open(cohort.parent / image) as picture:
                        assert (picture.mode, picture.size) == (mode, (48, 48))
                    values = np.unique(np.asarray(Image.open(cohort.parent / mask)))
                    assert values.tolist() == [0, 255]


def test_truth_is_complete(cohort, fits_schema):
    truth = json.loads((cohort.parent / "truth.json").read_text())
    fits_schema("truth.json", truth)
    assert set(truth["limits"]) == {*VIEWS, "additive"}
    assert set(truth["limits_by_split"]) == {"train", "val", "test"}
    assert [row["class"] for row in truth["table"]] == truth["classes"]
    for entry in truth["table"]:
        for surface, p in entry["surface"].items():
            assert sum(entry["pair"][surface].values()) == pytest.approx(p)
    assert sum(split["lesions"] for split in truth["ideal_observer"].values()) == 40
    with (cohort.parent / "truth.csv").open(newline="") as file:
        lesions = list(csv.DictReader(file))
    assert [row["lesion_id"] for row in lesions] == [row["lesion_id"] for row in rows(cohort)]
    for row in lesions:
        for view in VIEWS:
            posterior = [float(row[f"p_{view}_{name}"]) for name in truth["classes"]]
            assert sum(posterior) == pytest.approx(1, abs=1e-4)


def test_phenotypes_are_not_in_the_table(cohort):
    assert not {"surface", "depth", "truth"} & set(rows(cohort)[0])


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="another folder"):
        make(tmp_path / "full")
    assert contents(tmp_path / "full") == {"mine.txt": b"mine"}


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "empty").mkdir()
    assert make(tmp_path / "empty", lesions=2).exists()


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_an_interrupt_leaves_nothing(tmp_path, workers):
    def stop(done, total):
        assert total == 16
        if done == 3:
            raise KeyboardInterrupt

    config = PhantomConfig(out=str(tmp_path / "out"), lesions=16, size=48, workers=workers)
    with pytest.raises(KeyboardInterrupt):
        make_cohort(config, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        make(tmp_path / "file" / "out")


def test_several_frames_are_listed_and_differ(tmp_path):
    cases = make(tmp_path / "frames", lesions=6, frames=4)
    counts = [len(row["ultrasound"].split("|")) for row in rows(cases)]
    assert 1 < max(counts) <= 4
    most = rows(cases)[int(np.argmax(counts))]["ultrasound"].split("|")
    frames = [np.asarray(Image.open(cases.parent / name), float) for name in most]
    same = np.corrcoef(frames[0].ravel(), frames[1].ravel())[0, 1]
    assert 0.5 < same < 0.99


def test_doppler_is_coloured(tmp_path):
    cases = make(tmp_path / "flow", lesions=2, doppler=True)
    with Image.open(cases.parent / rows(cases)[0]["ultrasound"].split("|")[0]) as image:
        assert image.mode == "RGB"


def test_dicom_on_request(tmp_path):
    pytest.importorskip("pydicom")
    cases = make(tmp_path / "dicom", lesions=4, ultrasound_format="dicom", frames=3)
    for row in rows(cases):
        assert row["ultrasound"].endswith("_us.dcm")
        assert (cases.parent / row["ultrasound"]).exists()


def test_dicom_without_pydicom_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ConfigError, match=r"agfnet\[dicom\]"):
        make(tmp_path / "dicom", ultrasound_format="dicom")
