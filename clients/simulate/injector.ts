// Lets faults strike: decides which node can be struck, keeps to what the protocol promises to survive, ends each fault in
// time, and brings dead processes back. At most one node has a damaged disk, until everything is on all disks again:
// two damaged copies of three may lose what was acked, and rightly so.
import type { Clock } from '../../broker/clock.ts'
import type { Arena, Death, LinkFault } from './arena.ts'
import { Violation } from './checkers/violation.ts'
import type { Fault, FaultKind } from './faults.ts'
import { sleep } from './models/courier.ts'
import type { Struck } from './statistics.ts'

const DAMAGING = new Set<FaultKind>(['wipe', 'flipped-bit', 'failed-sync', 'disk-full'])
/** How long a supervisor waits before it starts a process that ended by itself. */
const RESTART_MS = 1000
/** A node that cannot be started any more gets an empty disk, as people would do it. */
const HOPELESS_AFTER = 12
/** A fault that is over in no time still shakes the cluster for so long. */
const SHOCK_MS = 3000
const GRACEFUL_MS = 30_000
const EXCUSED_MS = 60_000

export class Injector {
  readonly struck: Struck[] = []
  readonly skipped = new Map<FaultKind, number>()
  readonly #arena: Arena
  readonly #clock: Clock
  readonly #beforeNewDisk: (node: number) => void
  readonly #cuts = new Map<string, number>()
  /** Nodes that are being started or stopped, or that are dead and have a time to come back. */
  readonly #busy = new Set<number>()
  readonly #excused = new Map<number, number>()
  #damaged = -1
  #active = 0
  /** Faults under way that may damage a disk. */
  #damaging = 0
  #isHealing = false

  constructor(arena: Arena, clock: Clock, beforeNewDisk: (node: number) => void) {
    this.#arena = arena
    this.#clock = clock
    this.#beforeNewDisk = beforeNewDisk
  }

  /** The node whose disk is damaged, -1 for none. */
  get damaged(): number {
    return this.#damaged
  }

  /** Everything is on all disks again. */
  recovered(): void {
    if (this.#damaging === 0) this.#damaged = -1
  }

  get isQuiet(): boolean {
    return this.#active === 0 && this.#busy.size === 0
  }

  /** No new faults; those under way come to their end. */
  heal(): void {
    this.#isHealing = true
  }

  strike(fault: Fault): void {
    const node = this.#isHealing ? -1 : this.#target(fault)
    if (node < 0) {
      this.skipped.set(fault.kind, (this.skipped.get(fault.kind) ?? 0) + 1)
      return
    }
    const fromMs = this.#clock.monotonicMs()
    this.#active++
    const isDamaging = DAMAGING.has(fault.kind)
    if (isDamaging) {
      this.#damaging++
      this.#damage(node, fault.ms)
    }
    const at = this.struck.push({ kind: fault.kind, node, fromMs, toMs: Number.POSITIVE_INFINITY, fault }) - 1
    void this.#perform(fault, node).then(() => {
      this.#active--
      if (isDamaging) this.#damaging--
      const toMs = Math.max(this.#clock.monotonicMs(), fromMs + SHOCK_MS)
      this.struck[at] = { kind: fault.kind, node, fromMs, toMs, fault }
    })
  }

  /** A broker gave up by itself. Throws where no fault is a reason for it. */
  ended(node: number, reason: Error): void {
    const excusedMs = this.#excused.get(node) ?? Number.NEGATIVE_INFINITY
    if (this.#clock.monotonicMs() > excusedMs) {
      throw new Violation('healthy-broker', `node ${node + 1} ended: ${reason.message}`)
    }
    this.#arena.kill(node, 'kill')
    if (!this.#busy.has(node)) void this.#bringBack(node, RESTART_MS)
  }

  /** What comes of it may make the broker give up. */
  #damage(node: number, ms: number): void {
    this.#damaged = node
    const untilMs = this.#clock.monotonicMs() + ms + EXCUSED_MS
    this.#excused.set(node, Math.max(this.#excused.get(node) ?? 0, untilMs))
  }

  /** Index of the node that is struck, -1 for none. */
  #target({ kind, node: wanted }: Fault): number {
    const count = this.#arena.nodeCount
    if (DAMAGING.has(kind) && this.#damaged >= 0) return this.#canStrike(kind, this.#damaged) ? this.#damaged : -1
    for (let step = 0; step < count; step++) {
      const node = (wanted + step) % count
      if (this.#canStrike(kind, node)) return node
    }
    return -1
  }

  #canStrike(kind: FaultKind, node: number): boolean {
    const isRunning = this.#arena.isUp(node) && !this.#busy.has(node)
    switch (kind) {
      case 'cut':
      case 'cut-one-way':
      case 'isolate':
      case 'slow-link':
      case 'slow-disk':
      case 'clock-jump':
      case 'power-loss-all':
        return true
      case 'restart-all':
        return !this.#arena.isPaused(node)
      case 'pause':
      case 'restart':
        return isRunning && !this.#arena.isPaused(node)
      case 'wipe':
      case 'flipped-bit':
        return true
      default:
        return isRunning
    }
  }

  async #perform(fault: Fault, node: number): Promise<void> {
    const { kind, ms, other, dice } = fault
    const arena = this.#arena
    switch (kind) {
      case 'kill':
        return this.#die(node, 'kill', ms)
      case 'power-loss':
        return this.#die(node, 'power-loss', ms)
      case 'torn-write':
        return this.#die(node, 'crash', ms)
      case 'power-loss-all':
        await this.#everyNode((each, index) =>
          this.#die(each, dice % 2 === 0 ? 'power-loss' : 'crash', ms + 300 * index)
        )
        return
      case 'wipe':
        return this.#die(node, 'kill', ms, () => arena.wipe(node))
      case 'flipped-bit':
        return this.#die(node, 'kill', ms, () => arena.flipBit(node, dice))
      case 'restart':
        return this.#restart(node, ms)
      case 'restart-all':
        await this.#everyNode(each => this.#restart(each, ms))
        return
      case 'reset':
        arena.reset(node)
        return sleep(this.#clock, SHOCK_MS)
      case 'failed-sync':
        return this.#failSync(node, ms)
      default:
        return this.#during(ms, this.#condition(kind, node, other, dice))
    }
  }

  /** What begins now and is undone after a while. */
  #condition(kind: FaultKind, node: number, other: number, dice: number): { begin: () => void; end: () => void } {
    const arena = this.#arena
    const links = this.#linksOf(kind, node, other)
    switch (kind) {
      case 'pause':
        return { begin: () => arena.pause(node), end: () => arena.resume(node) }
      case 'disk-full':
        return { begin: () => arena.setDiskFull(node, true), end: () => arena.setDiskFull(node, false) }
      case 'slow-disk':
        return { begin: () => arena.setDiskSlow(node, true), end: () => arena.setDiskSlow(node, false) }
      case 'clock-jump': {
        const jumpMs = (dice % 2 === 0 ? 1 : -1) * (1000 + (dice % 600_000))
        return { begin: () => arena.jumpClock(node, jumpMs), end: () => arena.jumpClock(node, -jumpMs) }
      }
      default: {
        const way = kind === 'slow-link' ? 'slow' : 'cut'
        return { begin: () => this.#close(links, way), end: () => this.#open(links, way) }
      }
    }
  }

  /** Ways that are closed: [from, to], the number of nodes standing for all clients. */
  #linksOf(kind: FaultKind, node: number, other: number): [number, number][] {
    if (kind === 'cut-one-way') return [[node, other]]
    const ends = Array.from({ length: this.#arena.nodeCount + 1 }, (_, index) => index)
    const others = kind === 'isolate' ? ends.filter(each => each !== node) : other === node ? [] : [other]
    return others.flatMap((each): [number, number][] => [
      [node, each],
      [each, node]
    ])
  }

  #close(links: readonly [number, number][], way: LinkFault): void {
    for (const [from, to] of links) {
      const key = `${from} ${to} ${way}`
      const count = this.#cuts.get(key) ?? 0
      this.#cuts.set(key, count + 1)
      if (count === 0) this.#arena.setLink(from, to, way, true)
    }
  }

  #open(links: readonly [number, number][], way: LinkFault): void {
    for (const [from, to] of links) {
      const key = `${from} ${to} ${way}`
      const count = this.#cuts.get(key) ?? 0
      this.#cuts.set(key, count - 1)
      if (count === 1) this.#arena.setLink(from, to, way, false)
    }
  }

  async #during(ms: number, { begin, end }: { begin: () => void; end: () => void }): Promise<void> {
    begin()
    await sleep(this.#clock, ms)
    end()
  }

  async #failSync(node: number, ms: number): Promise<void> {
    this.#arena.failSyncs(node, true)
    await sleep(this.#clock, ms)
    this.#arena.failSyncs(node, false)
  }

  async #everyNode(act: (node: number, index: number) => Promise<void>): Promise<void> {
    await Promise.all(Array.from({ length: this.#arena.nodeCount }, (_, index) => act(index, index)))
  }

  /** `before`: done to the disk while nobody uses it. A node that is dead already stays so until its own time. */
  async #die(node: number, death: Death, ms: number, before?: () => void): Promise<void> {
    this.#arena.kill(node, death)
    if (before) {
      this.#beforeNewDisk(node)
      before()
    }
    if (this.#busy.has(node)) return sleep(this.#clock, ms)
    await this.#bringBack(node, ms)
  }

  async #restart(node: number, ms: number): Promise<void> {
    if (this.#busy.has(node) || !this.#arena.isUp(node) || this.#arena.isPaused(node)) return
    this.#busy.add(node)
    const isStopped = await Promise.race([
      this.#arena.stop(node).then(() => true),
      sleep(this.#clock, GRACEFUL_MS).then(() => false)
    ])
    // Who does not come to an end is killed, as supervisors do.
    if (!isStopped) this.#arena.kill(node, 'kill')
    this.#busy.delete(node)
    await this.#bringBack(node, ms)
  }

  async #bringBack(node: number, ms: number): Promise<void> {
    this.#busy.add(node)
    await sleep(this.#clock, ms)
    for (let failures = 0; !(await this.#start(node)); failures++) {
      if (failures === HOPELESS_AFTER && (this.#damaged < 0 || this.#damaged === node)) {
        this.#damage(node, 0)
        this.#beforeNewDisk(node)
        this.#arena.wipe(node)
      }
      await sleep(this.#clock, RESTART_MS)
    }
    this.#busy.delete(node)
  }

  /** False: it was refused, or died again before it was in service. */
  async #start(node: number): Promise<boolean> {
    if (this.#arena.isUp(node)) return true
    return this.#arena.start(node)
  }
}
