"""Tests of a copy of the repository, each run in a fork that has imported the packages."""

from __future__ import annotations

import compileall
import contextlib
import gc
import os
import resource
import shutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
IMPORTS = ("lightning.pytorch", "timm", "scipy.stats", "pytest", "pydicom", "hypothesis")
"""Packages that are imported once, and not by each process."""
PASSED, FAILED = 0, 1  # exit codes of pytest


@contextlib.contextmanager
def repository_copy() -> Iterator[Path]:
    """Copy what the tests need into a temporary folder, whose source may be changed."""
    for module in IMPORTS:
        with contextlib.suppress(ModuleNotFoundError):
            import_module(module)
    gc.freeze()  # pytest collects garbage at its end, in each fork
    with TemporaryDirectory() as name:
        work = Path(name)
        for folder in ("src", "tests", "bench"):
            shutil.copytree(
                ROOT / folder, work / folder, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "pyproject.toml", work)
        compileall.compile_dir(work / "src", quiet=2)
        try:
            yield work
        finally:
            gc.unfreeze()


def run_tests(
    work: Path,
    tests: Sequence[str],
    *options: str,
    quiet: bool = False,
    cpu_seconds: int | None = None,
) -> int:
    """Run tests of the copy in a separate process, up to the first that fails.

    Args:
        work: the copy.
        tests: below its folder of tests, as arguments of pytest.
        options: more arguments of pytest.
        quiet: print nothing.
        cpu_seconds: processor time after which the process is killed.

    Returns:
        The exit code of pytest, or minus the signal that ended the process.
    """
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        code = 70
        try:
            import pytest

            if quiet:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 1)
                os.dup2(nowhere, 2)
            if cpu_seconds:
                resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
            os.chdir(work)
            sys.path.insert(0, str(work / "src"))
            for module in [name for name in sys.modules if name.split(".")[0] == "agfnet"]:
                del sys.modules[module]  # it is that of the repository
            sys.dont_write_bytecode = True
            short = ["-n0", "-x", "--tb=line", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
            short += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is imported
            code = int(pytest.main([*short, *options, *(f"tests/{each}" for each in tests)]))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
