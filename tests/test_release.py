"""`.ci/release` in a small repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "release"
CHANGES = "# Changelog\n\n## Unreleased\n\n## 1.2.0 (2026-01-02)\n\n- A line.\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "src" / "agfnet").mkdir(parents=True)
    (tmp_path / "src" / "agfnet" / "__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    (tmp_path / "CITATION.cff").write_text("version: 1.2.0\n")
    git(tmp_path, "init", "--quiet")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def release(folder: Path, *, tag: str | None = "v1.2.0") -> str:
    """Commit, tag and check; return the message."""
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "x")
    if tag is not None:
        git(folder, "tag", tag)
    done = subprocess.run([SCRIPT, folder], capture_output=True, text=True)
    assert (done.returncode == 0) == (not done.stderr)
    return done.stdout or done.stderr


pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def test_a_release_whose_places_agree(repository: Path) -> None:
    assert release(repository) == "v1.2.0 is ready\n"


def test_a_commit_without_tag_or_with_another(repository: Path) -> None:
    assert "has no tag" in release(repository, tag=None)
    (repository / "more").write_text("")
    assert "the tag is v1.3.0, but" in release(repository, tag="v1.3.0")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("CHANGELOG.md", CHANGES.replace("1.2.0", "1.1.0"), "no heading '## 1.2.0"),
        ("CHANGELOG.md", CHANGES.replace("Unreleased\n", "Unreleased\n\n- New.\n"), "has lines"),
        ("CITATION.cff", "version: 1.1.0\n", "CITATION.cff has another version"),
    ],
)
def test_places_that_differ(repository: Path, file: str, text: str, message: str) -> None:
    (repository / file).write_text(text)
    assert message in release(repository)
