// A disk that refuses: nothing acked is lost, the log is offline for good, told once, and nothing is tried again.
import { test } from 'tap'
import { ErrorCode } from '../../protocol/errors.ts'
import { Log } from '../../storage/log.ts'
import type { LogOptions } from '../../storage/log-options.ts'
import { TailCache } from '../../storage/tail-cache.ts'
import { batchOf, config, surroundings } from './log-fixture.ts'

const client = { leaderEpoch: 1, origin: 'client', nowMs: 1_700_000_000_000 } as const
const all = { maxBytes: 1e6, upto: Number.MAX_SAFE_INTEGER, minOneMessage: true }

async function openLog(changes: Partial<LogOptions> = {}) {
  const around = await surroundings(changes)
  const log = await Log.open(around.options)
  log.appendAsLeader(batchOf(), client)
  await log.flush()
  return { ...around, log }
}

test('a failed write takes the log offline, once and for good', async t => {
  for (const code of ['EIO', 'ENOSPC'] as const) {
    const { log, files, clock, failures } = await openLog()
    const ends: number[] = []
    log.onSynced(end => ends.push(end))
    files.inject({ operation: 'write', path: '.log', code, times: 1 })
    log.appendAsLeader(batchOf(), client)
    const waiting = log.flush()
    await t.rejects(waiting, { code: 'ERR_LOG_OFFLINE' })
    clock.endTurn()
    t.match(failures, [{ operation: 'write', durableEndOffset: 1 }])
    t.equal(failures.length, 1)
    t.equal(failures[0]?.error.code, code === 'EIO' ? 'ERR_STORAGE' : 'ERR_NO_SPACE')
    t.ok(log.isOffline)
    t.same(ends, [])
    t.match(log.appendAsLeader(batchOf(), client), { kind: 'refused', errorCode: ErrorCode.KAFKA_STORAGE_ERROR })
    t.throws(() => log.appendAsFollower(batchOf(), 1), { code: 'ERR_LOG_OFFLINE' })
    t.throws(() => log.read(0, all), { code: 'ERR_LOG_OFFLINE' })
    await t.rejects(log.flush(), { code: 'ERR_LOG_OFFLINE' })
    await t.rejects(log.checkpoint(), { code: 'ERR_LOG_OFFLINE' })
    t.equal(log.deleteOldSegments(1, 1e15), 0)
    t.equal(failures.length, 1, 'told once')
    await log.close()
    t.equal(files.openCount, 0)
  }
})

test('a failed sync is never tried again', async t => {
  const { log, files, clock, failures } = await openLog()
  let syncs = 0
  const real = files.fdatasync.bind(files)
  files.fdatasync = fd => {
    syncs++
    return real(fd)
  }
  files.inject({ operation: 'sync', path: '.log', code: 'EIO', times: 1 })
  log.appendAsLeader(batchOf(), client)
  clock.endTurn()
  log.appendAsLeader(batchOf(), client)
  clock.endTurn()
  await new Promise(setImmediate)
  t.match(failures, [{ operation: 'sync', durableEndOffset: 1 }])
  t.equal(syncs, 1)
  t.equal(log.syncedEndOffset, 1)
  await log.close()
  t.equal(syncs, 1)
})

test('a sync that fails after the log went offline is told too', async t => {
  const { log, files, clock, failures } = await openLog()
  files.inject({ operation: 'sync', path: '.log', code: 'EIO', times: 1 })
  log.appendAsLeader(batchOf(), client)
  clock.endTurn()
  files.inject({ operation: 'write', path: '.log', code: 'EIO', times: 1 })
  log.appendAsLeader(batchOf(), client)
  clock.endTurn()
  await new Promise(setImmediate)
  t.same(
    failures.map(failure => failure.operation),
    ['write', 'sync']
  )
})

test('a segment that cannot be made refuses the batch before it has an offset', async t => {
  const { log, files, failures } = await openLog({ config: { ...config, segmentBytes: 100 } })
  files.inject({ operation: 'open', path: '01.log', code: 'ENOSPC' })
  t.match(log.appendAsLeader(batchOf(), client), { kind: 'refused', errorCode: ErrorCode.KAFKA_STORAGE_ERROR })
  t.equal(log.logEndOffset, 1)
  t.match(failures, [{ operation: 'write' }])
})

test('a checkpoint that fails takes the log offline', async t => {
  const { log, files, failures } = await openLog()
  files.inject({ operation: 'sync', path: '.snapshot', code: 'EIO', times: 1 })
  await t.rejects(log.checkpoint())
  t.match(failures, [{ operation: 'checkpoint' }])
  t.equal(log.recoveryPoint, 0)
})

test('a read that fails harms nobody else', async t => {
  const told: Error[] = []
  const { log, files } = await openLog({ tailCache: new TailCache(0), onReadFailure: error => told.push(error) })
  files.inject({ operation: 'read', path: '.log', code: 'EIO', times: 1 })
  await t.rejects(Promise.resolve(log.read(0, all)), { code: 'ERR_STORAGE' })
  t.equal(told.length, 1)
  t.notOk(log.isOffline)
  t.equal((await log.read(0, all)).endOffset, 1)
})

test('bytes that are no batch are an error, not a hang', async t => {
  const { log, files } = await openLog({ tailCache: new TailCache(0) })
  for (const length of [0, -5, 1e9]) {
    const header = Buffer.alloc(4)
    header.writeInt32BE(length)
    const fd = files.open(log.segments.active.file.path, 'write')
    files.writev(fd, [header], 8)
    files.close(fd)
    await t.rejects(Promise.resolve(log.read(0, all)), { code: 'ERR_LOG_CORRUPT' })
  }
})

test('after close everything is refused', async t => {
  const { log, failures } = await openLog()
  t.equal(await log.close(), 1)
  t.match(log.appendAsLeader(batchOf(), client), { kind: 'refused' })
  await t.rejects(log.flush(), { code: 'ERR_CLOSED' })
  t.same(failures, [])
})
