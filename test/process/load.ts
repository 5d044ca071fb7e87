// What the process tests send and read: idempotent producers that never lose count, positions of groups, whole
// partitions; all by the raw connection, so that every answer is seen as the broker gave it.
import type { Connection } from '../../clients/connection.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { findCoordinator } from '../../protocol/messages/find-coordinator.ts'
import { initProducerId } from '../../protocol/messages/init-producer-id.ts'
import { offsetCommit } from '../../protocol/messages/offset-commit.ts'
import { offsetFetch } from '../../protocol/messages/offset-fetch.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { batchesOf } from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { decodeRecords } from '../../protocol/records/records.ts'
import type { Offset } from '../../protocol/types.ts'

const NONE = 0
const TIMEOUT_MS = 30_000
/** COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, UNKNOWN_TOPIC_OR_PARTITION,
 *  LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER: a client asks again. */
const AGAIN = new Set([14, 15, 16, 3, 5, 6])

export class Refused extends Error {
  readonly errorCode: number
  constructor(errorCode: number, what: string) {
    super(`${what}: error ${errorCode}`)
    this.errorCode = errorCode
  }
}

export async function createTopic(
  connection: Connection,
  name: string,
  numPartitions: number,
  configs: Record<string, string> = {}
): Promise<void> {
  const { topics } = await connection.send(createTopics, 7, {
    topics: [
      {
        name,
        numPartitions,
        replicationFactor: 1,
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value }))
      }
    ],
    timeoutMs: TIMEOUT_MS
  })
  const errorCode = topics[0]?.errorCode
  if (errorCode !== NONE) throw new Refused(errorCode ?? -1, `create ${name}: ${topics[0]?.errorMessage}`)
}

export async function newProducerId(connection: Connection): Promise<{ producerId: number; producerEpoch: number }> {
  return await untilAnswered(async () => {
    const answer = await connection.send(initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 60_000 })
    if (answer.errorCode !== NONE) throw new Refused(answer.errorCode, 'init producer id')
    return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
  })
}

/** One batch to one partition, acks=all; gives the offset of its first record. */
export async function send(
  connection: Connection,
  o: { topic: string; partition: number; records: Buffer; acks?: number }
): Promise<Offset> {
  const answer = await connection.send(produce, 9, {
    acks: o.acks ?? -1,
    timeoutMs: TIMEOUT_MS,
    topicData: [{ name: o.topic, partitionData: [{ index: o.partition, records: o.records }] }]
  })
  const result = answer.responses[0]?.partitionResponses[0]
  if (result?.errorCode !== NONE) throw new Refused(result?.errorCode ?? -1, `produce: ${result?.errorMessage}`)
  return result.baseOffset
}

/** Values of one producer, in order: `name:0`, `name:1`, ... */
export function batchFor(
  name: string,
  from: number,
  count: number,
  id: { producerId: number; producerEpoch: number } | null = null
): Buffer {
  return buildBatch({
    ...(id ? { ...id, baseSequence: from } : {}),
    records: Array.from({ length: count }, (_, i) => ({
      timestamp: 1_700_000_000_000 + from + i,
      key: null,
      value: Buffer.from(`${name}:${from + i}`)
    }))
  })
}

/** Every value of a partition, by offset. */
export async function readAll(connection: Connection, topic: string, partition: number): Promise<Map<Offset, string>> {
  const found = new Map<Offset, string>()
  let fetchOffset = 0
  for (;;) {
    const answer = await connection.send(fetch, 12, {
      maxWaitMs: 0,
      minBytes: 0,
      topics: [{ topic, partitions: [{ partition, fetchOffset, partitionMaxBytes: 4 << 20 }] }]
    })
    const result = answer.responses[0]?.partitions[0]
    if (result?.errorCode !== NONE) {
      if (!AGAIN.has(result?.errorCode ?? -1)) throw new Refused(result?.errorCode ?? -1, `fetch ${topic}-${partition}`)
      continue
    }
    const bytes = result.records ?? Buffer.alloc(0)
    for (const position of batchesOf(bytes)) {
      for (const record of decodeRecords(bytes, position)) {
        found.set(record.offset, String(record.value))
        fetchOffset = record.offset + 1
      }
    }
    if (fetchOffset >= result.highWatermark) return found
  }
}

export async function commit(connection: Connection, group: string, topic: string, offset: Offset): Promise<void> {
  const answer = await connection.send(offsetCommit, 8, {
    groupId: group,
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }] }]
  })
  const errorCode = answer.topics[0]?.partitions[0]?.errorCode ?? -1
  if (errorCode !== NONE) throw new Refused(errorCode, 'offset commit')
}

/** -1 where nothing is committed. Waits while the coordinator loads, as a client does. */
export async function committed(connection: Connection, group: string, topic: string): Promise<Offset> {
  await coordinatorOf(connection, group)
  return await untilAnswered(async () => {
    const answer = await connection.send(offsetFetch, 8, {
      groups: [{ groupId: group, topics: [{ name: topic, partitionIndexes: [0] }] }]
    })
    const found = answer.groups[0]
    if (found?.errorCode !== NONE) throw new Refused(found?.errorCode ?? -1, 'offset fetch')
    return found.topics[0]?.partitions[0]?.committedOffset ?? -1
  })
}

/** Makes `__consumer_offsets` exist too. */
export async function coordinatorOf(connection: Connection, group: string): Promise<void> {
  await untilAnswered(async () => {
    const answer = await connection.send(findCoordinator, 4, { keyType: 0, coordinatorKeys: [group] })
    const errorCode = answer.coordinators[0]?.errorCode ?? -1
    if (errorCode !== NONE) throw new Refused(errorCode, 'find coordinator')
  })
}

/** Asks again while the answer is one that every client takes for "not yet". */
export async function untilAnswered<T>(ask: () => Promise<T>, limitMs = 30_000): Promise<T> {
  const began = Date.now()
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof Refused) || !AGAIN.has(error.errorCode) || Date.now() - began > limitMs) throw error
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
}
