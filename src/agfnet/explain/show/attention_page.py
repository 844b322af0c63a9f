"""attention.html: choose a place of one view and see what it consulted in every view.

One file with a small script, which loads nothing from outside.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from matplotlib import colormaps

from agfnet import NOTICE
from agfnet.explain.show.overlay import COLOURS, thumbnail
from agfnet.files import write_text

Array = np.ndarray[Any, Any]
TINTS = 32
OPACITY = 0.6  # of the strongest; attention is often even, and the image must stay visible

STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --soft: #52606d; --line: #d9dee4;
  --page: #ffffff; --warn: #7a3e00; --warn-page: #fff4e5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --soft: #a9b4c0; --line: #3a444f;
  --page: #14191f; --warn: #ffd8a8; --warn-page: #3a2a12; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 1rem 1.25rem 2rem; }
.notice { margin: 0; max-width: none; padding: .5rem 1.25rem; text-align: center; font-weight: 600;
  background: var(--warn-page); color: var(--warn); }
h1 { font-size: 1.5rem; margin: .5rem 0; overflow-wrap: anywhere; }
p { max-width: 46rem; margin: .5rem 0; }
.soft, figcaption { color: var(--soft); }
fieldset { border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; max-width: 46rem; }
label { display: block; padding: .15rem 0; }
.views { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); }
figure { margin: 0; min-width: 0; }
.view { position: relative; aspect-ratio: 1; background: #000; }
.view img { position: absolute; inset: 0; width: 100%; height: 100%; }
.grid { position: absolute; inset: 0; display: grid; }
.row { display: contents; }
.grid button { all: unset; cursor: pointer; min-width: 0; min-height: 0;
  box-shadow: inset 0 0 0 .5px rgb(255 255 255 / .25); }
.grid button:focus-visible { outline: 3px solid #56b4e9; outline-offset: -1px; z-index: 1; }
.grid button[aria-selected=true] { box-shadow: inset 0 0 0 3px #fff, inset 0 0 0 5px #000; }
.legend { width: 12rem; height: .8rem; border: 1px solid var(--line); display: inline-block;
  vertical-align: middle; }
output { display: block; min-height: 3em; }
"""

SCRIPT = """
const data = JSON.parse(document.getElementById('data').textContent);
const g = data.grid, cells = data.views.map(v => [...document.querySelectorAll(
  `[data-view="${v.id}"] button`)]);
const said = document.getElementById('said');
let chosen = data.start;
function asked() { return document.getElementById('asked').checked; }
function share(from, to, i, j) {
  const found = asked() ? data.attention[`${to} ${from}`] : data.attention[`${from} ${to}`];
  if (!found) return null;
  return (asked() ? found[j * g * g + i] : found[i * g * g + j]) / 10000;
}
function place(i) { return `row ${Math.floor(i / g) + 1}, column ${i % g + 1}`; }
function show() {
  const [view, i] = chosen;
  const texts = [];
  cells.forEach((buttons, n) => {
    const values = buttons.map((_, j) => share(view, n, i, j));
    const top = Math.max(...values, 1e-9);
    buttons.forEach((button, j) => {
      const part = values[j] === null ? 0 : values[j] / top;
      const tint = data.tints[Math.round(part * (data.tints.length - 1))];
      button.style.background = part > 0.02 ? `rgb(${tint} / ${part * data.opacity})` : 'none';
      const self = n === view && j === i;
      button.setAttribute('aria-selected', self);
      button.tabIndex = self || (n !== view && j === 0) ? 0 : -1;
      const known = values[j] === null ? '' : `: ${(100 * values[j]).toFixed(1)} %`;
      button.setAttribute('aria-label', `${data.views[n].name}, ${place(j)}${known}`);
    });
    if (values[0] === null) { texts.push(`no attention with ${data.views[n].name}`); return; }
    const best = values.indexOf(Math.max(...values));
    texts.push(`${data.views[n].name} most at ${place(best)} (${(100 * top).toFixed(1)} %)`);
  });
  const who = `${data.views[view].name}, ${place(i)}`;
  said.textContent = asked()
    ? `Consulted ${who}: ${texts.join('; ')}. Each figure is a share of that place's attention.`
    : `${who} consulted: ${texts.join('; ')}. Shares of its attention to a view's own context, and `
      + `to those of all others.`;
}
cells.forEach((buttons, n) => buttons.forEach((button, j) => {
  button.addEventListener('click', () => { chosen = [n, j]; show(); });
  button.addEventListener('keydown', event => {
    const row = Math.floor(j / g), column = j % g;
    const to = {ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column],
      Home: [row, 0], End: [row, g - 1]}[event.key];
    if (!to || to[0] < 0 || to[1] < 0 || to[0] >= g || to[1] >= g) return;
    event.preventDefault();
    chosen = [n, to[0] * g + to[1]];
    show();
    buttons[chosen[1]].focus();
  });
}));
document.querySelectorAll('input').forEach(input => input.addEventListener('change', show));
show();
"""

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '$digest'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<p class="notice" role="note">$notice</p>
<main>
<h1>$title</h1>
<p>$lead</p>
<p>Choose a place of any image, with the mouse or with Tab and the arrow keys.</p>
<fieldset><legend>Show</legend>
<label><input type="radio" name="mode" checked> what the chosen place consulted</label>
<label><input type="radio" name="mode" id="asked"> which places consulted it</label>
</fieldset>
<output id="said" aria-live="polite"></output>
<div class="views">$views</div>
<p><span class="legend" style="background: linear-gradient(to right, $legend)"></span>
 little to most, in each image by itself</p>
<p class="soft">$strength Attention says what was looked up, not what decided: the features of a
place may hold all of the image already, and what is looked up may hardly be used.</p>
</main>
<p class="notice">$notice</p>
<script type="application/json" id="data">$data</script>
<script>$script</script>
</body>
</html>
""")


def write_page(
    path: Path,
    *,
    title: str,
    lead: str,
    images: Mapping[str, Array],
    attention: Mapping[tuple[str, str], Array],
    strengths: Mapping[tuple[str, bool], float],
    start: tuple[str, int],
) -> None:
    """Write the page of one case.

    Args:
        path: the file.
        title: heading.
        lead: the answer, in a sentence.
        images: view to what the network sees of it (S, S, 3) uint8.
        attention: (asker, asked) to (g², g²), see `agfnet.explain.compute.attention_grid`.
        strengths: asker, and whether it asked itself, to how much that changed its tokens.
        start: view and cell that are chosen at first.
    """
    names = list(images)
    grid = round(len(next(iter(attention.values()))) ** 0.5)
    tints = (colormaps[COLOURS](np.linspace(0, 1, TINTS))[:, :3] * 255).round().astype(int)
    data = {
        "grid": grid,
        "views": [{"id": number, "name": name} for number, name in enumerate(names)],
        "attention": {
            f"{names.index(asker)} {names.index(asked)}": (values * 10000)
            .round()
            .astype(int)
            .ravel()
            .tolist()
            for (asker, asked), values in attention.items()
        },
        "tints": [" ".join(map(str, tint)) for tint in tints.tolist()],
        "opacity": OPACITY,
        "start": [names.index(start[0]), start[1]],
    }
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    write_text(
        path,
        PAGE.substitute(
            title=escape(title),
            lead=escape(lead),
            style=STYLE,
            notice=NOTICE,
            digest=f"sha256-{digest}",
            views="".join(_view(n, name, images[name], grid) for n, name in enumerate(names)),
            legend=", ".join(f"rgb({tint})" for tint in data["tints"]),
            strength=escape(strength_text(strengths)),
            data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
            script=SCRIPT,
        ),
    )


def strength_text(strengths: Mapping[tuple[str, bool], float]) -> str:
    """How much attention changed each view, in sentences."""
    return " ".join(
        f"What {asker} looked up in {'itself' if own else 'the other views'} changed its features "
        f"by {value:.0%} of their length."
        for (asker, own), value in strengths.items()
    )


def _view(number: int, name: str, pixels: Array, grid: int) -> str:
    cells = "".join(
        '<div class="row" role="row">'
        + '<button role="gridcell" tabindex="-1"></button>' * grid
        + "</div>"
        for _ in range(grid)
    )
    return (
        f'<figure><div class="view"><img alt="{escape(name)}" src="{thumbnail(pixels)}">'
        f'<div class="grid" role="grid" aria-label="Places of {escape(name)}" '
        f'data-view="{number}" style="grid-template: repeat({grid}, 1fr) / repeat({grid}, 1fr)">'
        f"{cells}</div></div><figcaption>{escape(name)}, as the network sees it</figcaption>"
        "</figure>"
    )
