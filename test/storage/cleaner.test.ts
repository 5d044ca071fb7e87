// Cleaning whole logs: compared with a model that knows the newest record of each key, by every codec; a crash after every
// single operation on the disk; a log that cannot be cleaned; and who is cleaned when.
import { type Test, test } from 'tap'
import { encodeControlRecord } from '../../protocol/cluster/control.ts'
import * as batch from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { prepareCompression } from '../../protocol/records/compression.ts'
import { decodeRecords } from '../../protocol/records/records.ts'
import { cleanLog, viewOf } from '../../storage/clean-log.ts'
import { Cleaner, type CleanerSettings } from '../../storage/cleaner.ts'
import { cleanableOf } from '../../storage/compaction.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { Log } from '../../storage/log.ts'
import type { LogConfig } from '../../storage/log-config.ts'
import { OffsetMap } from '../../storage/offset-map.ts'
import { OpenFiles } from '../../storage/open-files.ts'
import { TailCache } from '../../storage/tail-cache.ts'
import { sampleConfig } from './sample-config.ts'

await prepareCompression()

const START = 1700000000000
const DIRECTORY = '/data/accounts-0'
const TOPIC = { topic: 'accounts', partition: 0 }

/** Numbers that look random and come again with the same seed (mulberry32). */
function dice(seed: number): { below(limit: number): number } {
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

class Clock {
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

const settings: CleanerSettings = {
  isEnabled: true,
  backoffMs: 15000,
  dedupeBufferBytes: 2 ** 20,
  dedupeBufferLoadFactor: 0.9,
  ioBufferBytes: 4096,
  ioMaxBytesPerSecond: Number.POSITIVE_INFINITY
}
const compacted = sampleConfig({ compacts: true, deletes: false, segmentBytes: 2000, deleteRetentionMs: 1000 })

interface Opened {
  recoveryPoint?: number
  syncedEnd?: number
  config?: LogConfig
  directory?: string
  tailCache?: TailCache
}

function openLog(files: MemoryFiles, clock: Clock, o: Opened = {}): Promise<Log> {
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

interface Written {
  readonly offset: number
  readonly key: string
  readonly value: string | null
}

/** Appends `batches` batches of up to four records with few keys, some of them tombstones, some of idempotent producers. */
function fill(log: Log, seed: number, batches: number, codec?: batch.Codec): Written[] {
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

interface Contents {
  readonly records: Written[]
  /** Offsets covered by batches, emptied ones too. */
  readonly batches: [base: number, last: number][]
}

async function contents(log: Log): Promise<Contents> {
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
function misplaced(files: MemoryFiles, log: Log): number[] {
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
function model(written: readonly Written[], cleanEnd: number, tombstonesGone: boolean): Written[] {
  const newest = new Map<string, number>()
  for (const { offset, key } of written) if (offset < cleanEnd) newest.set(key, offset)
  return written.filter(({ offset, key, value }) => {
    if (offset >= cleanEnd) return true
    return newest.get(key) === offset && (value !== null || !tombstonesGone)
  })
}

async function clean(log: Log, o: { recorded?: number; mapBytes?: number; nowMs?: number } = {}) {
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
async function settle(log: Log): Promise<void> {
  while (log.recoveryPoint < log.logEndOffset) await log.checkpoint()
}

async function filled(seed: number, batches = 60, codec?: batch.Codec) {
  const files = new MemoryFiles()
  const clock = new Clock()
  const log = await openLog(files, clock)
  const written = fill(log, seed, batches, codec)
  await settle(log)
  for (const directory of ['/', '/data']) await files.syncDirectory(directory)
  return { files, clock, log, written }
}

test('every codec: what is left is what the model says', async t => {
  for (const codec of batch.CODECS) {
    const { log, written, clock, files } = await filled(codec.length, 80, codec)
    const active = log.segments.active.baseOffset
    const before = log.segments.count
    const { endOffset } = await clean(log)
    t.equal(endOffset, active)
    t.same((await contents(log)).records, model(written, active, false), `${codec}: tombstones stay at first`)
    await clean(log, { nowMs: START + 1000 })
    t.ok(log.segments.count < before, `${codec}: small segments were merged`)
    t.same((await contents(log)).records, model(written, active, true), `${codec}: and go after the horizon`)
    clock.advance(60000)
    await new Promise(resolve => setImmediate(resolve))
    const names = await files.readdir(DIRECTORY)
    t.same(
      names.filter(name => /cleaned|swap|deleted/.test(name)),
      [],
      'nothing is left over'
    )
    t.equal(files.openCount <= 3, true, 'files are closed')
    const reopened = await openLog(files, clock, { recoveryPoint: log.recoveryPoint, syncedEnd: log.durableEndOffset })
    t.same((await contents(reopened)).records, model(written, active, true), `${codec}: after a restart`)
    t.equal(reopened.logEndOffset, log.logEndOffset)
    for (const id of [0, 1]) {
      t.same(reopened.producers.get(id)?.batches.at(-1), log.producers.get(id)?.batches.at(-1), 'sequences go on')
    }
  }
})

test('random logs, cleaned and filled in turns', async t => {
  for (let seed = 1; seed <= 20; seed++) {
    const { files, log, written } = await filled(seed, 40)
    let recorded = 0
    for (let round = 0; round < 4; round++) {
      const result = await clean(log, { recorded, nowMs: START + round, mapBytes: seed % 3 === 0 ? 24 * 7 : 2 ** 16 })
      t.ok(result.endOffset >= recorded)
      recorded = result.endOffset
      const left = await contents(log)
      t.same(misplaced(files, log), [])
      const newest = new Map(written.map(record => [record.key, record]))
      const found = new Map(left.records.map(record => [record.key, record]))
      for (const [key, record] of newest) {
        if (record.value !== null) t.same(found.get(key), record, `seed ${seed}: the newest ${key}`)
      }
      const originals = new Map(written.map(record => [record.offset, record]))
      t.ok(
        left.records.every(record => originals.get(record.offset)?.value === record.value),
        'offsets keep their records'
      )
      t.ok(left.records.every((record, i) => i === 0 || record.offset > (left.records[i - 1] as Written).offset))
      written.push(...fillMore(log, seed * 100 + round))
      await settle(log)
    }
  }
})

function fillMore(log: Log, seed: number): Written[] {
  const random = dice(seed)
  return Array.from({ length: 15 }, () => {
    const key = `key-${random.below(12)}`
    const value = `more-${random.below(1000)}`
    const records = [{ timestamp: START, key: Buffer.from(key), value: Buffer.from(value) }]
    const result = log.appendAsLeader(buildBatch({ records }), { leaderEpoch: 0, origin: 'client', nowMs: START })
    if (result.kind !== 'appended') throw new Error(JSON.stringify(result))
    return { offset: result.baseOffset, key, value }
  })
}

test('readers see what is left, from memory too', async t => {
  const files = new MemoryFiles()
  const tailCache = new TailCache(2 ** 20)
  const log = await openLog(files, new Clock(), { tailCache })
  const written = fill(log, 12, 60)
  await settle(log)
  t.ok(log.tail.read(0, { maxBytes: 100, upto: 100, minOneMessage: true }), 'everything is in memory')
  await clean(log)
  const active = log.segments.active.baseOffset
  t.same((await contents(log)).records, model(written, active, false))
  t.equal(log.tail.read(0, { maxBytes: 100, upto: 100, minOneMessage: true }), null)
  t.ok(log.tail.read(active, { maxBytes: 100, upto: log.logEndOffset, minOneMessage: true }), 'the tail still is')
})

test('a tombstone stays while a transaction before it may hold its key', async t => {
  const { log, files } = await filled(13, 0)
  const append = (value: string | null, transactional: boolean) => {
    const records = [{ timestamp: START, key: Buffer.from('k'), value: value === null ? null : Buffer.from(value) }]
    const producer = transactional ? { producerId: 5, producerEpoch: 0, baseSequence: 0, transactional } : {}
    log.appendAsLeader(buildBatch({ records, ...producer }), { leaderEpoch: 0, origin: 'coordinator', nowMs: START })
  }
  append('first', true)
  const marker = encodeControlRecord({ type: 'COMMIT', record: { coordinatorEpoch: 0 } })
  const control = { producerId: 5, producerEpoch: 0, control: true, transactional: true }
  const end = buildBatch({ ...control, records: [{ timestamp: START, ...marker }] })
  log.appendAsLeader(end, { leaderEpoch: 0, origin: 'coordinator', nowMs: START })
  append(null, false)
  fill(log, 14, 60)
  await settle(log)
  await clean(log)
  await clean(log, { nowMs: START + 5000 })
  const left = (await contents(log)).records.filter(record => record.key === 'k')
  t.same(left, [
    { offset: 0, key: 'k', value: 'first' },
    { offset: 2, key: 'k', value: null }
  ])
  t.same(misplaced(files, log), [])
})

test('a map that is too small ends the range, the next round goes on', async t => {
  const { log, written } = await filled(5, 80)
  const active = log.segments.active.baseOffset
  let recorded = 0
  let rounds = 0
  while (recorded < active && rounds < 1000) {
    const { endOffset, keys } = await clean(log, { recorded, mapBytes: 24 * 6 })
    t.ok(endOffset > recorded)
    t.ok(keys <= 5)
    recorded = endOffset
    rounds++
  }
  t.ok(rounds > 2)
  t.same((await contents(log)).records, model(written, active, false))
})

test('no hole opens between two segments', async t => {
  const { log } = await filled(9, 100)
  log.configure({ ...compacted, segmentBytes: 100 })
  await clean(log)
  const { batches } = await contents(log)
  for (const segment of log.segments) {
    if (segment.baseOffset === 0) continue
    t.ok(
      batches.some(([, last]) => last === segment.baseOffset - 1),
      `up to ${segment.baseOffset}`
    )
  }
})

test('a crash after any operation on the disk', async t => {
  const sizes = { operations: 0, states: new Set<string>() }
  for (const kind of ['keep', 'drop', 'mixed'] as const) {
    for (let at = 1; ; at++) {
      const isOver = await crashAt(t, kind, at, sizes)
      if (isOver) break
    }
  }
  t.ok(sizes.operations > 60, `${sizes.operations} crashes`)
  t.ok(sizes.states.has('swap') && sizes.states.has('cleaned'), 'in the middle of everything')
})

async function crashAt(
  t: Test,
  kind: 'keep' | 'drop' | 'mixed',
  at: number,
  sizes: { operations: number; states: Set<string> }
) {
  const { files, clock, log, written } = await filled(77, 45)
  const { recoveryPoint, durableEndOffset, logEndOffset } = log
  log.configure({ ...compacted, segmentBytes: 6000 }) // So that one segment takes the place of several.
  const active = log.segments.active.baseOffset
  let count = 0
  let disk: MemoryFiles | null = null
  const crashed = new Promise<void>(resolve => {
    files.onOperation = () => {
      if (++count !== at) return
      disk = files.crash(dice(at), kind)
      resolve()
    }
  })
  const done = clean(log).then(
    () => true,
    () => true
  )
  await Promise.race([crashed, done])
  if (disk === null) return true
  sizes.operations++
  const next = disk as MemoryFiles
  for (const name of await next.readdir(DIRECTORY)) sizes.states.add(name.split('.')[2] ?? '')
  const reopened = await openLog(next, clock, { recoveryPoint, syncedEnd: durableEndOffset })
  t.equal(reopened.logEndOffset, logEndOffset, `${kind} ${at}: the end`)
  t.same(misplaced(next, reopened), [], `${kind} ${at}: segments do not overlap`)
  const left = (await contents(reopened)).records
  const isAllowed = new Set([written, model(written, active, false)].flat().map(record => record.offset))
  t.ok(left.every(record => isAllowed.has(record.offset)))
  t.ok(
    left.every((record, i) => i === 0 || record.offset > (left[i - 1] as Written).offset),
    `${kind} ${at}: in order`
  )
  const byOffset = new Set(left.map(record => record.offset))
  const mustHave = model(written, active, false)
  t.same(
    mustHave.filter(record => !byOffset.has(record.offset)),
    [],
    `${kind} ${at}: nothing is lost`
  )
  t.same(
    (await next.readdir(DIRECTORY)).filter(name => /cleaned|swap|deleted/.test(name)),
    [],
    'nothing is left over'
  )
  await clean(reopened)
  t.same((await contents(reopened)).records, mustHave, `${kind} ${at}: cleaned after all`)
  return false
}

test('retention takes segments that the cleaner is about to read', async t => {
  const { log, files, clock } = await filled(15, 60)
  let isDeleted = false
  const range = cleanableOf(viewOf(log, log.logEndOffset), 0, compacted, START)
  const running = cleanLog(log, range, {
    map: new OffsetMap(2 ** 16, 0.9),
    ioBufferBytes: 1024,
    nowMs: START,
    pace: () => undefined,
    isStopped: () => {
      if (isDeleted) return false
      isDeleted = true
      log.advanceLogStartOffset(log.segments.at(3)?.baseOffset as number)
      log.deleteOldSegments(log.logEndOffset, START)
      return false
    }
  })
  await t.rejects(running, { code: 'ERR_CLOSED' })
  await new Promise(resolve => setImmediate(resolve))
  clock.advance(60000)
  await new Promise(resolve => setImmediate(resolve))
  const first = log.segments.first.baseOffset
  const names = (await files.readdir(DIRECTORY)).filter(name => /\.log$|index$/.test(name))
  t.same(
    names.filter(name => Number.parseInt(name, 10) < first),
    [],
    'they are not made again'
  )
})

test('retention is faster, the log is closed, the disk is full', async t => {
  const first = await filled(3, 60)
  first.files.onOperation = (operation, path) => {
    if (operation !== 'rename' || !path.endsWith('.swap')) return
    first.files.onOperation = null
    first.log.advanceLogStartOffset(first.log.segments.at(1)?.baseOffset as number)
    first.log.deleteOldSegments(first.log.logEndOffset, START)
  }
  const running = clean(first.log)
  // What is behind the deleted segments stays as it is: a tombstone must not go before what it deletes.
  await t.rejects(running, { code: 'ERR_CLOSED' })
  await clean(first.log)
  const start = first.log.logStartOffset
  t.ok((await contents(first.log)).records.every(record => record.offset >= start))
  t.equal(first.log.isOffline, false)
  t.same(misplaced(first.files, first.log), [])
  first.clock.advance(60000)
  await new Promise(resolve => setImmediate(resolve))
  const bases = [...first.log.segments].map(segment => segment.baseOffset)
  const names = (await first.files.readdir(DIRECTORY)).filter(name => /\.log|swap|cleaned/.test(name))
  t.same(
    names.map(name => Number.parseInt(name, 10)).sort((a, b) => a - b),
    bases,
    'no file of a deleted segment is there'
  )

  const second = await filled(4, 60)
  const closing = clean(second.log)
  await second.log.discard()
  await t.rejects(closing, { code: 'ERR_CLOSED' })

  const third = await filled(6, 60)
  third.files.inject({ operation: 'write', path: 'cleaned', code: 'ENOSPC', times: 1 })
  await t.rejects(clean(third.log), { code: 'ERR_NO_SPACE' })
  t.equal(third.log.isOffline, false, 'nothing is lost by it')
  t.same(
    (await third.files.readdir(DIRECTORY)).filter(name => /cleaned|swap/.test(name)),
    []
  )
  await clean(third.log)
  t.same((await contents(third.log)).records, model(third.written, third.log.segments.active.baseOffset, false))

  const fourth = await filled(8, 60)
  fourth.files.inject({ operation: 'rename', path: '.swap', code: 'EIO', times: 1 })
  await t.rejects(clean(fourth.log), { code: 'ERR_STORAGE' })
  t.equal(fourth.log.isOffline, true, 'half swapped: nobody may go on')
})

/** A cleaner over some logs, with what it was told to remember and what it told. */
function cleanerOver(clock: Clock, logs: Record<string, Log>, changes: Partial<CleanerSettings> = {}) {
  const recorded = new Map<string, number>()
  const events: [string, string][] = []
  const cleaner = new Cleaner({
    clock,
    settings: { ...settings, ...changes },
    logs: () => new Map(Object.entries(logs)),
    highWatermarkOf: log => log.logEndOffset,
    recorded: {
      get: name => recorded.get(name),
      record: async (log, offset) =>
        void recorded.set(`${log.topicPartition.topic}-${log.topicPartition.partition}`, offset)
    },
    onEvent: (_level, event, data) => void events.push([event, (data as { partition: string }).partition])
  })
  return { cleaner, recorded, events }
}

test('a log that cannot be cleaned stops only itself, and shows why', async t => {
  const { files, clock, log } = await filled(21, 60, 'none')
  const other = { topic: 'others', partition: 3 }
  const healthy = await Log.open({ ...log.options, topicPartition: other, directory: '/data/others-3' })
  fill(healthy, 22, 60)
  await settle(healthy)
  const broken = log.segments.first
  const fd = files.open(broken.file.path, 'write')
  // A flipped bit in a value, which nothing but the checksum shows: a cleaner must not give it a new one.
  const at = (files.readFileSync(broken.file.path) as Buffer).indexOf('value-21')
  files.writev(fd, [Buffer.from('w')], at)
  const { cleaner, recorded, events } = cleanerOver(clock, { 'accounts-0': log, 'others-3': healthy })
  await cleaner.cleanAll()
  t.same(events.sort(), [
    ['log-clean-failed', 'accounts-0'],
    ['log-cleaned', 'others-3']
  ])
  t.equal(recorded.get('accounts-0'), undefined)
  t.equal(recorded.get('others-3'), healthy.segments.active.baseOffset)
  const [bad, good] = [...cleaner.status()]
  t.match(bad, { name: 'accounts-0', state: 'failed', lastError: { code: 'ERR_CORRUPT_BATCH' }, lastCleanedMs: null })
  t.match(good, { name: 'others-3', state: 'idle', lastError: null, lastCleanedMs: START })
  t.same(
    (await files.readdir(DIRECTORY)).filter(name => /cleaned|swap/.test(name)),
    []
  )
  events.length = 0
  await cleaner.cleanAll()
  t.same(events, [], 'it rests for a while')
  clock.advance(15000)
  await cleaner.cleanAll()
  t.same(events, [['log-clean-failed', 'accounts-0']], 'and is tried again')
  clock.advance(15000)
  await cleaner.cleanAll()
  t.equal(events.length, 1, 'after a longer rest')
})

test('by the clock, the dirtiest first, when enabled, until nothing is due', async t => {
  const { clock, log } = await filled(31, 60)
  const { topicPartition: _, ...options } = log.options
  const smaller = await Log.open({ ...options, topicPartition: { topic: 'b', partition: 0 }, directory: '/data/b-0' })
  fill(smaller, 32, 30)
  await settle(smaller)
  const { cleaner, recorded, events } = cleanerOver(clock, { 'accounts-0': log, 'b-0': smaller })
  recorded.set('accounts-0', log.segments.at(1)?.baseOffset as number)
  cleaner.start()
  t.equal(clock.timers.length, 1)
  clock.advance(15000)
  while (events.length === 0) await new Promise(resolve => setImmediate(resolve))
  await cleaner.stop()
  t.same(events[0], ['log-cleaned', 'b-0'], 'the dirtiest first')
  const again = cleanerOver(clock, { 'accounts-0': log, 'b-0': smaller })
  again.recorded.set('b-0', smaller.segments.active.baseOffset)
  await again.cleaner.cleanAll()
  t.same(again.events, [['log-cleaned', 'accounts-0']])
  const off = cleanerOver(clock, { 'accounts-0': log }, { isEnabled: false })
  await off.cleaner.cleanAll()
  t.same(off.events, [])
  log.configure({ ...compacted, compacts: false })
  t.same(
    [...again.cleaner.status()].map(status => status.name),
    ['b-0']
  )
})

test('the disk is spared', async t => {
  const { clock, log } = await filled(41, 10)
  for (let i = 0; i < 300; i++) {
    const records = [{ timestamp: START, key: Buffer.from('k'), value: Buffer.alloc(1500, i) }]
    log.appendAsLeader(buildBatch({ records }), { leaderEpoch: 0, origin: 'client', nowMs: START })
  }
  await settle(log)
  const { cleaner, events } = cleanerOver(clock, { 'accounts-0': log }, { ioMaxBytesPerSecond: 50000 })
  const done = cleaner.cleanAll()
  let waited = 0
  while (events.length === 0 && waited < 10000) {
    await new Promise(resolve => setImmediate(resolve))
    if (clock.timers.some(timer => timer.at > clock.ms)) clock.advance(1000)
    waited++
  }
  await done
  t.match(events, [['log-cleaned', 'accounts-0']])
  t.ok(clock.ms > START + 10000, `${clock.ms - START} ms for ${log.sizeInBytes} bytes`)
})
