// A cluster of real brokers in one thread, on simulated machines: one seed, one agenda of events, nothing else that happens.
// A seed replays byte for byte: `traceHash` is the same for the same seed, options and calls.
import type { Clock } from '../../broker/clock.ts'
import type { Network } from '../../broker/net/network.ts'
import { memoryPool } from '../../protocol/memory-pool.ts'
import { prepareCompression } from '../../protocol/records/compression.ts'
import { Agenda } from './agenda.ts'
import { wrongIn } from './checkers/log-lines.ts'
import type { Violation } from './checkers/violation.ts'
import { Dice } from './dice.ts'
import { type LogLine, SimNode } from './node.ts'
import type { Latency } from './sim-links.ts'
import { SimNetwork } from './sim-network.ts'
import { SimProcess } from './sim-process.ts'
import { Trace } from './trace.ts'

export interface WorldOptions {
  readonly seed: number | string
  /** Nodes 1 to `brokers`, each broker and controller. */
  readonly brokers?: number
  /** Settings of every broker, by Kafka's names. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** Of every wire between two hosts; 50 to 500 us unless it says otherwise. */
  readonly latency?: Latency
  /** How wrong the wall clocks of the nodes may be, at most. */
  readonly skewMs?: number
}

/** A machine with a program of the test's on it. */
export interface SimClient {
  readonly name: string
  readonly process: SimProcess
  readonly clock: Clock
  readonly random: Dice
  readonly network: Network
}

export const BROKER_PORT = 9092
export const CONTROLLER_PORT = 9093
const START_LIMIT_MS = 60_000
const LINES_KEPT = 5000
const SLAB_BYTES = 8 * 1024

export class World {
  readonly agenda = new Agenda()
  readonly trace = new Trace()
  readonly dice: Dice
  readonly network: SimNetwork
  readonly nodes: readonly SimNode[]
  /** The newest lines of all brokers' logs. */
  readonly lines: LogLine[] = []
  /** How often each message came in them, in the whole run. */
  readonly heard = new Map<string, number>()
  /** Called after every event, when all promises have run out: for checkers. What it throws ends the run. */
  afterEach: (() => void) | null = null
  /** Called when a node's process has ended, by itself (`failure` says why) or not. */
  onEnded: ((node: SimNode) => void) | null = null
  #clients = 0
  #checkedCount = 0
  /** What a broker's log told and must not tell. Whoever logs must not be disturbed: it ends the run after the event. */
  #wrong: Violation | null = null

  constructor({ seed, brokers = 1, settings = {}, latency = { leastUs: 50, mostUs: 500 }, skewMs = 0 }: WorldOptions) {
    // Small slabs go round fast, and show whoever reads memory that he does not hold.
    memoryPool.renew(SLAB_BYTES)
    memoryPool.isPoisonous = true
    this.dice = new Dice(String(seed))
    const { agenda, trace } = this
    this.network = new SimNetwork({ agenda, trace, dice: this.dice.of('network'), latency })
    const ids = Array.from({ length: brokers }, (_, i) => i + 1)
    for (const id of ids) this.network.addHost(hostOf(id))
    const voters = ids.map(id => `${id}@${hostOf(id)}:${CONTROLLER_PORT}`).join(',')
    const skews = this.dice.of('skews')
    this.nodes = ids.map(id => {
      const dice = this.dice.of(`node ${id}`)
      return new SimNode({
        ...{ agenda, trace, dice, id, network: this.network, host: hostOf(id) },
        settings: { ...settingsOf(id, voters), ...settings },
        skewMs: skewMs === 0 ? 0 : skews.between(-skewMs, skewMs),
        onLine: line => this.#hear(line),
        onEnded: node => this.onEnded?.(node)
      })
    })
  }

  get nowMs(): number {
    return this.agenda.nowUs / 1000
  }

  /** The same for the same seed and the same calls, whenever and wherever. */
  get traceHash(): string {
    return this.trace.hash
  }

  node(id: number): SimNode {
    const node = this.nodes[id - 1]
    if (node === undefined) throw new Error(`no node ${id}`)
    return node
  }

  /** Where clients begin. */
  get bootstrap(): { host: string; port: number }[] {
    return this.nodes.map(({ host }) => ({ host, port: BROKER_PORT }))
  }

  /** Starts every node that is down, and waits until all are up. Throws what keeps one from it. */
  async start(): Promise<void> {
    // The one thing that a broker's start loads from outside of the world.
    await prepareCompression()
    const starting = this.nodes.filter(each => each.process === null).map(each => each.start())
    await this.until(Promise.all(starting), START_LIMIT_MS)
    for (const { failure } of this.nodes) if (failure !== null) throw failure
  }

  /** Lets so much simulated time pass. */
  async run(ms: number): Promise<void> {
    await this.agenda.run(this.agenda.nowUs + ms * 1000, () => this.#check(() => false))
  }

  /** Lets the world go on until the promise settles, and gives what it gives. Throws when it has not within that time. */
  async until<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    promise.then(settle, settle)
    const isInTime = await this.agenda.run(this.agenda.nowUs + limitMs * 1000, () => this.#check(() => isSettled))
    if (!isInTime) throw new Error(`not within ${limitMs} ms of simulated time`)
    return await promise
  }

  /** Lets the world go on until the condition holds; false if it does not within that time. */
  waitFor(holds: () => boolean, limitMs: number): Promise<boolean> {
    return this.agenda.run(this.agenda.nowUs + limitMs * 1000, () => this.#check(holds))
  }

  /** A machine of its own, with a process that lives until `process.end()`. */
  client(name: string): SimClient {
    const { agenda, trace } = this
    const dice = this.dice.of(`client ${name}`)
    const process = new SimProcess({ agenda, trace, dice, skewMs: () => 0, id: ++this.#clients })
    this.network.addHost(name)
    return { name, process, clock: process.clock, random: process.random, network: this.network.attach(name, process) }
  }

  /** Nothing happens here any more. */
  end(): void {
    this.onEnded = null
    this.afterEach = null
    for (const each of this.nodes) each.kill()
  }

  #check(isDone: () => boolean): boolean {
    if (this.#wrong !== null) throw this.#wrong
    if (this.afterEach !== null && this.agenda.count !== this.#checkedCount) {
      this.#checkedCount = this.agenda.count
      this.afterEach()
    }
    return isDone()
  }

  #hear(line: LogLine): void {
    this.trace.addText(line.msg)
    this.#wrong ??= wrongIn(line)
    this.heard.set(line.msg, (this.heard.get(line.msg) ?? 0) + 1)
    if (this.lines.push(line) > LINES_KEPT * 2) this.lines.splice(0, LINES_KEPT)
  }
}

function hostOf(id: number): string {
  return `broker-${id}`
}

function settingsOf(id: number, voters: string): Record<string, string | number> {
  const host = hostOf(id)
  return {
    'node.id': id,
    'process.roles': 'broker,controller',
    listeners: `PLAINTEXT://${host}:${BROKER_PORT},CONTROLLER://${host}:${CONTROLLER_PORT}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.quorum.voters': voters,
    'moldau.http.listener': 'off'
  }
}
