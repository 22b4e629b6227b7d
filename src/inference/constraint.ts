/**
 * What a generation may say, decided token by token: a grammar, a schema. One object per request, as it remembers how far the
 * text has come. The sampler asks for the mask before every pick and reports every pick.
 */
export interface Constraint {
  /** Sets the logits of forbidden tokens to −∞; logits_V[id] is token id's, ends of generation among them. At least one stays. */
  mask(logits_V: Float64Array): void;
  /** Token `id`, which the mask allowed, was picked. */
  accept(id: number): void;
  /** Another one at the same place of its text, which goes its own way; absent: it cannot be copied. */
  fork?(): Constraint;
  /** How many of these tokens, from the first on, might be picked one after another; absent: nothing is known. Nothing changes. */
  allowed?(ids: Uint32Array): number;
  /** The text is complete and nothing could follow: the generation ends without asking for a token that says so. */
  readonly isFinished?: boolean;
}
