// Where stories of replicas begin: three brokers with one topic, and whether their copies are one.
import type { Test } from 'tap'
import type { Partition } from '../../broker/partition.ts'
import { Cluster, type Node } from './replication-fixture.ts'

export async function clusterOf(
  t: Test,
  o: { set?: string[]; partitions?: number; min?: number } = {}
): Promise<Cluster> {
  const cluster = await Cluster.start([1, 2, 3], o.set ?? [])
  t.teardown(() => cluster.stop())
  const replicas = Array.from({ length: o.partitions ?? 1 }, () => [1, 2, 3])
  await cluster.create('a', replicas, { 'min.insync.replicas': String(o.min ?? 1) })
  return cluster
}

export async function bytesOf(partition: Partition): Promise<string> {
  const all: Buffer[] = []
  for await (const batch of partition.batches(partition.logStartOffset, partition.logEndOffset)) all.push(batch)
  return Buffer.concat(all).toString('hex')
}

export async function isOne(t: Test, nodes: readonly Node[], what: string): Promise<void> {
  const [first, ...others] = await Promise.all(nodes.map(node => bytesOf(node.partition())))
  for (const other of others) t.equal(other, first, what)
}
