// ListOffsets 1-11: the offset at a timestamp, or at an end of the log. -1 latest (as far as the isolation level lets
// the client see), -2 earliest, -3 the record with the largest timestamp (v7), -4 earliest local (v8), -5 last tiered
// (v9) and -6 earliest not uploaded (v11): nothing is tiered here, so -4 is the log start and -5, -6 answer as Kafka
// does without remote storage.
import { ErrorCode } from '../../protocol/errors.ts'
import { isFailure } from '../../protocol/failure.ts'
import { listOffsets } from '../../protocol/messages/list-offsets.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { refusalOf } from '../epoch-check.ts'
import { CONSUMER, DEBUGGING_CONSUMER, localReplica } from '../local-replica.ts'
import { errorCodeOf } from '../net/dispatch.ts'
import type { Partition } from '../partition.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

type Request = RequestOf<typeof listOffsets>
type Asked = Request['topics'][number]['partitions'][number]

const LATEST = -1
const EARLIEST = -2
const MAX_TIMESTAMP = -3
const EARLIEST_LOCAL = -4
const LATEST_TIERED = -5
const EARLIEST_PENDING_UPLOAD = -6
/** The version in which each special timestamp came; below it the request is not understood. */
const SINCE_VERSION: Readonly<Record<number, number>> = {
  [MAX_TIMESTAMP]: 7,
  [EARLIEST_LOCAL]: 8,
  [LATEST_TIERED]: 9,
  [EARLIEST_PENDING_UPLOAD]: 11
}
const READ_COMMITTED = 1
/** Until then clients know no OFFSET_NOT_AVAILABLE (KIP-207). */
const NOT_AVAILABLE_SINCE = 5

interface Found {
  readonly timestamp: number
  readonly offset: number
  readonly leaderEpoch: number
}
const NOTHING: Found = { timestamp: -1, offset: -1, leaderEpoch: -1 }

export const onListOffsets = handler(listOffsets, async (request, { apiVersion }, services) => {
  const seen = new Map<string, number>()
  for (const { name, partitions } of request.topics) {
    for (const { partitionIndex } of partitions) {
      const key = `${name}/${partitionIndex}`
      seen.set(key, (seen.get(key) ?? 0) + 1)
    }
  }
  const topics = await Promise.all(
    request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(
        distinct(partitions).map(async each => {
          const isTwice = (seen.get(`${name}/${each.partitionIndex}`) ?? 0) > 1
          const answer = isTwice
            ? { errorCode: ErrorCode.INVALID_REQUEST }
            : await answerOne(request, name, each, apiVersion, services)
          return { partitionIndex: each.partitionIndex, ...answer }
        })
      )
    }))
  )
  return { topics }
})

function distinct(partitions: readonly Asked[]): Asked[] {
  return [...new Map(partitions.map(each => [each.partitionIndex, each])).values()]
}

async function answerOne(request: Request, topic: string, asked: Asked, version: number, services: Services) {
  const { timestamp, partitionIndex, currentLeaderEpoch } = asked
  const since = SINCE_VERSION[timestamp]
  if (since !== undefined && version < since) return { errorCode: ErrorCode.UNSUPPORTED_VERSION }
  if (timestamp < EARLIEST_PENDING_UPLOAD) return { errorCode: ErrorCode.UNSUPPORTED_VERSION }
  const leader = services.partitions.locate(topic, null, partitionIndex)
  const located = request.replicaId === DEBUGGING_CONSUMER ? localReplica(leader, partitionIndex, services) : leader
  const errorCode = refusalOf(currentLeaderEpoch, located)
  if (located.partition === null || errorCode !== ErrorCode.NONE) return { errorCode }
  try {
    return await find(located.partition, timestamp, request, version)
  } catch (error) {
    if (!isFailure(error)) throw error
    return { errorCode: errorCodeOf(error) }
  }
}

async function find(
  partition: Partition,
  timestamp: number,
  request: Request,
  version: number
): Promise<Found | { errorCode: number }> {
  const upto = visibleEnd(partition, request)
  if (timestamp === EARLIEST || timestamp === EARLIEST_LOCAL || timestamp === EARLIEST_PENDING_UPLOAD) {
    return timestamp === EARLIEST_PENDING_UPLOAD ? NOTHING : at(partition, partition.logStartOffset)
  }
  if (timestamp === LATEST_TIERED) return NOTHING
  // Until this reign's own start is committed, the end that a client sees could still go back (Partition.scala).
  const mayGoBack = isClient(request) && partition.highWatermark < (partition.epochStartOffset ?? 0)
  const knowsCode = version >= NOT_AVAILABLE_SINCE
  const notAvailable = { errorCode: knowsCode ? ErrorCode.OFFSET_NOT_AVAILABLE : ErrorCode.LEADER_NOT_AVAILABLE }
  if (timestamp === LATEST) {
    return mayGoBack ? notAvailable : { ...at(partition, upto), leaderEpoch: partition.leaderEpoch }
  }
  const found =
    timestamp === MAX_TIMESTAMP
      ? await partition.log.maxTimestampOffset(upto)
      : await partition.log.offsetForTimestamp(timestamp, upto)
  return found ?? (mayGoBack ? notAvailable : NOTHING)
}

function isClient({ replicaId }: Request): boolean {
  return replicaId === CONSUMER
}

function visibleEnd(partition: Partition, request: Request): number {
  if (!isClient(request)) return partition.logEndOffset
  return request.isolationLevel === READ_COMMITTED ? partition.lastStableOffset : partition.highWatermark
}

function at(partition: Partition, offset: number): Found {
  return { timestamp: -1, offset, leaderEpoch: partition.log.epochs.epochForOffset(offset) ?? -1 }
}
