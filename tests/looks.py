"""How a page looks, as expressions that a browser computes."""

from __future__ import annotations

WIDER = """
[...document.body.querySelectorAll('*')].filter(e =>
    e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.wide, .unseen, svg')
).map(e => e.tagName + '.' + e.className)
"""
"""What is wider than the page, unless it lies in a box that moves by itself."""

CONTRAST = """
(() => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgb = colour => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = element => {
        for (let e = element; e; e = e.parentElement) {
            const colour = rgb(getComputedStyle(e).backgroundColor);
            if (colour[3] > 250) return colour;
        }
        return [255, 255, 255, 255];
    };
    const poor = new Set();
    for (const e of document.querySelectorAll('body *')) {
        const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
        if (!own || e.closest('.unseen') || e.classList.contains('none') || !e.getClientRects().length) continue;
        const style = getComputedStyle(e);
        const [a, b] = [light(rgb(e.closest('svg') ? style.fill : style.color)), light(behind(e))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) poor.add(`${e.tagName}.${e.className.baseVal ?? e.className} ${ratio.toFixed(2)}`);
    }
    return [...poor];
})()
"""
"""Pieces of text that are seen and whose contrast (WCAG 2, section 1.4.3) with what lies behind is below 4.5."""
