// One node of the simulated quorum: a disk that loses what is not synced, and the smallest shell that performs effects
// as they ask for it: in order, nothing before a `store` is done, inputs one after another.
import assert from 'node:assert/strict'
import type { StoredVote } from '../../../replication/quorum/state.ts'
import {
  type At,
  createQuorum,
  type Effect,
  type Input,
  nextDeadlineMs,
  type Quorum,
  toldHighWatermark
} from '../../../replication/quorum/step.ts'
import type { Entry } from './invariants.ts'
import type { World } from './world.ts'

/** The step function is a parameter, so that a test can plant bugs into it. */
export type Step = (quorum: Quorum, input: Input, at: At) => Effect[]

export interface FetchRequest {
  readonly by: number
  readonly epoch: number
  readonly from: number
  readonly lastFetchedEpoch: number
  readonly highWatermark: number
}

export type FetchAnswer =
  | { readonly kind: 'refused'; readonly epoch: number; readonly leaderId: number }
  | { readonly kind: 'diverging'; readonly epoch: number; readonly divergingEpoch: number; readonly endOffset: number }
  | {
      readonly kind: 'records'
      readonly epoch: number
      readonly from: number
      readonly entries: readonly Entry[]
      readonly highWatermark: number
    }

export interface Disk {
  log: Entry[]
  syncedEndOffset: number
  stored: StoredVote | null
}

export class QuorumNode {
  readonly id: number
  readonly #world: World
  disk: Disk = { log: [], syncedEndOffset: 0, stored: null }
  quorum!: Quorum
  life = 0
  wipes = 0
  isUp = false
  /** Lost its disk, and is not a voter again. */
  isWiped = false
  /** By its effects, as a shell knows it. */
  leads = -1
  follows: { leaderId: number; epoch: number } | null = null
  seen = { epoch: 0, highWatermark: -1 }
  /** Up to here its log was compared with what is committed, in this life. */
  checked = 0
  /** The highest epoch in which it said anything as a voter. */
  promised = 0
  #jobs: (() => void)[] = []
  #storing: StoredVote | null = null
  #syncs = 0
  #ticks = 0
  #fetches = 0

  constructor(id: number, world: World) {
    this.id = id
    this.#world = world
  }

  start(): void {
    const { id } = this
    const { voters, timeouts, isFormatted } = this.#world
    this.life++
    this.isUp = true
    this.#jobs = []
    this.#storing = null
    this.leads = -1
    this.follows = null
    const { stored, log } = this.disk
    this.disk.syncedEndOffset = log.length
    this.quorum = createQuorum({ nodeId: id, voters, timeouts, stored, isFormatted: isFormatted && !this.isWiped })
    this.seen = { epoch: 0, highWatermark: -1 }
    this.checked = 0
    this.give({ kind: 'started', ...this.#logEnd() })
    assert(this.quorum.epoch >= this.promised, `node ${id} forgot epoch ${this.promised}`)
  }

  /** Loses what is not synced, or less; of a write to the quorum state under way, all or nothing. */
  crash(): void {
    const { log, syncedEndOffset } = this.disk
    this.isUp = false
    this.life++
    if (this.#storing !== null && this.#world.chance() < 0.5) this.disk.stored = this.#storing
    this.disk.log = log.slice(0, syncedEndOffset + this.#world.below(log.length - syncedEndOffset + 1))
    this.disk.syncedEndOffset = Math.min(syncedEndOffset, this.disk.log.length)
  }

  wipe(): void {
    this.disk = { log: [], syncedEndOffset: 0, stored: null }
    this.promised = 0
    this.wipes++
    this.isWiped = true
  }

  /** As soon as no `store` is under way. */
  give(input: Input): void {
    this.run(() => this.#take(input))
  }

  run(job: () => void): void {
    this.#jobs.push(job)
    this.#drain()
  }

  append(value: string): void {
    if (this.leads === -1) return
    this.disk.log.push({ epoch: this.leads, value })
    this.#appended()
  }

  serveFetch(request: FetchRequest, answer: (answer: FetchAnswer) => void): void {
    this.run(() => {
      const { quorum, disk } = this
      const { epoch, leaderId } = quorum
      if (this.leads === -1 || request.epoch !== epoch) {
        answer({ kind: 'refused', epoch, leaderId })
        return
      }
      const { by, from, lastFetchedEpoch, highWatermark } = request
      const endOffset = endOfEpoch(disk.log, lastFetchedEpoch)
      if (from > endOffset || (disk.log[from - 1]?.epoch ?? 0) !== lastFetchedEpoch) {
        this.#take({ kind: 'fetched', by, from: -1, highWatermark })
        const divergingEpoch = disk.log[endOffset - 1]?.epoch ?? 0
        answer({ kind: 'diverging', epoch, divergingEpoch, endOffset })
        return
      }
      this.#take({ kind: 'fetched', by, from, highWatermark })
      const entries = disk.log.slice(from, from + this.#world.fetchRecords)
      answer({ kind: 'records', epoch, from, entries, highWatermark: toldHighWatermark(quorum) })
    })
  }

  #take(input: Input): void {
    const at = { nowMs: this.#world.nowMs, chance: this.#world.chance() }
    const effects = this.#world.step(this.quorum, input, at)
    this.#world.invariants.steps(this)
    if (!this.quorum.isFresh) this.isWiped = false
    this.#perform(effects)
    this.#armTick()
  }

  #perform(effects: readonly Effect[]): void {
    for (const [index, effect] of effects.entries()) {
      if (effect.kind !== 'store') this.#performOne(effect)
      else {
        this.#store(effect, effects.slice(index + 1))
        return
      }
    }
  }

  #store({ epoch, leaderId, votedId }: Effect & { kind: 'store' }, then: readonly Effect[]): void {
    const { life } = this
    this.#storing = { leaderEpoch: epoch, leaderId, votedId }
    this.#world.after(this.#world.diskMs(), this, () => {
      if (life !== this.life) return
      this.disk.stored = this.#storing
      this.#storing = null
      this.#perform(then)
      this.#armTick()
      this.#drain()
    })
  }

  #drain(): void {
    while (this.#storing === null && this.isUp) {
      const job = this.#jobs.shift()
      if (job === undefined) return
      job()
    }
  }

  #performOne(effect: Exclude<Effect, { kind: 'store' }>): void {
    const { id, quorum } = this
    const { invariants } = this.#world
    if (!quorum.isFresh && 'epoch' in effect && effect.kind !== 'resigned') {
      this.promised = Math.max(this.promised, effect.epoch)
    }
    switch (effect.kind) {
      case 'reply':
        this.#world.reply(this, effect)
        break
      case 'send-vote':
        if (!effect.isPreVote) invariants.votes(id, effect.epoch, id)
        this.#world.sendVote(this, effect)
        break
      case 'send-begin':
        this.#world.sendBegin(this, effect)
        break
      case 'send-end':
        this.#world.sendEnd(this, effect)
        break
      case 'lead':
        assert.equal(effect.epoch, this.disk.stored?.leaderEpoch, 'the epoch is on the disk')
        invariants.leads(this, effect.epoch)
        this.leads = effect.epoch
        this.append(`leader ${id} of epoch ${effect.epoch}`)
        break
      case 'follow':
        this.follows = effect
        this.#fetch()
        break
      case 'unattached':
        this.follows = null
        break
      case 'resigned':
        this.leads = -1
        break
      case 'advance-high-watermark':
        invariants.commits(this, effect.to, this.leads !== -1)
        break
      default:
        effect satisfies never
    }
    this.#world.seen(this, effect)
  }

  #logEnd(): { logEndOffset: number; lastEpoch: number } {
    return { logEndOffset: this.disk.log.length, lastEpoch: this.disk.log.at(-1)?.epoch ?? 0 }
  }

  #appended(): void {
    this.give({ kind: 'appended', ...this.#logEnd() })
    const { life } = this
    const syncedEndOffset = this.disk.log.length
    const sync = ++this.#syncs
    this.#world.after(this.#world.diskMs(), this, () => {
      if (life !== this.life || sync !== this.#syncs) return
      this.disk.syncedEndOffset = syncedEndOffset
      this.give({ kind: 'synced', syncedEndOffset })
      if (this.follows !== null) this.#fetch()
    })
  }

  #truncate(endOffset: number): void {
    assert(endOffset >= this.checked, `node ${this.id} cuts off what is committed`)
    if (endOffset < this.disk.log.length) this.disk.log.length = endOffset
    this.#syncs++
    this.disk.syncedEndOffset = this.disk.log.length
    this.give({ kind: 'truncated', ...this.#logEnd(), syncedEndOffset: this.disk.syncedEndOffset })
  }

  /** From the synced end, which is the end: records that are not synced wait for it. */
  #fetch(): void {
    const { follows, disk, life } = this
    if (follows === null || disk.syncedEndOffset < disk.log.length) return
    const fetch = ++this.#fetches
    const from = disk.log.length
    const lastFetchedEpoch = disk.log[from - 1]?.epoch ?? 0
    const request = {
      by: this.id,
      epoch: follows.epoch,
      from,
      lastFetchedEpoch,
      highWatermark: this.quorum.highWatermark
    }
    const isCurrent = () => life === this.life && fetch === this.#fetches && follows === this.follows
    this.#world.sendFetch(this, follows.leaderId, request, answer => {
      if (isCurrent()) this.run(() => isCurrent() && this.#fetched(follows.leaderId, answer))
    })
    this.#world.after(100, this, () => {
      if (isCurrent()) this.#fetch()
    })
  }

  #fetched(from: number, answer: FetchAnswer): void {
    const { epoch } = answer
    const fetch = ++this.#fetches
    if (answer.kind === 'refused') {
      this.give({ kind: 'leader-told', from, epoch, leaderId: answer.leaderId })
      return
    }
    if (answer.kind === 'diverging') {
      const { divergingEpoch, endOffset } = answer
      this.give({ kind: 'fetch-answered', from, epoch, highWatermark: -1 })
      this.#truncate(Math.min(endOffset, endOfEpoch(this.disk.log, divergingEpoch)))
      this.#fetch()
      return
    }
    this.give({ kind: 'fetch-answered', from, epoch, highWatermark: answer.highWatermark })
    if (answer.entries.length > 0) {
      this.disk.log.push(...answer.entries)
      this.#appended()
    } else {
      this.#world.after(40, this, () => {
        if (fetch === this.#fetches) this.#fetch()
      })
    }
  }

  #armTick(): void {
    const deadlineMs = nextDeadlineMs(this.quorum)
    const tick = ++this.#ticks
    if (deadlineMs === Infinity) return
    const { life } = this
    this.#world.after(Math.max(0, deadlineMs - this.#world.nowMs), this, () => {
      if (life === this.life && tick === this.#ticks) this.give({ kind: 'ticked' })
    })
  }
}

/** Where the last epoch not above `epoch` ends. */
function endOfEpoch(log: readonly Entry[], epoch: number): number {
  let end = log.length
  while (end > 0 && (log[end - 1] as Entry).epoch > epoch) end--
  return end
}
