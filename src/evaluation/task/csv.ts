/** Tables as text: RFC 4180's commas and quotes, or tabs. */

/** The rows of cells. A quoted cell may hold the delimiter, line breaks, and quotes written twice. */
export function parseTable(text: string, delimiter: ',' | '\t'): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  const source = text.replace(/^\uFEFF/, '');
  const endRow = () => {
    row.push(cell);
    cell = '';
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  };
  for (let i = 0; i < source.length; i++) {
    const mark = source[i]!;
    if (quoted) {
      if (mark !== '"') cell += mark;
      else if (source[i + 1] === '"') cell += source[++i];
      else quoted = false;
    } else if (mark === '"' && cell === '' && delimiter === ',') quoted = true;
    else if (mark === delimiter) {
      row.push(cell);
      cell = '';
    } else if (mark === '\n') endRow();
    else if (mark !== '\r' || source[i + 1] !== '\n') cell += mark;
  }
  if (cell !== '' || row.length > 0) endRow();
  return rows;
}
