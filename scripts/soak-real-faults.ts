// Faults for real processes, drawn from a seed: kills, holds, cut links, restarts of all, full disks. Each begins, lasts, and is
// undone by itself; several may overlap, but one node or link has one at a time.
import type { LocalCluster } from '../clients/dev/cluster.ts'
import type { Dice } from '../clients/simulate/dice.ts'
import type { LinkProxy } from './link-proxy.ts'
import type { SmallDisk } from './soak-real-disk.ts'

export const KINDS = ['kill', 'hold', 'cut', 'one-way', 'restart-all', 'disk-full'] as const
export type Kind = (typeof KINDS)[number]

const WEIGHTS: Readonly<Record<Kind, number>> = {
  kill: 30,
  hold: 20,
  cut: 16,
  'one-way': 16,
  'restart-all': 6,
  'disk-full': 12
}
const STOP_LIMIT_MS = 30_000
const GIVE_UP_MS = 10_000

export interface FaultOptions {
  readonly cluster: LocalCluster
  readonly proxy: LinkProxy
  readonly random: Dice
  readonly say: (text: string) => void
  /** The one disk that can be filled. */
  readonly smallDisk: SmallDisk
}

export class Faults {
  readonly counts = new Map<Kind, number>(KINDS.map(kind => [kind, 0]))
  /** Ends of brokers that a full disk explains. */
  diskDeaths = 0
  readonly wrong: string[] = []
  readonly #o: FaultOptions
  readonly #busy = new Set<string>()
  readonly #underWay = new Set<Promise<void>>()
  #isDiskFull = false
  #diskExplainsUntil = 0

  constructor(options: FaultOptions) {
    this.#o = options
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, each) => sum + each, 0)
  }

  /** Begins one; false when what was drawn is not possible just now. */
  async strike(): Promise<boolean> {
    const kind = this.#draw()
    const fault = await this.#prepare(kind)
    if (fault === null) return false
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    for (const each of fault.takes) this.#busy.add(each)
    this.#o.say(`${String(this.total).padStart(4)}  ${fault.what}`)
    const done = fault.run().finally(() => {
      for (const each of fault.takes) this.#busy.delete(each)
      this.#underWay.delete(done)
    })
    this.#underWay.add(done)
    return true
  }

  /** Resolves when everything that was begun is undone. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  /** A broker ended by itself. True where a full disk explains it; then it comes back once there is space. One whose
   *  disk fails takes its time to give up, so this may come after the disk is free again. */
  ended(nodeId: number): boolean {
    if (this.#o.smallDisk.nodeId !== nodeId || performance.now() > this.#diskExplainsUntil) return false
    this.diskDeaths++
    if (!this.#isDiskFull) void pause(500).then(() => this.#start(nodeId))
    return true
  }

  #draw(): Kind {
    const sum = KINDS.reduce((total, kind) => total + WEIGHTS[kind], 0)
    let at = this.#o.random.below(sum)
    for (const kind of KINDS) {
      if (at < WEIGHTS[kind]) return kind
      at -= WEIGHTS[kind]
    }
    return 'kill'
  }

  async #prepare(kind: Kind): Promise<{ what: string; takes: readonly string[]; run: () => Promise<void> } | null> {
    const { random } = this.#o
    switch (kind) {
      case 'kill':
      case 'hold': {
        const nodeId = await this.#victim()
        if (nodeId === null) return null
        const ms = kind === 'kill' ? random.between(100, 6000) : random.between(1000, 20_000)
        const run = kind === 'kill' ? () => this.#kill([nodeId], ms) : () => this.#hold(nodeId, ms)
        return { what: `${kind} node ${nodeId} for ${ms} ms`, takes: [`node ${nodeId}`], run }
      }
      case 'cut':
      case 'one-way':
        return this.#prepareCut(kind)
      case 'restart-all': {
        const ids = this.#o.cluster.layout.map(each => each.nodeId)
        // Whoever is struck just now is waited for: all at the same moment is rare enough.
        while (ids.some(id => this.#busy.has(`node ${id}`))) await pause(100)
        const ms = random.between(100, 2000)
        const isKill = random.below(2) === 0
        const run = () => (isKill ? this.#kill(ids, ms) : this.#stopAll(ids, ms))
        return { what: `${isKill ? 'kill' : 'stop'} all for ${ms} ms`, takes: ids.map(id => `node ${id}`), run }
      }
      case 'disk-full': {
        const disk = this.#o.smallDisk
        if (this.#busy.has(`node ${disk.nodeId}`)) return null
        const ms = random.between(1000, 10_000)
        const leaves = random.below(2) === 0 ? 0 : 1 << 20
        const what = `disk of node ${disk.nodeId} full${leaves > 0 ? ' but for 1 MiB' : ''} for ${ms} ms`
        return { what, takes: [`node ${disk.nodeId}`], run: () => this.#fill(disk, leaves, ms) }
      }
      default:
        return kind satisfies never
    }
  }

  #prepareCut(kind: 'cut' | 'one-way') {
    const { random, proxy, cluster } = this.#o
    const ids = cluster.layout.map(each => each.nodeId)
    const from = random.pick(ids)
    const to = random.pick(ids.filter(each => each !== from))
    const link = `link ${Math.min(from, to)}-${Math.max(from, to)}`
    if (this.#busy.has(link)) return null
    const ms = random.between(500, 15_000)
    const mode = kind === 'cut' && random.below(2) === 0 ? 'reset' : 'hold'
    const ways: [number, number][] =
      kind === 'cut'
        ? [
            [from, to],
            [to, from]
          ]
        : [[from, to]]
    const run = async () => {
      for (const [a, b] of ways) proxy.cut(a, b, mode)
      await pause(ms)
      for (const [a, b] of ways) proxy.heal(a, b)
    }
    const what = `${mode} ${from} ${kind === 'cut' ? '<->' : '->'} ${to} for ${ms} ms`
    return { what, takes: [link], run }
  }

  /** Any node, the controller, or whoever leads most: those that hurt are drawn more often. */
  async #victim(): Promise<number | null> {
    const { cluster, random } = this.#o
    const free = cluster.processes.filter(each => each.isUp && !this.#busy.has(`node ${each.nodeId}`))
    if (free.length === 0) return null
    const controller = random.below(3) === 0 ? await cluster.controller(500) : null
    const isFree = free.some(each => each.nodeId === controller && !this.#busy.has(`node ${each.nodeId}`))
    return isFree && controller !== null ? controller : random.pick(free).nodeId
  }

  async #kill(ids: readonly number[], downMs: number): Promise<void> {
    const { cluster, proxy } = this.#o
    for (const id of ids) await proxy.down(id)
    await Promise.all(ids.map(id => cluster.process(id).kill()))
    await pause(downMs)
    await Promise.all(ids.map(id => this.#start(id)))
  }

  async #stopAll(ids: readonly number[], downMs: number): Promise<void> {
    const { proxy } = this.#o
    await Promise.all(ids.map(id => this.#stop(id)))
    for (const id of ids) await proxy.down(id)
    await pause(downMs)
    await Promise.all(ids.map(id => this.#start(id)))
  }

  /** One that does not stop is wrong, and is killed so that the rest can go on. */
  async #stop(nodeId: number): Promise<void> {
    const process = this.#o.cluster.process(nodeId)
    const stopped = process.stop().then(() => true)
    if (await Promise.race([stopped, pause(STOP_LIMIT_MS).then(() => false)])) return
    this.wrong.push(`node ${nodeId} did not stop within ${STOP_LIMIT_MS} ms`)
    await process.kill()
  }

  /** Does not wait until it is ready: that may take others who are down. */
  async #start(nodeId: number): Promise<void> {
    const { cluster, proxy, say } = this.#o
    await proxy.up(nodeId)
    cluster
      .process(nodeId)
      .start()
      .catch(error => {
        if (cluster.process(nodeId).state === 'failed') say(`node ${nodeId} did not start: ${(error as Error).message}`)
      })
  }

  async #hold(nodeId: number, ms: number): Promise<void> {
    const process = this.#o.cluster.process(nodeId)
    process.pause()
    await pause(ms)
    process.resume()
  }

  async #fill(disk: SmallDisk, leaves: number, ms: number): Promise<void> {
    this.#isDiskFull = true
    this.#diskExplainsUntil = Number.POSITIVE_INFINITY
    disk.fill(leaves)
    await pause(ms)
    disk.free()
    await pause(500)
    this.#isDiskFull = false
    this.#diskExplainsUntil = performance.now() + GIVE_UP_MS
    if (this.#o.cluster.process(disk.nodeId).isDown) await this.#start(disk.nodeId)
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
