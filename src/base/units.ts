/** Numbers for people: bytes in binary units, durations, rates. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (bytes >= 1024 && i < units.length - 1) {
    bytes /= 1024;
    i++;
  }
  return i === 0 ? `${bytes} B` : `${bytes.toFixed(bytes < 10 ? 2 : 1)} ${units[i]}`;
}

/** '12GiB', '800 MB', '1.5g', '4096' → bytes, letters without i counting in thousands where a B follows; null: no amount of bytes. */
export function parseBytes(text: string): number | null {
  const [, number, letter = '', i, b] = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)(b?)|b)?$/i.exec(text.trim()) ?? [];
  if (number === undefined) return null;
  const unit = b !== '' && b !== undefined && i === '' ? 1000 : 1024;
  return Math.round(Number(number) * unit ** ' kmgt'.indexOf(letter.toLowerCase() || ' '));
}

/** 1234567 → '1.23 M'; for parameter and token counts. */
export function formatCount(count: number): string {
  const units = ['', ' K', ' M', ' B', ' T'];
  let i = 0;
  while (Math.abs(count) >= 1000 && i < units.length - 1) {
    count /= 1000;
    i++;
  }
  return i === 0 ? String(count) : `${count.toFixed(count < 10 ? 2 : 1)}${units[i]}`;
}

/** 1, 'document' → '1 document'; 12,000 → '12.0 K documents' */
export function counted(count: number, thing: string): string {
  return `${formatCount(count)} ${thing}${count === 1 ? '' : 's'}`;
}

/** Seconds → '3.2 s', '2 min 05 s', '1 h 03 min'. */
export function formatDuration(seconds: number): string {
  if (!(seconds >= 0) || !Number.isFinite(seconds)) return '?';
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`;
}
