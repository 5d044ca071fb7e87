// Incremental fetch sessions (KIP-227): the broker remembers which partitions a client fetches and what it last told
// about each, so that requests and replies name only what changed. Epoch 0 opens, -1 closes or does without, others
// count up and wrap past 2^31-1 to 1. Pure but for the ids: time is passed in. (server/.../FetchManager.java)
import { ErrorCode } from '../protocol/errors.ts'
import { type Uuid, ZERO_UUID } from '../protocol/types.ts'

/** A session unused for so long may be replaced (KafkaBroker.MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS). */
const EVICTION_MS = 120_000
const FINAL_EPOCH = -1
const INITIAL_EPOCH = 0

/** One partition that a client wants, and what it was last told. */
export interface FetchTarget {
  /** What it is called in its session. */
  readonly key: string
  topic: string | null
  readonly topicId: Uuid
  readonly partition: number
  fetchOffset: number
  partitionMaxBytes: number
  currentLeaderEpoch: number
  lastFetchedEpoch: number
  logStartOffset: number
  /** As last told to the client; -1: tell again. */
  toldHighWatermark: number
  toldLastStableOffset: number
  toldLogStartOffset: number
}

export interface FetchedPartition {
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly sizeInBytes: number
  /** Null or absent: none. */
  readonly divergingEpoch?: object | null
}

interface Session {
  readonly id: number
  readonly usesTopicIds: boolean
  readonly isFollower: boolean
  readonly createdMs: number
  lastUsedMs: number
  epoch: number
  /** In the order in which they are served; one that had data goes to the end, so that none starves. */
  readonly targets: Map<string, FetchTarget>
}

export interface SessionRequest {
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly usesTopicIds: boolean
  readonly isFollower: boolean
  readonly targets: readonly FetchTarget[]
  readonly forgotten: readonly { topic: string | null; topicId: Uuid; partition: number }[]
}

/** What one request fetches, and which of the results its reply names. */
export interface FetchContext {
  readonly targets: readonly FetchTarget[]
  /** Session id for the reply, known once the results are. */
  finish(results: readonly FetchedPartition[]): { sessionId: number; include: readonly boolean[] }
}

export class FetchSessions {
  readonly #slots: () => number
  readonly #newId: () => number
  /** In order of last use: the first is the one unused for longest. */
  readonly #sessions = new Map<number, Session>()

  constructor(slots: () => number, newId: () => number) {
    this.#slots = slots
    this.#newId = newId
  }

  get size(): number {
    return this.#sessions.size
  }

  open(request: SessionRequest, nowMs: number): FetchContext | { errorCode: number } {
    const { sessionId, sessionEpoch } = request
    if (sessionEpoch === FINAL_EPOCH || sessionEpoch === INITIAL_EPOCH) {
      if (sessionId !== 0) this.#sessions.delete(sessionId)
      return sessionEpoch === FINAL_EPOCH ? sessionless(request.targets) : this.#full(request, nowMs)
    }
    const session = this.#sessions.get(sessionId)
    if (session === undefined) return { errorCode: ErrorCode.FETCH_SESSION_ID_NOT_FOUND }
    if (session.epoch !== sessionEpoch) return { errorCode: ErrorCode.INVALID_FETCH_SESSION_EPOCH }
    if (session.usesTopicIds !== request.usesTopicIds) return { errorCode: ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR }
    return this.#incremental(session, request, nowMs)
  }

  #full(request: SessionRequest, nowMs: number): FetchContext {
    const { targets } = request
    return {
      targets,
      finish: results => {
        const include = targets.map(() => true)
        if (targets.length === 0 || !this.#makeRoom(request, nowMs)) return { sessionId: 0, include }
        for (const [index, target] of targets.entries()) remember(target, results[index] as FetchedPartition)
        return { sessionId: this.#create(request, nowMs), include }
      }
    }
  }

  #create(request: SessionRequest, nowMs: number): number {
    let id = 0
    while (id === 0 || this.#sessions.has(id)) id = this.#newId()
    this.#sessions.set(id, {
      id,
      usesTopicIds: request.usesTopicIds,
      isFollower: request.isFollower,
      createdMs: nowMs,
      lastUsedMs: nowMs,
      epoch: 1,
      targets: new Map(request.targets.map(target => [target.key, target]))
    })
    return id
  }

  #incremental(session: Session, request: SessionRequest, nowMs: number): FetchContext {
    for (const target of request.targets) update(session, target)
    for (const target of request.forgotten) session.targets.delete(keyOf(target))
    this.#sessions.delete(session.id)
    const targets = [...session.targets.values()]
    if (targets.length === 0) return sessionless(targets)
    session.lastUsedMs = nowMs
    session.epoch = session.epoch === 2 ** 31 - 1 ? 1 : session.epoch + 1
    this.#sessions.set(session.id, session)
    return {
      targets,
      finish: results => ({
        sessionId: session.id,
        include: targets.map((target, index) => report(session, target, results[index] as FetchedPartition))
      })
    }
  }

  /** A follower may take the place of a consumer, a larger session that of a smaller, anybody that of an unused one. */
  #makeRoom(request: SessionRequest, nowMs: number): boolean {
    if (this.#sessions.size < this.#slots()) return true
    const [oldest] = this.#sessions.values()
    if (oldest === undefined) return false
    if (nowMs - oldest.lastUsedMs > EVICTION_MS) return this.#sessions.delete(oldest.id)
    for (const each of this.#sessions.values()) {
      const outranked =
        request.isFollower === each.isFollower
          ? each.targets.size < request.targets.length && nowMs - each.createdMs > EVICTION_MS
          : request.isFollower
      if (outranked) return this.#sessions.delete(each.id)
    }
    return false
  }
}

/** As a request names it. */
export function newTarget(
  topic: string | null,
  topicId: Uuid,
  wanted: {
    readonly partition: number
    readonly fetchOffset: number
    readonly partitionMaxBytes: number
    readonly currentLeaderEpoch: number
    readonly lastFetchedEpoch: number
    readonly logStartOffset: number
  }
): FetchTarget {
  return {
    key: keyOf({ topic, topicId, partition: wanted.partition }),
    topic,
    topicId,
    partition: wanted.partition,
    fetchOffset: wanted.fetchOffset,
    partitionMaxBytes: wanted.partitionMaxBytes,
    currentLeaderEpoch: wanted.currentLeaderEpoch,
    lastFetchedEpoch: wanted.lastFetchedEpoch,
    logStartOffset: wanted.logStartOffset,
    toldHighWatermark: -1,
    toldLastStableOffset: -1,
    toldLogStartOffset: -1
  }
}

/** Sessions hold topics by id where the client does, else by name. */
function keyOf({ topic, topicId, partition }: { topic: string | null; topicId: Uuid; partition: number }): string {
  return topicId === ZERO_UUID ? `${topic}/${partition}` : `${topicId}:${partition}`
}

function sessionless(targets: readonly FetchTarget[]): FetchContext {
  return { targets, finish: () => ({ sessionId: 0, include: targets.map(() => true) }) }
}

function update(session: Session, wanted: FetchTarget): void {
  const known = session.targets.get(wanted.key)
  if (known === undefined) {
    session.targets.set(wanted.key, wanted)
    return
  }
  known.topic = wanted.topic ?? known.topic
  known.fetchOffset = wanted.fetchOffset
  known.partitionMaxBytes = wanted.partitionMaxBytes
  known.currentLeaderEpoch = wanted.currentLeaderEpoch
  known.lastFetchedEpoch = wanted.lastFetchedEpoch
  known.logStartOffset = wanted.logStartOffset
}

function remember(target: FetchTarget, result: FetchedPartition): boolean {
  const changed =
    target.toldHighWatermark !== result.highWatermark ||
    target.toldLastStableOffset !== result.lastStableOffset ||
    target.toldLogStartOffset !== result.logStartOffset
  target.toldHighWatermark = result.errorCode === ErrorCode.NONE ? result.highWatermark : -1
  target.toldLastStableOffset = result.lastStableOffset
  target.toldLogStartOffset = result.logStartOffset
  return changed
}

/** True where the reply must name the partition. */
function report(session: Session, target: FetchTarget, result: FetchedPartition): boolean {
  const changed = remember(target, result)
  if (result.sizeInBytes > 0 && session.targets.size > 1) {
    session.targets.delete(target.key)
    session.targets.set(target.key, target)
  }
  const { errorCode, sizeInBytes, divergingEpoch = null } = result
  return changed || sizeInBytes > 0 || errorCode !== ErrorCode.NONE || divergingEpoch !== null
}
