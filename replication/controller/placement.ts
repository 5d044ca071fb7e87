// Where the replicas of new partitions go: over racks first, then over the brokers of a rack, round and round from a
// random start, live brokers before fenced ones, so that leaders and load spread evenly (the aims are those of
// metadata/.../placement/StripedReplicaPlacer.java).
import type { BrokerId } from '../../protocol/types.ts'

export interface UsableBroker {
  readonly brokerId: BrokerId
  readonly rack: string | null
  /** Fenced brokers get replicas only where the live ones do not suffice. */
  readonly fenced: boolean
}

export interface Chance {
  /** A random integer with 0 <= n < limit. */
  below(limit: number): number
}

/** The replicas of each partition, preferred leader first; a string says why it cannot be done. */
export function placeReplicas(
  brokers: readonly UsableBroker[],
  partitionCount: number,
  replicationFactor: number,
  random: Chance
): BrokerId[][] | string {
  if (replicationFactor <= 0) return `Invalid replication factor ${replicationFactor}: it must be positive.`
  if (!brokers.some(broker => !broker.fenced)) {
    return 'All brokers are currently fenced, or have all their log directories cordoned.'
  }
  if (replicationFactor > brokers.length) {
    return `The target replication factor of ${replicationFactor} cannot be reached because only ${brokers.length} broker(s) are registered.`
  }
  const placed: BrokerId[][] = []
  // Shuffled again once every live broker led: or the same broker would follow another everywhere, and inherit all of it.
  const turns = Math.max(1, brokers.filter(broker => !broker.fenced).length)
  while (placed.length < partitionCount) {
    const racks = racksOf(brokers, random)
    const firstRack = random.below(racks.length)
    for (let turn = 0; turn < turns && placed.length < partitionCount; turn++) {
      placed.push(placeOne(racks, firstRack + turn, turn, replicationFactor))
    }
  }
  return placed
}

/** What is wrong with a list of replicas that somebody chose; null for nothing. */
export function replicasFault(
  registered: ReadonlyMap<BrokerId, unknown>,
  replicas: readonly BrokerId[]
): string | null {
  const list = 'The manual partition assignment includes'
  if (replicas.length === 0) return `${list} an empty replica list.`
  for (const [index, broker] of replicas.entries()) {
    if (!registered.has(broker)) return `${list} broker ${broker}, but no such broker is registered.`
    if (replicas.indexOf(broker) !== index) return `${list} the broker ${broker} more than once.`
  }
  return null
}

interface Rack {
  readonly live: readonly BrokerId[]
  readonly fenced: readonly BrokerId[]
}

function racksOf(brokers: readonly UsableBroker[], random: Chance): Rack[] {
  const byRack = new Map<string, { live: BrokerId[]; fenced: BrokerId[] }>()
  for (const { brokerId, rack, fenced } of brokers) {
    const key = rack ?? ''
    const own = byRack.get(key) ?? { live: [], fenced: [] }
    byRack.set(key, own)
    ;(fenced ? own.fenced : own.live).push(brokerId)
  }
  const racks = [...byRack.values()].map(own => ({
    live: shuffled(own.live, random),
    fenced: shuffled(own.fenced, random)
  }))
  return shuffled(racks, random)
}

/** One replica per rack in turn, the first on a live broker; partition `turn` begins one broker further in each rack. */
function placeOne(racks: readonly Rack[], firstRack: number, turn: number, replicationFactor: number): BrokerId[] {
  const turned = racks.map((_, index) => racks[(firstRack + index) % racks.length] as Rack)
  const round = Math.floor(turn / racks.length)
  const queues = turned.map(rack => [...rotated(rack.live, round), ...rotated(rack.fenced, round)])
  const leading = turned.findIndex(rack => rack.live.length > 0)
  const replicas = [queues[leading]?.shift() as BrokerId]
  for (let index = leading + 1; replicas.length < replicationFactor; index++) {
    const next = queues[index % queues.length]?.shift()
    if (next !== undefined) replicas.push(next)
  }
  return replicas
}

function rotated<T>(list: readonly T[], by: number): T[] {
  return list.map((_, index) => list[(index + by) % list.length] as T)
}

function shuffled<T>(list: readonly T[], random: Chance): T[] {
  const out = [...list]
  for (let left = out.length - 1; left > 0; left--) {
    const other = random.below(left + 1)
    ;[out[left], out[other]] = [out[other] as T, out[left] as T]
  }
  return out
}
