"""The bare page of a report: skeleton, style sheet, tables. Loads nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import NamedTuple

from agfnet import NOTICE

STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --soft: #52606d; --line: #d9dee4;
  --page: #ffffff; --card: #f5f7f9; --warn: #7a3e00; --warn-page: #fff4e5;
  --bar: #0072b2; --link: #005a8f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --soft: #a9b4c0; --line: #3a444f;
  --page: #14191f; --card: #1d242c; --warn: #ffd8a8; --warn-page: #3a2a12;
  --bar: #56b4e9; --link: #7cc4f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }
.notice { margin: 0; padding: .5rem 1.25rem; text-align: center; font-weight: 600;
  background: var(--warn-page); color: var(--warn); }
h1 { font-size: 1.75rem; line-height: 1.2; margin: .5rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
main p { max-width: 44rem; margin: .5rem 0; }
.lead { font-size: 1.2rem; line-height: 1.45; }
.soft, figcaption { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .75rem .45rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; font-size: .875rem; vertical-align: bottom; }
tbody th { font-weight: 600; min-width: 8rem; }
small { display: block; max-width: 34rem; font-weight: 400; font-size: .875rem;
  line-height: 1.4; color: var(--soft); }
td, th + th { text-align: right; white-space: nowrap; }
.words td, .words th + th { text-align: left; white-space: normal; overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1.5rem 0 0; padding: .75rem 0;
  list-style: none; border-block: 1px solid var(--line); font-size: .875rem; }
a { color: var(--link); }
.keys { display: grid; gap: .75rem; margin: 1.5rem 0 0;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }
.keys div { padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); }
.keys dt { font-size: .875rem; color: var(--soft); }
.keys dd { margin: 0; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.keys dd + dd { font-size: .875rem; color: var(--soft); }
section > .scroll, section > figure { margin-top: 1rem; }
main li { max-width: 44rem; }
figure { margin: 0; }
.figures { columns: 24rem; column-gap: 1.5rem; margin-top: 1rem; }
.figures > figure { break-inside: avoid; padding-bottom: 1.5rem; }
.drawing { background: #fff; border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem; overflow-x: auto; text-align: center; }
.drawing svg { max-width: 100%; height: auto; vertical-align: top; }
.wide svg { min-width: 38rem; }
figcaption { font-size: .875rem; margin: .5rem 0 0; max-width: 44rem; }
.cases { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%,
  18rem), 1fr)); }
.case { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem;
  background: var(--card); overflow-wrap: anywhere; }
.images { display: grid; gap: .25rem .5rem; grid-template-columns: 1fr 1fr; }
.images figure { min-width: 0; }
.images img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
  background: #000; border-radius: .25rem; }
.images figcaption { margin: .15rem 0 .5rem; font-size: .8rem; }
.case p { margin: .15rem 0; }
.bars { display: grid; grid-template-columns: minmax(0, 1fr) auto; column-gap: .5rem;
  align-items: end; font-size: .875rem; line-height: 1.3; margin-top: .5rem;
  font-variant-numeric: tabular-nums; }
.bars i { grid-column: 1 / -1; height: .3rem; margin: .1rem 0 .5rem; background: var(--bar);
  border-radius: .15rem; print-color-adjust: exact; }
.bars span:nth-of-type(even) { text-align: right; }
@page { size: A4; margin: 15mm; }
@media print { :root { color-scheme: light; --ink: #000; --soft: #333; --line: #bbb;
  --page: #fff; --card: #fff; --warn: #000; --warn-page: #fff; --bar: #0072b2; --link: #000; }
  .notice { border: 1px solid #000; } nav { display: none; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; }
  .scroll, .drawing { overflow: visible; } .figures { columns: 18rem; }
  .cases { grid-template-columns: repeat(3, 1fr); } th, td { padding-block: .2rem; }
  h2, h3 { break-after: avoid; } figure, .case, tr { break-inside: avoid; } }
"""

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<p class="notice" role="note">$notice</p>
<main>
<h1>$title</h1>
$body
</main>
<p class="notice">$notice</p>
</body>
</html>
""")


class Section(NamedTuple):
    """A part of a page."""

    anchor: str  # unique, what links name
    heading: str
    body: str  # HTML


def page(title: str, lead: str, sections: Iterable[Section]) -> str:
    """The whole document: a lead (HTML), links to the sections, and the sections."""
    sections = list(sections)
    links = "".join(
        f'<li><a href="#{section.anchor}">{escape(section.heading)}</a></li>'
        for section in sections
    )
    parts = [
        lead,
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>',
        *(
            f'<section id="{section.anchor}"><h2>{escape(section.heading)}</h2>\n'
            f"{section.body}</section>"
            for section in sections
        ),
    ]
    # a number and its per cent sign stay on one line
    body = "\n".join(filter(None, parts)).replace(" %", "\u00a0%")
    return PAGE.substitute(title=escape(title), style=STYLE, notice=NOTICE, body=body)


def key_figures(figures: Iterable[tuple[str, str, str]]) -> str:
    """The numbers that most readers look for: title, value, and a smaller line."""
    cards = "".join(
        f"<div><dt>{escape(title)}</dt><dd>{escape(value)}</dd><dd>{escape(more)}</dd></div>"
        for title, value, more in figures
    )
    return f'<dl class="keys">{cards}</dl>'


def table(
    label: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, words: bool = False
) -> str:
    """A table that scrolls by itself: a row header, then numbers, or words that may be broken.

    The second line of a cell is shown small below the first.
    """
    kind = "scroll words" if words else "scroll"
    top = "".join(f'<th scope="col">{_cell(cell)}</th>' for cell in head)
    body = "\n".join(
        f'<tr><th scope="row">{_cell(first)}</th>'
        + "".join(f"<td>{_cell(text)}</td>" for text in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="{kind}" role="region" aria-label="{escape(label)}" tabindex="0"><table>'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def drawing(svg: str, caption: str, *, wide: bool = False) -> str:
    """A figure on a white card with its caption; a wide one scrolls on a phone."""
    card = "drawing wide" if wide else "drawing"
    text = f"<figcaption>{escape(caption)}</figcaption>"
    return f'<figure><div class="{card}">{svg}</div>{text}</figure>'


def _cell(text: str) -> str:
    first, _, more = text.partition("\n")
    return escape(first) + (f"<small>{escape(more)}</small>" if more else "")
