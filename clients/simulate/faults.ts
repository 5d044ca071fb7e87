// What goes wrong in a run, drawn from the seed as a plain list, so that a failing run can be repeated with fewer of them.
// Faults come in storms with calm between: several at once is what breaks things, and a calm is when a cluster has to
// come back by itself. Which kinds may meet which is decided when they strike (injector.ts), since it depends on the state.
import type { Random } from '../../broker/clock.ts'

/** Every kind of fault: name -> what happens. */
export const FAULTS = {
  kill: 'a process dies (SIGKILL); its disk keeps everything that was written',
  'power-loss': 'a node loses power and falls silent: what was not synced is gone',
  'torn-write': 'a machine crashes: of what was not synced, single sectors remain',
  'power-loss-all': 'all nodes lose power at once',
  pause: 'a process stands still and goes on later (SIGSTOP)',
  cut: 'nothing passes between two nodes, or a node and the clients; what was sent comes later',
  'cut-one-way': 'nothing passes from one node to another; the other way is open',
  isolate: 'a node reaches no other node, and no client reaches it',
  'slow-link': 'what two nodes send to each other takes up to seconds',
  reset: 'all connections of a node break',
  restart: 'a broker stops in order and starts again',
  'restart-all': 'all brokers stop in order and start again',
  'disk-full': 'the disk of a node is full for a while',
  'failed-sync': 'one sync of a disk fails, and the pages are lost',
  'slow-disk': 'a disk takes a hundred times as long',
  wipe: 'a node dies and comes back with an empty disk',
  'flipped-bit': 'a node dies, and a bit of its log is another one when it comes back',
  'clock-jump': 'the wall clock of a node jumps, and later back'
} as const

export type FaultKind = keyof typeof FAULTS
export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[]

export interface Fault {
  readonly atMs: number
  readonly kind: FaultKind
  /** Index of the node that is struck. */
  readonly node: number
  /** Index of the other end of a link; never the same. The number of nodes stands for all clients. */
  readonly other: number
  /** How long it lasts, or how long the node is down. */
  readonly ms: number
  /** For what else is left to chance when it strikes. */
  readonly dice: number
}

export interface FaultPlan {
  readonly fromMs: number
  readonly untilMs: number
  /** On average, from one fault to the next. */
  readonly everyMs: number
  readonly nodes: number
  readonly kinds: readonly FaultKind[]
}

/** Faults of one storm begin within this time. */
const STORM_MS = 14_000
const STORM_SIZE = 6

/** Of so many brokers one can lose its disk: its copies have others, and a majority of the quorum still has its votes. */
export const LEAST_FOR_LOSS = 3

/** With fewer brokers, what they take away is lost, and rightly so. */
export const NEEDS_COPIES: ReadonlySet<FaultKind> = new Set(['wipe', 'flipped-bit'])

export function drawFaults(random: Random, plan: FaultPlan): Fault[] {
  const faults: Fault[] = []
  const kinds = plan.kinds.filter(kind => plan.nodes >= LEAST_FOR_LOSS || !NEEDS_COPIES.has(kind))
  const bag = new Bag(random, kinds)
  let at = plan.fromMs
  while (kinds.length > 0) {
    const size = 1 + random.below(STORM_SIZE)
    // The time of so many faults, give or take a half.
    const gapMs = (plan.everyMs * size * (50 + random.below(101))) / 100
    at += gapMs
    if (at >= plan.untilMs) break
    for (let count = 0; count < size; count++) {
      const atMs = Math.floor(at + (count === 0 ? 0 : random.below(STORM_MS)))
      faults.push(drawFault(random, bag.draw(), atMs, plan.nodes))
    }
  }
  return faults.filter(each => each.atMs < plan.untilMs).sort((a, b) => a.atMs - b.atMs)
}

function drawFault(random: Random, kind: FaultKind, atMs: number, nodes: number): Fault {
  const node = random.below(nodes)
  const other = (node + 1 + random.below(nodes)) % (nodes + 1)
  return { atMs, kind, node, other, ms: drawDuration(random, kind), dice: random.below(2 ** 31) }
}

function drawDuration(random: Random, kind: FaultKind): number {
  switch (kind) {
    case 'kill':
    case 'power-loss':
    case 'torn-write':
    case 'power-loss-all':
    case 'wipe':
    case 'flipped-bit':
      // Sometimes back at once, sometimes long after the session has ended.
      return random.below(2) === 0 ? 50 + random.below(1500) : 1000 + random.below(14_000)
    case 'restart':
    case 'restart-all':
      return random.below(2000)
    case 'reset':
      return 0
    default:
      return 1000 + random.below(19_000)
  }
}

/** Every kind comes as often as every other one: each round through the bag gives each once. */
class Bag {
  readonly #random: Random
  readonly #kinds: readonly FaultKind[]
  #left: FaultKind[] = []

  constructor(random: Random, kinds: readonly FaultKind[]) {
    this.#random = random
    this.#kinds = kinds
  }

  draw(): FaultKind {
    if (this.#left.length === 0) this.#left = [...this.#kinds]
    return this.#left.splice(this.#random.below(this.#left.length), 1)[0] as FaultKind
  }
}

/** `all`, `none`, or names with commas; unknown names are given back as `unknown`. */
export function parseKinds(text: string): { kinds: FaultKind[]; unknown: string[] } {
  if (text === 'all') return { kinds: FAULT_KINDS, unknown: [] }
  const names = text === 'none' ? [] : text.split(',').map(name => name.trim())
  const kinds = FAULT_KINDS.filter(kind => names.includes(kind))
  return { kinds, unknown: names.filter(name => !FAULT_KINDS.includes(name as FaultKind)) }
}

/** By the ids of the brokers, of which there are so many. */
export function shownFault({ atMs, kind, node, other, ms }: Fault, brokers: number): string {
  const where = kind.endsWith('-all') ? '' : ` broker ${node + 1}`
  const end = other === brokers ? 'the clients' : `broker ${other + 1}`
  const link = ['cut', 'cut-one-way', 'slow-link'].includes(kind) ? ` - ${end}` : ''
  return `${(atMs / 1000).toFixed(3)} s: ${kind}${where}${link}${ms > 0 ? ` for ${ms} ms` : ''}`
}
