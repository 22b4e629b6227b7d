/**
 * Programs of a model, one after another, in Python compiled to WebAssembly: files are in memory, there are no sockets and no processes,
 * and the way to JavaScript is closed before the first of them runs. Each has a namespace of its own, and the modules and built-in names
 * that it changed are put back. The parent ends this worker when a program's time is over.
 */
import { parentPort, workerData } from 'node:worker_threads';

interface Task {
  /** The address of pyodide.mjs. */
  readonly module: string;
  readonly memoryPages: number;
}

interface Pyodide {
  readonly globals: { get(name: string): unknown };
  runPython(code: string): unknown;
}

const { module, memoryPages } = workerData as Task;

/** WebAssembly asks JavaScript for more memory: beyond the limit the answer is no, and Python raises MemoryError. */
const grow = WebAssembly.Memory.prototype.grow;
WebAssembly.Memory.prototype.grow = function (this: WebAssembly.Memory, pages: number): number {
  if (this.buffer.byteLength / 65536 + pages > memoryPages) throw new RangeError('no more memory for a program');
  return grow.call(this, pages);
};

/** Leaves Python alone: the modules that lead to JavaScript are gone, and nothing can import them again. */
const CLOSE = `
import sys, builtins
closed = ('js', 'pyodide_js', '_pyodide_core', 'pyodide', '_pyodide', 'micropip')
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != 'JsFinder']
for name in list(sys.modules):
    if name.split('.')[0] in closed:
        sys.modules[name] = None
for name in closed:
    sys.modules[name] = None
loaded, space = sys.modules, vars(builtins)
modules, names = dict(loaded), dict(space)
def run_program(program):
    try:
        exec(compile(program, '<program>', 'exec'), {'__name__': '__program__'})
        passed = True
    except BaseException:
        passed = False
    space.clear()
    space.update(names)
    loaded.clear()
    loaded.update(modules)
    return passed
`;

const { loadPyodide } = (await import(module)) as { loadPyodide(options: object): Promise<Pyodide> };
const python = await loadPyodide({ jsglobals: {}, stdin: () => null, stdout() {}, stderr() {} });
python.runPython(CLOSE);
const run = python.globals.get('run_program') as (program: string) => unknown;
parentPort!.on('message', (program: string) => parentPort!.postMessage(run(program) === true));
parentPort!.postMessage('ready');
