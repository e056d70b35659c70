"""What the tests of a page ask it: JavaScript that runs in it and gives back what it found."""

CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => v / 255 <= .03928 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim(), one = walk.currentNode.parentElement;
    if (!text || one.closest('svg, script, [disabled], .hidden') || !one.getClientRects().length) continue;
    const [a, b] = [light(rgb(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) bad.push([((a + .05) / (b + .05)).toFixed(2), one.className || one.tagName, text.slice(0, 40)]);
  }
  return bad;
}"""
"""Texts whose contrast to what lies behind them is below 4.5 (WCAG 2, success criterion 1.4.3): [ratio, element, text]."""

UNNAMED = """() => [...document.querySelectorAll('a, button, input, select, summary, [role=region], svg[role=img]')].filter((one) => {
  const by = (one.getAttribute('aria-labelledby') || '').split(' ').map((id) => document.getElementById(id)?.textContent || '').join('');
  return !(one.getAttribute('aria-label') || by.trim() || one.textContent.trim() || one.labels?.[0]?.textContent);
}).map((one) => one.outerHTML.slice(0, 80))"""
"""What can be operated or looked at and has no accessible name."""

DEAD_LINKS = """() => [...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href')).filter((href) => {
  const name = href.slice(1);
  const leads = document.getElementById(name) || board.known(name) || (name.startsWith('post-') && forum.where.has(name.slice(5)));
  return !href.startsWith('#') || !leads;
})"""
"""Links of the report that lead nowhere, or out of it."""

WIDTHS = """() => [...document.querySelectorAll('figure.chart')].filter((one) => one.offsetParent).map((one) =>
  [one.id, ...['.wide', '.narrow'].map((kind) => one.querySelector(`${kind} svg`)?.getBoundingClientRect().width || 0)])"""
"""[id, width of the wide drawing, of the narrow one] of the charts that are shown; 0 where a drawing is not."""

MARKS = """() => [...document.querySelectorAll('figure.chart svg')].filter((one) => one.getClientRects().length).map((one) =>
  [...one.querySelectorAll('path, use, rect')].filter((mark) => {
    const box = mark.getBoundingClientRect();
    return box.width + box.height > 0;
  }).length)"""
"""Number of marks with a size, for each drawing that is shown."""

ASKS = """(address) => new Promise((done) => {
  const image = new Image();
  image.onerror = () => done('refused');
  image.onload = () => done('loaded');
  image.src = address;
  document.body.append(image);
})"""
"""Has the page ask for an image."""

ACT = """(act) => {
  if (act === 'sort') board.sort('method');
  else { document.getElementById('board-query').value = act; board.choose(); }
  document.body.offsetHeight;
}"""
"""A sort, or the search for a text, with the layout that it causes."""

SIDEWAYS = "() => document.scrollingElement.scrollWidth - innerWidth"
"""By how much the page is wider than the window."""
