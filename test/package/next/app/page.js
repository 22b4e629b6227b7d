import { Llama } from 'cria';

export const dynamic = 'force-dynamic';

export default async function Page() {
  const model = await Llama.load();
  const text = await model.generate('Once upon a time', { maxTokens: 10, temperature: 0 }).text();
  await model.close();
  return <p id="story">{text}</p>;
}
