// Cleaning one log: compared with the model, by every codec; a crash after every single operation on the disk; what else
// may happen to a log meanwhile.
import { type Test, test } from 'tap'
import { encodeControlRecord } from '../../protocol/cluster/control.ts'
import * as batch from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { prepareCompression } from '../../protocol/records/compression.ts'
import { cleanLog, viewOf } from '../../storage/clean-log.ts'
import { cleanableOf } from '../../storage/compaction.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import type { Log } from '../../storage/log.ts'
import { OffsetMap } from '../../storage/offset-map.ts'
import { TailCache } from '../../storage/tail-cache.ts'
import {
  Clock,
  clean,
  compacted,
  contents,
  DIRECTORY,
  dice,
  fill,
  filled,
  misplaced,
  model,
  openLog,
  START,
  settle,
  type Written
} from './clean-fixture.ts'

await prepareCompression()

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

test('a cut overtakes the cleaning, at any operation on the disk', async t => {
  for (let at = 1; await cutAt(t, at); at++);
})

/** False: the cleaning has fewer operations. */
async function cutAt(t: Test, at: number): Promise<boolean> {
  const { files, clock, log, written } = await filled(21, 60)
  const [second, third] = [2, 3].map(index => log.segments.at(index)?.baseOffset as number) as [number, number]
  // Inside of a closed segment that begins below the high watermark, so that it may be cleaned.
  const { batches } = await contents(log)
  const [end] = batches.find(([base]) => base > second) as [number, number]
  t.ok(end < third)
  const range = cleanableOf(viewOf(log, end), 0, log.config, START)
  const map = new OffsetMap(2 ** 20, 0.9)
  let count = 0
  let cutting: Promise<unknown> | null = null
  files.onOperation = () => {
    if (++count === at) cutting = Promise.resolve().then(() => log.truncateTo(end))
  }
  const options = { map, ioBufferBytes: 1024, nowMs: START, pace: () => undefined, isStopped: () => false }
  await cleanLog(log, range, options).catch(error => t.equal(error.code, 'ERR_CLOSED', `${at}: ${error.message}`))
  files.onOperation = null
  if (cutting === null) return false
  await cutting
  t.equal(log.logEndOffset, end)
  const kept = written.filter(record => record.offset < end)
  const later: Written[] = []
  for (let i = 0; i < 30; i++) {
    const bytes = buildBatch({
      records: [{ timestamp: START, key: Buffer.from('key-1'), value: Buffer.from(`later-${i}`) }]
    })
    log.appendAsLeader(bytes, { leaderEpoch: 1, origin: 'client', nowMs: START })
    later.push({ offset: end + i, key: 'key-1', value: `later-${i}` })
  }
  await settle(log)
  await files.syncDirectory(DIRECTORY)
  t.equal(log.isOffline, false, `${at}: online`)
  t.same(misplaced(files, log), [], `${at}: segments do not overlap`)
  const { records } = await contents(log)
  t.same(
    records.filter(record => record.offset >= end),
    later,
    `${at}: what was cut away does not come back`
  )
  const offsets = new Set(records.map(record => record.offset))
  const lost = model(kept, end, true).filter(record => !offsets.has(record.offset))
  t.same(lost, [], `${at}: nothing is lost`)
  const reopened = await openLog(files.crash(dice(at), 'drop'), clock, { recoveryPoint: log.recoveryPoint })
  t.same((await contents(reopened)).records, records, `${at}: nor at the next start`)
  return true
}
