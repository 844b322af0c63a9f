"""Lists and mappings are accepted wherever a user would write either."""

from __future__ import annotations

from typing import Any

import pytest

from agfnet.cli import build_parser, explicit_settings
from agfnet.cli.arguments import current_arguments
from agfnet.config import ExplainConfig, ModalityConfig, TrainCommand, TrainConfig
from agfnet.config.forms import accept_forms


def parsed(*arguments: str) -> Any:
    parser = build_parser(arguments[:1])
    return parser.instantiate(parser.parse_args(current_arguments(arguments)))[arguments[0]]


def test_a_list_of_modalities_takes_the_preparation_of_each_name() -> None:
    data = parsed("train", "--data.cases", "x", "--data.modalities", "[us_scan, dermoscopy]").data
    assert dict(data.modalities) == {
        "us_scan": ModalityConfig(modality_type="ultrasound", resize="pad"),
        "dermoscopy": ModalityConfig(),
    }


@pytest.mark.parametrize("text", ["clinical,ultrasound", "clinical, ultrasound"])
def test_modalities_without_brackets(text: str) -> None:
    data = parsed("train", "--data.cases", "x", "--data.modalities", text).data
    assert list(data.modalities) == ["clinical", "ultrasound"]
    data = parsed("train", "--data.cases", "x", "--data.modalities", "clinical").data
    assert list(data.modalities) == ["clinical"]


def test_a_group_of_comments_alone_has_its_defaults(tmp_path: Any) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("optim:\n  # epochs: 5\ndata:\n  size: 64\n")
    settings = parsed("train", "--data.cases", "x", "--config", str(file))
    assert settings.data.size == 64
    assert settings.optim == parsed("train", "--data.cases", "x").optim


def test_a_mapping_without_a_type_prepares_an_ultrasound_as_one() -> None:
    words = ["--data.cases", "x", "--data.modalities"]
    data = parsed("train", *words, "{ultrasound: {}, us2: {resize: crop}, photo: {}}").data
    assert dict(data.modalities) == {
        "ultrasound": ModalityConfig(modality_type="ultrasound", resize="pad"),
        "us2": ModalityConfig(modality_type="ultrasound", resize="crop"),
        "photo": ModalityConfig(),
    }
    data = parsed("train", *words, "{ultrasound: {modality_type: photo}}").data
    assert data.modalities["ultrasound"].modality_type == "photo"


def test_a_list_selects_from_a_settings_file(tmp_path: Any) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("data: {modalities: {a: {resize: pad}, b: {resize: stretch}}}")
    words = ["--data.cases", "x", "--config", str(file), "--data.modalities", "[b]"]
    assert dict(parsed("train", *words).data.modalities) == {"b": ModalityConfig(resize="stretch")}
    file.write_text("data: {modalities: [clinical], labels: MEL}")
    data = parsed("train", "--data.cases", "x", "--config", str(file)).data
    assert list(data.modalities) == ["clinical"]
    assert data.labels == ["MEL"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("[0, 01, true, yes]", ["0", "01", "true", "yes"]),
        ("1", ["1"]),
        ("{NV: [0, '2'], 1: [MEL]}", {"NV": ["0", "2"], "1": ["MEL"]}),
        ("null", None),
    ],
)
def test_labels_of_the_command_line_are_text(text: str, labels: Any) -> None:
    assert parsed("train", "--data.cases", "x", "--data.labels", text).data.labels == labels
    assert parsed("train", "--data.cases", "x", f"--data.labels={text}").data.labels == labels


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (TrainConfig, {"data.labels": "MEL"}, {"data.labels": ["MEL"]}),
        (TrainConfig, {"data": {"labels": {"a": ["b"]}}}, {"data": {"labels": {"a": ["b"]}}}),
        (TrainConfig, {"data.labels": {"a": "b"}}, {"data.labels": {"a": ["b"]}}),
        (TrainConfig, {"data.labels": None}, {"data.labels": None}),
        (TrainConfig, {"name": "x", "unknown": 1}, {"name": "x", "unknown": 1}),
        (TrainConfig, {"model.backbone.options": {"a": 1}}, {"model.backbone.options": {"a": 1}}),
        (ExplainConfig, {"methods": "layercam"}, {"methods": ["layercam"]}),
        (ExplainConfig, {"sanity": True}, {"sanity": True}),
    ],
)
def test_one_value_for_a_list(kind: type, values: Any, expected: Any) -> None:
    assert accept_forms(values, kind) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--optim.epochs", "3", "--resume"], {"optim.epochs", "resume"}),
        (["--time-limit=5", "--debug"], {"time_limit"}),
        (["--data.modalities.us-1.resize", "pad"], {"data.modalities.us-1.resize"}),
        (
            ["--data.modalities", "[a]", "--data.labels.x", "[p, q]"],
            {"data.modalities", "data.labels.x"},
        ),
        (["--optim", "{epochs: 3, lr: 1}"], {"optim.epochs", "optim.lr"}),
    ],
)
def test_names_of_given_settings(words: list[str], expected: set[str]) -> None:
    given = explicit_settings(current_arguments(["train", *words]), TrainCommand)
    assert given == expected


def test_settings_of_a_file_are_given(tmp_path: Any) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("data: {cases: x, modalities: {a: {resize: pad}}}\noptim.lr: 0.1\n")
    words = current_arguments(["train", "--config", str(file), "--name", "n"])
    assert explicit_settings(words, TrainCommand) == {
        *("data.cases", "data.modalities", "optim.lr", "name"),
    }


def test_a_repeated_image_gives_several_files() -> None:
    words = ["--images.clinical", "a.jpg", "--images.clinical", "b.jpg"]
    assert parsed("predict", "model", *words).images == {"clinical": "a.jpg|b.jpg"}
