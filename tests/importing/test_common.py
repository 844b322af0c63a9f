"""Files that a published table names: case, Unicode form, links, empty files."""

from __future__ import annotations

from pathlib import Path

from agfnet.importing.common import find_file


def test_names_in_another_case_and_links(tmp_path: Path) -> None:
    (tmp_path / "Nel025.JPG").write_bytes(b"x")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "link.jpg").symlink_to("Nel025.JPG")
    (tmp_path / "broken.jpg").symlink_to("none.jpg")
    assert find_file(tmp_path, "nel025.jpg") == tmp_path / "Nel025.JPG"
    assert find_file(tmp_path, "link.jpg") == tmp_path / "link.jpg"
    for name in ("empty.jpg", "broken.jpg", "none.jpg", "none/x.jpg"):
        assert find_file(tmp_path, name) is None
