// Brokers to be measured: moldau from a folder with a build, Apache Kafka by the program that starts it, any other that runs on
// this machine, and the floor, a process that only moves the bytes.
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { freePort } from '../../clients/free-ports.ts'
import { atWorst, ended, freshDirectory, KafkaHome, type Launch, readyOn, said, spawnMoldau } from './launch.ts'
import type { Durability, Row, Scene } from './workload.ts'

export type Place = Pick<Scene, 'bootstrap' | 'pids' | 'configs' | 'isFloor' | 'metricsUrl'>

export interface Subject {
  readonly name: string
  /** It must compile its code first, and is given more time to. */
  readonly isVirtualMachine: boolean
  readonly isFloor: boolean
  /** A running broker that keeps the durability; null where it cannot serve the row. */
  place(row: Pick<Row, 'durability' | 'floor' | 'name'>): Promise<Place | null>
  /** For whole lives of brokers of this kind; null for one that only was pointed at. */
  readonly launch: Launch | null
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

/** The program of a build: the bundle, or where there is none the modules it is made of. */
function programOf(build: string, asModules: boolean): string {
  const bundle = resolve(build, 'bin/moldau.cjs')
  return existsSync(bundle) && !asModules ? bundle : resolve(build, 'broker/moldau.cjs')
}

/** A moldau for each of its two policies, started when a row first needs it. */
export function moldauOf(name: string, build: string, options: SubjectOptions): Subject {
  const program = programOf(build, options.asModules === true)
  if (!existsSync(program)) throw new Error(`${build} holds no build of moldau`)
  const launch: Launch = { kind: 'moldau', program, settings: options.set, flags: options.nodeFlags ?? [] }
  const running = new Map<string, { child: ChildProcess; place: Place }>()
  const start = async (policy: string) => {
    const directory = freshDirectory(options.directory)
    const settings = ['listeners=PLAINTEXT://127.0.0.1:0', `log.dirs=${directory}`, `moldau.log.flush.policy=${policy}`]
    const child = spawnMoldau(launch, settings, 'pipe')
    const [bootstrap, [url]] = await Promise.all([readyOn(child), said(child, /http:\/\/\S+:\d+/)])
    const place = { bootstrap, pids: [child.pid as number], configs: {}, isFloor: false, metricsUrl: `${url}/metrics` }
    return { child, place }
  }
  return {
    name,
    isVirtualMachine: false,
    isFloor: false,
    launch,
    place: async ({ durability }) => {
      const policy = durability === 'page-cache' ? 'page-cache' : 'group-commit'
      const found = running.get(policy) ?? (await start(policy))
      running.set(policy, found)
      return found.place
    },
    end: async () => {
      for (const { child } of running.values()) await ended(child, 'SIGTERM')
    }
  }
}

/** Null where the program is not. */
export function kafkaOf(options: SubjectOptions): Subject | null {
  const program = resolve(options.kafka)
  if (!existsSync(program)) return null
  let running: Promise<{ home: KafkaHome; directory: string; place: Place }> | undefined
  const start = async () => {
    const directory = freshDirectory(options.directory)
    const home = new KafkaHome(program, directory)
    const port = await freePort()
    await home.start(port, [])
    const place = { bootstrap: `127.0.0.1:${port}`, pids: [home.pid], configs: {}, isFloor: false }
    return { home, directory, place }
  }
  return {
    name: 'kafka',
    isVirtualMachine: true,
    isFloor: false,
    launch: { kind: 'kafka', program, settings: [], flags: [] },
    place: async ({ durability }) => {
      running ??= start()
      return { ...(await running).place, configs: syncing(durability) }
    },
    end: async () => {
      if (running === undefined) return
      const { home, directory } = await running
      await home.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  }
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
    launch: null,
    place: async ({ durability }) => ({ bootstrap, pids, configs: syncing(durability), isFloor: false }),
    end: async () => {}
  }
}

/** `mode`: take-write, take, give (from memory), give-file. One process each, so that its CPU is its own. */
export function floorOf(mode: 'take-write' | 'take' | 'give' | 'give-file', options: SubjectOptions): Subject {
  let running: { child: ChildProcess; place: Place } | undefined
  let answerBytes = 0
  const start = async (bytes: number) => {
    const file = join(freshDirectory(options.directory), 'floor')
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
    launch: null,
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
