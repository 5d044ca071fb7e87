// Lets faults strike: decides which node can be struck, keeps to what the protocol promises to survive, ends each fault in
// time, and brings dead processes back. At most one node has a damaged disk, until everything is on all disks again:
// two damaged copies of three may lose what was acked, and rightly so.
import type { Clock } from '../../broker/clock.ts'
import { isFailure } from '../../protocol/failure.ts'
import type { Arena, Death, LinkFault } from './arena.ts'
import { OF_DISKS } from './checkers/log-lines.ts'
import { Violation } from './checkers/violation.ts'
import type { Fault, FaultKind } from './faults.ts'
import { sleep } from './models/courier.ts'
import type { Struck } from './statistics.ts'

const DAMAGING = new Set<FaultKind>(['wipe', 'flipped-bit', 'failed-sync', 'disk-full'])
/** How long a supervisor waits before it starts a process that ended by itself. */
const RESTART_MS = 1000
/** A node that a flipped bit keeps from starting gets an empty disk, as people would do it. */
const HOPELESS_AFTER = 12
/** A fault that is over in no time still shakes the cluster for so long. */
const SHOCK_MS = 3000
const GRACEFUL_MS = 30_000
const EXCUSED_MS = 60_000

export class Injector {
  readonly struck: Struck[] = []
  /** Faults that found nobody to strike, or did nothing to whom they struck. */
  readonly skipped = new Map<FaultKind, number>()
  /** Nodes that got an empty disk because nothing else would start them. */
  disksReplaced = 0
  readonly #arena: Arena
  readonly #clock: Clock
  readonly #beforeLoss: (node: number) => void
  /** What faults keep up -> how many do. */
  readonly #kept = new Map<string, number>()
  /** Nodes that are being started or stopped, or that are dead and have a time to come back. */
  readonly #busy = new Set<number>()
  readonly #excused = new Map<number, number>()
  /** Nodes on whose disk a bit has flipped. */
  readonly #bent = new Set<number>()
  #damaged = -1
  #active = 0
  /** Faults under way that may damage a disk. */
  #damaging = 0
  #isHealing = false

  constructor(arena: Arena, clock: Clock, beforeLoss: (node: number) => void) {
    this.#arena = arena
    this.#clock = clock
    this.#beforeLoss = beforeLoss
  }

  /** The node whose disk is damaged, -1 for none. */
  get damaged(): number {
    return this.#damaged
  }

  /** Everything is on all disks again. */
  recovered(): void {
    if (this.#damaging > 0) return
    this.#damaged = -1
    this.#bent.clear()
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
      this.#skip(fault.kind)
      return
    }
    const fromMs = this.#clock.monotonicMs()
    this.#active++
    const isDamaging = DAMAGING.has(fault.kind)
    if (isDamaging) {
      this.#damaging++
      this.#damage(node, fault.ms)
    }
    const begun: Struck = { kind: fault.kind, node, fromMs, toMs: Number.POSITIVE_INFINITY, fault }
    this.struck.push(begun)
    void this.#perform(fault, node).then(hasStruck => {
      this.#active--
      if (isDamaging) this.#damaging--
      if (!hasStruck) this.#skip(fault.kind)
      const toMs = Math.max(this.#clock.monotonicMs(), fromMs + SHOCK_MS)
      this.struck.splice(this.struck.indexOf(begun), 1, ...(hasStruck ? [{ ...begun, toMs }] : []))
    })
  }

  #skip(kind: FaultKind): void {
    this.skipped.set(kind, (this.skipped.get(kind) ?? 0) + 1)
  }

  /** A broker gave up by itself. Throws where no fault is a reason for it; the only one there is, is its disk. */
  ended(node: number, reason: Error): void {
    const excusedMs = this.#excused.get(node) ?? Number.NEGATIVE_INFINITY
    if (this.#clock.monotonicMs() > excusedMs || !isFailure(reason) || !OF_DISKS.has(reason.code)) {
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

  /** Resolves when it is over; false: nothing came of it. */
  async #perform(fault: Fault, node: number): Promise<boolean> {
    const { kind, ms, other, dice } = fault
    switch (kind) {
      case 'kill':
        return this.#die(node, 'kill', ms)
      case 'power-loss':
        return this.#die(node, 'power-loss', ms)
      case 'torn-write':
        return this.#die(node, 'crash', ms)
      case 'power-loss-all':
        return this.#everyNode(each => this.#die(each, dice % 2 === 0 ? 'power-loss' : 'crash', ms + 300 * each))
      case 'wipe':
      case 'flipped-bit':
        return this.#loseBytes(node, kind, ms)
      case 'restart':
        return this.#restart(node, ms)
      case 'restart-all':
        return this.#everyNode(each => this.#restart(each, ms))
      case 'reset':
        this.#arena.reset(node)
        await sleep(this.#clock, SHOCK_MS)
        return true
      case 'failed-sync':
        return this.#failSync(node, ms)
      default:
        return this.#during(ms, this.#condition(kind, node, other, dice))
    }
  }

  /** What begins now and is undone after a while, when no other fault keeps it up. */
  #condition(kind: FaultKind, node: number, other: number, dice: number): { begin: () => void; end: () => void } {
    const arena = this.#arena
    const key = `${kind} ${node}`
    switch (kind) {
      case 'pause':
        return {
          begin: () => this.#again(key, () => arena.pause(node)),
          end: () => this.#letGo(key, () => arena.resume(node))
        }
      case 'disk-full':
      case 'slow-disk': {
        const set = (isOn: boolean): void =>
          kind === 'disk-full' ? arena.setDiskFull(node, isOn) : arena.setDiskSlow(node, isOn)
        return { begin: () => this.#again(key, () => set(true)), end: () => this.#letGo(key, () => set(false)) }
      }
      case 'clock-jump': {
        const jumpMs = (dice % 2 === 0 ? 1 : -1) * (1000 + (dice % 600_000))
        return { begin: () => arena.jumpClock(node, jumpMs), end: () => arena.jumpClock(node, -jumpMs) }
      }
      default: {
        const way = kind === 'slow-link' ? 'slow' : 'cut'
        const links = this.#linksOf(kind, node, other)
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
    for (const [from, to] of links) this.#keep(`${from} ${to} ${way}`, () => this.#arena.setLink(from, to, way, true))
  }

  #open(links: readonly [number, number][], way: LinkFault): void {
    for (const [from, to] of links) this.#letGo(`${from} ${to} ${way}`, () => this.#arena.setLink(from, to, way, false))
  }

  /** The process that stood still, or the disk that was full, may be gone though its time is not over. */
  #again(key: string, begin: () => void): void {
    this.#keep(key, () => {})
    begin()
  }

  #keep(key: string, begin: () => void): void {
    const count = this.#kept.get(key) ?? 0
    this.#kept.set(key, count + 1)
    if (count === 0) begin()
  }

  #letGo(key: string, end: () => void): void {
    const count = this.#kept.get(key) ?? 0
    this.#kept.set(key, count - 1)
    if (count === 1) end()
  }

  async #during(ms: number, { begin, end }: { begin: () => void; end: () => void }): Promise<true> {
    begin()
    await sleep(this.#clock, ms)
    end()
    return true
  }

  async #failSync(node: number, ms: number): Promise<boolean> {
    const end = this.#arena.failSync(node)
    await sleep(this.#clock, ms)
    return end()
  }

  async #everyNode(act: (node: number) => Promise<boolean>): Promise<boolean> {
    const results = await Promise.all(Array.from({ length: this.#arena.nodeCount }, (_, index) => act(index)))
    return results.includes(true)
  }

  /** A node that is dead already stays so until its own time; its machine loses its power all the same. */
  async #die(node: number, death: Death, ms: number): Promise<boolean> {
    const wasUp = this.#arena.isUp(node)
    this.#arena.kill(node, death)
    await this.#stayDead(node, ms)
    return wasUp
  }

  /** Of its disk, while nobody uses it. */
  async #loseBytes(node: number, kind: 'wipe' | 'flipped-bit', ms: number): Promise<boolean> {
    this.#arena.kill(node, 'kill')
    this.#beforeLoss(node)
    let isLost = true
    if (kind === 'wipe') this.#wipe(node)
    else {
      isLost = this.#arena.flipBit(node)
      if (isLost) this.#bent.add(node)
    }
    await this.#stayDead(node, ms)
    return isLost
  }

  #wipe(node: number): void {
    this.#arena.wipe(node)
    this.#bent.delete(node)
  }

  #stayDead(node: number, ms: number): Promise<void> {
    return this.#busy.has(node) ? sleep(this.#clock, ms) : this.#bringBack(node, ms)
  }

  async #restart(node: number, ms: number): Promise<boolean> {
    if (this.#busy.has(node) || !this.#arena.isUp(node) || this.#arena.isPaused(node)) return false
    this.#busy.add(node)
    const isStopped = await Promise.race([
      this.#arena.stop(node).then(() => true),
      sleep(this.#clock, GRACEFUL_MS).then(() => false)
    ])
    // Who does not come to an end is killed, as supervisors do.
    if (!isStopped) this.#arena.kill(node, 'kill')
    this.#busy.delete(node)
    await this.#bringBack(node, ms)
    return true
  }

  async #bringBack(node: number, ms: number): Promise<void> {
    this.#busy.add(node)
    await sleep(this.#clock, ms)
    for (let failures = 0; !(await this.#start(node)); failures++) {
      if (failures >= HOPELESS_AFTER && this.#bent.has(node)) {
        this.#damage(node, 0)
        this.#beforeLoss(node)
        this.#wipe(node)
        this.disksReplaced++
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
