import koffi from 'koffi';

/** Sets variables where C code sees it, for the time of a call: process.env is a mere copy in worker threads. */
export function withEnvironment<T>(variables: Readonly<Record<string, string>>, call: () => T): T {
  const c = koffi.load(null);
  const set = c.func('int setenv(const char *name, const char *value, int overwrite)');
  const unset = c.func('int unsetenv(const char *name)');
  for (const [name, value] of Object.entries(variables)) set(name, value, 1);
  try {
    return call();
  } finally {
    for (const name of Object.keys(variables)) unset(name);
  }
}
