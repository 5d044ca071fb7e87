// A log on a sound disk: what it gives for what it is asked. Crashes are crash.test.ts, a disk that refuses is
// log-failure.test.ts, what a start reads is recovery.test.ts.
import { test } from 'tap'
import { ErrorCode } from '../../protocol/errors.ts'
import { baseOffset, lastOffset, partitionLeaderEpoch, sizeInBytes } from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { decodeRecords } from '../../protocol/records/records.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { Log, type ReadResult } from '../../storage/log.ts'
import type { LogOptions } from '../../storage/log-options.ts'
import { OpenFiles } from '../../storage/open-files.ts'
import { TailCache } from '../../storage/tail-cache.ts'
import { batchOf, config, type LogFixture, surroundings } from './log-fixture.ts'

const client = { leaderEpoch: 3, origin: 'client', nowMs: 1_700_000_000_000 } as const

async function openLog(changes: Partial<LogOptions> = {}): Promise<LogFixture & { log: Log }> {
  const around = await surroundings(changes)
  return { ...around, log: await Log.open(around.options) }
}

/** [base, last] of each batch read. */
function spans(result: ReadResult): number[][] {
  return result.records.flatMap(bytes => {
    const found: number[][] = []
    for (let at = 0; at < bytes.length; at += sizeInBytes(bytes, at)) {
      found.push([baseOffset(bytes, at), lastOffset(bytes, at)])
    }
    return found
  })
}

const all = { maxBytes: 1e6, upto: Number.MAX_SAFE_INTEGER, minOneMessage: true }

test('offsets are given at once, bytes go in one write at the end of the turn, and then they are synced', async t => {
  const { log, files, clock } = await openLog()
  const operations: string[] = []
  files.onOperation = (operation, path) => operations.push(`${operation} ${path.slice(-10)}`)
  const ends: number[] = []
  log.onSynced(end => ends.push(end))
  t.match(log.appendAsLeader(batchOf({ count: 3 }), client), { kind: 'appended', baseOffset: 0, lastOffset: 2 })
  t.match(log.appendAsLeader(batchOf({ count: 2 }), client), { kind: 'appended', baseOffset: 3, lastOffset: 4 })
  t.equal(log.logEndOffset, 5)
  t.equal(log.syncedEndOffset, 0)
  t.same(operations, [])
  clock.endTurn()
  t.same(operations, ['write 000000.log'])
  t.same(ends, [], 'written is not synced')
  await log.flush()
  t.same(ends, [5])
  t.equal(log.syncedEndOffset, 5)
  t.equal(operations[1], 'sync 000000.log')
  const bytes = files.readFileSync(log.segments.active.file.path) as Buffer
  t.equal(partitionLeaderEpoch(bytes, 0), 3)
  t.same(log.epochs.entries, [{ epoch: 3, startOffset: 0 }])
})

test('page-cache publishes what is written, and syncs when flush.messages or flush.ms say so', async t => {
  const changed = { ...config, flushMessages: 3, flushMs: 1000 }
  const { log, files, clock } = await openLog({ policy: 'page-cache', config: changed })
  let syncs = 0
  files.onOperation = operation => {
    if (operation === 'sync') syncs++
  }
  const ends: number[] = []
  log.onSynced(end => ends.push(end))
  log.appendAsLeader(batchOf(), client)
  clock.endTurn()
  t.same(ends, [1])
  t.equal(log.durableEndOffset, 0)
  t.equal(clock.timerCount, 1)
  clock.advance(1000)
  await new Promise(setImmediate)
  t.equal(syncs, 2, 'the file, and the directory that it is new in')
  t.equal(log.durableEndOffset, 1)
  t.equal(clock.timerCount, 0, 'no timer where there is nothing to flush')
  log.appendAsLeader(batchOf({ count: 3 }), client)
  clock.endTurn()
  t.same(ends, [1], 'an append that flush.messages sends to the disk counts when it is there')
  await new Promise(setImmediate)
  t.same(ends, [1, 4])
  t.equal(clock.timerCount, 0)
})

test('the next group commit covers what was written while the last one ran', async t => {
  const pending: (() => void)[] = []
  const { log, clock, files } = await openLog()
  await log.flush()
  const real = files.fdatasync.bind(files)
  let syncs = 0
  files.fdatasync = fd => {
    syncs++
    const done = real(fd)
    return new Promise<void>(resolve => pending.push(resolve)).then(() => done)
  }
  for (let turn = 0; turn < 5; turn++) {
    log.appendAsLeader(batchOf(), client)
    clock.endTurn()
  }
  t.equal(syncs, 1, 'one sync in flight')
  pending.shift()?.()
  await new Promise(setImmediate)
  t.equal(log.syncedEndOffset, 1)
  t.equal(syncs, 2)
  pending.shift()?.()
  await new Promise(setImmediate)
  t.equal(log.syncedEndOffset, 5)
  t.equal(syncs, 2)
})

test('reads give whole batches, from memory and from the file alike', async t => {
  for (const cacheBytes of [0, 1024 * 1024]) {
    const { log, clock } = await openLog({
      tailCache: new TailCache(cacheBytes),
      config: { ...config, segmentBytes: 1000, indexIntervalBytes: 100 }
    })
    for (let index = 0; index < 20; index++) log.appendAsLeader(batchOf({ count: 2 }), client)
    clock.endTurn()
    await log.flush()
    const size = batchOf({ count: 2 }).length
    const read = async (from: number, o: Partial<typeof all>) => await log.read(from, { ...all, ...o })
    t.equal(log.read(0, all) instanceof Promise, cacheBytes === 0)
    t.same(spans(await read(5, { maxBytes: size })), [[4, 5]], 'an offset inside of a batch')
    t.same(spans(await read(5, { maxBytes: size * 2 + 1 })).length, 2)
    t.same(spans(await read(5, { maxBytes: 1 })), [[4, 5]], 'the first batch whatever its size')
    t.same(spans(await read(5, { maxBytes: 1, minOneMessage: false })), [])
    t.same(spans(await read(4, { upto: 6 })), [[4, 5]], 'nothing that reaches upto')
    t.same(spans(await read(4, { upto: 5 })), [], 'not a part of a batch either')
    t.same(await read(40, {}), { records: [], sizeInBytes: 0, endOffset: 40 })
    t.equal((await read(6, { upto: 6 })).endOffset, 6)
    for (const outside of [-1, 41]) t.throws(() => log.read(outside, all), { code: 'ERR_OUT_OF_RANGE' })
    let from = 0
    const seen: number[][] = []
    while (from < 40) {
      const result = await read(from, { maxBytes: 300 })
      seen.push(...spans(result))
      from = result.endOffset
    }
    t.same(
      seen,
      Array.from({ length: 20 }, (_, index) => [index * 2, index * 2 + 1])
    )
    await log.close()
  }
})

test('batches larger than a read, and larger than what one system call gives', async t => {
  const { log } = await openLog({ tailCache: new TailCache(0), config: { ...config, maxMessageBytes: 1e6 } })
  log.appendAsLeader(batchOf({ valueBytes: 300_000 }), client)
  log.appendAsLeader(batchOf({ valueBytes: 10 }), client)
  await log.flush()
  const first = await log.read(0, { ...all, maxBytes: 100 })
  t.same(spans(first), [[0, 0]])
  t.same(spans(await log.read(1, { ...all, maxBytes: 100 })), [[1, 1]])
  t.same(spans(await log.read(0, all)).length, 2)
})

test('a read sees what was appended in the same turn', async t => {
  const { log } = await openLog({ tailCache: new TailCache(0) })
  log.appendAsLeader(batchOf({ count: 2 }), client)
  t.same(spans(await log.read(0, all)), [[0, 1]])
})

test('segments roll by size, by the time of the records, and when an index is full', async t => {
  const { log, clock } = await openLog({ config: { ...config, segmentBytes: 500 } })
  for (let index = 0; index < 12; index++) log.appendAsLeader(batchOf(), client)
  t.ok([...log.segments].every(segment => segment.sizeInBytes <= 500))
  t.equal(log.segments.count, 3)
  const byTime = await openLog({ config: { ...config, segmentMs: 1000 } })
  const at = (timestamp: number) => byTime.log.appendAsLeader(batchOf({ timestamp }), client)
  at(1_600_000_000_000)
  byTime.clock.ms += 10_000_000
  at(1_600_000_001_000)
  t.equal(byTime.log.segments.count, 1, 'the clock does not count where records have times')
  at(1_600_000_001_001)
  t.equal(byTime.log.segments.count, 2)
  at(1_600_000_000_000)
  t.equal(byTime.log.segments.count, 2, 'older records do not roll')
  const byIndex = await openLog({ config: { ...config, indexIntervalBytes: 0, segmentIndexBytes: 40 } })
  for (let index = 0; index < 8; index++) byIndex.log.appendAsLeader(batchOf({ timestamp: index }), client)
  t.same(
    [...byIndex.log.segments].map(segment => segment.baseOffset),
    [0, 3, 6],
    'the time index holds three entries in 40 bytes, one of them for the end'
  )
  t.ok(clock.timerCount === 0)
})

test('offsets are found by timestamp, across segments and inside of batches', async t => {
  const { log } = await openLog({ config: { ...config, segmentBytes: 2000, indexIntervalBytes: 200 } })
  for (let index = 0; index < 100; index++) {
    log.appendAsLeader(batchOf({ count: 2, timestamp: 1000 + index * 10 }), client)
  }
  const end = log.logEndOffset
  const find = async (timestamp: number) => (await log.offsetForTimestamp(timestamp, end))?.offset
  t.equal(await find(0), 0)
  for (let index = 0; index < 100; index++) {
    t.equal(await find(1000 + index * 10), index * 2)
    t.equal(await find(1000 + index * 10 - 1), index * 2)
  }
  t.equal(await find(1991), undefined)
  t.same(await log.maxTimestampOffset(end), { timestamp: 1990, offset: 198, leaderEpoch: 3 })
  t.equal(await log.maxTimestampOffset(198), null, 'not beyond upto')
  t.equal(await log.offsetForTimestamp(1990, 198), null)
  log.advanceLogStartOffset(51)
  t.equal(await find(0), 51, 'not before the log start')
})

test('a time that goes back is found where it first was', async t => {
  const { log } = await openLog({ config: { ...config, indexIntervalBytes: 0 } })
  for (const timestamp of [5000, 9000, 2000, 7000, 9000]) log.appendAsLeader(batchOf({ timestamp }), client)
  const find = async (timestamp: number) => (await log.offsetForTimestamp(timestamp, 5))?.offset
  t.equal(await find(2000), 0)
  t.equal(await find(7000), 1)
  t.equal(await find(9000), 1)
  t.equal((await log.maxTimestampOffset(5))?.offset, 1)
})

test('duplicates of a producer are answered with their first offsets, gaps are refused', async t => {
  const { log } = await openLog()
  const send = (baseSequence: number) =>
    log.appendAsLeader(batchOf({ count: 2, producerId: 7, producerEpoch: 0, baseSequence }), client)
  t.match(send(0), { kind: 'appended', baseOffset: 0 })
  t.match(send(2), { kind: 'appended', baseOffset: 2 })
  t.match(send(0), { kind: 'duplicate', baseOffset: 0, lastOffset: 1 })
  t.match(send(6), { kind: 'refused', errorCode: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER })
  t.equal(log.logEndOffset, 4)
})

test('below the reserve of the disk clients are refused, the broker goes on', async t => {
  const diskSpace = { isLow: true }
  const { log } = await openLog({ diskSpace })
  t.match(log.appendAsLeader(batchOf(), client), { kind: 'refused', errorCode: ErrorCode.KAFKA_STORAGE_ERROR })
  t.match(log.appendAsLeader(batchOf(), { ...client, origin: 'coordinator' }), { kind: 'appended', baseOffset: 0 })
  t.match(log.appendAsLeader(batchOf(), { ...client, origin: 'quorum' }), { kind: 'appended', baseOffset: 1 })
  diskSpace.isLow = false
  t.match(log.appendAsLeader(batchOf(), client), { kind: 'appended', baseOffset: 2 })
})

test("the broker's own batches may come several at once", async t => {
  const { log } = await openLog()
  const both = Buffer.concat([batchOf({ count: 2 }), batchOf({ count: 3 })])
  const result = log.appendAsLeader(both, { ...client, origin: 'quorum' })
  t.match(result, { kind: 'appended', baseOffset: 0, lastOffset: 4 })
  t.match(log.appendAsLeader(Buffer.alloc(10), { ...client, origin: 'quorum' }), { kind: 'refused' })
  t.same(spans(await log.read(0, all)), [
    [0, 1],
    [2, 4]
  ])
})

test('a follower takes batches as they are, leaves out those of a later epoch, and checks them', async t => {
  const leader = await openLog()
  for (const leaderEpoch of [1, 1, 4]) leader.log.appendAsLeader(batchOf({ count: 2 }), { ...client, leaderEpoch })
  const fetched = Buffer.concat((await leader.log.read(0, all)).records)
  const { log } = await openLog()
  log.appendAsFollower(fetched, 3)
  t.equal(log.logEndOffset, 4)
  t.same(log.epochs.entries, [{ epoch: 1, startOffset: 0 }])
  t.throws(() => log.appendAsFollower(fetched, 4), { code: 'ERR_OUT_OF_RANGE' })
  const later = Buffer.from(fetched.subarray(fetched.length - batchOf({ count: 2 }).length))
  later[later.length - 1] = 1
  t.throws(() => log.appendAsFollower(later, 4), { code: 'ERR_CORRUPT_BATCH' })
  const where = { baseOffset: 4, partitionLeaderEpoch: 4 }
  const backwards = buildBatch({ ...where, records: [], lastOffsetDelta: -2 })
  t.throws(() => log.appendAsFollower(backwards, 4), { code: 'ERR_CORRUPT_BATCH' }, 'no bug of ours')
  const noMarker = { timestamp: 1, key: Buffer.alloc(1), value: Buffer.alloc(1) }
  const strange = buildBatch({ ...where, control: true, producerId: 1, producerEpoch: 0, records: [noMarker] })
  t.throws(() => log.appendAsFollower(strange, 4))
  t.equal(log.logEndOffset, 4)
  t.same(log.epochs.entries, [{ epoch: 1, startOffset: 0 }], 'what is not taken leaves no trace')
})

test('retention lets the oldest segments go, by time, by size and by log start, never beyond the high watermark', async t => {
  const small = { ...config, segmentBytes: 200, fileDeleteDelayMs: 1000 }
  const fill = async (changes: Partial<typeof config>) => {
    const opened = await openLog({ config: { ...small, ...changes } })
    for (let index = 0; index < 8; index++) opened.log.appendAsLeader(batchOf({ timestamp: 1000 + index }), client)
    await opened.log.flush()
    return opened
  }
  const byTime = await fill({ retentionMs: 100 })
  t.equal(byTime.log.segments.count, 4)
  t.equal(byTime.log.deleteOldSegments(8, 1103), 1, 'both records of one segment are older than retention.ms')
  t.equal(byTime.log.logStartOffset, 2)
  t.throws(() => byTime.log.read(1, all), { code: 'ERR_OUT_OF_RANGE' })
  t.equal(byTime.log.deleteOldSegments(3, 10_000), 0, 'the high watermark lies in it')
  t.equal(byTime.log.deleteOldSegments(8, 10_000), 3)
  t.equal(byTime.log.logStartOffset, 8)
  t.equal(byTime.log.segments.count, 1, 'the active segment was rolled first')
  await byTime.log.flush()
  await new Promise(setImmediate)
  const names = async () => (await byTime.files.readdir('/data/t-0')).filter(name => name.includes('.log'))
  t.equal((await names()).length, 5, 'files are still there, under another name')
  byTime.clock.advance(1000)
  await new Promise(setImmediate)
  t.same(await names(), ['00000000000000000008.log'])

  const bySize = await fill({ retentionBytes: 400 })
  t.equal(bySize.log.deleteOldSegments(8, 0), 1, 'what stays is not less than retention.bytes')
  t.ok(bySize.log.sizeInBytes >= 400)

  const byStart = await fill({ deletes: false })
  t.equal(byStart.log.deleteOldSegments(8, 1e15), 0)
  byStart.log.advanceLogStartOffset(5)
  t.equal(byStart.log.deleteOldSegments(8, 0), 2)
  t.equal(byStart.log.logStartOffset, 5)
  t.equal(byStart.log.segments.first.baseOffset, 4)
})

test('truncation cuts at a batch, takes producers and epochs back, and is durable when it resolves', async t => {
  const lowered: number[] = []
  const { log, files, options } = await openLog({
    config: { ...config, segmentBytes: 400 },
    beforeTruncation: async to => {
      lowered.push(to)
    }
  })
  for (let index = 0; index < 10; index++) {
    const batch = batchOf({ count: 2, producerId: 1, producerEpoch: 0, baseSequence: index * 2 })
    log.appendAsLeader(batch, { ...client, leaderEpoch: 1 + (index >> 2) })
  }
  t.equal(await log.truncateTo(9), 8)
  t.equal(log.logEndOffset, 8)
  t.same(lowered, [8])
  t.same(log.epochs.entries, [{ epoch: 1, startOffset: 0 }])
  t.equal(log.producers.get(1)?.batches.at(-1)?.lastSequence, 7)
  t.same(spans(await log.read(7, all)), [[6, 7]])
  const disk = files.crash({ below: () => 0 }, 'drop')
  const after = await Log.open({ ...options, files: disk, openFiles: new OpenFiles(disk) })
  t.equal(after.logEndOffset, 8)
  t.equal(await after.truncateFullyAndStartAt(100), 100)
  t.equal(after.logStartOffset, 100)
  t.same(after.epochs.entries, [], 'what it had in that epoch is gone')
  t.match(after.appendAsLeader(batchOf(), client), { baseOffset: 100 })
})

test('a read that a truncation overtakes is made again', async t => {
  const pending: (() => void)[] = []
  const { log, files } = await openLog({ tailCache: new TailCache(0) })
  for (let index = 0; index < 4; index++) log.appendAsLeader(batchOf(), client)
  await log.flush()
  const real = files.read.bind(files)
  files.read = async (fd, buffer, position) => {
    await new Promise<void>(resolve => pending.push(resolve))
    return await real(fd, buffer, position)
  }
  const reading = Promise.resolve(log.read(0, all))
  files.read = real
  await log.truncateTo(2)
  log.appendAsLeader(batchOf({ count: 5 }), { ...client, leaderEpoch: 9 })
  pending.shift()?.()
  t.same(spans(await reading), [
    [0, 0],
    [1, 1],
    [2, 6]
  ])
})

test('settings are taken over while the log is open', async t => {
  const { log } = await openLog()
  log.appendAsLeader(batchOf(), client)
  log.appendAsLeader(batchOf(), client)
  log.configure({ ...config, segmentBytes: 200, messageTimestampType: 'LogAppendTime' })
  t.match(log.appendAsLeader(batchOf(), { ...client, nowMs: 77 }), { kind: 'appended', logAppendTimeMs: 77 })
  t.equal(log.segments.count, 2)
  const [record] = decodeRecords((await log.read(2, all)).records[0] as Buffer, 0)
  t.equal(record?.timestamp, 77)
})

test('files beyond the limit are closed, the log works on', async t => {
  const shared = new MemoryFiles()
  const around = await surroundings({ files: shared, openFiles: new OpenFiles(shared, 512) })
  const { openFiles } = around.options
  const logs: Log[] = []
  for (let partition = 0; partition < 600; partition++) {
    logs.push(await Log.open({ ...around.options, directory: `/data/t-${partition}` }))
  }
  t.equal(openFiles.count, 0, 'a log that is not used holds no file')
  for (const log of logs) log.appendAsLeader(batchOf(), client)
  around.clock.endTurn()
  await Promise.all(logs.map(log => log.flush()))
  for (const log of logs) log.appendAsLeader(batchOf(), client)
  await Promise.all(logs.map(log => log.flush()))
  await Promise.all(logs.map(log => log.checkpoint()))
  t.equal(around.clock.timerCount, 0, 'nor a timer')
  logs[0]?.appendAsLeader(batchOf(), client)
  await logs[0]?.flush()
  t.ok(openFiles.count <= 512, String(openFiles.count))
  for (const log of logs) await log.close()
  t.equal(around.files.openCount, 0)
})
