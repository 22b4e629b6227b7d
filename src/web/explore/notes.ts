/** Where notes on LLaMA that many people learn from differ from the papers and the code; found by reading both. */
type Note = readonly [note: string, model: string];

const en: readonly Note[] = [
  [
    'The residual adds the output of the norm.',
    'It adds the stream itself: afterAttention = hidden + attention.output.',
  ],
  ['RMSNorm only divides.', 'It has a learned gain per column.'],
  ['GPT uses batch norm.', 'GPT uses layer norm.'],
  ['SwiGLU has a second σ.', 'hidden = swish(gate) · up, and Swish holds the only σ.'],
  ['SwiGLU is x · σ(x).', 'That is Swish. SwiGLU multiplies it by a second projection, “up”.'],
  [
    'RoPE’s frequency falls with the position m.',
    'It falls with the number of the pair, i; m is the position: angle = m · θ^(−2i/E).',
  ],
  ['RoPE’s matrix is D × D.', 'It is E × E, for each head alone.'],
  ['The vocabulary has 3,2000 pieces; LLaMA 7B has 0.67 billion parameters.', '32,000 pieces; 6.7 billion parameters.'],
  ['Llama 2 has grouped queries.', 'The 34B and 70B models have; 7B and 13B have as many key heads as query heads.'],
  ['Vicuna is an encoder and a decoder.', 'It is a decoder only, as LLaMA is.'],
  [
    'Plain attention moves 1/d + 1/(bn) numbers for each multiply-add.',
    'Shazeer 2019 has 1/k + 1/(bn), k the size of a head.',
  ],
];

const ko: readonly Note[] = [
  ['잔차 연결은 정규화의 출력을 더한다.', '잔차 흐름 자체를 더합니다: afterAttention = hidden + attention.output.'],
  ['RMSNorm은 나누기만 한다.', '열마다 학습된 게인이 있습니다.'],
  ['GPT는 배치 정규화를 쓴다.', 'GPT는 층 정규화를 씁니다.'],
  ['SwiGLU에는 σ가 하나 더 있다.', 'hidden = swish(gate) · up이고, σ는 Swish 안에 하나뿐입니다.'],
  ['SwiGLU는 x · σ(x)이다.', '그것은 Swish입니다. SwiGLU는 거기에 둘째 투영 "up"을 곱합니다.'],
  ['RoPE의 주파수는 위치 m에 따라 줄어든다.', '쌍의 번호 i에 따라 줄어듭니다. m은 위치입니다: 각도 = m · θ^(−2i/E).'],
  ['RoPE의 행렬은 D × D이다.', '헤드마다 따로 E × E입니다.'],
  ['어휘집은 3,2000개, LLaMA 7B는 6.7억 개의 파라미터이다.', '어휘집은 32,000개, 파라미터는 67억 개입니다.'],
  ['Llama 2는 그룹 쿼리를 쓴다.', '34B와 70B만 씁니다. 7B와 13B는 키 헤드가 쿼리 헤드만큼 있습니다.'],
  ['Vicuna는 인코더와 디코더로 되어 있다.', 'LLaMA처럼 디코더뿐입니다.'],
  [
    '보통의 어텐션은 곱셈·덧셈 하나마다 수 1/d + 1/(bn)개를 옮긴다.',
    'Shazeer 2019에는 1/k + 1/(bn)이고, k는 헤드의 크기입니다.',
  ],
];

export const notes = { en, ko } as const;
