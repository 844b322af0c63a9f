from __future__ import annotations

from pathlib import Path

from agfnet.data.same_files import first_of_same


def test_the_first_file_of_each_content(tmp_path: Path) -> None:
    contents = {"a": b"x" * 9000, "b": b"y" + b"x" * 8999, "c": b"x" * 9000, "d": b"", "e": b"x"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "f").symlink_to(tmp_path / "b")
    files = [tmp_path / name for name in "abcdefga"]
    first = {file.name: same.name for file, same in first_of_same(files).items()}
    assert first == {"a": "a", "b": "b", "c": "a", "d": "d", "e": "e", "f": "b", "g": "g"}
