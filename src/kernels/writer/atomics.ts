/** Words of a shared memory that several threads change. Source: WebAssembly threads proposal. */
import { body, say } from './body.ts';
import { whole } from './scalars.ts';
import { repeat, scope } from './statements.ts';
import { I32 } from './values.ts';

const ALL = -1;
const FOR_EVER = -1;

class Atomic {
  readonly #place: I32 | number;
  constructor(place: I32 | number) {
    this.#place = place;
  }
  #say(name: string, ...operands: (I32 | number)[]): I32 {
    return new I32(say(name, [I32.of(this.#place), ...operands].map(whole), [0]));
  }
  load(): I32 {
    return this.#say('i32.atomic.load');
  }
  store(value: I32 | number): void {
    this.#say('i32.atomic.store', value);
  }
  /** What was there before. */
  add(value: I32 | number): I32 {
    return this.#say('i32.atomic.rmw.add', value);
  }
  sub(value: I32 | number): I32 {
    return this.#say('i32.atomic.rmw.sub', value);
  }
  notifyAll(): void {
    this.#say('memory.atomic.notify', ALL);
  }
  /** Sleeps until what is there is as `holds` wants it; whoever changes it notifies. */
  waitUntil(holds: (value: I32) => I32): void {
    scope((done) => {
      repeat(() => {
        const value = this.load();
        done(holds(value));
        const forEver = body().everywhere({ is: 'constant', number: FOR_EVER }, 'i64');
        say('memory.atomic.wait32', [I32.of(this.#place).item, value.item, forEver], [0]);
        return I32.of(1);
      });
    });
  }
}

export const atomic = (place: I32 | number): Atomic => new Atomic(place);
