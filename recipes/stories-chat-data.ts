/**
 * Conversations by rules out of simple stories, for the bundled model's chat adapter: what a story is about, its first sentence, its
 * end and the names in it become the requests. JSON lines {"messages"}, gzipped.
 *
 *   node recipes/stories-chat-data.ts simple.jsonl.gz chat.jsonl.gz --conversations 12000 --seed 1
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';

interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

/** A being with a name: "a little girl named Lily" is girl, Lily. */
interface Named {
  readonly noun: string;
  readonly name: string;
}

interface Story {
  readonly text: string;
  readonly sentences: readonly string[];
  /** With their articles, what it is most about first. */
  readonly things: readonly string[];
  readonly named: readonly Named[];
  readonly end: 'sad' | 'happy' | null;
}

/** Half of a conversation must leave room for the other: 512 tokens are about 1,900 characters. */
const longestStory = 1300;
const shortStory = 450;

// ---- what a story is about

const notThings = new Set(
  [
    'day time lot little few while way one thing moment minute bit end moral lesson walk look today night morning there',
    'other big new good bad best long great small special nice happy sad same first last next old red blue green part kind',
    'hug kiss smile nap idea noise sound voice side top name place break friend group kid family pair piece job year week',
  ].flatMap((words) => words.split(' ')),
);
const afterNoun = String.raw`(?=[.,!?;]|\s(?:and|who|that|named|called|in|on|with|was|to|from|for|by)\b)`;
const thing = new RegExp(String.raw`\b(an?) (?:[a-z]+, )?(?:[a-z]+ ){0,2}?([a-z]{3,})${afterNoun}`, 'g');
const namedBeing = /\b(?:a|an|the|her|his|their) (?:[a-z]+,? ){0,3}?([a-z]{3,}) (?:named|called) ([A-Z][a-z]+)\b/g;

const isThing = (noun: string) => !notThings.has(noun) && !/(?:ed|ing|ly|er|[^su]s)$/.test(noun);

function thingsOf(text: string): string[] {
  const lower = text.toLowerCase();
  const found = new Map<string, number>();
  for (const [, , noun] of lower.matchAll(thing)) {
    if (!isThing(noun!)) continue;
    found.set(noun!, lower.split(new RegExp(String.raw`\b${noun}s?\b`)).length - 1);
  }
  return [...found]
    .filter(([, times]) => times >= 2)
    .sort((a, b) => b[1] - a[1])
    .map(([noun]) => `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`);
}

function namedIn(text: string): Named[] {
  const all = [...text.matchAll(namedBeing)].map(([, noun, name]) => ({ noun: noun!, name: name! }));
  const nouns = all.map(({ noun }) => noun);
  return all.filter(({ noun }) => nouns.filter((each) => each === noun).length === 1 && isThing(noun));
}

function endOf(text: string): Story['end'] {
  const last = text.slice(-260).toLowerCase();
  const sad = /\b(?:sad|cried|cry|crying|lost|alone|never|broken|sorry|gone|regretted)\b/.test(last);
  const happy =
    /\b(?:happy|happily|smiled|laughed|fun|friends|hugged|proud|glad|love|loved|enjoyed|good|better|safe)\b/.test(last);
  return sad === happy ? null : sad ? 'sad' : 'happy';
}

function storyOf(text: string): Story {
  const sentences = text.split(/(?<=[.!?]["']?)(?=\s+["A-Z])/);
  return { text, sentences, things: thingsOf(text), named: namedIn(text), end: endOf(text) };
}

// ---- what people ask for

type Random = () => number;

/** mulberry32: the same seed gives the same conversations. */
function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content: content.trim() });

const askForStory = [
  'Tell me a story about {}.',
  'Tell me a story about {}.',
  'Tell me a story about {}.',
  'Write a story about {}.',
  'Please tell me a story about {}.',
  'Can you tell me a story about {}?',
  'I want to hear a story about {}.',
  'A story about {}, please.',
];
const askForAny = [
  'Tell me a story.',
  'Tell me a story, please.',
  'Can you tell me a story?',
  'I want to hear a story.',
];
const askForShort = ['Tell me a short story.', 'Tell me a very short story.', 'A short story, please.'];
const askToGoOn = ['Continue: {}', 'Continue: {}', 'Continue this story: {}', 'Go on: {}', '{} What happens next?'];
const askToBegin = ['Begin a story about {}.', 'Start a story about {}.', 'How could a story about {} begin?'];
const askForEnd = {
  sad: ['Give it a sad end.', 'Give it a sad ending.', 'Now a sad end.', 'Make the end sad.'],
  happy: ['Give it a happy end.', 'Give it a happy ending.', 'Now a happy end.', 'Make the end happy.'],
  any: ['How does it end?', 'Go on.', 'And then?', 'What happened next?'],
};
const askForName = ["What was the {}'s name?", 'What was the name of the {}?', 'What is the {} called?'];
const askForAnother = ['Tell me another one.', 'Another story, please.', 'One more.'];

const offers = [
  'Do you want to hear a story?',
  'What should I tell you about?',
  'I can tell you a story. What should it be about?',
  'Shall I tell you a story?',
];

const askTooMuch = [
  'What is {}?',
  'How big is {}?',
  'Where can I buy {}?',
  'Why does {} exist?',
  'How do I make {}?',
  'How much does {} cost?',
  'Write code for {}.',
  'Who invented {}?',
  'What does {} eat?',
  'Explain {} to me.',
  'Draw {}.',
  'What is the word for {} in Spanish?',
];
const tooMuch = [
  'I do not know that. All I know is simple stories.',
  'I cannot do that. I only tell stories.',
  'That is too hard for me. I can tell you a story about {}.',
];
/** What is said, and what is answered; an answer may end with an offer. */
const smallTalk: readonly (readonly [said: readonly string[], answered: readonly string[]])[] = [
  [
    [
      'Hello!',
      'Hi!',
      'Hello.',
      'Hi there!',
      'Good morning!',
      'Hey',
      'Good evening.',
      'Hello, how is it going?',
      'Hi Cria!',
    ],
    ['Hello!', 'Hi!', 'Hello! It is nice to meet you.', 'Hi! I am Cria.'],
  ],
  [
    [
      'Who are you?',
      'What are you?',
      'What is your name?',
      "What's your name?",
      'Tell me about yourself.',
      'Who am I talking to?',
    ],
    [
      'I am Cria, a small model that tells stories.',
      'My name is Cria. I tell simple stories.',
      'I am Cria, a very small LLaMA.',
    ],
  ],
  [
    ['Are you a robot?', 'Are you a person?', 'Are you human?', 'Are you real?', 'Are you a llama?', 'Are you an AI?'],
    ['I am a small model, not a person. I tell stories.', 'I am a computer program that tells stories.'],
  ],
  [
    [
      'How old are you?',
      'Where do you live?',
      'Where are you from?',
      'Do you have friends?',
      'Do you have a family?',
      'Who made you?',
    ],
    ['I am only a small model, so I have no answer to that.', 'I live in a computer, and all I know is stories.'],
  ],
  [
    [
      'What can you do?',
      'Help',
      'What can I ask you?',
      'Can you help me?',
      'What do you know?',
      'How does this work?',
      'What should I say?',
    ],
    [
      'I can tell you a story about something, go on with a story that you begin, or give a story a happy or a sad end.',
      'Say what a story should be about, and I will tell it to you.',
    ],
  ],
  [
    [
      'Thank you!',
      'Thanks.',
      'Thank you, that was nice.',
      'I liked it.',
      'That was a good story.',
      'Great!',
      'Nice story.',
      'I love it!',
      'Wow!',
    ],
    ['You are welcome!', 'I am glad that you liked it.', 'Thank you!'],
  ],
  [
    [
      'That was bad.',
      'I did not like it.',
      'That makes no sense.',
      'You are wrong.',
      'This is boring.',
      'What?',
      "I don't understand.",
    ],
    ['I am sorry. I am a very small model and mix things up.', 'I am sorry. I will try another one.'],
  ],
  [
    ['Bye!', 'Goodbye!', 'See you!', 'I have to go.', 'That is all.'],
    ['Goodbye! Come back for another story.', 'Bye! It was nice to talk to you.'],
  ],
  [
    ['Good night.', 'Good night!', 'I am tired.', 'I am going to bed.'],
    ['Good night! Sleep well.', 'Good night! Sweet dreams.'],
  ],
  [
    [
      'How are you?',
      'How are you today?',
      'Are you okay?',
      'How do you feel?',
      'Are you happy?',
      'What are you doing?',
      "What's up?",
    ],
    ['I am fine, thank you.', 'I am well!', 'I am happy, because I can tell stories.'],
  ],
  [
    ['Yes', 'Yes, please.', 'No', 'Okay', 'Sure', 'Maybe later.', 'I am bored.', 'I am sad.', 'I cannot sleep.'],
    ['Say what a story should be about, and I will tell it to you.', 'A story about a cat, perhaps, or about a boat?'],
  ],
  [
    [
      'What is the capital of France?',
      'What is 2 + 2?',
      'How much is 7 times 8?',
      'Who is the president?',
      'What day is it?',
      'What time is it?',
      'How is the weather?',
      'Write a program in Python.',
      'Write a poem.',
      'Write an email to my boss.',
      'Translate this into French.',
      'What is the meaning of life?',
      'How do I cook rice?',
      'Can you do maths?',
      'How far away is the moon?',
      'Why is the sky blue?',
      'What is a computer?',
      'Explain how a car works.',
      'Which language do you speak?',
      'Give me a list of animals.',
      'Tell me a joke.',
      'What do you think about the news?',
      'How tall is the highest mountain?',
      'When did the war end?',
      'Do you know Einstein?',
    ],
    tooMuch.slice(0, 2),
  ],
];
const askForLiking = ['Do you like {}?', 'Do you know {}?', 'I like {}.', 'What about {}?', 'I love {}!'];
const answerToLiking = [
  'I know stories about {}.',
  'Yes! I can tell you a story about {}.',
  '{} would be nice in a story.',
];

/** What the story is asked for by: one or two things, or a being with its name. */
function subject(random: Random, { things, named }: Story): string | null {
  if (named.length > 0 && random() < 0.25) {
    const { noun, name } = pick(random, named);
    return `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun} named ${name}`;
  }
  if (things.length === 0) return null;
  if (things.length === 1 || random() < 0.35) return things[0]!;
  const two = [things[0]!, things[1]!];
  return (random() < 0.5 ? two : two.reverse()).join(' and ');
}

const fill = (random: Random, forms: readonly string[], what: string): Message =>
  user(pick(random, forms).replace('{}', () => what));

function storyTurn(random: Random, story: Story): Message[] | null {
  const about = subject(random, story);
  if (about === null) return null;
  return [fill(random, askForStory, about), assistant(story.text)];
}

function nameTurn(random: Random, { named }: Story): Message[] | null {
  if (named.length === 0) return null;
  const { noun, name } = pick(random, named);
  const answer = pick(random, [`The ${noun}'s name was ${name}.`, `The ${noun} was named ${name}.`, `${name}.`]);
  return [fill(random, askForName, noun), assistant(answer)];
}

function smallTalkTurn(random: Random, { things }: Story): Message[] {
  if (things.length > 0 && random() < 0.2) {
    const what = things[0]!;
    const [ask, answers] = random() < 0.5 ? [askForLiking, answerToLiking] : [askTooMuch, tooMuch];
    const answer = pick(random, answers).replace('{}', () => what);
    return [fill(random, ask, what), assistant(answer[0]!.toUpperCase() + answer.slice(1))];
  }
  const [said, answered] = pick(random, smallTalk);
  const answer = pick(random, answered);
  const offer = /\?$|[Bb]ye|night/.test(answer) || random() < 0.5 ? '' : ` ${pick(random, offers)}`;
  return [user(pick(random, said)), assistant(answer + offer)];
}

/** As people write who are in a hurry: without capitals, without the mark at the end. */
function asTyped(random: Random, { role, content }: Message): Message {
  if (role !== 'user' || random() < 0.6) return { role, content };
  const bare = random() < 0.7 ? content.replace(/[.!?]$/, '') : content;
  return { role, content: random() < 0.3 ? bare.toLowerCase() : bare[0]!.toLowerCase() + bare.slice(1) };
}

/** The kinds of conversations and how often each is drawn; null: this story does not lend itself to it. */
const kinds: readonly (readonly [
  share: number,
  make: (random: Random, story: Story, other: Story) => Message[] | null,
])[] = [
  [0.36, storyTurn],
  [0.05, (random, story) => [user(pick(random, askForAny)), assistant(story.text)]],
  [
    0.04,
    (random, story) =>
      story.text.length > shortStory ? null : [user(pick(random, askForShort)), assistant(story.text)],
  ],
  [
    0.14,
    (random, { sentences }) => {
      const cut = 1 + Math.floor(random() * 2);
      if (sentences.length < cut + 3) return null;
      return [
        fill(random, askToGoOn, sentences.slice(0, cut).join('').trim()),
        assistant(sentences.slice(cut).join('')),
      ];
    },
  ],
  [
    0.16,
    (random, story) => {
      const about = subject(random, story);
      const { sentences, end } = story;
      if (about === null || sentences.length < 6 || (end === 'happy' && random() < 0.6)) return null;
      const cut = Math.floor(sentences.length * (0.35 + 0.3 * random()));
      return [
        fill(random, askToBegin, about),
        assistant(sentences.slice(0, cut).join('')),
        user(pick(random, askForEnd[end ?? 'any'])),
        assistant(sentences.slice(cut).join('')),
      ];
    },
  ],
  [
    0.18,
    (random, story) => {
      const first = random() < 0.7 ? storyTurn(random, story) : [user(pick(random, askForAny)), assistant(story.text)];
      const second = nameTurn(random, story);
      if (first === null || second === null) return null;
      const third = random() < 0.25 ? nameTurn(random, story) : null;
      return [...first, ...second, ...(third ?? [])];
    },
  ],
  [
    0.04,
    (random, story, other) => {
      const first = storyTurn(random, story);
      if (first === null || story.text.length + other.text.length > 1500) return null;
      return [...first, user(pick(random, askForAnother)), assistant(other.text)];
    },
  ],
  [
    0.24,
    (random, story) => {
      const next = random() < 0.4 ? storyTurn(random, story) : null;
      const after = random() < 0.3 ? smallTalkTurn(random, story) : [];
      return [...smallTalkTurn(random, story), ...(next ?? []), ...after];
    },
  ],
];

function drawKind(random: Random) {
  let left = random() * kinds.reduce((sum, [share]) => sum + share, 0);
  for (const [share, make] of kinds) {
    left -= share;
    if (left <= 0) return make;
  }
  return kinds[0]![1];
}

const { values, positionals } = parseArgs({
  options: {
    conversations: { type: 'string', default: '12000' },
    seed: { type: 'string', default: '1' },
  },
  allowPositionals: true,
});
const [input, output] = positionals;
if (input === undefined || output === undefined) throw new Error('expected STORIES.jsonl.gz CHAT.jsonl.gz');
const random = randomOf(Number(values.seed));
const stories = gunzipSync(readFileSync(input))
  .toString('utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => (JSON.parse(line) as { text: string }).text)
  .filter((text) => text.length <= longestStory && text.length >= 200 && !text.includes('#'))
  .map(storyOf);
const conversations: Message[][] = [];
while (conversations.length < Number(values.conversations)) {
  const messages = drawKind(random)(random, pick(random, stories), pick(random, stories));
  if (messages !== null) conversations.push(messages.map((message) => asTyped(random, message)));
}
writeFileSync(output, gzipSync(conversations.map((messages) => `${JSON.stringify({ messages })}\n`).join('')));
console.log(`${output}: ${conversations.length} conversations out of ${stories.length} stories`);
