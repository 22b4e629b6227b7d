/** Units of work as plain data, so that they can be sent to a worker. */

interface Common {
  /** Folder of the unit below the work folder. */
  readonly id: string;
  readonly key: string;
}

export type Task =
  | (Common & { readonly kind: 'model'; readonly model: string })
  /** Hashes or sketches of a unit's documents before the stage number `stage`; with `keeps` the documents themselves, too, for later passes. */
  | (Common & {
      readonly kind: 'collect';
      readonly unit: Unit;
      readonly stage: number;
      readonly from?: KeptDocuments;
      readonly keeps: boolean;
      readonly before: readonly DedupInput[];
    })
  /** One slice of one group's duplicates. */
  | (Common & {
      readonly kind: 'merge';
      readonly source: string;
      readonly stage: number;
      readonly runs: readonly string[];
      readonly slice: number;
      readonly sliceCount: number;
    })
  /** Many runs as one, where one merge would open too many. */
  | (Common & { readonly kind: 'gather'; readonly of: 'hashes' | 'bands'; readonly runs: readonly string[] })
  /** Clusters of near duplicates, from what met in each slice of the bands. */
  | (Common & { readonly kind: 'cluster'; readonly merges: readonly string[]; readonly units: readonly string[] })
  /** What the merge `above` found for the run gathered from these, which is its run number `place`. */
  | (Common & {
      readonly kind: 'settle';
      readonly above: string;
      readonly place: number;
      readonly runs: readonly string[];
      readonly slice: number;
      readonly sliceCount: number;
    })
  /** The stages that no earlier pass has done over a unit: documents, attributes, drops. */
  | (Common & {
      readonly kind: 'process';
      readonly unit: Unit;
      readonly from?: KeptDocuments;
      readonly before: readonly DedupInput[];
    })
  /** Selection by attributes, then tokens and their index. */
  | (Common & { readonly kind: 'tokenise'; readonly unit: Unit; readonly process: string })
  /** How much of which source. */
  | (Common & { readonly kind: 'mix'; readonly tokenised: readonly TokenisedUnit[] })
  /** The documents of some neighbouring shards, gathered from all units: one file for each shard. */
  | (Common & {
      readonly kind: 'bucket';
      readonly firstShard: number;
      readonly endShard: number;
      readonly shardCount: number;
      readonly mix: string;
      readonly tokenised: readonly TokenisedUnit[];
    })
  /** One shard, put in its order. */
  | (Common & {
      readonly kind: 'shard';
      readonly shard: number;
      readonly bucket: string;
      readonly sources: readonly string[];
    });

/** The collecting pass whose documents a later pass starts from, instead of the input: they have been through all stages before number `stage`. */
export interface KeptDocuments {
  readonly id: string;
  readonly stage: number;
}

export interface TokenisedUnit {
  readonly id: string;
  readonly source: string;
}

/** Some files of a source, in order. */
export interface Unit {
  readonly source: string;
  readonly index: number;
  readonly files: readonly string[];
  /** Documents to read of each file; all when absent (a dry run reads few). */
  readonly limit?: number;
}

/** Where the duplicates of a unit for one dedup stage lie: merge tasks, and its place among their runs. */
export interface DedupInput {
  readonly stage: number;
  readonly merges: readonly string[];
  readonly run: number;
  /** The collected units in order, where duplicates name the text that stays. */
  readonly units?: readonly string[];
}

export type TaskOf<Kind extends Task['kind']> = Extract<Task, { kind: Kind }>;
