"""Pages of the site that are generated when it is built (see mkdocs.yml)."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
NOTEBOOK = DOCS / "tutorials" / "notebook.ipynb"


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Fill in generated parts; a link out of the documentation becomes the path of the file."""
    text = markdown
    if page.file.src_uri == "reference/commands.md":
        text = text.replace("{{ commands }}", commands())
    if page.file.src_uri == "tutorials/notebook.md":
        text = text.replace("{{ notebook }}", notebook())
    if page.file.src_uri == "decisions/index.md":
        text = text.replace("{{ decisions }}", decisions())
    folder = (DOCS / page.file.src_uri).parent
    text = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", lambda link: inside(link, folder), text)
    return re.sub(r"<!-- figures: .*? -->\n*", "", text)


def inside(link: re.Match[str], folder: Path) -> str:
    """Return a link as it is, or its text and the file if the site does not have its target."""
    target = link[2].partition("#")[0]
    path = (folder / target).resolve()
    of_site = path.is_relative_to(DOCS.resolve()) and path.suffix != ".py"
    if "://" in target or not target or of_site:
        return link[0]
    return f"{link[1]} (`{path.relative_to(DOCS.resolve().parent)}`)"


def commands() -> str:
    """Return the complete help of every command."""
    from agfnet.cli import COMMANDS, main

    parts = []
    for name in COMMANDS:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
            main([name, "--help-all"])
        parts.append(f"## agfnet {name}\n\n```text\n{output.getvalue().strip()}\n```\n")
    return "\n".join(parts)


def decisions() -> str:
    """Return a list of the decisions with their titles."""
    files = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    titles = [path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for path in files]
    return "\n".join(f"- [{title}]({path.name})" for title, path in zip(titles, files, strict=True))


def notebook() -> str:
    """Execute the notebook in a temporary folder, and return it with its outputs.

    There is no time limit: how long its training takes depends on the machine.
    """
    import tempfile

    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(book, timeout=None, resources=resources).execute()
    parts = []
    for cell in book.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        parts += [text for output in cell.outputs if (text := shown(output))]
    return "\n\n".join(parts)


def shown(output: Any) -> str:
    """Return an output of a cell as Markdown; progress bars and warnings are left out."""
    if output.output_type == "stream":
        return f"```text\n{output.text.strip()}\n```" if output.name == "stdout" else ""
    data = output.get("data", {})
    if "text/html" in data:
        html = re.sub(r"\n\s*\n", "\n", data["text/html"])
        return re.sub(r"^\s+", "", html, flags=re.M)  # four spaces would be code
    if "image/png" in data:
        return f"![Output](data:image/png;base64,{data['image/png'].strip()})"
    return f"```text\n{data['text/plain']}\n```" if "text/plain" in data else ""
