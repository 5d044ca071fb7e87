// What must be so at the end of a real soak: every acknowledged record is where it was said to be, nothing is there twice,
// the order of each producer is kept, the group has read everything, and the copies on the disks are the same bytes.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Connection, connect } from '../clients/connection.ts'
import type { LocalCluster } from '../clients/dev/cluster.ts'
import { fetch } from '../protocol/messages/fetch.ts'
import { findCoordinator } from '../protocol/messages/find-coordinator.ts'
import { listOffsets } from '../protocol/messages/list-offsets.ts'
import { offsetFetch } from '../protocol/messages/offset-fetch.ts'
import { batchesOf } from '../protocol/records/batch.ts'
import { decodeRecords } from '../protocol/records/records.ts'
import { GROUP, type Notes, producerOf, TOPIC } from './soak-real-load.ts'

/** Record ids of one partition by offset, read from its leader. */
export async function readPartition(cluster: LocalCluster, partition: number): Promise<number[]> {
  const view = await cluster.view()
  const leaderId = view?.partitions.find(each => each.topic === TOPIC && each.partition === partition)?.leaderId ?? -1
  return await withNode(cluster, leaderId, async connection => {
    const end = await endOf(connection, partition)
    const ids: number[] = []
    while (ids.length < end) {
      const partitions = [{ partition, fetchOffset: ids.length, partitionMaxBytes: 4 << 20 }]
      const answer = await connection.send(fetch, 11, {
        ...{ maxWaitMs: 500, minBytes: 1, maxBytes: 8 << 20, isolationLevel: 0, sessionId: 0, sessionEpoch: -1 },
        topics: [{ topic: TOPIC, partitions }]
      })
      const found = answer.responses[0]?.partitions[0]
      if (found === undefined || found.errorCode !== 0)
        throw new Error(`read ${TOPIC}-${partition}: ${found?.errorCode}`)
      const bytes = found.records ?? Buffer.alloc(0)
      for (const at of batchesOf(bytes)) {
        for (const { offset, value } of await decodeRecords(bytes, at)) {
          if (offset >= ids.length) ids[offset] = Number(value)
        }
      }
    }
    return ids
  })
}

export function checkPartition(partition: number, ids: readonly number[], notes: Notes): string[] {
  const wrong: string[] = []
  const at = `${TOPIC}-${partition}`
  for (const { baseOffset, firstId, count } of notes.acked[partition] ?? []) {
    for (let i = 0; i < count; i++) {
      const there = ids[baseOffset + i]
      if (there !== firstId + i) wrong.push(`${at}: ${firstId + i} was acked at ${baseOffset + i}, where ${there} is`)
    }
  }
  const last = new Map<number, number>()
  for (const [offset, id] of ids.entries()) {
    const producer = producerOf(id)
    const before = last.get(producer) ?? -1
    if (id <= before) wrong.push(`${at}@${offset}: ${id} of producer ${producer} comes after ${before}`)
    last.set(producer, id)
  }
  for (const [offset, id] of notes.consumed[partition] ?? []) {
    if (ids[offset] !== id) wrong.push(`${at}@${offset}: a consumer read ${id}, the log has ${ids[offset]}`)
  }
  const unread = ids.findIndex((_, offset) => notes.consumed[partition]?.has(offset) !== true)
  if (unread >= 0) wrong.push(`${at}@${unread}: no consumer of the group has read it`)
  return wrong
}

/** How far the group has committed, and how far it is to the end: by partition. */
export async function groupLag(cluster: LocalCluster, partitions: number): Promise<number> {
  const indexes = Array.from({ length: partitions }, (_, index) => index)
  const anyNode = cluster.places()[0]?.nodeId ?? 1
  const { nodeId } = await withNode(cluster, anyNode, each => each.send(findCoordinator, 3, { key: GROUP, keyType: 0 }))
  const committed = await withNode(cluster, nodeId, async connection => {
    const answer = await connection.send(offsetFetch, 7, {
      ...{ groupId: GROUP, requireStable: false },
      topics: [{ name: TOPIC, partitionIndexes: indexes }]
    })
    return answer.topics[0]?.partitions ?? []
  })
  const view = await cluster.view()
  let lag = 0
  for (const partition of indexes) {
    const leaderId = view?.partitions.find(each => each.topic === TOPIC && each.partition === partition)?.leaderId ?? -1
    const end = await withNode(cluster, leaderId, connection => endOf(connection, partition))
    const at = committed.find(each => each.partitionIndex === partition)?.committedOffset ?? -1
    lag += Math.max(0, end - Math.max(0, at))
  }
  return lag
}

/** The copies of one partition on all disks, once every broker has stopped. */
export function checkCopies(directories: readonly string[], partition: number): string[] {
  const copies = directories.map(directory => {
    const folder = join(directory, `${TOPIC}-${partition}`)
    const files = readdirSync(folder)
      .filter(name => name.endsWith('.log'))
      .sort()
    return Buffer.concat(files.map(name => readFileSync(join(folder, name))))
  })
  const [first, ...others] = copies as [Buffer, ...Buffer[]]
  return others.flatMap((copy, index) =>
    copy.equals(first)
      ? []
      : [
          `${TOPIC}-${partition}: the copies on nodes 1 and ${index + 2} differ (${first.length} and ${copy.length} bytes)`
        ]
  )
}

async function endOf(connection: Connection, partition: number): Promise<number> {
  const answer = await connection.send(listOffsets, 4, {
    ...{ replicaId: -1, isolationLevel: 0 },
    topics: [{ name: TOPIC, partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp: -1 }] }]
  })
  return answer.topics[0]?.partitions[0]?.offset ?? -1
}

async function withNode<T>(
  cluster: LocalCluster,
  nodeId: number,
  ask: (connection: Connection) => Promise<T>
): Promise<T> {
  const place = cluster.layout.find(each => each.nodeId === nodeId)
  if (place === undefined) throw new Error(`there is no node ${nodeId}`)
  const connection = await connect(place.host, place.port)
  try {
    return await ask(connection)
  } finally {
    connection.destroy()
  }
}
