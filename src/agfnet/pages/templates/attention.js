const data = JSON.parse(document.getElementById('data').textContent);
const g = data.grid, cells = data.views.map(v => [...document.querySelectorAll(
  `[data-view="${v.id}"] button`)]);
const output = document.getElementById('output');
let selected = data.start;
function reversed() { return document.getElementById('reversed').checked; }
function weight(from, to, i, j) {
  const weights = data.attention[reversed() ? `${to} ${from}` : `${from} ${to}`];
  if (!weights) return null;
  return (reversed() ? weights[j * g * g + i] : weights[i * g * g + j]) / 10000;
}
function region(i) { return `row ${Math.floor(i / g) + 1}, column ${i % g + 1}`; }
function show() {
  const [view, i] = selected;
  const texts = [];
  cells.forEach((buttons, n) => {
    const values = buttons.map((_, j) => weight(view, n, i, j));
    const top = Math.max(...values, 1e-9);
    buttons.forEach((button, j) => {
      const part = values[j] === null ? 0 : values[j] / top;
      const tint = data.tints[Math.round(part * (data.tints.length - 1))];
      button.style.background = part > 0.02 ? `rgb(${tint} / ${part * data.opacity})` : 'none';
      const self = n === view && j === i;
      button.setAttribute('aria-selected', self);
      button.tabIndex = self || (n !== view && j === 0) ? 0 : -1;
      const known = values[j] === null ? '' : `: ${(100 * values[j]).toFixed(1)} %`;
      button.setAttribute('aria-label', `${data.views[n].name}, ${region(j)}${known}`);
    });
    if (values[0] === null) { texts.push(`no attention to ${data.views[n].name}`); return; }
    const best = values.indexOf(Math.max(...values));
    texts.push(`${data.views[n].name}, highest at ${region(best)} (${(100 * top).toFixed(1)} %)`);
  });
  const source = `${data.views[view].name}, ${region(i)}`;
  output.textContent = reversed()
    ? `Attention to ${source}: ${texts.join('; ')}. Each figure is a part of the attention of that `
      + 'region.'
    : `Attention of ${source}: ${texts.join('; ')}. The attention to the image itself and that to `
      + 'all other images each sum to 100 %.';
}
cells.forEach((buttons, n) => buttons.forEach((button, j) => {
  button.addEventListener('click', () => { selected = [n, j]; show(); });
  button.addEventListener('keydown', event => {
    const row = Math.floor(j / g), column = j % g;
    const to = {ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column],
      Home: [row, 0], End: [row, g - 1]}[event.key];
    if (!to || to[0] < 0 || to[1] < 0 || to[0] >= g || to[1] >= g) return;
    event.preventDefault();
    selected = [n, to[0] * g + to[1]];
    show();
    buttons[selected[1]].focus();
  });
}));
document.querySelectorAll('input').forEach(input => input.addEventListener('change', show));
show();
