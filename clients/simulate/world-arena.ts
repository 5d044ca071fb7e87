// Does to a simulated world what faults ask for.
import type { Fault as DiskFault } from '../../storage/files-memory.ts'
import type { Arena, Death, LinkFault } from './arena.ts'
import type { Dice } from './dice.ts'
import type { Ledger } from './ledger.ts'
import { DATA_DIRECTORY, type SimNode } from './node.ts'
import type { World } from './world.ts'

const SLOWNESS = 100
const SLOW_LINK_MS = 1500
const SYNCED_ENDS = `${DATA_DIRECTORY}/moldau-synced-end-checkpoint`

export class WorldArena implements Arena {
  readonly #world: World
  readonly #clientHosts: readonly string[]
  readonly #dice: Dice

  readonly #ledgers: ReadonlyMap<string, Ledger>
  /** Of killed processes, by node and life: from where on their logs will be walked. */
  readonly #recoveryPoints = new Map<string, ReadonlyMap<string, number>>()

  constructor(world: World, clientHosts: readonly string[], ledgers: ReadonlyMap<string, Ledger>) {
    this.#world = world
    this.#ledgers = ledgers
    this.#clientHosts = clientHosts
    this.#dice = world.dice.of('arena')
  }

  get nodeCount(): number {
    return this.#world.nodes.length
  }

  isUp(index: number): boolean {
    return this.#node(index).process !== null
  }

  isPaused(index: number): boolean {
    return this.#node(index).process?.isPaused === true
  }

  kill(index: number, death: Death): void {
    const node = this.#node(index)
    if (node.services !== null) {
      const logs = [...node.services.catalog.all()]
      const name = ({ topicPartition: { topic, partition } }: (typeof logs)[number]): string => `${topic}-${partition}`
      this.#recoveryPoints.set(`${index}/${node.lives}`, new Map(logs.map(log => [name(log), log.recoveryPoint])))
    }
    if (death === 'kill') node.kill()
    else if (death === 'crash') node.crash('mixed')
    else node.powerOff('drop')
  }

  async start(index: number): Promise<boolean> {
    return (await this.#node(index).start()) === 'up'
  }

  async stop(index: number): Promise<void> {
    await this.#node(index).stop()
  }

  pause(index: number): void {
    this.#node(index).pause()
  }

  resume(index: number): void {
    this.#node(index).resume()
  }

  setLink(from: number, to: number, how: LinkFault, isOn: boolean): void {
    const { network } = this.#world
    for (const one of this.#hosts(from)) {
      for (const other of this.#hosts(to)) {
        if (how === 'slow') network.delay(one, other, isOn ? this.#dice.between(20, SLOW_LINK_MS) : 0)
        else if (isOn) network.cut(one, other)
        else network.heal(one, other)
      }
    }
  }

  reset(index: number): void {
    const { network, nodes } = this.#world
    const { host } = this.#node(index)
    for (const other of [...nodes.map(each => each.host), ...this.#clientHosts]) {
      if (other !== host) network.reset(host, other)
    }
  }

  setDiskFull(index: number, isFull: boolean): void {
    const { disk } = this.#node(index)
    if (isFull) disk.fill(this.#dice.isOneIn(2) ? 0 : this.#dice.below(20_000))
    else disk.makeRoom()
  }

  setDiskSlow(index: number, isSlow: boolean): void {
    this.#node(index).disk.slowness = isSlow ? SLOWNESS : 1
  }

  failSync(index: number): () => boolean {
    const { disk } = this.#node(index)
    const path = this.#dice.pick(['.log', '', DATA_DIRECTORY])
    const fault: DiskFault = { operation: 'sync', path, code: 'EIO', times: 1 }
    disk.inject(fault)
    return () => disk.withdraw(fault)
  }

  wipe(index: number): void {
    this.#node(index).wipe()
  }

  /** Where recovery looks and knows what was synced: a bit that is lost elsewhere is found by whoever reads it, and one
   *  behind the recorded end cannot be told from a write that was torn. */
  flipBit(index: number): boolean {
    const { disk, id, lives } = this.#node(index)
    const synced = recordedEnds(disk.read(SYNCED_ENDS)?.toString() ?? '')
    const places = [...this.#ledgers.values()].flatMap(({ name, mirrors }) => {
      const from = this.#recoveryPoints.get(`${index}/${lives}`)?.get(name)
      const to = synced.get(name)
      return from === undefined || to === undefined ? [] : (mirrors.get(id)?.placesWithin(from, to) ?? [])
    })
    if (places.length === 0 || this.#dice.isOneIn(4)) {
      return disk.flipBit(this.#dice.pick(['.index', '.timeindex', '.snapshot'])) !== null
    }
    const { path, position } = this.#dice.pick(places)
    // Beyond the offset and the epoch, which no checksum covers.
    return disk.flipBitAt(path, position + 17 + this.#dice.below(50))
  }

  jumpClock(index: number, ms: number): void {
    this.#node(index).jumpClock(ms)
  }

  #node(index: number): SimNode {
    return this.#world.nodes[index] as SimNode
  }

  #hosts(index: number): readonly string[] {
    return index < this.nodeCount ? [this.#node(index).host] : this.#clientHosts
  }
}

/** A checkpoint file: a version, a count, and `topic partition offset` in each line. */
function recordedEnds(text: string): Map<string, number> {
  const ends = new Map<string, number>()
  for (const line of text.split('\n').slice(2)) {
    const [topic, partition, offset] = line.split(' ')
    if (offset !== undefined) ends.set(`${topic}-${partition}`, Number(offset))
  }
  return ends
}
