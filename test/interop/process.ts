// Starts other programs, with a limit on each, and ends every one of them by its own process id.
// Each child leads a process group, so that what it started ends with it.
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, openSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
  /** True where the limit ended it. */
  timedOut: boolean
}

export interface RunOptions {
  input?: string | Buffer | undefined
  env?: Record<string, string> | undefined
  cwd?: string | undefined
  limitMs?: number
  /** Called with each whole line of stdout. */
  onLine?: (line: string) => void
}

const living = new Set<ChildProcess>()

/** Ends a child and all that it started. */
export function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (child.pid === undefined || !living.has(child)) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    child.kill(signal) // The group is gone already, or was never made.
  }
}

export function endAll(): void {
  for (const child of living) end(child)
}

/** Starts a child that stays. Its output goes to the file, or is piped where there is none. */
export function launch(command: string, args: string[], options: RunOptions & { output?: string } = {}): ChildProcess {
  const output = options.output === undefined ? 'pipe' : openSync(options.output, 'a')
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    detached: true,
    stdio: ['pipe', output, output]
  })
  living.add(child)
  child.once('exit', () => living.delete(child))
  child.once('error', () => living.delete(child))
  return child
}

/** Runs a program to its end. A limit that passes is an outcome; a program that cannot start is an error. */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<Outcome> {
  const child = launch(command, args, options)
  const outcome: Outcome = { code: null, stdout: '', stderr: '', timedOut: false }
  let line = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    outcome.stdout += text
    if (options.onLine === undefined) return
    const lines = (line + text).split('\n')
    line = lines.pop() ?? ''
    for (const whole of lines) options.onLine(whole)
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    outcome.stderr += text
  })
  child.stdin?.on('error', () => {}) // A program may end without reading its input: EPIPE is no failure of ours.
  child.stdin?.end(options.input ?? '')
  const limit = setTimeout(() => {
    outcome.timedOut = true
    end(child)
  }, options.limitMs ?? 60_000)
  return new Promise((resolve, reject) => {
    child.once('error', cause => {
      clearTimeout(limit)
      reject(cause)
    })
    child.once('close', code => {
      clearTimeout(limit)
      outcome.code = code
      resolve(outcome)
    })
  })
}

/** The path of a program on PATH, or undefined. */
export function which(program: string): string | undefined {
  const folders = program.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter)
  for (const folder of folders) {
    const path = folder === '' ? program : join(folder, program)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder: look in the next.
    }
  }
  return undefined
}
