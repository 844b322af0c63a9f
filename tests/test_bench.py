"""Parts of the benchmarks that decide what they find."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_mutants_are_programs_of_which_each_differs_in_one_expression(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "bench")
    import mutants

    file = ROOT / "src" / "agfnet" / "metrics" / "jackknife.py"
    found = list(mutants.mutants_of(file))
    trees = {ast.dump(ast.parse(mutant.text)) for mutant in found}
    assert len(trees) == len({mutant.key for mutant in found}) == len(found)
    assert ast.dump(ast.parse(file.read_text(encoding="utf-8"))) not in trees
    changes = {(mutant.function, mutant.before, mutant.after) for mutant in found}
    assert ("weights_without", "len(names) < 2", "len(names) <= 2") in changes
    assert ("weights_without", "group.max", "group.min") in changes
    assert ("leave_patients_out", "1000", "1001") in changes
    assert not any("strict" in before for _, before, _ in changes)


def test_every_planted_bug_has_its_lines_and_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """`bench/planted.py` runs them; a line or a test that is gone would be noticed only there."""
    monkeypatch.syspath_prepend(ROOT / "bench")
    import planted

    for bug in planted.BUGS:
        source = (ROOT / "src" / "agfnet" / bug.file).read_text(encoding="utf-8")
        for line in bug.changes:
            assert source.count(line) == 1, f"{bug.title}: {line}"
        file, _, name = bug.tests.partition("::")
        tests = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not name or f"def {name.partition('[')[0]}(" in tests, f"{bug.title}: {bug.tests}"
