// Processes of brokers: started, waited for, ended by their own ids; whatever was started here is ended here, even after Ctrl-C. A
// launch can be told to another process as plain data, so that the load process can run whole lives of brokers.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Lives } from './workload.ts'

/** How brokers of one kind are started. */
export interface Launch {
  readonly kind: 'moldau' | 'kafka'
  /** moldau's own file, or the program that starts Apache Kafka. */
  readonly program: string
  readonly settings: readonly string[]
  /** Of node, for moldau. */
  readonly flags: readonly string[]
}

export const SAME_FOR_BOTH = ['group.initial.rebalance.delay.ms=0']
const lastResorts = new Set<() => void>()
process.on('exit', () => {
  // Processes began after the directories that they write to.
  for (const each of [...lastResorts].reverse()) {
    try {
      each()
    } catch (error) {
      console.error(error)
    }
  }
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

/** Run at the end of this process if nothing else did it before: what it returns takes it back. */
export function atWorst(end: () => void): () => void {
  lastResorts.add(end)
  return () => lastResorts.delete(end)
}

export function freshDirectory(parent: string): string {
  mkdirSync(parent, { recursive: true })
  const made = mkdtempSync(join(parent, 'moldau-bench-'))
  atWorst(() => rmSync(made, { recursive: true, force: true, maxRetries: 3 }))
  return made
}

export async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}

/** When it says "ready on HOST:PORT". */
export async function readyOn(child: ChildProcess): Promise<string> {
  const [, port] = await said(child, /ready on (?:localhost|127\.0\.0\.1):(\d+)/)
  return `127.0.0.1:${port}`
}

export async function said(child: ChildProcess, what: RegExp): Promise<RegExpExecArray> {
  return await new Promise((ready, reject) => {
    let printed = ''
    child.stdout?.on('data', chunk => {
      printed += chunk
      const found = what.exec(printed)
      if (found !== null) ready(found)
    })
    child.once('exit', code => reject(new Error(`the broker ended with code ${code} before it was ready`)))
  })
}

export function spawnMoldau({ program, settings, flags }: Launch, more: readonly string[], stdio: 'pipe' | 'ignore') {
  // Where it tells of its loop; a life of its own is measured without.
  const http = stdio === 'pipe' ? '127.0.0.1:0' : 'off'
  const all = [`moldau.http.listener=${http}`, 'moldau.log.level=warn', ...SAME_FOR_BOTH, ...more, ...settings]
  const words = [...flags, program, 'start', ...all.flatMap(each => ['--set', each])]
  const child = spawn(process.execPath, words, { stdio: ['ignore', stdio, stdio === 'pipe' ? 'inherit' : 'ignore'] })
  child.once(
    'exit',
    atWorst(() => child.kill('SIGKILL'))
  )
  return child
}

/** Apache Kafka on one directory, by `PROGRAM start DIR -p PORT -s key=value`, `PROGRAM stop DIR` and `PROGRAM restart DIR 1`. */
export class KafkaHome {
  readonly #program: string
  readonly #directory: string
  #forget: () => void = () => {}
  pid = Number.NaN

  constructor(program: string, directory: string) {
    this.#program = program
    this.#directory = directory
  }

  get isRunning(): boolean {
    return existsSync(`/proc/${this.pid}/stat`)
  }

  async start(port: number, settings: readonly string[]): Promise<void> {
    const words = [...SAME_FOR_BOTH, ...settings].flatMap(each => ['-s', each])
    await this.#call('start', this.#directory, '-n', '1', '-p', String(port), ...words)
    this.#running()
  }

  async restart(): Promise<void> {
    await this.#call('restart', this.#directory, '1')
    this.#running()
  }

  async stop(): Promise<void> {
    await this.#call('stop', this.#directory)
    this.#forget()
  }

  /** It is nobody's child here: its end is seen by looking. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.isRunning) process.kill(this.pid, signal)
    while (this.isRunning) await new Promise(done => setTimeout(done, 5))
    this.#forget()
  }

  #running(): void {
    const pid = Number(readFileSync(join(this.#directory, '1.pid'), 'utf8'))
    this.pid = pid
    this.#forget = atWorst(() => {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {}
    })
  }

  async #call(...words: string[]): Promise<void> {
    await promisify(execFile)(resolve(this.#program), words)
  }
}

export function livesOf(launch: Launch): Lives {
  if (launch.kind === 'kafka') {
    return {
      prepare: async (directory, port) => {
        const home = new KafkaHome(launch.program, directory)
        await home.start(port, launch.settings)
        await home.stop()
      },
      launch: async directory => {
        const home = new KafkaHome(launch.program, directory)
        await home.restart()
        return { pid: home.pid, isRunning: () => home.isRunning, end: signal => home.end(signal) }
      }
    }
  }
  return {
    prepare: async () => {},
    launch: async (directory, port) => {
      const child = spawnMoldau(launch, [`listeners=PLAINTEXT://127.0.0.1:${port}`, `log.dirs=${directory}`], 'ignore')
      const isRunning = () => child.exitCode === null && child.signalCode === null
      return { pid: child.pid as number, isRunning, end: signal => ended(child, signal) }
    }
  }
}
