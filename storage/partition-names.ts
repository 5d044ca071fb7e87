// The names of directories inside a log directory (UnifiedLog.parseTopicPartitionName, LogFileUtils.java). A partition
// lives in `topic-N`; `topic-N.<32 hex digits>-delete`, `-stray` and `-future` stand for one that is on its way out, out
// of the metadata, or on its way in. Names of one directory are unique, so they serve as keys of partitions too.
import type { TopicPartition } from '../protocol/types.ts'

/** The metadata log belongs to the quorum, not to the catalog (Topic.CLUSTER_METADATA_TOPIC_NAME). */
export const METADATA_TOPIC = '__cluster_metadata'
/** NAME_MAX of every file system in use; a longer topic is cut in the names of what is to be deleted. */
const NAME_MAX = 255

export type DirectoryFate = 'delete' | 'stray' | 'future'

export interface PartitionDirectory extends TopicPartition {
  /** Null for a partition in service. */
  readonly fate: DirectoryFate | null
}

export function partitionName(topicPartition: TopicPartition): string {
  return `${topicPartition.topic}-${topicPartition.partition}`
}

/** The name for a directory that goes out of service; `uniqueHex` keeps two lives of one name apart. */
export function fateName(topicPartition: TopicPartition, fate: DirectoryFate, uniqueHex: string): string {
  const suffix = `-${topicPartition.partition}.${uniqueHex}-${fate}`
  return `${topicPartition.topic.slice(0, NAME_MAX - suffix.length)}${suffix}`
}

/** Null for a name that no partition has. */
export function parseDirectoryName(name: string): PartitionDirectory | null {
  const match = /^(.+)-(\d+)(?:\.[^.-]+-(delete|stray|future))?$/.exec(name)
  if (!match) return null
  const [, topic, digits, fate] = match
  const partition = Number(digits)
  if (partition > 0x7fffffff || String(partition) !== digits) return null
  return { topic: topic as string, partition, fate: (fate as DirectoryFate | undefined) ?? null }
}

/** Of the names in a log directory: partitions in service, and leftovers of deletions, which nobody reads any more. */
export function takeStock(names: readonly string[]): { partitions: Set<string>; doomed: string[] } {
  const partitions = new Set<string>()
  const doomed: string[] = []
  for (const name of names) {
    const parsed = parseDirectoryName(name)
    if (parsed?.fate === 'delete') doomed.push(name)
    else if (parsed?.fate === null) partitions.add(name)
  }
  return { partitions, doomed }
}
