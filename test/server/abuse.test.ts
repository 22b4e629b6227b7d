/** A thousand clients that misbehave, while well-behaved ones get what they would get alone. Loopback only, bounded. */
import { ok, strictEqual } from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from '../support/eventually.ts';
import { post, testServer } from '../support/server.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const CLIENTS = 1000;
const AT_ONCE = 50;
const server = await testServer({ queue: 4096, connections: 4096 }, { contextLength: 1024 });
const port = Number(new URL(server.url).port);
const good = { prompt: 'Once upon a time', max_tokens: 20, temperature: 0.9, seed: 3, ignore_eos: true };

const request = (body: string, length = Buffer.byteLength(body)) =>
  `POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${body}`;
const long = JSON.stringify({ prompt: 'Once', max_tokens: 900, ignore_eos: true, stream: true });

/** What a client sends before it goes, by turns. */
const misdeeds: readonly string[] = [
  '',
  'POST /v1/comp',
  request(long).slice(0, -20),
  request(long),
  request('{"prompt": '),
  request(JSON.stringify({ prompt: ['x'], n: 1e9, temperature: 'NaN' })),
  request(long, 1e15).slice(0, 400),
  'GARBAGE \x00\x01\x02\r\n\r\n',
  request(JSON.stringify({ prompt: 'Once', stop: 'x'.repeat(5000) })),
  request(JSON.stringify({ prompt: 'Once', logit_bias: { '-1': 5 } })),
];

/** Sends, waits a moment or for the first byte, and tears the connection down. */
function misbehave(i: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = () => {
      socket.destroy();
      resolve();
    };
    socket.on('error', end);
    socket.on('connect', () => {
      socket.write(misdeeds[i % misdeeds.length]!);
      if (i % 3 === 0) socket.once('data', end);
      setTimeout(end, (i * 7) % 40);
    });
  });
}

async function wave(count: number): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await misbehave(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const idle = async () => {
  const { running, waiting, usedBlocks } = await server.model.engineLoad();
  return running + waiting + usedBlocks + server.core.gate.inside === 0;
};

test('connect-and-drop, cut and malformed requests harm nobody and leave nothing behind', async () => {
  const expected = (await post(server, '/v1/completions', good)).json.choices[0].text;
  await wave(100); // what is allocated once
  await eventually(idle, 'nothing runs');
  collect();
  const before = process.memoryUsage();

  const storm = wave(CLIENTS);
  for (let i = 0; i < 10; i++) {
    const { status, json } = await post(server, '/v1/completions', good);
    strictEqual(status, 200);
    strictEqual(json.choices[0].text, expected);
  }
  await storm;
  await eventually(idle, 'nothing runs');
  server.log.length = 0;
  collect();
  const after = process.memoryUsage();
  const heapGrowth = after.heapUsed - before.heapUsed;
  ok(heapGrowth < 8e6, `the heap grew by ${heapGrowth} bytes over ${CLIENTS} clients`);
  strictEqual((await post(server, '/v1/completions', good)).json.choices[0].text, expected);
});
