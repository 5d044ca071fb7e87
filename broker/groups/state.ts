// The replayed state of one partition of __consumer_offsets: committed offsets and the last stored generation of each
// group. Only `apply` writes it, live and at replay; what is not committed yet can be undone to the committed offset.
import type { Offset } from '../../protocol/types.ts'
import type { CommittedOffset, ForeignKind, GroupMetadata, GroupRecord } from './records.ts'

export type OffsetsByTopic = Map<string, Map<number, CommittedOffset>>

/** A commit inside of an open transaction, and where in the log it stands. */
export interface PendingOffset {
  readonly at: Offset
  readonly record: OffsetRecord
}

export type OffsetRecord = Extract<GroupRecord, { kind: 'offset' }>

interface Undo {
  readonly endOffset: Offset
  readonly run: () => void
  /** The offset that a record overwrote. */
  readonly overwrote: Overwritten | null
}

interface Overwritten {
  readonly at: OffsetRecord
  readonly before: CommittedOffset | null
}

export class GroupsState {
  readonly metadata: Map<string, GroupMetadata> = new Map()
  readonly offsets: Map<string, OffsetsByTopic> = new Map()
  /** Groups of protocols that this broker does not speak: kept in the log, left alone. */
  readonly foreign: Map<string, ForeignKind> = new Map()
  /** Offsets committed inside of transactions that are still open, by producer id. */
  readonly pending: Map<number, PendingOffset[]> = new Map()
  #undo: Undo[] = []
  #offsetCount = 0

  /** `endOffset` is the log end offset after the record's batch. */
  apply(record: GroupRecord, endOffset: Offset): void {
    if (record.kind === 'offset') {
      const before = this.#setOffset(record, record.value)
      this.#undo.push({ endOffset, run: () => this.#setOffset(record, before), overwrote: { at: record, before } })
    } else this.#undo.push({ endOffset, run: this.#put(record), overwrote: null })
  }

  /** As apply, for what is known to be committed: nothing to undo. */
  replay(record: GroupRecord): void {
    if (record.kind === 'offset') this.#setOffset(record, record.value)
    else this.#put(record)
  }

  rollback(upto: Offset): void {
    for (let undo = this.#undo.at(-1); undo && undo.endOffset > upto; undo = this.#undo.at(-1)) {
      undo.run()
      this.#undo.pop()
    }
  }

  committed(upto: Offset): void {
    let count = 0
    while (count < this.#undo.length && (this.#undo[count] as Undo).endOffset <= upto) count++
    if (count > 0) this.#undo.splice(0, count)
  }

  /** The offsets of a group as a rollback to `upto` would show them; nothing is rolled back. */
  committedOffsets(group: string, upto: Offset): OffsetsByTopic | undefined {
    const offsets = this.offsets.get(group)
    let shown: OffsetsByTopic | null = null
    const copied = new Set<string>()
    for (let i = this.#undo.length - 1; i >= 0; i--) {
      const { endOffset, overwrote } = this.#undo[i] as Undo
      if (endOffset <= upto) break
      if (overwrote?.at.group !== group) continue
      const { at, before } = overwrote
      shown ??= new Map(offsets)
      const partitions = copied.has(at.topic) ? shown.get(at.topic) : new Map(shown.get(at.topic))
      copied.add(at.topic)
      if (before === null) partitions?.delete(at.partition)
      else partitions?.set(at.partition, before)
      if (partitions) shown.set(at.topic, partitions)
    }
    if (shown === null) return offsets
    for (const topic of copied) if (shown.get(topic)?.size === 0) shown.delete(topic)
    return shown
  }

  /** How many offsets are committed, in all groups. */
  get offsetCount(): number {
    return this.#offsetCount
  }

  clear(): void {
    this.#offsetCount = 0
    this.metadata.clear()
    this.offsets.clear()
    this.foreign.clear()
    this.pending.clear()
    this.#undo = []
  }

  offset(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.offsets.get(group)?.get(topic)?.get(partition)
  }

  /** KIP-447: the position of this partition may be about to change by an open transaction. */
  isUnstable(group: string, topic: string, partition: number): boolean {
    for (const records of this.pending.values()) {
      for (const { record } of records) {
        if (record.group === group && record.topic === topic && record.partition === partition) return true
      }
    }
    return false
  }

  *offsetsOf(group: string): Iterable<{ topic: string; partition: number; value: CommittedOffset }> {
    for (const [topic, partitions] of this.offsets.get(group) ?? []) {
      for (const [partition, value] of partitions) yield { topic, partition, value }
    }
  }

  hasOffsets(group: string): boolean {
    return this.offsets.has(group)
  }

  *groupIds(): Iterable<string> {
    yield* this.metadata.keys()
    for (const group of this.offsets.keys()) if (!this.metadata.has(group)) yield group
  }

  /** Writes one record and gives the way back. */
  #put(record: Exclude<GroupRecord, OffsetRecord>): () => void {
    switch (record.kind) {
      case 'group':
        return replace(this.metadata, record.group, record.value)
      case 'foreign':
        return replace(this.foreign, record.group, record.exists ? record.protocol : null)
      default:
        return record satisfies never
    }
  }

  #setOffset(at: OffsetRecord, value: CommittedOffset | null): CommittedOffset | null {
    let topics = this.offsets.get(at.group)
    let partitions = topics?.get(at.topic)
    const before = partitions?.get(at.partition) ?? null
    if (value !== null) {
      if (!topics) {
        topics = new Map()
        this.offsets.set(at.group, topics)
      }
      if (!partitions) {
        partitions = new Map()
        topics.set(at.topic, partitions)
      }
      partitions.set(at.partition, value)
      if (before === null) this.#offsetCount++
    } else if (topics && partitions && before !== null) {
      partitions.delete(at.partition)
      if (partitions.size === 0) topics.delete(at.topic)
      if (topics.size === 0) this.offsets.delete(at.group)
      this.#offsetCount--
    }
    return before
  }
}

function replace<T>(map: Map<string, T>, key: string, value: T | null): () => void {
  const before = map.get(key)
  if (value === null) map.delete(key)
  else map.set(key, value)
  return () => {
    if (before === undefined) map.delete(key)
    else map.set(key, before)
  }
}
