// One loop that fetches from one leader: one connection, one fetch at a time, one session (KIP-227) that names only what
// changed. A partition is left out while its log is at work (written but not synced, being cut) or after a failure; the
// others go on. What came with one answer is synced together before the next fetch goes out, but a slow log is waited
// for only briefly. Each answer belongs to what was asked: what has changed since is thrown away (broker/following.ts).
import { ErrorCode } from '../protocol/errors.ts'
import { isFailure } from '../protocol/failure.ts'
import { Holds } from '../protocol/memory-pool.ts'
import { fetch } from '../protocol/messages/fetch.ts'
import { listOffsets } from '../protocol/messages/list-offsets.ts'
import type { Api, RequestDraft, ResponseOf } from '../protocol/schema.ts'
import type { BrokerId, Offset, Uuid } from '../protocol/types.ts'
import type { Clock, Timer } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import type { Following } from './following.ts'
import type { Logger } from './log.ts'
import type { Partition } from './partition.ts'
import { ReplicaSession, type SessionMember } from './replica-session.ts'

/** A connection to a leader; a PeerLink is one. Rejects with ERR_REFUSED, ERR_DISCONNECTED, ERR_TIMEOUT, ERR_CLOSED. */
export interface ReplicaLink {
  /** With `holds` the bytes of the response are good until those are let go. */
  send<A extends Api>(
    api: A,
    version: number,
    request: RequestDraft<A>,
    timeoutMs?: number,
    holds?: Holds
  ): Promise<ResponseOf<A>>
  close(): void
}

export interface ReplicaFetcherOptions {
  readonly leaderId: BrokerId
  readonly nodeId: BrokerId
  /** Of this life: the leader refuses what an earlier one says (KIP-903). */
  readonly brokerEpoch: () => number
  readonly openLink: () => ReplicaLink
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly log: Logger
}

interface Entry extends SessionMember {
  readonly partition: Partition
  following: Following
  /** Of `following`, as last seen. */
  backOff: number
  retryAtMs: number
  isLocating: boolean
}

const FETCH_VERSION = 18
const LIST_OFFSETS_VERSION = 11
const LATEST = -1
const EARLIEST = -2
const SHORTEST_BACK_OFF_MS = 20
/** Of one partition: most often its leader is in office a moment later, when it has read what this broker has read. */
const SHORTEST_PARTITION_BACK_OFF_MS = 2
/** How often a leader is asked where the disk is below its reserve: for no records, only for how far deletion may go on. */
const ROOM_BACK_OFF_MS = 500
/** The other partitions wait for a slow sync so long, once. */
const SYNC_ROUND_MS = 50
/** How long a fetch may wait at the leader while a partition of ours is about to come back. */
const SHORT_WAIT_MS = 20
/** Beyond the time that the leader may wait; then the connection is given up, long before replica.socket.timeout.ms. What
 *  is large, or comes over a thin wire, may need more: twice as much after a time-out, and once more, but no end of it. */
const PATIENCE_MS = 3_000
const DOUBLED_AT_MOST = 2
/** Partitions that are to be followed at once may end a fetch that waits at the leader, but only so often. */
const INTERRUPT_AFTER_MS = 1
const INTERRUPT_EVERY_MS = 30

export class ReplicaFetcher {
  readonly leaderId: BrokerId
  readonly #o: ReplicaFetcherOptions
  readonly #entries = new Map<string, Entry>()
  /** What to ask of them may differ from what the session has. */
  readonly #changed = new Set<Entry>()
  readonly #backingOff = new Set<Entry>()
  readonly #busy = new Set<Entry>()
  /** In the present fetch without room for records: out of the session after its answer. */
  readonly #short = new Set<Entry>()
  /** Of the last answer: the next fetch waits for these, a little. */
  readonly #round = new Set<Entry>()
  readonly #session = new ReplicaSession()
  #link: ReplicaLink | null = null
  #isWaitingAtLeader = false
  #interrupt: Timer | null = null
  #interruptedMs = Number.NEGATIVE_INFINITY
  #failures = 0
  /** Of the failures, those for want of an answer. */
  #timeOuts = 0
  #retriesNow = false
  #wake: (() => void) | null = null
  #isRunning = false
  #isStopped = false

  constructor(options: ReplicaFetcherOptions) {
    this.#o = options
    this.leaderId = options.leaderId
  }

  get isIdle(): boolean {
    return this.#entries.size === 0
  }

  follow(partition: Partition, following: Following): void {
    const { topicId } = partition
    const index = partition.topicPartition.partition
    const key = keyOf(topicId, index)
    const known = this.#entries.get(key)
    if (known?.partition === partition && known.following === following) return
    if (known) this.unfollow(known.partition)
    const entry: Entry = {
      topicId,
      index,
      partition,
      following,
      sent: null,
      maxBytes: 0,
      backOff: 0,
      retryAtMs: 0,
      isLocating: false
    }
    this.#entries.set(key, entry)
    following.onChange = () => this.#refresh(entry)
    this.#retriesNow = true
    this.#refresh(entry)
    this.#hurry()
    if (this.#isRunning) return
    this.#isRunning = true
    // What else is to be followed at the same time goes with the first fetch.
    this.#o.clock.endOfTurn(() => void this.#run())
  }

  unfollow(partition: Partition): void {
    const key = keyOf(partition.topicId, partition.topicPartition.partition)
    const entry = this.#entries.get(key)
    if (entry?.partition !== partition) return
    this.#entries.delete(key)
    entry.following.onChange = () => {}
    for (const set of [this.#changed, this.#backingOff, this.#busy, this.#short, this.#round]) set.delete(entry)
    this.#session.set(entry, null)
    this.#wake?.()
  }

  /** Something is known that may end a failure. */
  retryNow(): void {
    for (const entry of this.#backingOff) {
      entry.retryAtMs = 0
      this.#changed.add(entry)
    }
    this.#retriesNow = true
    this.#wake?.()
  }

  stop(): void {
    this.#isStopped = true
    this.#interrupt?.cancel()
    for (const entry of this.#entries.values()) entry.following.onChange = () => {}
    this.#entries.clear()
    this.#link?.close()
    this.#wake?.()
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const request = this.#prepare()
      if (request === null) await this.#pause(this.#untilRetryMs(), () => this.#changed.size > 0)
      else if (await this.#exchange(request)) await this.#pause(SYNC_ROUND_MS, () => this.#round.size === 0)
      else await this.#pause(backOffMs(this.#failures, this.#longestBackOffMs()), () => this.#retriesNow)
      this.#retriesNow = false
    }
  }

  /** Resolves when `until` holds, at the latest after `limitMs`. */
  #pause(limitMs: number, until: () => boolean): Promise<void> {
    if (limitMs <= 0 || until() || this.#isStopped) return Promise.resolve()
    return new Promise(resolve => {
      const done = (): void => {
        timer?.cancel()
        this.#wake = null
        resolve()
      }
      const timer = Number.isFinite(limitMs) ? this.#o.clock.after(limitMs, done) : null
      this.#wake = () => {
        if (until() || this.#isStopped) done()
      }
    })
  }

  /** Looks again at what a partition needs. */
  #refresh(entry: Entry): void {
    const { following } = entry
    if (following.backOff !== entry.backOff) {
      entry.backOff = following.backOff
      const waitMs = backOffMs(entry.backOff, this.#longestBackOffMs(), SHORTEST_PARTITION_BACK_OFF_MS)
      entry.retryAtMs = entry.backOff === 0 ? 0 : this.#o.clock.monotonicMs() + waitMs
    }
    const isBusy = following.status !== 'offline' && following.ask() === null
    if (isBusy) this.#busy.add(entry)
    else {
      this.#busy.delete(entry)
      this.#round.delete(entry)
    }
    if (entry.retryAtMs > 0) this.#backingOff.add(entry)
    else this.#backingOff.delete(entry)
    this.#changed.add(entry)
    if (following.status === 'locating' && !entry.isLocating) void this.#locate(entry, following)
    this.#wake?.()
  }

  /** The next fetch; null when there is nothing to fetch. */
  #prepare(): RequestDraft<typeof fetch> | null {
    const { config, nodeId, brokerEpoch } = this.#o
    const nowMs = this.#o.clock.monotonicMs()
    for (const entry of this.#backingOff) {
      if (entry.retryAtMs > nowMs) continue
      this.#backingOff.delete(entry)
      entry.retryAtMs = 0
      this.#changed.add(entry)
    }
    if (this.#session.isFull) {
      this.#session.restart()
      for (const entry of this.#entries.values()) this.#changed.add(entry)
    }
    this.#short.clear()
    for (const entry of this.#changed) {
      const ask = entry.retryAtMs > 0 ? null : entry.following.ask()
      const isShort = ask !== null && entry.following.isShortOfRoom
      if (isShort) this.#short.add(entry)
      entry.maxBytes = isShort ? 0 : config.get('replica.fetch.max.bytes')
      this.#session.set(entry, ask)
    }
    this.#changed.clear()
    if (this.#session.size === 0) {
      this.#session.restart()
      return null
    }
    return {
      replicaState: { replicaId: nodeId, replicaEpoch: brokerEpoch() },
      maxWaitMs: this.#maxWaitMs(),
      minBytes: config.get('replica.fetch.min.bytes'),
      maxBytes: config.get('replica.fetch.response.max.bytes'),
      isolationLevel: 0,
      ...this.#session.request(),
      rackId: ''
    }
  }

  /** It falls behind, and out of the in-sync set by its lag, until there is room again. */
  #waitForRoom(entry: Entry): void {
    entry.retryAtMs = Math.max(entry.retryAtMs, this.#o.clock.monotonicMs() + ROOM_BACK_OFF_MS)
    this.#backingOff.add(entry)
    this.#changed.add(entry)
  }

  #maxWaitMs(): number {
    const longest = this.#o.config.get('replica.fetch.wait.max.ms')
    const limit = this.#busy.size > 0 ? Math.min(longest, SHORT_WAIT_MS) : longest
    return Math.max(0, Math.min(limit, Math.ceil(this.#untilRetryMs())))
  }

  #untilRetryMs(): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const { retryAtMs } of this.#backingOff) earliest = Math.min(earliest, retryAtMs)
    return Math.max(1, earliest - this.#o.clock.monotonicMs())
  }

  #longestBackOffMs(): number {
    return this.#o.config.get('replica.fetch.backoff.ms')
  }

  /** False: back off. */
  async #exchange(request: RequestDraft<typeof fetch>): Promise<boolean> {
    this.#link ??= this.#o.openLink()
    const link = this.#link
    this.#isWaitingAtLeader = (request.maxWaitMs ?? 0) > SHORT_WAIT_MS
    const holds = new Holds()
    try {
      const response = await link.send(fetch, FETCH_VERSION, request, this.#limitMs(), holds)
      return this.#isStopped || this.#take(response)
    } catch (error) {
      this.#session.lost()
      // Interrupted by ourselves.
      if (this.#link !== link || this.#isStopped) return true
      return this.#failed(error)
    } finally {
      // What was appended is held by the log.
      holds.letGo()
      this.#isWaitingAtLeader = false
    }
  }

  /** A fetch and what is asked behind it on the same connection have the same time: one too late ends both. */
  #limitMs(): number {
    const { config } = this.#o
    const patienceMs = PATIENCE_MS * 2 ** Math.min(DOUBLED_AT_MOST, this.#timeOuts)
    return Math.min(config.get('replica.fetch.wait.max.ms') + patienceMs, config.get('replica.socket.timeout.ms'))
  }

  #failed(error: unknown): false {
    const { leaderId } = this
    if (isFailure(error, 'ERR_TIMEOUT')) this.#timeOuts++
    if (this.#failures === 0) this.#o.log.warn({ err: error, leaderId }, 'replica-fetch-failing')
    this.#failures++
    return false
  }

  #take({ errorCode, sessionId, responses }: ResponseOf<typeof fetch>): boolean {
    if (errorCode !== ErrorCode.NONE) {
      this.#session.refused(errorCode)
      this.#failures++
      // A lost session is no failure, unless it happens again at once.
      return this.#failures === 1
    }
    if (this.#failures > 0) this.#o.log.info({ leaderId: this.leaderId }, 'replica-fetch-recovered')
    this.#failures = this.#timeOuts = 0
    this.#session.answered(sessionId)
    this.#round.clear()
    for (const { topicId, partitions } of responses) {
      for (const answer of partitions) {
        const entry = this.#entries.get(keyOf(topicId, answer.partitionIndex))
        if (!entry?.sent) continue
        // Both watermarks and a divergence may free what the disk lacks.
        const isDropped = entry.following.isShortOfRoom && (answer.records?.length ?? 0) > 0
        entry.following.answered(entry.sent, isDropped ? { ...answer, records: null } : answer)
        this.#refresh(entry)
        if (isDropped) this.#waitForRoom(entry)
        if (this.#busy.has(entry)) this.#round.add(entry)
      }
    }
    for (const entry of this.#short) this.#waitForRoom(entry)
    return true
  }

  async #locate(entry: Entry, following: Following): Promise<void> {
    entry.isLocating = true
    let found: { startOffset: Offset; endOffset: Offset } | null = null
    try {
      const [endOffset, startOffset] = await Promise.all([this.#ask(entry, LATEST), this.#ask(entry, EARLIEST)])
      if (endOffset !== null && startOffset !== null) found = { startOffset, endOffset }
    } catch (error) {
      this.#o.log.debug(
        { err: error, leaderId: this.leaderId, partition: String(entry.partition) },
        'leader-log-not-located'
      )
    }
    if (entry.following !== following) return
    entry.isLocating = false
    following.located(found)
  }

  async #ask(entry: Entry, timestamp: number): Promise<Offset | null> {
    const { topic: name, partition: partitionIndex } = entry.partition.topicPartition
    this.#link ??= this.#o.openLink()
    const { topics } = await this.#link.send(
      listOffsets,
      LIST_OFFSETS_VERSION,
      {
        replicaId: this.#o.nodeId,
        isolationLevel: 0,
        topics: [{ name, partitions: [{ partitionIndex, currentLeaderEpoch: entry.following.leaderEpoch, timestamp }] }]
      },
      this.#limitMs()
    )
    const found = topics[0]?.partitions[0]
    return found?.errorCode === ErrorCode.NONE && found.offset >= 0 ? found.offset : null
  }

  /** A fetch that waits at the leader would hold back what came in since: after a moment, in which more may come, it is
   *  given up with its connection, and the next one names everything. */
  #hurry(): void {
    if (!this.#isWaitingAtLeader || this.#interrupt !== null) return
    const waited = this.#o.clock.monotonicMs() - this.#interruptedMs
    this.#interrupt = this.#o.clock.after(Math.max(INTERRUPT_AFTER_MS, INTERRUPT_EVERY_MS - waited), () => {
      this.#interrupt = null
      if (!this.#isWaitingAtLeader || this.#changed.size === 0) return
      this.#interruptedMs = this.#o.clock.monotonicMs()
      const link = this.#link
      this.#link = null
      link?.close()
    })
  }
}

function keyOf(topicId: Uuid, partition: number): string {
  return `${topicId}:${partition}`
}

/** 0 after no failure; then short, and doubled with each further one. */
function backOffMs(failures: number, longestMs: number, shortestMs = SHORTEST_BACK_OFF_MS): number {
  return failures === 0 ? 0 : Math.min(longestMs, shortestMs * 2 ** Math.min(20, failures - 1))
}
