/**
 * ARC files, the Internet Archive's form before WARC: a line, then so many bytes, then an empty line.
 *
 *   URL address date media-type … length ⏎ bytes ⏎        the first record's URL is filedesc://…
 *
 * Source: Burner and Kahle, "Arc File Format", 1996 (versions 1 and 2 differ between date and length, which are read from the ends).
 */
import type { ByteQueue } from './byte-queue.ts';
import type { ReadContext } from './reader.ts';
import type { WarcRecord } from './warc.ts';

const LINE_LIMIT = 64 * 1024;
const NEWLINE = 10;
const ascii = new TextDecoder('latin1');
const recordLine = /^([a-z][a-z0-9+.-]*:\S+) \S+ (\d{8,14}) .*?(\d+)\s*$/i;

export async function startsAsArc(queue: ByteQueue): Promise<boolean> {
  await queue.fill(9);
  return ascii.decode(queue.ready.subarray(0, 9)) === 'filedesc:';
}

/** Responses as WARC's records hold them. Rubbish between records is passed and reported once a place. */
export async function* arcRecords(queue: ByteQueue, context: ReadContext, name: string): AsyncGenerator<WarcRecord> {
  let inRubbish = false;
  for (;;) {
    const where = `${name} @ byte ${queue.position}`;
    const raw = await queue.until(NEWLINE, LINE_LIMIT);
    if (raw === undefined) return;
    const line = raw === 'too-long' ? '' : ascii.decode(raw);
    if (raw !== 'too-long' && line.trim() === '') continue;
    const match = recordLine.exec(line);
    if (!match) {
      if (!inRubbish) context.problem('broken-record', `${where}: expected an ARC record, skipped to the next one`);
      inRubbish = true;
      continue;
    }
    inRubbish = false;
    const [, url, date, digits] = match;
    const length = Number(digits);
    if (length > context.maximumRecordBytes) {
      context.problem(
        'record-too-large',
        `${where}: a record of ${length} bytes was skipped (limit ${context.maximumRecordBytes})`,
      );
      if (!(await queue.skip(length))) return;
      continue;
    }
    const body = await queue.take(length);
    if (!body) {
      context.problem('truncated', `${where}: the file ends inside a record of ${length} bytes, which was skipped`);
      return;
    }
    const type = /^https?:/i.test(url!) ? 'response' : 'warcinfo';
    const headers = new Map([
      ['warc-type', type],
      ['warc-target-uri', url!],
      ['warc-date', isoDate(date!)],
    ]);
    yield { headers, body };
  }
}

/** 20130430223016 → 2013-04-30T22:30:16Z */
function isoDate(digits: string): string {
  const [, year, month, day, time = ''] = /^(\d{4})(\d{2})(\d{2})(\d*)$/.exec(digits)!;
  const [hour, minute, second] = [...(time.match(/\d{2}/g) ?? []), '00', '00', '00'];
  return `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}
