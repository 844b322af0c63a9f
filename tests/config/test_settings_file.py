"""Settings files: what is read, and what is refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from agfnet.config.settings_file import read_yaml
from agfnet.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", r"x\.yaml:2:1: .*'a' occurs twice"),
        ("b:\n  a: 1\n  a: 2", r"x\.yaml:3:3: .*'a' occurs twice"),
        ("b:\n  a: 1\nb.a: 2", "'b.a' occurs twice"),
        ("a: [", r"x\.yaml:1:5: cannot be read as YAML"),
        ("- a", "expected a mapping"),
        ("", "expected a mapping"),
        (b"a: \xe4", "save it as UTF-8"),
        ("a: 1".encode("utf-16-le"), "cannot be read as YAML"),
    ],
)
def test_files_without_settings_are_refused(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError, match=message):
        read_yaml(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "missing.yaml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_a_mark_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("name: ä\n", encoding=encoding)
    assert read_yaml(path) == {"name": "ä"}


def test_labels_are_text_as_written(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("data:\n  labels: [0, 01, 1.0, true, no, 2020-01-01, null]\n  size: 64\n")
    labels = ["0", "01", "1.0", "true", "no", "2020-01-01", None]
    assert read_yaml(path) == {"data": {"labels": labels, "size": 64}}
    path.write_text("data.labels:\n  malignant: [1, 2]\n  0: [3]\n")
    assert read_yaml(path) == {"data.labels": {"malignant": ["1", "2"], "0": ["3"]}}
    path.write_text("name: 007\n")
    assert read_yaml(path) == {"name": "007"}
    path.write_text("data: {labels: null}\n")
    assert read_yaml(path) == {"data": {"labels": None}}


def test_numbers_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("[10, -3, 1_000, 0x1F, 1e-3, .5, 1.5e-3, 010, 1:30, 2026-01-02, yes, true]")
    path.write_text(f"a: {path.read_text()}")
    numbers = [10, -3, 1000, 31, 0.001, 0.5, 0.0015]
    assert read_yaml(path) == {"a": [*numbers, "010", "1:30", "2026-01-02", "yes", True]}
