/** How likely a model finds texts. */
import type { TaskForm } from '../task/spec.ts';

const measures = [{ metric: 'word_perplexity' }, { metric: 'byte_perplexity' }, { metric: 'bits_per_byte' }] as const;

export const language: readonly TaskForm[] = [
  {
    task: 'lambada_openai',
    dataset_path: 'EleutherAI/lambada_openai',
    dataset_name: 'default',
    files: ['lambada'],
    test_split: 'test',
    output_type: 'loglikelihood',
    doc_to_text: "{{text.split(' ')[:-1]|join(' ')}}",
    doc_to_target: "{{' ' ~ text.split(' ')[-1]}}",
    metric_list: [{ metric: 'perplexity' }, { metric: 'acc' }],
  },
  {
    // Its words and bytes are counted in the text as it is published, its likelihood is that of the text without the marks of a tokenizer.
    task: 'wikitext',
    dataset_path: 'EleutherAI/wikitext_document_level',
    dataset_name: 'wikitext-2-raw-v1',
    files: ['wikitext2', 'wikitext-2'],
    training_split: 'train',
    validation_split: 'validation',
    test_split: 'test',
    output_type: 'loglikelihood_rolling',
    process_docs: 'wikitext',
    doc_to_text: 'page',
    doc_to_target: 'detokenized',
    metric_list: measures,
  },
  {
    task: 'text',
    test_split: 'test',
    output_type: 'loglikelihood_rolling',
    doc_to_text: '',
    doc_to_target: 'text',
    metric_list: measures,
  },
];
