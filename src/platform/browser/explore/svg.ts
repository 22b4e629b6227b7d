/** A figure of the page as one SVG file: drawings with their colours written into them, heat maps as pictures, and the texts around them. */

const painted = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'opacity', 'font-size', 'font-family'] as const;

export function svgOf(element: Element): string {
  const frame = element.getBoundingClientRect();
  const parts: string[] = [];
  for (const part of element.querySelectorAll('svg, canvas')) {
    const { left, top, width, height } = part.getBoundingClientRect();
    const place = `x="${left - frame.left}" y="${top - frame.top}" width="${width}" height="${height}"`;
    if (part instanceof HTMLCanvasElement) {
      parts.push(
        `<image ${place} preserveAspectRatio="none" style="image-rendering:pixelated" href="${part.toDataURL()}"/>`,
      );
    } else
      parts.push(drawingOf(part as SVGSVGElement, { left: left - frame.left, top: top - frame.top, width, height }));
  }
  parts.push(...textsOf(element, frame));
  const background = getComputedStyle(document.body).backgroundColor;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${frame.width} ${frame.height}"><rect width="100%" height="100%" fill="${background}"/>${parts.join('')}</svg>\n`;
}

function drawingOf(
  svg: SVGSVGElement,
  { left, top, width, height }: { left: number; top: number; width: number; height: number },
): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const [own, copied] = [svg.querySelectorAll('*'), copy.querySelectorAll('*')];
  for (const [i, node] of own.entries()) {
    const style = getComputedStyle(node);
    for (const name of painted) copied[i]!.setAttribute(name, style.getPropertyValue(name));
    copied[i]!.removeAttribute('class');
  }
  for (const [name, value] of Object.entries({ x: left, y: top, width, height }))
    copy.setAttribute(name, String(value));
  copy.removeAttribute('style');
  return new XMLSerializer().serializeToString(copy);
}

/** Texts and bars that are HTML. */
function textsOf(element: Element, frame: DOMRect): string[] {
  const parts: string[] = [];
  for (const bar of element.querySelectorAll('.fill, .part')) {
    const { left, top, width, height } = bar.getBoundingClientRect();
    parts.push(
      `<rect x="${left - frame.left}" y="${top - frame.top}" width="${width}" height="${height}" fill="${getComputedStyle(bar).backgroundColor}"/>`,
    );
  }
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent ?? '';
    const parent = node.parentElement!;
    if (text.trim() === '' || parent.closest('svg, select, details')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const { left, bottom, width, height } = range.getBoundingClientRect();
    if (width === 0) continue;
    const { color, fontSize, fontFamily } = getComputedStyle(parent);
    const escaped = text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
    parts.push(
      `<text x="${left - frame.left}" y="${bottom - frame.top - height * 0.25}" fill="${color}" font-size="${fontSize}" font-family="${fontFamily.replaceAll('"', "'")}">${escaped}</text>`,
    );
  }
  return parts;
}
