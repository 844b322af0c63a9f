"""Slips of the keyboard cost one line, with a guess."""

from __future__ import annotations

import pytest

from agfnet.cli import main

TABLE = ["--data.cases", "x.csv"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["trian"], "agfnet trian: no such command; did you mean train?"),
        (["diagnose"], "agfnet diagnose: no such command"),
        (
            ["train", *TABLE, "--epochs", "3"],
            "agfnet train: no setting --epochs; did you mean --optim.epochs?",
        ),
        (["train", *TABLE, "--optim.epoch", "3"], "did you mean --optim.epochs?"),
        (["train", *TABLE, "--batch_size=3"], "did you mean --optim.batch-size?"),
        (["train", *TABLE, "--optim.epochs", "three"], "optim.epochs: 'three'; expected a whole"),
        (["train", *TABLE, "--model.method", "agfnett"], "'agfnett'; did you mean agfnet?"),
        (["train", *TABLE, "extra"], "'extra' is not expected here"),
        (["train"], "agfnet train: --data.cases is missing"),
        (["predict"], "agfnet predict: MODEL is missing"),
        (["import", "folde", "a", "b"], "dataset: 'folde'; did you mean folder?"),
        (["evaluate", "run", "--robustness", "perhaps"], "expected true or false"),
        (["train", *TABLE, "--time-limit", "1:30"], "time_limit: '1:30'; expected a number\n"),
        (["train", *TABLE, "--data.labels", "[null]"], "'[None]'; expected a text or a mapping"),
        (["--verbose"], "no setting --verbose"),
    ],
)
def test_a_slip_costs_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, error = capsys.readouterr()
    assert line in error
    assert len(error.strip().splitlines()) == 1
    assert out == ""
