"""Keyword arguments become the settings of the command of the same name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import agfnet
from agfnet.api.settings import make_settings
from agfnet.api.tables import records, table_file
from agfnet.config import ModalityConfig, TrainConfig
from agfnet.errors import ConfigError, DataError


@pytest.mark.parametrize(
    "values",
    [
        {"data": {"cases": "x"}, "optim": {"epochs": 3}},
        {"data.cases": "x", "optim.epochs": 3},
        {"data__cases": "x", "optim__epochs": 3},
    ],
)
def test_three_ways_to_write_a_group(values: dict[str, object]) -> None:
    config = make_settings(TrainConfig, values, "train")
    assert (config.data.cases, config.optim.epochs) == ("x", 3)


def test_forms_and_former_names_are_accepted() -> None:
    values = {"data": {"cases": "x", "modalities": ["clinical"]}, "optim.clip": 2.0}
    config = make_settings(TrainConfig, values, "train")
    assert config.data.modalities == {"clinical": ModalityConfig()}
    assert config.optim.gradient_clip_norm == 2


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"epoch": 3}, "train: epoch: no setting 'epoch'"),
        ({"optim": {"epoch": 3}}, "did you mean 'epochs'"),
        ({"optim": {"epochs": "three"}}, "optim.epochs"),
        ({"optim": {"epochs": 0}}, "epochs: 0 is out of range"),
    ],
)
def test_errors(values: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make_settings(TrainConfig, {"data.cases": "x", **values}, "train")


class Frame:
    """The part of a pandas DataFrame that is used."""

    columns = ("lesion_id", "clinical", "age")
    index = SimpleNamespace(names=[None])

    def to_dict(self, orient: str) -> list[dict[str, object]]:
        assert orient == "records"
        return [{"lesion_id": "a", "clinical": "a.png", "age": float("nan")}]


def test_arguments_of_train_are_checked_as_settings_are(tmp_path: Path) -> None:
    for arguments, text in (
        ({"preset": "quick"}, "preset"),
        ({"time_limit": -1}, "time_limit: -1"),
        ({"time_limit": "soon"}, "time_limit"),
    ):
        with pytest.raises(ConfigError, match=text):
            agfnet.train("none.csv", runs=tmp_path, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3), "u1"), Image.new("L", (8, 8))])
def test_a_table_to_train_on_has_paths(image: object, tmp_path: Path) -> None:
    rows = [{"lesion_id": np.str_("a"), "patient_id": np.int64(3), "clinical": [image]}]
    with pytest.raises(DataError, match="expected the path of an image file"):
        table_file(rows, tmp_path / "cases.csv")
    rows[0]["clinical"] = "a.png"
    path = Path(table_file(rows, tmp_path / "cases.csv"))
    assert path.read_text().splitlines()[1] == "a,3,a.png"


def test_data_frames_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert records(Frame()) == [{"lesion_id": "a", "clinical": "a.png", "age": None}]
    monkeypatch.chdir(tmp_path)
    Path("a.png").touch()
    path = Path(table_file(Frame(), tmp_path / "runs" / "x-cases.csv"))
    assert path.read_text().splitlines() == ["lesion_id,clinical,age", f"a,{tmp_path / 'a.png'},"]
    assert table_file("cases.csv", path) == "cases.csv"
    for wrong in (3, [1, 2], np.zeros(3)):
        with pytest.raises(DataError, match="is no table"):
            records(wrong)
