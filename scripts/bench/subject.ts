// Brokers to be measured: moldau from a folder with a build, Apache Kafka by the program that starts it, any other that runs on
// this machine, and the floor, a process that only moves the bytes. Whatever was started here is ended here, even after Ctrl-C.
import { type ChildProcess, execFile, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Durability, Lives, Row, Scene } from './workload.ts'

export type Place = Pick<Scene, 'bootstrap' | 'pids' | 'configs' | 'isFloor' | 'metricsUrl'>

export interface Subject {
  readonly name: string
  /** It must compile its code first, and is given more time to. */
  readonly isVirtualMachine: boolean
  readonly isFloor: boolean
  /** A running broker that keeps the durability; null where it cannot serve the row. */
  place(row: Pick<Row, 'durability' | 'floor' | 'name'>): Promise<Place | null>
  /** Whole lives of brokers of this kind; null for one that only was pointed at. */
  readonly lives: Lives | null
  end(): Promise<void>
}

export interface SubjectOptions {
  readonly set: readonly string[]
  readonly kafka: string
  /** Where data goes. */
  readonly directory: string
  /** Further flags of node for the broker's process. */
  readonly nodeFlags?: readonly string[]
  /** The modules as they are, instead of the bundle. */
  readonly asModules?: boolean
}

const SAME_FOR_BOTH = ['group.initial.rebalance.delay.ms=0']
const lastResorts = new Set<() => void>()
process.on('exit', () => {
  for (const each of lastResorts) each()
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

/** Run at the end of this process if nothing else did it before. */
export function atWorst(end: () => void): () => void {
  lastResorts.add(end)
  return () => lastResorts.delete(end)
}

export function freshDirectory(options: Pick<SubjectOptions, 'directory'>): string {
  mkdirSync(options.directory, { recursive: true })
  const made = mkdtempSync(join(options.directory, 'moldau-bench-'))
  atWorst(() => rmSync(made, { recursive: true, force: true, maxRetries: 3 }))
  return made
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}

/** When it says "ready on HOST:PORT". */
async function readyOn(child: ChildProcess): Promise<string> {
  const [, port] = await said(child, /ready on (?:localhost|127\.0\.0\.1):(\d+)/)
  return `127.0.0.1:${port}`
}

async function said(child: ChildProcess, what: RegExp): Promise<RegExpExecArray> {
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

/** The program of a build: the bundle, or where there is none the modules it is made of. */
function programOf(build: string, asModules: boolean): string {
  const bundle = resolve(build, 'bin/moldau.cjs')
  return existsSync(bundle) && !asModules ? bundle : resolve(build, 'broker/moldau.cjs')
}

/** A moldau for each of its two policies, started when a row first needs it. */
export function moldauOf(name: string, build: string, options: SubjectOptions): Subject {
  const program = programOf(build, options.asModules === true)
  if (!existsSync(program)) throw new Error(`${build} holds no build of moldau`)
  const running = new Map<string, { child: ChildProcess; place: Place }>()
  const spawnOn = (settings: readonly string[], stdio: 'pipe' | 'ignore') => {
    const http = stdio === 'pipe' ? '127.0.0.1:0' : 'off'
    const all = [`moldau.http.listener=${http}`, 'moldau.log.level=warn', ...SAME_FOR_BOTH, ...settings, ...options.set]
    const words = [...(options.nodeFlags ?? []), program, 'start', ...all.flatMap(each => ['--set', each])]
    const child = spawn(process.execPath, words, { stdio: ['ignore', stdio, stdio === 'pipe' ? 'inherit' : 'ignore'] })
    const done = atWorst(() => child.kill('SIGKILL'))
    child.once('exit', done)
    return child
  }
  const start = async (policy: string) => {
    const child = spawnOn(
      ['listeners=PLAINTEXT://127.0.0.1:0', `log.dirs=${freshDirectory(options)}`, `moldau.log.flush.policy=${policy}`],
      'pipe'
    )
    const [bootstrap, [url]] = await Promise.all([readyOn(child), said(child, /http:\/\/\S+:\d+/)])
    const place = { bootstrap, pids: [child.pid as number], configs: {}, isFloor: false, metricsUrl: `${url}/metrics` }
    return { child, place }
  }
  return {
    name,
    isVirtualMachine: false,
    isFloor: false,
    place: async ({ durability }) => {
      const policy = durability === 'page-cache' ? 'page-cache' : 'group-commit'
      const found = running.get(policy) ?? (await start(policy))
      running.set(policy, found)
      return found.place
    },
    lives: {
      prepare: async () => {},
      launch: async (directory, port, settings) => {
        const child = spawnOn(
          [`listeners=PLAINTEXT://127.0.0.1:${port}`, `log.dirs=${directory}`, ...settings],
          'ignore'
        )
        return { pid: child.pid as number, end: signal => ended(child, signal) }
      }
    },
    end: async () => {
      for (const { child } of running.values()) await ended(child, 'SIGTERM')
    }
  }
}

/** Null where the program is not. It starts, stops and restarts brokers: PROGRAM start DIR -p PORT -s key=value, ... */
export function kafkaOf(options: SubjectOptions): Subject | null {
  const program = resolve(options.kafka)
  if (!existsSync(program)) return null
  const call = async (...words: string[]): Promise<void> => void (await promisify(execFile)(program, words))
  const pidOf = (directory: string): number => Number(readFileSync(join(directory, '1.pid'), 'utf8'))
  const begin = async (directory: string, port: number, settings: readonly string[]) => {
    const words = [...SAME_FOR_BOTH, ...settings].flatMap(each => ['-s', each])
    await call('start', directory, '-n', '1', '-p', String(port), ...words)
    const pid = pidOf(directory)
    atWorst(() => killQuietly(pid))
  }
  const endOf = async (directory: string, signal: 'SIGTERM' | 'SIGKILL') => {
    const pid = pidOf(directory)
    process.kill(pid, signal)
    // It is nobody's child here.
    while (existsSync(`/proc/${pid}/stat`)) await new Promise(done => setTimeout(done, 5))
  }
  let running: Promise<{ place: Place; directory: string }> | undefined
  const start = async () => {
    const directory = freshDirectory(options)
    const port = await freePort()
    await begin(directory, port, [])
    return {
      directory,
      place: { bootstrap: `127.0.0.1:${port}`, pids: [pidOf(directory)], configs: {}, isFloor: false }
    }
  }
  return {
    name: 'kafka',
    isVirtualMachine: true,
    isFloor: false,
    place: async ({ durability }) => {
      running ??= start()
      return { ...(await running).place, configs: syncing(durability) }
    },
    lives: {
      prepare: async (directory, port, settings) => {
        await begin(directory, port, settings)
        await call('stop', directory)
      },
      launch: async directory => {
        await call('restart', directory, '1')
        const pid = pidOf(directory)
        const done = atWorst(() => killQuietly(pid))
        return { pid, end: signal => endOf(directory, signal).finally(done) }
      }
    },
    end: async () => {
      if (running === undefined) return
      const { directory } = await running
      await call('stop', directory)
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {}
}

/** Apache Kafka's way to sync each append before it is acknowledged. */
function syncing(durability: Durability): Record<string, string> {
  return durability === 'synced' ? { 'flush.messages': '1' } : {}
}

/** Whatever listens there; its settings are its own affair. */
export function runningAt(bootstrap: string, pids: readonly number[]): Subject {
  return {
    name: bootstrap,
    isVirtualMachine: false,
    isFloor: false,
    lives: null,
    place: async ({ durability }) => ({ bootstrap, pids, configs: syncing(durability), isFloor: false }),
    end: async () => {}
  }
}

/** `mode`: take-write, take, give (from memory), give-file. One process each, so that its CPU is its own. */
export function floorOf(mode: 'take-write' | 'take' | 'give' | 'give-file', options: SubjectOptions): Subject {
  let running: { child: ChildProcess; place: Place } | undefined
  let answerBytes = 0
  const start = async (bytes: number) => {
    const file = join(freshDirectory(options), 'floor')
    const child = fork(join(import.meta.dirname, 'floor.js'), [mode, file, String(bytes)], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc']
    })
    const done = atWorst(() => child.kill('SIGKILL'))
    child.once('exit', done)
    answerBytes = bytes
    return {
      child,
      place: { bootstrap: await readyOn(child), pids: [child.pid as number], configs: {}, isFloor: true }
    }
  }
  const end = async () => {
    if (running !== undefined) await ended(running.child, 'SIGTERM')
    running = undefined
  }
  return {
    name: `floor: ${mode}`,
    isVirtualMachine: false,
    isFloor: true,
    lives: null,
    place: async row => {
      if (row.floor === undefined || !mode.startsWith(row.floor)) return null
      if (row.name === 'fetch-cold' ? mode === 'give' : mode === 'give-file') return null
      const bytes = row.name === 'fetch-10m' ? 10 << 20 : 1 << 20
      if (running !== undefined && answerBytes !== bytes) await end()
      running ??= await start(bytes)
      return running.place
    },
    end
  }
}

export const DEFAULT_DIRECTORY: string = tmpdir()
