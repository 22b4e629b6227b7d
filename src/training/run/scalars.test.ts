import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c, firstEvent, scalarEvent } from './event-file.ts';
import { csvHead, csvLine, scalarsOf } from './scalars.ts';

const metrics = { step: 3, loss: 2.5, sample: 'x', validation: { loss: 2, 'a,b': 1 }, alarms: ['x'] };

test('the numbers of a step, by name, and as CSV', () => {
  const scalars = scalarsOf(metrics);
  deepEqual(scalars, [
    ['step', 3],
    ['loss', 2.5],
    ['validation.loss', 2],
    ['validation.a,b', 1],
  ]);
  const columns = ['step', 'validation.a,b', 'other'];
  equal(csvHead(columns) + csvLine(columns, metrics), 'step,"validation.a,b",other\n3,1,\n');
});

test('records as TensorBoard reads them: lengths, checksums, fields', () => {
  equal(crc32c(new TextEncoder().encode('123456789')), 0xe3069283);
  const first = firstEvent(1.5);
  equal(new DataView(first.buffer).getBigUint64(0, true), BigInt(first.length - 16));
  equal(new TextDecoder().decode(first.subarray(-17, -4)), 'brain.Event:2');
  const bytes = scalarEvent(1.5, 300, [['loss', 2.5]]);
  // wall time, step 300, summary of 13 bytes: value of 11 bytes: tag, 2.5 as f32
  deepEqual(
    [...bytes.subarray(12, -4)],
    [9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 16, 0xac, 2, 42, 13, 10, 11, 10, 4, 108, 111, 115, 115, 21, 0, 0, 0x20, 0x40],
  );
});
