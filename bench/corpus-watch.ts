/**
 * Runs `cria corpus` in a process of its own and reads the kernel's books about it, phase by phase: processor time, bytes read and written,
 * the largest resident memory, and, with strace, the files opened.
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { formatBytes } from '../src/base/units.ts';

export interface PhaseCost {
  readonly phase: string;
  readonly units: number;
  readonly wallSeconds: number;
  /** User and system time of all threads. */
  readonly processorSeconds: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Resident, threads included. */
  readonly peakBytes: number;
  /** Files below the folders of the run; undefined without strace. */
  readonly opens: number | undefined;
}

interface Reading {
  readonly at: number;
  readonly processorSeconds: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** Clock ticks of /proc/PID/stat: 100 a second on Linux. */
const TICKS = 100;
const WATCH_MILLISECONDS = 250;

function readNumber(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}

function readProcess(pid: number): Reading & { residentBytes: number } {
  const file = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
  const fields = file('stat').split(') ')[1]!.split(' ');
  const io = file('io');
  return {
    at: Date.now(),
    processorSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS,
    readBytes: readNumber(io, /rchar: (\d+)/),
    writtenBytes: readNumber(io, /wchar: (\d+)/),
    residentBytes: readNumber(file('status'), /VmRSS:\s+(\d+)/) * 1024,
  };
}

/**
 * One run to its end. `folder`: what the run's files lie below, for the count of opens. Phases of several parts (`collect 1`, `shards`) are rows of their own.
 */
export async function watchCorpus(
  recipe: string,
  folder: string,
  { workers, countOpens = false }: { readonly workers: number; readonly countOpens?: boolean },
): Promise<{ readonly phases: readonly PhaseCost[]; readonly code: number | null }> {
  const cria = [resolve(import.meta.dirname, '../bin/cria.js'), 'corpus', recipe, '--workers', `${workers}`, '--json'];
  const trace = join(tmpdir(), `corpus-opens-${process.pid}`);
  const strace = ['-f', '--seccomp-bpf', '-qq', '-ttt', '-e', 'trace=openat', '-o', trace, process.execPath, ...cria];
  const child = countOpens
    ? spawn('strace', strace, { stdio: ['ignore', 'ignore', 'pipe'] })
    : spawn(process.execPath, cria, { stdio: ['ignore', 'ignore', 'pipe'] });
  let pid = child.pid!;
  const nodeBelow = () =>
    Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').at(-1)); // prettier-ignore
  const marks: { phase: string; units: number; from: Reading; peakBytes: number }[] = [];
  let last: Reading = { at: Date.now(), processorSeconds: 0, readBytes: 0, writtenBytes: 0 };
  const look = (): Reading => {
    try {
      if (countOpens && pid === child.pid) pid = nodeBelow() || pid;
      const { residentBytes, ...reading } = readProcess(pid);
      const mark = marks.at(-1);
      if (mark) mark.peakBytes = Math.max(mark.peakBytes, residentBytes);
      last = reading;
    } catch {
      // It has just ended: the last reading stands.
    }
    return last;
  };
  const watch = setInterval(look, WATCH_MILLISECONDS);
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (!line.startsWith('{')) {
        console.error(line);
        continue;
      }
      const event = JSON.parse(line) as { kind: string; phase: string; units: number };
      if (event.kind === 'phase') marks.push({ phase: event.phase, units: event.units, from: look(), peakBytes: 0 });
    }
  });
  const code = await new Promise<number | null>((done) => child.on('close', done));
  clearInterval(watch);
  const opened = countOpens ? openTimes(trace, folder) : undefined;
  const phases = marks.map(({ phase, units, from, peakBytes }, i) => {
    const to = marks[i + 1]?.from ?? last;
    return {
      phase,
      units,
      wallSeconds: (to.at - from.at) / 1000,
      processorSeconds: to.processorSeconds - from.processorSeconds,
      readBytes: to.readBytes - from.readBytes,
      writtenBytes: to.writtenBytes - from.writtenBytes,
      peakBytes,
      opens: opened?.filter((at) => at >= from.at && (i + 1 === marks.length || at < to.at)).length,
    };
  });
  return { phases, code };
}

/** When files below the folder were opened, in milliseconds. */
function openTimes(trace: string, folder: string): number[] {
  const times: number[] = [];
  for (const line of readFileSync(trace, 'utf8').split('\n')) {
    if (!line.includes(`"${folder}`) || line.includes('ENOENT') || line.includes('O_DIRECTORY')) continue;
    times.push(Number(/\d+\.\d+/.exec(line)?.[0]) * 1000);
  }
  rmSync(trace);
  return times;
}

/** A row for each phase, and their sum. `inputBytes`: of text, for the rates. */
export function printPhases(phases: readonly PhaseCost[], inputBytes: number): void {
  const row = (cost: PhaseCost) => {
    const perMegabyte = (cost.processorSeconds / inputBytes) * 1e6;
    const opens = cost.opens === undefined ? '' : `   opens ${cost.opens}`;
    console.log(
      `${cost.phase.padEnd(12)} ${String(cost.units).padStart(5)} units ${cost.wallSeconds.toFixed(0).padStart(6)} s   processor ${cost.processorSeconds.toFixed(1).padStart(8)} s ${perMegabyte.toFixed(4)} s/MB   read ${formatBytes(cost.readBytes).padStart(9)}   written ${formatBytes(cost.writtenBytes).padStart(9)}   peak ${formatBytes(cost.peakBytes)}${opens}`,
    );
  };
  for (const cost of phases) row(cost);
  const sum = (value: (cost: PhaseCost) => number) => phases.reduce((total, cost) => total + value(cost), 0);
  row({
    phase: 'all',
    units: sum(({ units }) => units),
    wallSeconds: sum(({ wallSeconds }) => wallSeconds),
    processorSeconds: sum(({ processorSeconds }) => processorSeconds),
    readBytes: sum(({ readBytes }) => readBytes),
    writtenBytes: sum(({ writtenBytes }) => writtenBytes),
    peakBytes: Math.max(...phases.map(({ peakBytes }) => peakBytes)),
    opens: phases[0]?.opens === undefined ? undefined : sum(({ opens }) => opens ?? 0),
  });
}
