// Three brokers to be measured, whoever made them: moldau's own processes, or Apache Kafka's, by the program that starts them.
// What the benchmark does to them is the same for both.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { LocalCluster } from '../clients/dev/cluster.ts'
import { layOutAnywhere } from '../clients/dev/layout.ts'
import { type Place, Watch } from '../clients/dev/watch.ts'
import { cpuSecondsOf } from './bench/accounts.ts'

export interface Subject {
  readonly name: string
  readonly places: readonly Place[]
  readonly watch: Watch
  /** CPU of all three so far, in seconds. */
  cpuSeconds(): number
  /** SIGKILL; resolves when the signal is sent. */
  kill(nodeId: number): Promise<void>
  pause(nodeId: number): Promise<void>
  resume(nodeId: number): Promise<void>
  /** SIGTERM; resolves when it has ended. */
  stop(nodeId: number): Promise<void>
  /** On its data; returns before it is ready. */
  start(nodeId: number): Promise<void>
  /** Nothing is wrong any more: who is fenced from now on was not struck. */
  healed(): void
  /** Brokers that were fenced though nothing was done to them; null where that cannot be known. */
  unexplained(): readonly string[] | null
  /** Ends all and removes what was made. */
  end(): Promise<void>
}

const COUNT = 3

/** Reads in the brokers' logs who was fenced, and keeps those to whom nothing had been done. */
export class FencingCount {
  readonly unexplained: string[] = []
  readonly #struck = new Set<number>()

  struck(nodeId: number): void {
    this.#struck.add(nodeId)
  }

  healed(): void {
    this.#struck.clear()
  }

  readonly onLine = (nodeId: number, line: string): void => {
    if (!line.includes('"broker-session-expired"')) return
    const { brokerId, why } = JSON.parse(line) as { brokerId: number; why: string }
    if (!this.#struck.has(brokerId)) this.unexplained.push(`broker ${brokerId}, ${why}, said ${nodeId}`)
  }
}

export async function startMoldau(settings: readonly string[]): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'moldau-bench-'))
  const nodes = await layOutAnywhere({ directory, brokers: COUNT, set: settings })
  const fencings = new FencingCount()
  const cluster = new LocalCluster({
    nodes,
    command: [process.execPath, resolve(import.meta.dirname, '../broker/moldau.cjs')],
    onLine: fencings.onLine,
    onFailed: (nodeId, reason) => console.error(`node ${nodeId} ended by itself: ${reason}`)
  })
  await cluster.start()
  return {
    name: 'moldau',
    places: nodes,
    watch: cluster.watch,
    cpuSeconds: () => cluster.processes.reduce((sum, { pid }) => sum + (pid === null ? 0 : cpuSecondsOf(pid)), 0),
    kill: async nodeId => {
      fencings.struck(nodeId)
      void cluster.process(nodeId).kill()
    },
    pause: async nodeId => {
      fencings.struck(nodeId)
      cluster.process(nodeId).pause()
    },
    resume: async nodeId => cluster.process(nodeId).resume(),
    stop: nodeId => {
      fencings.struck(nodeId)
      return cluster.process(nodeId).stop()
    },
    start: async nodeId => {
      // A killed process is gone a moment after the signal.
      await cluster.process(nodeId).kill()
      void cluster.process(nodeId).start()
    },
    healed: () => fencings.healed(),
    unexplained: () => fencings.unexplained,
    end: async () => {
      await cluster.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

/** `program` starts, stops and kills brokers: PROGRAM start DIR -n 3 -p PORT -s key=value ..., PROGRAM kill DIR ID, ... */
export async function startKafka(program: string, name: string, settings: readonly string[]): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'kafka-bench-'))
  const call = async (...words: string[]): Promise<void> => {
    await promisify(execFile)(program, words)
  }
  const port = 25_000 + Math.floor(Math.random() * 3000)
  // In the background of a shell that ends: its output would keep a pipe open.
  await call('start', directory, '-n', String(COUNT), '-p', String(port), ...settings.flatMap(each => ['-s', each]))
  const places = Array.from({ length: COUNT }, (_, index) => ({
    nodeId: index + 1,
    host: '127.0.0.1',
    port: port + index
  }))
  const pidOf = (nodeId: number): number => Number(readFileSync(join(directory, `${nodeId}.pid`), 'utf8'))
  const signal = (nodeId: number, name: NodeJS.Signals) => process.kill(pidOf(nodeId), name)
  const watch = new Watch()
  return {
    name,
    places,
    watch,
    cpuSeconds: () => places.reduce((sum, { nodeId }) => sum + cpuSecondsOf(pidOf(nodeId)), 0),
    kill: async nodeId => void signal(nodeId, 'SIGKILL'),
    pause: async nodeId => void signal(nodeId, 'SIGSTOP'),
    resume: async nodeId => void signal(nodeId, 'SIGCONT'),
    stop: nodeId => call('stop', directory, String(nodeId)),
    start: nodeId => call('restart', directory, String(nodeId)),
    healed: () => {},
    unexplained: () => null,
    end: async () => {
      watch.close()
      await call('stop', directory)
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

/** Resolves when all brokers know each other and every copy of every partition is in sync. */
export async function whole(subject: Subject, limitMs = 180_000): Promise<void> {
  const end = performance.now() + limitMs
  for (;;) {
    const views = await Promise.all(subject.places.map(place => subject.watch.view(place)))
    const isWhole = views.every(
      view =>
        view !== null &&
        view.brokers.length === COUNT &&
        view.partitions.every(each => each.leaderId >= 0 && each.isr.length === each.replicas.length)
    )
    if (isWhole) return
    if (performance.now() > end) throw new Error(`${subject.name} did not become whole in ${limitMs} ms`)
    await new Promise(done => setTimeout(done, 100))
  }
}

export async function controllerOf(subject: Subject): Promise<number> {
  for (;;) {
    const found = await subject.watch.first(subject.places, place => subject.watch.controller(place))
    if (found !== null) return found
    await new Promise(done => setTimeout(done, 50))
  }
}
