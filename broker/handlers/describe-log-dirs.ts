// DescribeLogDirs 1-5: sizes of the replicas in each log directory; 4 adds those of the volume (KIP-827).
import { ErrorCode } from '../../protocol/errors.ts'
import { describeLogDirs } from '../../protocol/messages/describe-log-dirs.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

export const onDescribeLogDirs = handler(describeLogDirs, async (request, _context, services) => {
  const wanted = request.topics && new Map<string, Set<number>>()
  for (const { topic, partitions } of request.topics ?? []) {
    wanted?.set(topic, new Set([...(wanted.get(topic) ?? []), ...partitions]))
  }
  const { totalBytes, usableBytes } = await services.catalog.volume()
  const { directory, isOffline } = services.catalog
  return {
    results: [
      {
        errorCode: isOffline ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE,
        logDir: directory,
        topics: isOffline ? [] : replicas(wanted, services),
        totalBytes,
        usableBytes
      }
    ]
  }
})

/** `wanted` null: all. An empty list of partitions names none, as in Kafka. */
function replicas(wanted: ReadonlyMap<string, ReadonlySet<number>> | null, services: Services) {
  const byTopic = new Map<string, { partitionIndex: number; partitionSize: number; offsetLag: number }[]>()
  for (const { topic, partition, sizeInBytes } of services.partitions.sizes()) {
    if (wanted && !wanted.get(topic)?.has(partition)) continue
    const list = byTopic.get(topic) ?? []
    list.push({ partitionIndex: partition, partitionSize: sizeInBytes, offsetLag: 0 })
    byTopic.set(topic, list)
  }
  return [...byTopic].map(([name, partitions]) => ({ name, partitions }))
}
