/** Waits until `check` holds; it is asked again after short pauses. */
export async function eventually(check: () => boolean | Promise<boolean>, what: string, milliseconds = 120_000) {
  const deadline = performance.now() + milliseconds;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
