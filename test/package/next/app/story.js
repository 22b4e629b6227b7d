'use client';
import { Llama } from 'cria';
import { useEffect } from 'react';

async function tell() {
  const model = await Llama.load('/model.gguf', { threads: 2 });
  const text = await model.generate('Once upon a time', { maxTokens: 10, temperature: 0 }).text();
  const { device } = model.facts;
  await model.close();
  return { text, device };
}

export default function Story() {
  useEffect(() => {
    window.story = tell();
  }, []);
  return null;
}
