/**
 * BIG-Bench Hard: 27 sets of questions that need several steps, each shown after three worked examples.
 *
 * The examples are published as a file of their own for each set, and are read from there: with the reasoning (bbh_cot_fewshot) or with the
 * answers alone (bbh_fewshot). The harness's zero-shot forms, whose filters are programs, are not here.
 *
 * Source   Suzgun et al. 2022, arXiv:2210.09261; lm-evaluation-harness 0.4.13, tasks/bbh.
 */
import type { TaskForm } from '../task/spec.ts';

const swaps =
  'A task requiring determining the final positions of a set of objects given their initial positions and a description of a sequence of swaps.';
const order = 'A logical deduction task which requires deducing the order of a sequence of objects.';

/** What stands before the examples of each set. */
const descriptions = {
  boolean_expressions: 'Evaluate the result of a random Boolean expression.',
  causal_judgement: 'Answer questions about causal attribution.',
  date_understanding: 'Infer the date from context.',
  disambiguation_qa: 'Clarify the meaning of sentences with ambiguous pronouns.',
  dyck_languages: 'Correctly close a Dyck-n word.',
  formal_fallacies: 'Distinguish deductively valid arguments from formal fallacies.',
  geometric_shapes: 'Name geometric shapes from their SVG paths.',
  hyperbaton: 'Order adjectives correctly in English sentences.',
  logical_deduction_five_objects: order,
  logical_deduction_seven_objects: order,
  logical_deduction_three_objects: order,
  movie_recommendation: 'Recommend movies similar to the given list of movies.',
  multistep_arithmetic_two: 'Solve multi-step arithmetic problems.',
  navigate: 'Given a series of navigation instructions, determine whether one would end up back at the starting point.',
  object_counting: 'Questions that involve enumerating objects and asking the model to count them.',
  penguins_in_a_table: 'Answer questions about a table of penguins and their attributes.',
  reasoning_about_colored_objects: 'Answer extremely simple questions about the colors of objects on a surface.',
  ruin_names: "Select the humorous edit that 'ruins' the input movie or musical artist name.",
  salient_translation_error_detection:
    'Detect the type of error in an English translation of a German source sentence.',
  snarks:
    'Determine which of two sentences is sarcastic.\n\nAccording to Cambridge University Dictionary, sarcasm is "the use of remarks that clearly mean the opposite of what they say, made in order to hurt someone\'s feelings or to criticize something in a humorous way." Sarcastic sentences often contain satirical or ironic utterances, hyperboles, ambivalent or witty remarks.',
  sports_understanding:
    'Determine whether an artificially constructed sentence relating to sports is plausible or not.',
  temporal_sequences: 'Task description: Answer questions about which times certain events could have occurred.',
  tracking_shuffled_objects_five_objects: swaps,
  tracking_shuffled_objects_seven_objects: swaps,
  tracking_shuffled_objects_three_objects: swaps,
  web_of_lies: 'Evaluate a random boolean function expressed as a word problem.',
  word_sorting: 'Sort a list of words.',
} as const;

/**
 * The harness's file with the reasoning writes every quotation mark in two of them as two apostrophes, and one line break more: these
 * stand in the prompts that its scores are made with.
 */
const descriptionsWithReasoning: Partial<Record<keyof typeof descriptions, string>> = {
  ruin_names: descriptions.ruin_names.replaceAll("'", "''"),
  snarks: descriptions.snarks.replaceAll(/["']/g, "''").replace('\n\n', '\n\n\n'),
};

export const bbhSubjects = Object.keys(descriptions) as (keyof typeof descriptions)[];

const shared = (subject: keyof typeof descriptions) =>
  ({
    dataset_path: 'SaylorTwift/bbh',
    dataset_name: subject,
    files: [subject],
    test_split: 'test',
    fewshot_file: `cot-prompts/${subject}.txt`,
    fewshot_config: { sampler: 'first_n' },
    num_fewshot: 3,
    output_type: 'generate_until',
    description: `${descriptions[subject]}\n\n`,
    metric_list: [{ metric: 'exact_match' }],
  }) as const;
const source = 'Llama 2 §2.3 and Table 3: 3 shots; whether with reasoning is not said';
const until = ['</s>', 'Q', '\n\n'] as const;
const greedy = { do_sample: false, temperature: 0 } as const;

export const bigBenchHard: readonly TaskForm[] = bbhSubjects.flatMap((subject): TaskForm[] => [
  {
    task: `bbh_cot_fewshot_${subject}`,
    ...shared(subject),
    description: `${descriptionsWithReasoning[subject] ?? descriptions[subject]}\n\n`,
    doc_to_text: 'Q: {{input}}\n',
    gen_prefix: "A: Let's think step by step.\n",
    doc_to_target: '{{target if reasoning is undefined else reasoning}}',
    target_delimiter: '',
    generation_kwargs: { until, ...greedy, max_gen_toks: 1024 },
    filter_list: [
      {
        name: 'get-answer',
        filter: [
          { function: 'regex', regex_pattern: '(?<=the answer is )(.*)(?=.)', group_select: 0, fallback: '[invalid]' },
          { function: 'take_first' },
        ],
      },
    ],
    paper: { description: `${descriptions[subject]}\n\n`, source },
  },
  {
    task: `bbh_fewshot_${subject}`,
    ...shared(subject),
    doc_to_text: 'Q: {{input}}\nA:',
    doc_to_target: '{{target}}',
    generation_kwargs: { until, ...greedy },
    // The harness compares what is generated as it stands, with the space that byte-level vocabularies write before a word.
    paper: {
      filter_list: [{ name: 'none', filter: [{ function: 'remove_whitespace' }, { function: 'take_first' }] }],
      source,
    },
  },
]);
