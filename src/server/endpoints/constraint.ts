/** The compiled grammar of a request, and what its client is told of it. */
import type { CompiledConstraint } from '../../inference/grammar/compile-constraint.ts';
import type { Call, Core } from '../world.ts';

/** Header lines have an end. */
const LONGEST = 1000;

export interface FoundConstraint {
  readonly constraint: CompiledConstraint | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** `spec`: a ConstraintSpec's JSON. What is not held of it goes to the log, and to the client as a header. Throws ApiError. */
export async function constraintOf(
  core: Core,
  spec: string | null,
  signal: AbortSignal,
  notes: Call['notes'],
  alsoNotHeld: readonly string[] = [],
): Promise<FoundConstraint> {
  const asked = core.clocks.monotonic();
  const constraint = spec === null ? undefined : await core.constraints.get(spec, signal);
  if (constraint) core.metrics.compileSeconds.observe((core.clocks.monotonic() - asked) / 1000);
  const notHeld = [...alsoNotHeld, ...(constraint?.notes ?? [])];
  if (notHeld.length === 0) return { constraint, headers: {} };
  notes.notHeld = notHeld;
  return { constraint, headers: { 'cria-not-held': headerText(notHeld) } };
}

/** Only characters that a header may have. */
function headerText(notes: readonly string[]): string {
  const text = notes.join('; ').replace(/[^\x20-\x7e]/g, '?');
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)} ...`;
}
