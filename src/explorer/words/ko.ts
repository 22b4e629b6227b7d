import { formatCount } from '../numbers.ts';
import type { SceneKey, StepKey } from '../walk.ts';
import type { SceneWords, Words } from './en.ts';

const steps: Readonly<Record<StepKey, { readonly title: string; readonly text: string }>> = {
  tokens: {
    title: '글이 토큰이 됩니다',
    text: '이웃한 조각들이 순위에 따라 더 합칠 것이 없을 때까지 합쳐집니다. 조각마다 번호(id)가 있습니다.',
  },
  embedding: {
    title: '토큰마다 표의 한 행',
    text: '번호가 임베딩 표에서 한 행을 고릅니다. 이 행에서 잔차 흐름이 시작됩니다.',
  },
  norm: { title: 'RMSNorm 정규화', text: '각 행을 제곱 평균의 제곱근으로 나누고, 학습된 게인을 곱합니다.' },
  project: {
    title: '쿼리, 키, 값',
    text: '행렬 세 개가 정규화된 행을 무엇을 찾는지(쿼리), 무엇으로 찾아지는지(키), 무엇을 건네는지(값)로 바꿉니다.',
  },
  rotate: { title: 'RoPE 회전', text: '쿼리와 키의 쌍마다 위치 · ω만큼 회전합니다. 값은 회전하지 않습니다.' },
  attend: { title: '어텐션', text: 'q·k / √E, 앞선 토큰들에 대한 소프트맥스, 그리고 그 비율로 섞은 값의 평균입니다.' },
  join: {
    title: '다시 잔차 흐름으로',
    text: '출력 행렬이 헤드들을 섞습니다. 결과는 정규화의 출력이 아니라 잔차 흐름에 더해집니다.',
  },
  feedForward: {
    title: '피드포워드 층',
    text: '게이트가 "up"을 얼마나 통과시킬지 정하고, 마지막 행렬이 원래 너비로 되돌려 결과를 더합니다.',
  },
  head: {
    title: '출력층',
    text: '마지막 블록과 마지막 정규화 뒤에, 곱 한 번이 어휘집의 모든 조각에 점수(로짓)를 줍니다.',
  },
  choose: { title: '다음 토큰', text: '소프트맥스가 로짓을 확률로 바꿉니다. 샘플러가 꼬리를 자르고 하나를 뽑습니다.' },
};

const scenes: Readonly<Record<SceneKey, SceneWords>> = {
  map: {
    title: '지도',
    what: '모델의 코드가 실제로 도는 그대로입니다. 연산마다 상자 하나, 텐서마다 화살표 하나입니다. 블록 하나는 펼쳐 그리고, 나머지는 같은 모양이라 접었습니다.',
    why: 'LLaMA는 토큰마다 한 행인 잔차 흐름입니다. 블록마다 두 번 더합니다. 한 번은 어텐션이 찾은 것을, 한 번은 피드포워드 층이 만든 것을.',
    touch: '다른 모델이나 프리셋을 고르면 그 설정에서 그림이 새로 만들어집니다. 상자를 고르면 그 장면이 열립니다.',
    source: 'Touvron et al. 2023, arXiv:2302.13971; Vaswani et al. 2017, arXiv:1706.03762',
  },
  tokens: {
    title: '토큰',
    what: '모델이 읽는 그대로의 글입니다. 아래에서는 낱말 하나가 한 번에 하나씩 합쳐집니다. 순위가 가장 낮은 쌍이 먼저입니다.',
    why: '낱말 단위 어휘집은 끝이 없고, 글자 단위는 글을 너무 길게 만듭니다. 자주 나오는 조각은 토큰이 되고, 드문 낱말은 조각으로 적습니다.',
    touch: '글을 바꿔 보세요. 낱말을 골라 합쳐지는 순서를 한 단계씩 따라가 보세요.',
    source: 'Sennrich et al. 2016, arXiv:1508.07909; Kudo & Richardson 2018, arXiv:1808.06226',
  },
  embedding: {
    title: '임베딩',
    what: '토큰이 고른 표의 한 행을 색칠한 칸으로 보여 줍니다. 그 옆에는 방향이 가장 비슷한 조각들이 있습니다.',
    why: '이 수들은 오직 학습이 정합니다. 비슷하게 쓰이는 조각들은 서로 가까워집니다.',
    touch: '토큰을 고르고, 그 이웃을 골라 보세요.',
    source: 'Mikolov et al. 2013, arXiv:1301.3781',
  },
  norms: {
    title: '정규화',
    what: '잔차 흐름의 한 행을 RMSNorm 전과 후로, 같은 눈금에서 보여 줍니다. 같은 수에 층 정규화와 배치 정규화를 하면 어떻게 되는지도 나란히 보여 줍니다.',
    why: '행은 블록을 지날수록 커집니다. 정규화는 모든 행렬에 같은 크기의 입력을 줍니다. RMSNorm은 평균을 빼지 않습니다. 더 싸고, 결과는 그만큼 좋습니다.',
    touch:
      'c를 골라 보세요. 모든 행에 c를 곱하면 어느 정규화의 출력도 움직이지 않습니다. c만큼 더하면 층 정규화와 배치 정규화는 그대로이고 RMSNorm은 움직입니다.',
    source:
      'Zhang & Sennrich 2019, arXiv:1910.07467; Ba et al. 2016, arXiv:1607.06450; Ioffe & Szegedy 2015, arXiv:1502.03167',
  },
  factory: {
    title: '휴대폰 공장',
    what: '층이 둘인 작은 신경망을 여기서 학습합니다. 1층은 하드웨어, 2층은 소프트웨어, 손실은 사장입니다. 2층이 받는 값의 분포와, 1층이 배우는 동안 그 분포가 얼마나 옮겨 가는지 보여 줍니다.',
    why: '배치 정규화의 이유로 처음 제시된 그림입니다. 그러나 Santurkar et al. 2018(arXiv:1805.11604)은 이 변화가 도움의 이유가 아님을 보였습니다. 손실이 더 매끄러워지는 것이 이유입니다.',
    touch: '실행, 멈춤, 한 단계. 학습률과 시드를 바꿔 보세요. 같은 시작에서 네 가지 정규화를 비교합니다.',
    source: 'Ioffe & Szegedy 2015, arXiv:1502.03167; Santurkar et al. 2018, arXiv:1805.11604',
  },
  projections: {
    title: 'Q, K, V',
    what: '정규화된 행에 행렬 세 개를 곱합니다. 고른 칸은 행렬의 한 행과 토큰의 행을 곱해 모두 더한 것입니다.',
    why: '쿼리는 토큰이 찾는 것, 키는 토큰이 찾아지는 단서, 값은 토큰이 건네는 것입니다. 헤드는 열의 묶음입니다.',
    touch: '행렬과 헤드와 칸을 골라 보세요.',
    source: 'Vaswani et al. 2017, arXiv:1706.03762 §3.2; Ainslie et al. 2023, arXiv:2305.13245',
  },
  rope: {
    title: 'RoPE',
    what: '쿼리의 두 수는 평면 위의 한 점입니다. RoPE는 그 점을 위치 · ω만큼 회전합니다. 쌍마다 ω가 다릅니다. 앞쪽 쌍은 빨리 돌고 뒤쪽 쌍은 거의 돌지 않습니다. 모든 쌍이 빠르기가 다른 시계입니다.',
    why: '함께 회전한 쿼리와 키는 각도의 차이로 만납니다. 그래서 점수는 두 토큰이 얼마나 떨어져 있는지는 알지만, 어디에 있는지는 모릅니다.',
    touch:
      '쌍과 토큰을 골라 보세요. 두 토큰을 같은 칸수만큼 옮기면 두 화살표는 돌지만 사이의 각은 그대로이고, 점수도 그대로입니다.',
    source: 'Su et al. 2021, arXiv:2104.09864',
  },
  attention: {
    title: '어텐션',
    what: '작은 네모 하나가 헤드 하나입니다. 행은 묻는 토큰(쿼리), 열은 보이는 토큰(키)이고 진할수록 많이 봅니다. 큰 네모는 고른 헤드입니다. 대각선 위는 아무도 볼 수 없는 미래입니다.',
    why: '토큰들이 서로를 알게 되는 곳은 여기뿐입니다. 한 행의 점수는 합이 1인 비율이 되고, 값은 그 비율로 섞입니다.',
    touch: '헤드와 칸을 고르세요. 화살표 키도 됩니다. 아래에서 쿼리 하나를 점수, 비율, 섞은 값까지 따라갑니다.',
    source: 'Vaswani et al. 2017, arXiv:1706.03762 식 1',
  },
  sharing: {
    title: '헤드 나누어 쓰기',
    what: '어떤 쿼리 헤드들이 키 헤드를 함께 쓰는지, 그때 캐시가 얼마나 큰지 보여 줍니다. 아래는 이 모델의 키를 학습 없이 G개 묶음으로 평균 내면 다음 토큰이 어떻게 되는지입니다.',
    why: '캐시는 토큰마다 읽힙니다. 키 헤드가 적으면 캐시가 작고 생성이 빠릅니다. 모델은 처음부터 그렇게 학습합니다. 나중에 평균 내면 대가가 있습니다.',
    touch: '묶음 수를 고르세요. 헤드 수와 같으면 MHA, 하나면 MQA, 그 사이는 GQA입니다.',
    source: 'Shazeer 2019, arXiv:1911.02150; Ainslie et al. 2023, arXiv:2305.13245',
  },
  cache: {
    title: 'KV 캐시',
    what: '캐시가 없으면 새 토큰마다 네모 전체를 다시 계산합니다. 캐시가 있으면 한 행이면 됩니다. 앞선 토큰의 키와 값은 32개씩 블록에 놓입니다.',
    why: '토큰의 키와 값은 변하지 않습니다. 앞의 것은 뒤의 것을 보지 않기 때문입니다. 메모리로 시간을 삽니다.',
    touch: '토큰 수와 저장 형식, 메모리를 나누어 쓰는 글의 수를 골라 보세요.',
    source: 'Pope et al. 2022, arXiv:2211.05102; Kwon et al. 2023, arXiv:2309.06180',
  },
  swiglu: {
    title: 'SwiGLU',
    what: '곡선은 Swish이고, 점은 이 행의 게이트 값들입니다. 게이트마다 "up"을 곱합니다. 게이트가 닫히면 아무것도 지나가지 않고, 열리면 "up"이 지나갑니다.',
    why: '행렬 두 개와 곱 하나가, 행렬 하나와 문턱보다 더 잘 고릅니다. 가중치 수를 맞추려고 너비는 4 · D 대신 8/3 · D입니다.',
    touch: '열을 고르거나 다른 함수로 바꿔 보세요. 결과가 얼마나 움직입니까?',
    source: 'Shazeer 2020, arXiv:2002.05202; Ramachandran et al. 2017, arXiv:1710.05941',
  },
  stream: {
    title: '잔차 흐름',
    what: '블록마다 토큰의 행이 얼마나 긴지, 각 부분이 무엇을 더했는지 보여 줍니다. 아래는 모델이 거기서 끝났다면 나올 다음 토큰입니다.',
    why: '블록은 더하기만 합니다. 그래서 만들다 만 행도 출력층이 읽을 수 있고, 답이 생겨나는 것이 보입니다.',
    touch: '토큰을 골라 보세요. 한 부분을 꺼 보고 모델이 무엇이라 할지 보세요.',
    source: 'He et al. 2016, arXiv:1512.03385; nostalgebraist 2020, “logit lens”',
  },
  choice: {
    title: '선택',
    what: '로짓에서 토큰 하나까지입니다. 각 단은 샘플러 사슬의 고리이고, 무엇이 남는지 보여 줍니다. 마지막에 난수가 막대 하나에 떨어집니다.',
    why: '매번 가장 그럴듯한 토큰만 고르면 지루하게 되풀이되고, 전부에서 뽑으면 이따금 엉뚱해집니다. 사슬은 꼬리를 자른 다음에 뽑습니다.',
    touch: '온도와 한도를 움직여 보세요. 다른 시드로 뽑아 보세요. 토큰을 덧붙이고 다시 한 바퀴 돌아 보세요.',
    source: 'Holtzman et al. 2019, arXiv:1904.09751; Fan et al. 2018, arXiv:1805.04833',
  },
  walk: {
    title: '전체 따라가기',
    what: '열 단계 모두의 모양을 문자로, 이 모델의 수로, 그리고 Llama 2 7B의 수로 나란히 보여 줍니다. 행렬마다 모서리를 보이고, 노트와 모델이 다른 곳도 보여 줍니다.',
    why: '장면들과 같은 수를 계산 순서대로 늘어놓았습니다.',
    touch: '단계를 고르면 그 장면이 열립니다.',
    source: 'Touvron et al. 2023, arXiv:2307.09288',
  },
};

export const ko: Words = {
  language: 'ko',
  steps,
  scenes,
  model: '모델',
  blocks: '블록',
  parameters: '파라미터',
  token: '토큰',
  tokens: '토큰',
  id: '번호',
  piece: '조각',
  block: '블록',
  head: '헤드',
  query: '쿼리',
  key: '키',
  column: '열',
  pair: '쌍',
  width: '너비',
  length: '길이',
  probability: '확률',
  rank: '순위',
  shape: '모양',
  corner: '모서리',
  bytes: '바이트',
  cacheOf: (tokens, bytes, each) => `캐시는 토큰 ${tokens}개를 ${bytes}에 담습니다. 하나에 ${each}입니다.`,
  nextTokenCosts: (cached, without) => `다음 토큰은 캐시가 있으면 곱셈·덧셈 ${cached}번, 없으면 ${without}번이 듭니다.`,
  streamLengths: '블록마다 마지막 토큰 행의 길이',
  likeliest: '가장 그럴듯한 다음 토큰',
  left: '샘플러마다 남는 것',
  leftOf: (count) => `토큰 ${formatCount(count)}개가 남음`,
  drawn: (draw) => `난수 ${draw}`,
  notDrawn: '하나만 남아 뽑지 않음',
  chosen: '선택됨',
  mapOf: (block, head) => `블록 ${block}, 헤드 ${head}의 어텐션: 행은 쿼리, 열은 키`,
  looksAt: (head, query, key, share) => `헤드 ${head}: ${query} 토큰이 ${key} 토큰을 ${share}만큼 봅니다.`,
  ofRows: (shown, all) => `${all}행 가운데 ${shown}행`,
  noTokenizer: '이 모델에는 토크나이저가 없어 글은 읽을 수 없고, 번호만 읽을 수 있습니다.',
};
