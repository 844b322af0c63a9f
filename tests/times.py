"""A plugin of pytest that writes `slow.txt`, the tests that `make quick` leaves out: `make times`.

Times are those of the processor, so that other programs on the machine change them little. They
include processes that a test, or the end of a fixture, has started and waited for.
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

SLOW = Path(__file__).with_name("slow.txt")
MAX_CALL = 0.08
"""Seconds that a quick test may take."""
MAX_FUNCTION = 2.0
"""Seconds that a quick test may take with all its parameters together."""
MAX_FIXTURE = 0.5
"""Seconds that a fixture of a quick test may take, from its set-up to its end."""
SHARED = {"cohort", "live", "trained", "trees"}
"""Fixtures that may take longer: many tests use what one process makes once."""
HEADER = f"""\
# Tests that `make quick` leaves out besides those with a mark, and whole files of nothing else.
# They take over {MAX_CALL} s of processor time, over {MAX_FUNCTION} s with all their parameters,
# or a fixture of theirs takes over {MAX_FIXTURE} s.
# Written by `make times`.
"""

unmarked: dict[str, set[str]] = defaultdict(set)
calls: dict[str, float] = defaultdict(float)
"""The longest call of each test function."""
functions: dict[str, float] = defaultdict(float)
"""All calls of each test function."""
fixtures: dict[tuple[str, str], float] = defaultdict(float)
ends: dict[tuple[str, str], float] = {}
"""Processor time at which the end of a fixture began."""
needed: dict[str, set[tuple[str, str]]] = defaultdict(set)


def cpu() -> float:
    """Seconds of the processor so far."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def function_of(item: pytest.Item) -> str:
    """Node id without parameters."""
    return item.nodeid.partition("[")[0]


def file_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what a mark calls slow; its time need not be measured."""
    for item in items:
        unmarked[file_of(item)] |= set() if marked(item) else {function_of(item)}
    items[:] = [item for item in items if not marked(item)]


def marked(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("slow", "browser"))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    start = cpu()
    try:
        return (yield)
    finally:
        key = (fixturedef.baseid, fixturedef.argname)
        fixtures[key] = max(fixtures[key], cpu() - start)
        # the last finalizer runs first, before the fixture's end
        fixturedef.addfinalizer(lambda: ends.__setitem__(key, cpu()))


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[object]) -> None:
    """Count the end of a fixture too, in which a server that it has started is waited for."""
    key = (fixturedef.baseid, fixturedef.argname)
    if key in ends:
        fixtures[key] = max(fixtures[key], cpu() - ends.pop(key))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    start = cpu()
    try:
        return (yield)
    finally:
        name = function_of(item)
        calls[name] = max(calls[name], taken := cpu() - start)
        functions[name] += taken
        needed[name] |= {key for key in fixtures if used(item, *key)}


def used(item: pytest.Item, base: str, name: str) -> bool:
    """Return whether a test needs a fixture that counts: one of ours that is not shared."""
    counts = base != "" and name not in SHARED  # the base of plugins is empty
    return counts and name in item.fixturenames and item.nodeid.startswith(base)


def pytest_sessionfinish() -> None:
    lines = []
    for file, names in sorted(unmarked.items()):
        long = {name for name in names if takes_long(name)}
        lines += [file] if long == names else sorted(long)
    SLOW.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    total = sum(fixtures.values()) + sum(functions.values())
    print(f"\n{len(lines)} lines in {SLOW.name}; the measured tests took {total:.0f} s")  # noqa: T201


def takes_long(name: str) -> bool:
    return (
        calls[name] > MAX_CALL
        or functions[name] > MAX_FUNCTION
        or any(fixtures[key] > MAX_FIXTURE for key in needed[name])
    )
