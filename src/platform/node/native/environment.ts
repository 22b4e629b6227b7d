import { ffi } from './ffi.ts';

/** Sets variables where C code sees it, for the time of a call: process.env is a mere copy in worker threads. */
export function withEnvironment<T>(variables: Readonly<Record<string, string>>, call: () => T): T {
  const { set, unset } = process.platform === 'win32' ? windows() : posix();
  for (const [name, value] of Object.entries(variables)) set(name, value);
  try {
    return call();
  } finally {
    for (const name of Object.keys(variables)) unset(name);
  }
}

function posix() {
  const c = ffi().load(null);
  const set = c.func('int setenv(const char *name, const char *value, int overwrite)');
  const unset = c.func('int unsetenv(const char *name)');
  return { set: (name: string, value: string) => set(name, value, 1), unset };
}

/** An empty value removes the variable. Source: Microsoft C runtime, _putenv_s. */
function windows() {
  const put = ffi().load('ucrtbase.dll').func('int _putenv_s(const char *name, const char *value)');
  return { set: put, unset: (name: string) => put(name, '') };
}
