from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agfnet.data.folds import read_split
from agfnet.evaluation.members import run_table

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
