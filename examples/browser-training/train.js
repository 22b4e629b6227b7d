import { Llama } from 'cria';
import { initialModel, Trainer, textBatches } from 'cria/training';

const $ = (id) => document.getElementById(id);
const number = (id) => Number($(id).value);
const say = (words) => $('state').replaceChildren(words);
let stopped = false;

$('stop').addEventListener('click', () => {
  stopped = true;
  say('stops after this step …');
});

$('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  stopped = false;
  $('train').disabled = true;
  $('stop').disabled = false;
  $('saved').replaceChildren();
  $('story').replaceChildren();
  let model = null;
  try {
    say('loading …');
    const device = $('device').value;
    const [file] = $('file').files;
    model = await Llama.load(file ?? (await freshModel()), { device });
    await train(model);
    const answer = model.generate('Once upon a time', { maxTokens: 100, temperature: 0.8 });
    $('story').append('Once upon a time');
    for await (const piece of answer) $('story').append(piece.text);
  } catch (error) {
    // Of a GPU that is lost, too: to press the button again begins anew.
    say(error.message);
  } finally {
    await model?.close();
    $('train').disabled = false;
    $('stop').disabled = true;
  }
});

/** Of the chosen size, over the 256 bytes: a text is all that it takes. */
function freshModel() {
  const [depth, width] = [number('depth'), number('width')];
  return initialModel({ depth, width, heads: Math.max(1, Math.round(width / 64)), contextLength: number('length') });
}

async function train(model) {
  const totalSteps = number('steps');
  const [rows, length] = [number('rows'), Math.min(number('length'), model.config.contextLength)];
  const schedule = {
    learningRate: number('rate'),
    warmupSteps: Math.ceil(totalSteps / 20),
    totalSteps,
    finalFraction: 0.1,
  };
  const adapter = $('what').value === 'lora' ? { rank: 8 } : undefined;
  const trainer = await Trainer.create(model, { schedule, ...(adapter && { adapter }) });
  try {
    const losses = [];
    const remarks = [trainer.description, ...trainer.remarks].join('. ');
    let begun = 0;
    for (const batch of textBatches(model.tokenizer, $('text').value, { rows, length })) {
      const { loss } = await trainer.step([batch]);
      losses.push(loss);
      draw(losses);
      // The first step compiles kernels, and is left out of the rate.
      if (losses.length === 1) begun = performance.now();
      const seconds = (performance.now() - begun) / 1000 / Math.max(1, losses.length - 1);
      const rate = losses.length > 1 ? `, ${Math.round((rows * length) / seconds)} tokens/s` : '';
      const left = losses.length > 1 ? `, ${Math.ceil((totalSteps - losses.length) * seconds)} s left` : '';
      say(`step ${losses.length} of ${totalSteps}, loss ${loss.toFixed(3)}${rate}${left}. ${remarks}`);
      if (stopped || losses.length === totalSteps) break;
    }
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await trainer.toGguf({ dtype: 'f16' }));
    link.download = 'trained.gguf';
    link.append('Save the model');
    $('saved').replaceChildren(link);
  } finally {
    await trainer.close();
  }
}

function draw(losses) {
  const most = Math.max(...losses);
  const points = losses.map((loss, i) => `${(100 * i) / Math.max(1, losses.length - 1)},${100 - (95 * loss) / most}`);
  $('chart').removeAttribute('hidden');
  $('chart').firstElementChild.setAttribute('points', points.join(' '));
}
