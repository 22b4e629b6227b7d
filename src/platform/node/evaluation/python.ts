/**
 * Programs that a model wrote, run in a Python of this system: one process for each, with an empty folder, a bare environment, limits of
 * time, memory and files, and no way to the network or to other processes. Never in this process, and never unless somebody asks.
 *
 * What holds it: the kernel's limits (setrlimit); another user, where this process may choose one; a network of its own, where `unshare`
 * gives one; and Python's audit hook, which cannot be taken off again, for files, sockets and processes. That is a fence, not a prison:
 * who runs programs of a model that is out to harm does so on a machine that can be thrown away.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedRunner, type ProgramRunner } from './runner.ts';

/** As the harness's code_eval. */
const SECONDS = 3;
const MEMORY_MIB = 1024;
/** An id that owns nothing. */
const NOBODY = 65534;

/** Reads a secret word and the program from standard input; writes the word back when the program has ended without an error. */
const DRIVER = `
import sys, os, io
def main():
    out = os.dup(1)
    word, _, program = sys.stdin.buffer.read().decode('utf-8').partition('\\n')
    sys.stdin = io.StringIO()
    null = os.open(os.devnull, os.O_RDWR)
    for place in (0, 1, 2):
        os.dup2(null, place)
    try:
        import resource
        seconds, memory = int(sys.argv[1]), int(sys.argv[2]) << 20
        for name, most in (('RLIMIT_AS', memory), ('RLIMIT_DATA', memory), ('RLIMIT_CPU', seconds + 1),
                           ('RLIMIT_FSIZE', 0), ('RLIMIT_CORE', 0), ('RLIMIT_NOFILE', 64)):
            try:
                resource.setrlimit(getattr(resource, name), (most, most))
            except (ValueError, OSError, AttributeError):
                pass
    except ImportError:
        pass
    own = tuple(os.path.realpath(path) for path in {sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)})
    closed = ('socket.', 'subprocess.', 'ctypes.', 'shutil.', 'ftplib.', 'smtplib.', 'urllib.', 'http.', 'winreg.', 'pty.', 'syslog.')
    closed_os = ('system', 'exec', 'fork', 'forkpty', 'posix_spawn', 'spawn', 'startfile', 'kill', 'killpg', 'remove', 'rename', 'rmdir',
                 'mkdir', 'chmod', 'chown', 'link', 'symlink', 'truncate', 'putenv', 'unsetenv', 'chdir')
    active = []
    def fence(event, args):
        if not active:
            return
        refused = event.startswith(closed) or (event.startswith('os.') and event[3:] in closed_os)
        if event in ('open', 'os.listdir', 'os.scandir') and not refused:
            path = args[0]
            refused = isinstance(path, (str, bytes)) and not os.path.realpath(os.fsdecode(path)).startswith(own)
            if event == 'open' and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
                refused = True
        if refused:
            raise PermissionError('a program of a model may not: ' + event)
    sys.addaudithook(fence)
    space = {'__name__': '__program__'}
    try:
        active.append(True)
        exec(compile(program, '<program>', 'exec'), space)
    except BaseException:
        os._exit(1)
    os.write(out, word.encode())
    os._exit(0)
main()
`;

/** A Python that answers, by the names under which it is installed; null: there is none. */
function findPython(identity: {
  readonly uid?: number;
  readonly gid?: number;
}): { readonly path: string; readonly version: string } | null {
  for (const path of ['python3', 'python', '/usr/bin/python3', '/usr/local/bin/python3']) {
    const found = spawnSync(path, ['-I', '-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], {
      encoding: 'utf8',
      timeout: 10_000,
      cwd: tmpdir(),
      ...identity,
    });
    const version = found.status === 0 ? found.stdout.trim() : '';
    if (/^3\.\d+$/.test(version)) return { path, version };
  }
  return null;
}

/** `unshare` with a network that leads nowhere, where the system lets us. */
function ownNetwork(): readonly string[] {
  for (const command of [
    ['unshare', '--net'],
    ['unshare', '--map-root-user', '--net'],
  ]) {
    const [name, ...args] = command;
    if (spawnSync(name!, [...args, 'true'], { timeout: 5000, stdio: 'ignore' }).status === 0) return command;
  }
  return [];
}

/** null: there is no Python here. */
export function createPythonRunner({ seconds = SECONDS }: { readonly seconds?: number } = {}): ProgramRunner | null {
  const isRoot = process.getuid?.() === 0;
  const lesser = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const asNobody = findPython(lesser);
  const python = asNobody ?? findPython({});
  if (python === null) return null;
  const identity = asNobody ? lesser : {};
  // As another user a network of one's own needs more rights than it has; then the audit hook alone keeps it away.
  const network = 'uid' in identity ? [] : ownNetwork();
  const description =
    `Python ${python.version} in a process of its own (${seconds} s, ${MEMORY_MIB} MiB` +
    `${'uid' in identity ? ', as a user who owns nothing' : ''}${network.length > 0 ? ', in a network that leads nowhere' : ''}; ` +
    'files, sockets and processes refused)';

  const runOne = (program: string) =>
    new Promise<boolean>((resolve) => {
      const folder = mkdtempSync(join(tmpdir(), 'cria-program-'));
      chmodSync(folder, 0o755);
      const word = randomBytes(16).toString('hex');
      const [command = python.path, ...args] = [...network, python.path];
      const child = spawn(command, [...args, '-I', '-c', DRIVER, String(seconds), String(MEMORY_MIB)], {
        cwd: folder,
        env: { PYTHONHASHSEED: '0', LANG: 'C.UTF-8' },
        stdio: ['pipe', 'pipe', 'ignore'],
        detached: true,
        ...identity,
      });
      let said = '';
      const end = () => {
        try {
          process.kill(-child.pid!, 'SIGKILL');
        } catch {
          // it has ended
        }
      };
      const timer = setTimeout(end, seconds * 1000 + 1000);
      child.stdout!.on('data', (chunk: Buffer) => {
        if (said.length < 1000) said += chunk.toString('latin1');
      });
      child.stdin!.on('error', () => {});
      const done = (passed: boolean) => {
        clearTimeout(timer);
        end();
        rmSync(folder, { recursive: true, force: true });
        resolve(passed);
      };
      child.on('error', () => done(false));
      child.on('close', (status) => done(status === 0 && said === word));
      child.stdin!.end(`${word}\n${program}`);
    });

  return cachedRunner(description, runOne, availableParallelism());
}
