"""Mutations: small changes of the source, drawn at random, that the tests should notice.

    python bench/mutants.py src/agfnet/metrics --count 60 --seed 1

Each change is put into a copy of the repository, where the fast tests of its file are run and, if
they pass, those of its room. A change with which all pass survives: it is a missing test, or
without consequence. `--json` lists the survivors; whoever looked at one writes the test that now
catches it, or why there is none, into its "reason", which is kept. A sample that was stopped is
continued by the same command; a change is tried again once its file or the test of its file has
changed.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import hashlib
import json
import random
import resource
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import options
from forks import PASSED, ROOT, repository_copy, run_tests

from agfnet.files import write_json

SOURCE = ROOT / "src" / "agfnet"
PATHS = tuple(
    SOURCE / name
    for name in (
        *("calibration", "export", "metrics", "models", "training"),
        *("data/folds.py", "data/sampling.py", "data/splits.py"),
    )
)
FAST = ("-q", "-m", "not slow and not browser", "--hypothesis-seed=0")
STATE = ROOT / "build" / "mutants.jsonl"
SLOWDOWN = 10  # times the processor time of the unchanged tests, after which a change is stopped
COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Pow: ast.Mult,
}
PAIRS = ("min max", "floor ceil", "any all", "argmax argmin", "maximum minimum", "sum mean")
NAMES = dict(pair.split()[::step] for pair in PAIRS for step in (1, -1))


KEY = ("file", "function", "before", "after", "number")
"""Fields that stay the same when lines are added elsewhere in the file."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A change of an expression of the source."""

    file: str  # below src/agfnet
    function: str
    line: int
    before: str
    after: str
    number: int  # of the equal changes in the function, from 0 on
    text: str  # of the changed file

    @property
    def key(self) -> tuple[str, ...]:
        """The fields of `KEY`."""
        return tuple(str(getattr(self, name)) for name in KEY)


def main() -> None:
    """Try the drawn mutants that have not been tried yet, and list those that survive."""
    parser = options(__doc__)
    parser.add_argument(
        "paths", nargs="*", type=Path, default=PATHS, help="files or folders of the source"
    )
    parser.add_argument("--count", type=int, default=60, help="number of changes that are drawn")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other changes")
    parser.add_argument(
        "--again", action="store_true", help="try those that --json lists, and draw none"
    )
    arguments = parser.parse_args()
    files = source_files(arguments.paths)
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    samples, listed = read_listed(arguments.json)
    if arguments.again:
        mutants = [mutant for mutant in mutants if mutant.key in listed]
    else:
        random.Random(arguments.seed).shuffle(mutants)
        mutants = mutants[: arguments.count]
    survivors = 0
    for mutant, is_caught in tried(mutants):
        survivors += not is_caught
        if not is_caught or mutant.key in listed:
            row = {name: value for name, value in vars(mutant).items() if name != "text"}
            reason = listed.get(mutant.key, {}).get("reason", "")
            row |= {"outcome": "caught" if is_caught else "survives", "reason": reason}
            listed[mutant.key] = row
    rows = sorted(listed.values(), key=lambda row: (row["file"], row["line"], row["after"]))
    print(f"{len(mutants)} changes tried, {survivors} survive")
    if arguments.json:
        if not arguments.again:
            sample = {"files": len(files), "seed": arguments.seed, "tried": len(mutants)}
            samples = [each for each in samples if each.items() & sample.items() != sample.items()]
            samples.append(sample | {"survived": survivors})
        write_json(arguments.json, {"samples": samples, "mutants": rows})


def source_files(paths: Sequence[Path]) -> list[Path]:
    """Return the modules at and below the paths."""
    files = []
    for path in map(Path.resolve, paths):
        if not path.exists() or not path.is_relative_to(SOURCE):
            raise SystemExit(f"{path} is not in {SOURCE}")
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return files


def mutants_of(file: Path) -> Iterator[Mutant]:
    """Every mutant of a module."""
    text = file.read_text(encoding="utf-8")
    lines = text.encode().splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    count: dict[tuple[str, ...], int] = {}
    for function, node, replacement in changes(ast.parse(text)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        before, after = ast.unparse(node), ast.unparse(replacement)
        number = count[function, before, after] = count.get((function, before, after), -1) + 1
        changed = text.encode()[:start] + f"({after})".encode() + text.encode()[end:]
        yield Mutant(
            file=file.relative_to(SOURCE).as_posix(),
            function=function,
            line=node.lineno,
            before=before,
            after=after,
            number=number,
            text=changed.decode(),
        )


def changes(node: ast.AST, function: str = "") -> Iterator[tuple[str, ast.expr, ast.expr]]:
    """Name of the function, expression, and what replaces it, for each change below a node.

    Annotations, decorators, the texts of errors and `strict` of zip are left out.
    """
    if isinstance(node, ast.Raise | ast.JoinedStr) or getattr(node, "arg", None) == "strict":
        return
    if isinstance(node, ast.expr):
        yield from ((function, node, replacement) for replacement in replacements(node))
    if isinstance(node, ast.If | ast.IfExp):
        yield function, node.test, ast.UnaryOp(ast.Not(), node.test)
    children: Iterator[ast.AST | None] = ast.iter_child_nodes(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        function = f"{function}.{node.name}".strip(".")
        defaults = [] if isinstance(node, ast.ClassDef) else _defaults(node.args)
        children = iter([*defaults, *node.body])
    elif isinstance(node, ast.AnnAssign):
        children = iter([node.value])
    for child in children:
        if child is not None and not isinstance(child, ast.arguments):
            yield from changes(child, function)


def _defaults(arguments: ast.arguments) -> list[ast.expr | None]:
    return [*arguments.defaults, *arguments.kw_defaults]


def replacements(node: ast.expr) -> Iterator[ast.expr]:
    """Expressions that replace one."""
    match node:
        case ast.Compare(ops=[operator, *_]) if type(operator) in COMPARISONS:
            yield _with(node, ops=[COMPARISONS[type(operator)](), *node.ops[1:]])
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            yield _with(node, op=OPERATORS[type(operator)]())
        case ast.BoolOp(op=operator):
            yield _with(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(2 * value or 1.0)
        case ast.Attribute(attr=name) if name in NAMES:
            yield _with(node, attr=NAMES[name])
        case ast.Name(id=name) if name in NAMES:
            yield _with(node, id=NAMES[name])
        case ast.Call(keywords=keywords):
            for keyword in keywords:
                if keyword.arg not in (None, "strict"):
                    yield _with(node, keywords=[each for each in keywords if each is not keyword])


def _with(node: ast.expr, **fields: Any) -> ast.expr:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def tried(mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, bool]]:
    """Try the mutants that the state does not know; yield each, and whether it is caught."""
    known = read_state()
    with repository_copy() as work:
        clean: dict[str, int] = {}  # processor seconds of the unchanged tests
        for number, mutant in enumerate(mutants, start=1):
            key = (*mutant.key, digest(mutant.file))
            if key not in known:
                known[key] = caught(work, mutant, clean)
                STATE.parent.mkdir(exist_ok=True)
                with STATE.open("a", encoding="utf-8") as state:
                    state.write(json.dumps([key, known[key]]) + "\n")
            outcome = "caught" if known[key] else "SURVIVES"
            print(f"{number}/{len(mutants)} {outcome} {summary(mutant)}", flush=True)
            yield mutant, known[key]


def caught(work: Path, mutant: Mutant, clean: dict[str, int]) -> bool:
    """Put a mutant into the copy; return whether a test fails, or needs much more time."""
    file = work / "src" / "agfnet" / mutant.file
    original = file.read_text(encoding="utf-8")
    for tests in tests_of(mutant.file):
        if tests not in clean:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if run_tests(work, [tests], *FAST, quiet=True) != PASSED:
                raise SystemExit(f"without a change, tests/{tests} fails")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            clean[tests] = 5 + int(after.ru_utime - before.ru_utime)
        file.write_text(mutant.text, encoding="utf-8")
        try:
            limit = SLOWDOWN * clean[tests]
            if run_tests(work, [tests], *FAST, quiet=True, cpu_seconds=limit) != PASSED:
                return True
        finally:
            file.write_text(original, encoding="utf-8")
    return False


def tests_of(file: str) -> list[str]:
    """Return the test of a module and the folder of its room, below tests/, as far as they are."""
    path = Path(file)
    tests = [path.parent / f"test_{path.stem}.py", path.parent]
    return [each.as_posix() for each in tests if each.name and (ROOT / "tests" / each).exists()]


def digest(file: str) -> str:
    """Return a hash of a module and of its test."""
    tests = [ROOT / "tests" / name for name in tests_of(file)]
    parts = [path.read_bytes() for path in (SOURCE / file, *tests) if path.is_file()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def read_state() -> dict[tuple[str, ...], bool]:
    """Return the outcome of the mutants that were tried."""
    if not STATE.exists():
        return {}
    known = {}
    for line in STATE.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # stopped while it was written
            key, outcome = json.loads(line)
            known[tuple(key)] = outcome
    return known


def read_listed(
    file: Path | None,
) -> tuple[list[dict[str, Any]], dict[tuple[str, ...], dict[str, Any]]]:
    """Return the samples of an earlier list, and its rows by the key of the mutant."""
    if file is None or not file.exists():
        return [], {}
    content = json.loads(file.read_text(encoding="utf-8"))
    rows = content["mutants"]
    return content["samples"], {tuple(str(row[name]) for name in KEY): row for row in rows}


def summary(mutant: Mutant) -> str:
    """Return file, line and change in a line."""
    before, after = (textwrap.shorten(text, 60) for text in (mutant.before, mutant.after))
    return f"{mutant.file}:{mutant.line}  {before}  ->  {after}"


if __name__ == "__main__":
    main()
