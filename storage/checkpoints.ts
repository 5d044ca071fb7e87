// The small files of a log directory and of its partitions, text to objects and back: offset checkpoints
// (CheckpointFile.java), meta.properties, partition.metadata, .kafka_cleanshutdown. Written whole or not at all; what
// does not parse is an ERR_STORAGE that names file and line, and the caller decides what it may be taken for.
import path from 'node:path'
import { MoldauError } from '../protocol/failure.ts'
import type { Offset, TopicPartition, Uuid } from '../protocol/types.ts'
import type { Files } from './files.ts'

export const RECOVERY_POINTS = 'recovery-point-offset-checkpoint'
export const LOG_START_OFFSETS = 'log-start-offset-checkpoint'
export const HIGH_WATERMARKS = 'replication-offset-checkpoint'
export const CLEANER_POINTS = 'cleaner-offset-checkpoint'
/** Ours: offsets below which every byte has been synced. Kafka ignores a file of a name that it does not know. */
export const SYNCED_ENDS = 'moldau-synced-end-checkpoint'
export const META_PROPERTIES = 'meta.properties'
export const PARTITION_METADATA = 'partition.metadata'
export const CLEAN_SHUTDOWN = '.kafka_cleanshutdown'

const UUID = /^[A-Za-z0-9_-]{22}$/

export interface OffsetEntry extends TopicPartition {
  readonly offset: Offset
  /** Only in our own file: a later topic of the same name is another log. */
  readonly topicId?: Uuid
  /** Only beside a topic id. */
  readonly active?: ActiveSegment
}

/** The last segment as it was: after a clean stop it must be so still, and a start need not read it to know. */
export interface ActiveSegment {
  readonly baseOffset: Offset
  readonly sizeInBytes: number
}

export function formatOffsets(entries: readonly OffsetEntry[]): string {
  let text = `0\n${entries.length}\n`
  for (const { topic, partition, offset, topicId, active } of entries) {
    const more = [topicId, ...(active ? [active.baseOffset, active.sizeInBytes] : [])].filter(
      each => each !== undefined
    )
    text += `${[topic, partition, offset, ...more].join(' ')}\n`
  }
  return text
}

/** Without a version or without a count (a file just made) there are no entries, as Kafka reads it. */
export function parseOffsets(text: string, file: string): OffsetEntry[] {
  const lines = text.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  if (lines.length < 2) return []
  if (lines[0] !== '0') throw malformed(file, 1, 'version 0 is the only known one')
  const entries = lines.slice(2).map((line, index) => {
    const match = /^(\S+) (\d+) (\d+)(?: (\S{22})(?: (\d+) (\d+))?)?$/.exec(line)
    const offset = Number(match?.[3])
    if (!match || !Number.isSafeInteger(offset))
      throw malformed(file, index + 3, 'not a topic, a partition and an offset')
    const [, topic = '', partition, , topicId, baseOffset, sizeInBytes] = match
    const entry = { topic, partition: Number(partition), offset }
    if (topicId === undefined) return entry
    if (baseOffset === undefined) return { ...entry, topicId }
    return { ...entry, topicId, active: { baseOffset: Number(baseOffset), sizeInBytes: Number(sizeInBytes) } }
  })
  if (lines[1] !== String(entries.length)) throw malformed(file, 2, `${entries.length} entries follow`)
  return entries
}

/** Empty where there is no file. */
export async function readOffsets(files: Files, file: string): Promise<OffsetEntry[]> {
  const bytes = await files.readFile(file)
  return bytes === null ? [] : parseOffsets(bytes.toString('utf8'), file)
}

export function writeOffsets(files: Files, file: string, entries: readonly OffsetEntry[]): Promise<void> {
  return files.writeFileAtomically(file, Buffer.from(formatOffsets(entries)))
}

/** Who a log directory belongs to. Kafka before 3.7 wrote no directory id. */
export interface MetaProperties {
  readonly version: number
  readonly nodeId: number
  readonly clusterId: string
  readonly directoryId: Uuid | null
  /** What other programs, or later versions, keep in the file; written back untouched. */
  readonly others: ReadonlyMap<string, string>
}

export function formatMetaProperties(meta: MetaProperties, at: Date): string {
  const entries = [['node.id', String(meta.nodeId)]]
  if (meta.directoryId !== null) entries.push(['directory.id', meta.directoryId])
  entries.push(['version', String(meta.version)], ['cluster.id', meta.clusterId], ...meta.others)
  return `#\n#${javaDate(at)}\n${entries.map(([key, value]) => `${key}=${value}\n`).join('')}`
}

export function parseMetaProperties(text: string, file: string): MetaProperties {
  const entries = parseProperties(text)
  const take = (key: string): string | undefined => {
    const value = entries.get(key)
    entries.delete(key)
    return value
  }
  const version = take('version')
  const nodeId = take('node.id')
  const clusterId = take('cluster.id')
  const directoryId = take('directory.id') ?? null
  const refuse = (what: string) => new MoldauError('ERR_WRONG_DIRECTORY', `${file}: ${what}`)
  if (version === '0')
    throw refuse('it was written for ZooKeeper (version 0); Kafka migrates such directories, moldau does not')
  if (version !== '1')
    throw refuse(`version ${version ?? 'is missing and'} ${version ? 'is' : ''} not known, only 1 is`)
  if (nodeId === undefined || !/^\d+$/.test(nodeId))
    throw refuse(`node.id ${nodeId ?? 'is missing'}: a number was expected`)
  if (clusterId === undefined || clusterId === '') throw refuse('cluster.id is missing')
  if (directoryId !== null && !UUID.test(directoryId)) throw refuse(`directory.id ${directoryId} is not a uuid`)
  return { version: 1, nodeId: Number(nodeId), clusterId, directoryId, others: entries }
}

/** `version: 0` and `topic_id: X` (PartitionMetadataFile.java); no line break at the end. */
export function formatPartitionMetadata(topicId: Uuid): string {
  return `version: 0\ntopic_id: ${topicId}`
}

/** What cannot be read is ERR_LOG_CORRUPT: nobody can say which topic's records these are, and no other log is worse for it. */
export function parsePartitionMetadata(text: string, file: string): Uuid {
  const [first, second] = text.split(/\r?\n/)
  const refuse = (line: number, what: string) => new MoldauError('ERR_LOG_CORRUPT', `${file}, line ${line}: ${what}`)
  if (first !== 'version: 0') throw refuse(1, 'version 0 is the only known one')
  const topicId = /^topic_id: (\S+)$/.exec(second ?? '')?.[1]
  if (topicId === undefined || !UUID.test(topicId)) throw refuse(2, 'a topic_id was expected')
  return topicId
}

/** Null where an older Kafka, or a crash, has left none in a partition's directory. */
export async function readTopicId(files: Files, directory: string): Promise<Uuid | null> {
  const file = path.join(directory, PARTITION_METADATA)
  const bytes = await files.readFile(file)
  return bytes === null || bytes.length === 0 ? null : parsePartitionMetadata(bytes.toString('utf8'), file)
}

export function writeTopicId(files: Files, directory: string, topicId: Uuid): Promise<void> {
  const file = path.join(directory, PARTITION_METADATA)
  return files.writeFileAtomically(file, Buffer.from(formatPartitionMetadata(topicId)))
}

export function formatCleanShutdown(brokerEpoch: number): string {
  return `{"version":0,"brokerEpoch":${brokerEpoch}}`
}

/** The broker epoch of the life that ended cleanly; -1 where an older Kafka left an empty file (CleanShutdownFileHandler.java). */
export function parseCleanShutdown(text: string): number {
  try {
    const { brokerEpoch } = JSON.parse(text) as { brokerEpoch?: unknown }
    return Number.isSafeInteger(brokerEpoch) ? (brokerEpoch as number) : -1
  } catch {
    return -1
  }
}

/** Java's Properties.load, as far as Kafka's own files go: comments, `=` or `:` or a space, spaces around, `\` before a sign. */
function parseProperties(text: string): Map<string, string> {
  const entries = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^#!\s=:][^\s=:]*)\s*[=:\s]\s*(.*)$/.exec(line)
    if (match) entries.set(match[1] as string, (match[2] as string).replace(/\\(.)/g, '$1').trimEnd())
  }
  return entries
}

/** `Thu Jan 01 00:00:00 UTC 1970`, as java.util.Date prints it. */
function javaDate(at: Date): string {
  const [weekday, day, month, year, time] = at.toUTCString().replace(',', '').split(' ')
  return `${weekday} ${month} ${day} ${time} UTC ${year}`
}

function malformed(file: string, line: number, what: string): MoldauError {
  return new MoldauError('ERR_STORAGE', `${file}, line ${line}: ${what}`)
}
