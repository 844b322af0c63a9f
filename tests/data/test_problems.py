from __future__ import annotations

import pytest

from agfnet.data.problems import MAX_SHOWN, Problems, near
from agfnet.errors import DataError


def test_no_problem_raises_nothing():
    Problems("a.csv").check()


def test_lines_say_where():
    problems = Problems("a.csv")
    problems.add("one")
    problems.add("two", row=2)
    problems.add("three", row=3, column="x")
    with pytest.raises(DataError) as caught:
        problems.check()
    assert str(caught.value) == "a.csv: one\na.csv:2: two\na.csv:3 column x: three"


@pytest.mark.parametrize(
    ("count", "last"), [(MAX_SHOWN, "a.csv: 19"), (MAX_SHOWN + 3, "… and 3 more")]
)
def test_the_rest_is_counted(count: int, last: str):
    problems = Problems("a.csv")
    for number in range(count):
        problems.add(str(number))
    with pytest.raises(DataError) as caught:
        problems.check()
    assert str(caught.value).splitlines()[-1] == last


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("mel", ["Mel", "NV"], "did you mean 'Mel'?"),
        ("melnoma", ["melanoma", "melanosis"], "did you mean 'melanoma' or 'melanosis'?"),
        ("zzz", ["a", "b"], "there are 'a', 'b'"),
        ("zzz", [], "there are none"),
        ("zzz", [f"a{i:02}" for i in range(20)], "'a11', …"),
    ],
)
def test_near(name: str, known: list[str], hint: str):
    assert hint in near(name, known)
