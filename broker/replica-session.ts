// The follower's end of a fetch session (KIP-227): what the leader remembers of our partitions, so that a request names
// only those that are new, changed or gone. After any failure nobody knows what the leader took in: the next request
// names everything again, and ends the old session by its id (FetchSessionHandler.java).
import { ErrorCode } from '../protocol/errors.ts'
import type { fetch } from '../protocol/messages/fetch.ts'
import type { RequestDraft } from '../protocol/schema.ts'
import type { Uuid } from '../protocol/types.ts'
import type { FetchAsk } from '../replication/follower.ts'

const LARGEST_EPOCH = 2 ** 31 - 1

export interface SessionMember {
  readonly topicId: Uuid
  readonly index: number
  /** As the leader has it; null: not in the session. Only the session writes it. */
  sent: FetchAsk | null
  /** How much to ask for; looked at when it is named. */
  maxBytes: number
}

export class ReplicaSession {
  #id = 0
  #epoch = 0
  readonly #members = new Set<SessionMember>()
  /** To be named by the next request. */
  readonly #named = new Set<SessionMember>()
  readonly #gone = new Map<string, { topicId: Uuid; index: number }>()

  /** How many partitions the leader is asked for. */
  get size(): number {
    return this.#members.size
  }

  /** The next request names everything. */
  get isFull(): boolean {
    return this.#epoch === 0
  }

  /** What to ask of one partition from now on; null: nothing. */
  set(member: SessionMember, ask: FetchAsk | null): void {
    const { sent } = member
    member.sent = ask
    if (ask === null) {
      if (sent === null) return
      this.#members.delete(member)
      this.#named.delete(member)
      this.#gone.set(keyOf(member), { topicId: member.topicId, index: member.index })
      return
    }
    this.#members.add(member)
    this.#gone.delete(keyOf(member))
    if (sent === null || !isSame(sent, ask)) this.#named.add(member)
  }

  /** Begins anew: everybody is out until set again. */
  restart(): void {
    this.#epoch = 0
    for (const member of this.#members) member.sent = null
    this.#members.clear()
    this.#named.clear()
    this.#gone.clear()
  }

  /** The session's part of the next request. */
  request(): Pick<RequestDraft<typeof fetch>, 'sessionId' | 'sessionEpoch' | 'topics' | 'forgottenTopicsData'> {
    const topics = byTopic(this.#named).map(([topicId, members]) => ({
      topicId,
      partitions: members.map(({ index, sent, maxBytes: partitionMaxBytes }) => {
        const { leaderEpoch, fetchOffset, lastFetchedEpoch, logStartOffset } = sent as FetchAsk
        const ask = { fetchOffset, lastFetchedEpoch, logStartOffset, partitionMaxBytes }
        return { partition: index, currentLeaderEpoch: leaderEpoch, ...ask }
      })
    }))
    const forgottenTopicsData = byTopic(this.#gone.values()).map(([topicId, gone]) => ({
      topicId,
      partitions: gone.map(each => each.index)
    }))
    this.#named.clear()
    this.#gone.clear()
    return { sessionId: this.#id, sessionEpoch: this.#epoch, topics, forgottenTopicsData }
  }

  /** The leader took the request in; id 0: it keeps no session. */
  answered(sessionId: number): void {
    this.#id = sessionId
    if (sessionId === 0) this.#epoch = 0
    else this.#epoch = this.#epoch === LARGEST_EPOCH ? 1 : this.#epoch + 1
  }

  refused(errorCode: number): void {
    if (errorCode === ErrorCode.FETCH_SESSION_ID_NOT_FOUND) this.#id = 0
    this.#epoch = 0
  }

  /** Nobody knows whether the leader took the request in. */
  lost(): void {
    this.#epoch = 0
  }
}

function byTopic<T extends { readonly topicId: Uuid }>(members: Iterable<T>): [Uuid, T[]][] {
  const topics = new Map<Uuid, T[]>()
  for (const each of members) {
    const others = topics.get(each.topicId)
    if (others) others.push(each)
    else topics.set(each.topicId, [each])
  }
  return [...topics]
}

function keyOf({ topicId, index }: { readonly topicId: Uuid; readonly index: number }): string {
  return `${topicId}:${index}`
}

function isSame(a: FetchAsk, b: FetchAsk): boolean {
  return (
    a.fetchOffset === b.fetchOffset &&
    a.leaderEpoch === b.leaderEpoch &&
    a.lastFetchedEpoch === b.lastFetchedEpoch &&
    a.logStartOffset === b.logStartOffset
  )
}
