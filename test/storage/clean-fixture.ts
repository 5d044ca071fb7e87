// Logs for the tests of compaction: on the disk in memory, filled by seed, read back, and compared with a model that
// knows the newest record of each key.
import * as batch from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { decodeRecords } from '../../protocol/records/records.ts'
import { cleanLog, viewOf } from '../../storage/clean-log.ts'
import { cleanableOf } from '../../storage/compaction.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { Log } from '../../storage/log.ts'
import type { LogConfig } from '../../storage/log-config.ts'
import { OffsetMap } from '../../storage/offset-map.ts'
import { OpenFiles } from '../../storage/open-files.ts'
import { TailCache } from '../../storage/tail-cache.ts'
import { sampleConfig } from './sample-config.ts'

export const START = 1700000000000
export const DIRECTORY = '/data/accounts-0'
const TOPIC = { topic: 'accounts', partition: 0 }

/** Numbers that look random and come again with the same seed (mulberry32). */
export function dice(seed: number): { below(limit: number): number } {
  let state = seed
  return {
    below(limit) {
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
    }
  }
}

export class Clock {
  ms = START
  timers: { at: number; fn: () => void }[] = []
  nowMs = () => this.ms
  monotonicMs = () => this.ms
  endOfTurn = (fn: () => void) => void setImmediate(fn)
  after(ms: number, fn: () => void) {
    const timer = { at: this.ms + ms, fn }
    this.timers.push(timer)
    return { cancel: () => this.cancel(timer) }
  }
  cancel(timer: { at: number; fn: () => void }): void {
    this.timers = this.timers.filter(other => other !== timer)
  }
  advance(ms: number): void {
    this.ms += ms
    const due = this.timers.filter(timer => timer.at <= this.ms)
    this.timers = this.timers.filter(timer => timer.at > this.ms)
    for (const timer of due) timer.fn()
  }
}

export const compacted = sampleConfig({ compacts: true, deletes: false, segmentBytes: 2000, deleteRetentionMs: 1000 })

export interface Opened {
  recoveryPoint?: number
  syncedEnd?: number
  config?: LogConfig
  directory?: string
  tailCache?: TailCache
}

export function openLog(files: MemoryFiles, clock: Clock, o: Opened = {}): Promise<Log> {
  return Log.open({
    files,
    openFiles: new OpenFiles(files),
    // Large enough that reads find what was appended: the cleaner has to make it forget.
    tailCache: new TailCache(1e6),
    clock,
    random: dice(1),
    policy: 'group-commit',
    diskSpace: { isLow: false },
    directory: o.directory ?? DIRECTORY,
    topicPartition: TOPIC,
    topicId: null,
    config: o.config ?? compacted,
    producerIdExpirationMs: 86400000,
    recoveryPoint: o.recoveryPoint ?? 0,
    logStartOffset: 0,
    cleanShutdown: false,
    ...(o.syncedEnd === undefined ? {} : { syncedEnd: o.syncedEnd }),
    onFailure: () => {}
  })
}

export interface Written {
  readonly offset: number
  readonly key: string
  readonly value: string | null
}

/** Appends `batches` batches of up to four records with few keys, some of them tombstones, some of idempotent producers. */
export function fill(log: Log, seed: number, batches: number, codec?: batch.Codec): Written[] {
  const random = dice(seed)
  const written: Written[] = []
  const sequences = new Map<number, number>()
  for (let i = 0; i < batches; i++) {
    const records = Array.from({ length: 1 + random.below(4) }, () => ({
      timestamp: START,
      key: Buffer.from(`key-${random.below(12)}`),
      value: random.below(6) === 0 ? null : Buffer.from(`value-${seed}-${i}-${random.below(1000)}`)
    }))
    const producerId = random.below(3) - 1
    const baseSequence = sequences.get(producerId) ?? 0
    const bytes = buildBatch({
      compression: codec ?? (batch.CODECS[random.below(5)] as batch.Codec),
      records,
      ...(producerId < 0 ? {} : { producerId, producerEpoch: 0, baseSequence })
    })
    const result = log.appendAsLeader(bytes, { leaderEpoch: 0, origin: 'client', nowMs: START })
    if (result.kind !== 'appended') throw new Error(JSON.stringify(result))
    sequences.set(producerId, baseSequence + records.length)
    records.forEach((record, at) => {
      const value = record.value?.toString() ?? null
      written.push({ offset: result.baseOffset + at, key: record.key.toString(), value })
    })
  }
  return written
}

export interface Contents {
  readonly records: Written[]
  /** Offsets covered by batches, emptied ones too. */
  readonly batches: [base: number, last: number][]
}

export async function contents(log: Log): Promise<Contents> {
  const records: Written[] = []
  const batches: [number, number][] = []
  let from = log.logStartOffset
  while (from < log.logEndOffset) {
    const result = await log.read(from, { maxBytes: 3000, upto: log.logEndOffset, minOneMessage: true })
    for (const bytes of result.records) {
      for (const at of batch.batchesOf(bytes)) {
        batch.checkBatch(bytes, at)
        batches.push([batch.baseOffset(bytes, at), batch.lastOffset(bytes, at)])
        for (const { offset, key, value } of decodeRecords(bytes, at)) {
          records.push({ offset, key: String(key), value: value?.toString() ?? null })
        }
      }
    }
    if (result.endOffset <= from) break
    from = result.endOffset
  }
  return { records, batches }
}

/** Names of segments with a batch that lies outside of them, or behind a later one. */
export function misplaced(files: MemoryFiles, log: Log): number[] {
  const segments = [...log.segments]
  return segments
    .filter((segment, index) => {
      const bytes = files.readFileSync(segment.file.path) as Buffer
      let expected = segment.baseOffset
      for (const at of batch.batchesOf(bytes)) {
        if (batch.baseOffset(bytes, at) < expected) return true
        expected = batch.lastOffset(bytes, at) + 1
      }
      return expected > (segments[index + 1]?.baseOffset ?? log.logEndOffset)
    })
    .map(segment => segment.baseOffset)
}

/** What must be left of records when everything below `cleanEnd` was cleaned and every tombstone has (or has not) expired. */
export function model(written: readonly Written[], cleanEnd: number, tombstonesGone: boolean): Written[] {
  const newest = new Map<string, number>()
  for (const { offset, key } of written) if (offset < cleanEnd) newest.set(key, offset)
  return written.filter(({ offset, key, value }) => {
    if (offset >= cleanEnd) return true
    return newest.get(key) === offset && (value !== null || !tombstonesGone)
  })
}

export async function clean(log: Log, o: { recorded?: number; mapBytes?: number; nowMs?: number } = {}) {
  const range = cleanableOf(viewOf(log, log.logEndOffset), o.recorded, log.config, START)
  const map = new OffsetMap(o.mapBytes ?? 2 ** 20, 0.9)
  return await cleanLog(log, range, {
    map,
    ioBufferBytes: 1024,
    nowMs: o.nowMs ?? START,
    pace: () => undefined,
    isStopped: () => false
  })
}

/** The recovery point at the log's end: a checkpoint that a roll began ends earlier. */
export async function settle(log: Log): Promise<void> {
  while (log.recoveryPoint < log.logEndOffset) await log.checkpoint()
}

export async function filled(seed: number, batches = 60, codec?: batch.Codec) {
  const files = new MemoryFiles()
  const clock = new Clock()
  const log = await openLog(files, clock)
  const written = fill(log, seed, batches, codec)
  await settle(log)
  for (const directory of ['/', '/data']) await files.syncDirectory(directory)
  return { files, clock, log, written }
}
