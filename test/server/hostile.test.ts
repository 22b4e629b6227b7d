/**
 * Everything in test/support/hostile-requests.ts, against `cria serve` as a process of its own, while a client in another thread asks
 * /health all the time: nothing stops the server, nothing is the server's mistake (5xx, but for 503), and nobody waits.
 */
import { ok, strictEqual } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { binary } from '../e2e/cria.ts';
import { type Hostile, hostileConnections, hostileRequests } from '../support/hostile-requests.ts';

/** Requests that are under way at the same time. */
const AT_ONCE = Number(process.env.CRIA_AT_ONCE ?? 4);
/** For a loaded machine, where 20 ms are asked for on a quiet one: what this is about took seconds. */
const PATIENCE_MS = 1500;

const server = spawn(process.execPath, [binary, 'serve', '--port', '0', '--any-model', '--body-mib', '16']);
let log = '';
server.stderr.setEncoding('utf8').on('data', (data) => {
  log += data;
});
const [printed] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string];
const { hostname, port } = new URL(printed.trim());
const poller = new Worker(`(${pollHealth})(${JSON.stringify(port)})`, { eval: true });
after(() => {
  server.kill('SIGKILL');
  void poller.terminate();
});

/** In a thread of its own: the one that makes the requests is busy with that. Answers a message with the worst so far, and begins anew. */
function pollHealth(port: string): void {
  const { parentPort } = require('node:worker_threads');
  const { request, Agent } = require('node:http');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let worst = 0;
  let failed = '';
  const poll = () => {
    const started = performance.now();
    const done = (error?: string) => {
      worst = Math.max(worst, performance.now() - started);
      if (error) failed = error;
      setTimeout(poll, 20);
    };
    const asked = request({ port, path: '/health', agent }, (response: import('node:http').IncomingMessage) => {
      response
        .resume()
        .on('end', () => done(response.statusCode === 200 ? undefined : `status ${response.statusCode}`));
    });
    asked.on('error', (error: Error) => done(error.message)).end();
  };
  poll();
  parentPort.on('message', () => {
    parentPort.postMessage({ worst, failed });
    worst = 0;
  });
}

async function health(): Promise<{ worst: number; failed: string }> {
  poller.postMessage('');
  const [said] = (await once(poller, 'message')) as [{ worst: number; failed: string }];
  return said;
}

/** The status; 0: the connection was closed without one. */
function send({
  method = 'POST',
  path,
  body,
  headers,
  leavesAfterMs,
}: Hostile): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    const type =
      body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const options = {
      host: hostname,
      port,
      method,
      path,
      headers: { ...type, ...headers },
      agent: false,
      timeout: 60_000,
    };
    const asked = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (data) => {
        text += text.length < 2000 ? data : '';
      });
      response.on('error', () => {}).on('close', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on('timeout', () => asked.destroy(new Error('timeout')));
    asked.on('error', ({ message }) => resolve({ status: message === 'timeout' ? -1 : 0, text: message }));
    asked.end(body);
    if (leavesAfterMs !== undefined) setTimeout(() => asked.destroy(), leavesAfterMs);
  });
}

describe('hostile requests', () => {
  test('one by one and several at once: each gets a word, and /health answers', async (t) => {
    const kept: string[] = [];
    const requests = hostileRequests();
    let count = 0;
    const client = async () => {
      for (const hostile of requests) {
        const started = performance.now();
        const { status, text } = await send(hostile);
        count++;
        const took = performance.now() - started;
        const w = process.env.CRIA_AT_ONCE ? (await health()).worst : 0;
        if (process.env.CRIA_HOSTILE)
          console.log(`[${w.toFixed(0)}] ${status} ${took.toFixed(0)} ms ${hostile.what}: ${text.slice(0, 150)}`);
        const isFine =
          status === 503 ||
          status === 501 ||
          (status >= 200 && status < 500) ||
          (status === 0 && hostile.leavesAfterMs !== undefined);
        if (!isFine) kept.push(`${hostile.what}: status ${status}: ${text.slice(0, 300)}`);
        if (took > 30_000) kept.push(`${hostile.what}: ${took.toFixed(0)} ms`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));
    const { worst, failed } = await health();
    t.diagnostic(`${count} requests; /health took ${worst.toFixed(0)} ms at most`);
    strictEqual(kept.join('\n'), '');
    strictEqual(failed, '');
    ok(worst < PATIENCE_MS, `/health took ${worst} ms`);
  });

  test('what is no request at all', async (t) => {
    await health();
    await Promise.all(
      hostileConnections(`${hostname}:${port}`).map(async ([what, pieces, pauseMs]) => {
        const socket = connect(Number(port), hostname);
        let received = '';
        socket.setEncoding('latin1').on('data', (data: Buffer | string) => {
          received += data;
        });
        socket.on('error', () => {});
        const closed = once(socket, 'close');
        for (const piece of pieces) {
          if (socket.destroyed) break;
          socket.write(piece);
          if (pauseMs > 0) await sleep(pauseMs);
        }
        await Promise.race([closed, sleep(2000)]);
        socket.destroy();
        ok(!/^HTTP\/1\.1 5(?!03|05)/m.test(received), `${what}: ${received.slice(0, 200)}`);
        if (process.env.CRIA_HOSTILE) console.log(`${what}: ${JSON.stringify(received.slice(0, 60))}`);
      }),
    );
    const { worst, failed } = await health();
    t.diagnostic(`/health took ${worst.toFixed(0)} ms at most`);
    strictEqual(failed, '');
    ok(worst < PATIENCE_MS, `/health took ${worst} ms`);
  });

  test('afterwards everything is as before: nothing runs, and an answer is what it was', async () => {
    const ask = () =>
      send({
        what: '',
        path: '/v1/completions',
        body: JSON.stringify({ prompt: 'Once upon a time', max_tokens: 8, temperature: 0 }),
      });
    const { status, text } = await ask();
    strictEqual(status, 200, text);
    ok(/there was/.test(text), text);
    const metrics = await send({ what: '', method: 'GET', path: '/metrics' });
    strictEqual(metrics.status, 200);
    strictEqual(server.exitCode, null);
    const lines = log.trim().split('\n');
    const faults = lines.filter((line) => /"status":50[024-9]/.test(line));
    strictEqual(faults.join('\n'), '');
    // A stranger's name of a megabyte is not written there.
    const longest = Math.max(...lines.map(({ length }) => length));
    ok(
      longest < 32_768,
      `a line of the log has ${longest} letters: ${lines.find((line) => line.length === longest)!.slice(0, 500)}`,
    );
  });
});
