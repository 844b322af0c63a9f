from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agfnet.data.case import Case
from agfnet.data.folds import read_split
from agfnet.errors import DataError
from agfnet.evaluation.members import run_table, to_classes

CONFIG: Any = SimpleNamespace(modalities=["clinical"])


def write_table(path: Path, *, image: str) -> str:
    lines = [f"L{i},P{i},{'ab'[i % 2]},{image},{i % 4}" for i in range(40)]
    path.write_text("\n".join(["lesion_id,patient_id,label,clinical,fold", *lines]) + "\n")
    return str(path)


def test_a_further_table_with_folds_is_split_as_the_training_was(tmp_path: Path):
    trained = write_table(tmp_path / "cases.csv", image="a.png")
    further = write_table(tmp_path / "blurred.csv", image="b.png")
    settings = {"data": {"cases": trained, "fold": 2}}
    own = read_split(trained, modalities=["clinical"], fold=2, check_files=False)

    def split_of(*, split: bool) -> list[str]:
        read = run_table(settings, further, CONFIG, split=split, check_files=False)
        assert read.path == Path(further)
        return [case.split for case in read]

    assert split_of(split=True) == [case.split for case in own]
    assert set(split_of(split=False)) == {""}
    without = run_table(
        {"data": {"cases": trained}}, further, CONFIG, split=True, check_files=False
    )
    assert {case.split for case in without} == {""}


def cases(*labels: str) -> list[Case]:
    return [Case(f"L{i}", f"P{i}", x, {}, {}, "", {}, i) for i, x in enumerate(labels, start=2)]


def test_all_labels_that_are_no_class_are_named():
    config: Any = SimpleNamespace(labels=None, classes=("melanoma", "naevus"))
    with pytest.raises(DataError) as error:
        to_classes(cases("melanoma", "MEL", "", "Naevus"), config, Path("b.csv"))
    lines = str(error.value).splitlines()
    assert [line.split(" is not a class")[0] for line in lines] == [
        "b.csv:3 column label: 'MEL'",
        "b.csv:5 column label: 'Naevus'",
    ]


@pytest.mark.parametrize(
    "labels", [["melanoma", "naevus"], {"bad": ["melanoma"], "good": ["naevus", "wart"]}]
)
def test_another_spelling_of_a_label_is_not_left_out(labels: Any):
    """All melanomas of another hospital would be missing from the evaluation."""
    classes = tuple(labels)
    config: Any = SimpleNamespace(labels=labels, classes=classes)
    with pytest.raises(DataError, match=r"b\.csv:3 column label: 'Melanoma ' is another spelling"):
        to_classes(cases("naevus", "Melanoma ", "lipoma"), config, Path("b.csv"))
    kept, excluded = to_classes(cases("naevus", "melanoma", "lipoma", ""), config, Path("b.csv"))
    assert (len(kept), excluded) == (3, 1)
