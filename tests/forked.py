"""A plugin of pytest that collects the tests once and runs them in several processes: `make quick`.

pytest-xdist collects in every process. For short tests that takes as long as the tests, since the
libraries that they import are large. Here the processes are forked after the collection. They take
files of tests one after the other; tests with the same mark `xdist_group` stay in one process.

The garbage collector does not run during the collection, and later leaves out what was there before
the fork: most of it are the libraries, which stay.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Generator, Iterable, Iterator
from itertools import chain, pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from signal import SIGINT
from typing import Any

import pytest

from agfnet.parallel import usable_cores

LARGE = 40
"""Tests of a file that one process takes at once, so that a long file does not delay the end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=usable_cores(), help="processes of tests")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    option = session.config.option
    if option.processes < 2 or option.collectonly or session.testsfailed:
        return None
    numbers = fill(len(parts := divide(session.items)))
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    running: dict[Connection, tuple[int, str]] = {}  # process, and the test that it runs
    sys.stdout.flush()
    for process in range(option.processes):
        receiver, sender = Pipe(duplex=False)
        if not (pid := os.fork()):
            work(session, parts, numbers, sender, process)  # does not return
        sender.close()
        running[receiver] = pid, "its first test"
    try:
        collect_reports(session, running)
    finally:
        for receiver, (pid, _) in running.items():  # they still end their fixtures, as servers
            receiver.close()
            os.kill(pid, SIGINT)
        for pid, _ in running.values():
            os.waitpid(pid, 0)
    return True


def divide(items: list[pytest.Item]) -> list[list[pytest.Item]]:
    """Return the tests that one process takes at once: groups first, and large parts early."""
    groups: dict[tuple[bool, str], list[pytest.Item]] = {}
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        key = (False, str(mark.args)) if mark else (True, str(item.path))
        groups.setdefault(key, []).append(item)
    parts = [
        (by_file, group[first : first + LARGE] if by_file else group)
        for (by_file, _), group in groups.items()
        for first in (range(0, len(group), LARGE) if by_file else [0])
    ]
    return [part for _, part in sorted(parts, key=lambda each: (each[0], -len(each[1])))]


def fill(count: int) -> int:
    """Return the end of a pipe from which the processes read numbers of parts."""
    numbers, writing = os.pipe()
    os.write(writing, b"".join(number.to_bytes(2, "big") for number in range(count)))
    os.close(writing)
    return numbers


def taken(parts: list[list[pytest.Item]], numbers: int) -> Iterator[pytest.Item]:
    """Yield the tests of one part after the other, as long as there are any."""
    while number := os.read(numbers, 2):
        yield from parts[int.from_bytes(number, "big")]


def work(
    session: pytest.Session,
    parts: list[list[pytest.Item]],
    numbers: int,
    sender: Connection,
    process: int,
) -> None:
    """Run tests in a forked process, send their reports, and end the process."""
    try:
        prepare(session.config, sender, process)
        following: Iterable[pytest.Item | None] = chain(taken(parts, numbers), [None])
        for item, successor in pairwise(following):
            assert item is not None
            sender.send(item.nodeid)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=successor)
            if session.shouldfail or session.shouldstop:
                break
        sender.send(None)
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # the parent has stopped
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            session._setupstate.teardown_exact(None)
        finally:
            os._exit(0)


def prepare(config: pytest.Config, sender: Connection, process: int) -> None:
    """Give a forked process its own folder for temporary files, its own output, and its reports."""
    factory: Any = config._tmp_path_factory  # type: ignore[attr-defined]
    factory._basetemp = factory.getbasetemp() / f"process{process}"
    factory._basetemp.mkdir()
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    terminal: Any = config.pluginmanager.getplugin("terminalreporter")
    terminal._tw._file = open(os.devnull, "w")  # noqa: PTH123, SIM115  # the parent prints

    class Sending:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            sender.send(config.hook.pytest_report_to_serializable(config=config, report=report))

    config.pluginmanager.register(Sending())


def collect_reports(session: pytest.Session, running: dict[Connection, tuple[int, str]]) -> None:
    """Pass on the reports of all processes until they end.

    Raises:
        Failed: a process died, or too many tests have failed.
    """
    hook = session.config.hook
    while running:
        for receiver in wait(list(running)):
            assert isinstance(receiver, Connection)
            pid, name = running[receiver]
            try:
                message = receiver.recv()
            except EOFError:
                del running[receiver]
                os.waitpid(pid, 0)
                if name:
                    session.shouldfail = f"a process died in {name}"
                continue
            if isinstance(message, dict):
                data = hook.pytest_report_from_serializable(config=session.config, data=message)
                hook.pytest_runtest_logreport(report=data)
            else:
                running[receiver] = pid, message or ""
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
