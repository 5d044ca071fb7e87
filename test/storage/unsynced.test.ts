// What recovery walked and left to be synced later: nothing of it counts before that, and it comes with the first batch, or
// when somebody asks for it. Method: a log whose last batch is in the page cache only is opened again.
import { test } from 'tap'
import { Log } from '../../storage/log.ts'
import type { LogOptions } from '../../storage/log-options.ts'
import { OpenFiles } from '../../storage/open-files.ts'
import { TailCache } from '../../storage/tail-cache.ts'
import { batchOf, surroundings } from './log-fixture.ts'

const client = { leaderEpoch: 1, origin: 'client', nowMs: 1_700_000_000_000 } as const

/** A log that was killed with its last batch in the page cache only, and opened by somebody who syncs it later. */
async function recoveredLater(changes: Partial<LogOptions> = {}) {
  const { files, clock, failures, options } = await surroundings()
  const log = await Log.open(options)
  log.appendAsLeader(batchOf({ count: 40 }), client)
  clock.endTurn()
  await log.checkpoint()
  files.fdatasync = () => new Promise(() => {})
  log.appendAsLeader(batchOf(), client)
  clock.endTurn()
  delete (files as { fdatasync?: unknown }).fdatasync
  const reopen = (disk: typeof files, more: Partial<LogOptions>) => {
    const fresh = { files: disk, openFiles: new OpenFiles(disk), tailCache: new TailCache(1e6) }
    return Log.open({ ...options, ...fresh, recoveryPoint: 40, syncedEnd: 40, ...more })
  }
  const found = await reopen(files, { syncsLater: true, ...changes })
  const endAfterPowerLoss = async () => (await reopen(files.crash({ below: () => 0 }, 'drop'), {})).logEndOffset
  return { files, clock, failures, found, endAfterPowerLoss }
}

test('what is left to be synced later counts from then on, whatever is recorded', async t => {
  const early = await recoveredLater()
  t.match(early.found, { logEndOffset: 41, writtenEndOffset: 41, syncedEndOffset: 40, wasWalked: true })
  t.equal(early.found.durableEndOffset, 40)
  t.equal(await early.endAfterPowerLoss(), 40, 'nobody was told of more')

  const late = await recoveredLater({ syncedEnd: 41 })
  t.equal(late.found.syncedEndOffset, 40)
  t.equal(late.found.durableEndOffset, 41, 'what is recorded as synced stays recorded')
  const told: number[] = []
  late.found.onSynced(end => told.push(end))
  await late.found.writer.syncRecovered()
  t.same(told, [41])
  t.equal(late.found.syncedEndOffset, 41)
  t.equal(await late.endAfterPowerLoss(), 41)
})

test('what is left to be synced later: by its first batch, for any policy, and not where anything was changed', async t => {
  const appended = await recoveredLater()
  appended.found.appendAsLeader(batchOf(), client)
  appended.clock.endTurn()
  await appended.found.flush()
  t.equal(appended.found.syncedEndOffset, 42)
  t.equal(await appended.endAfterPowerLoss(), 42, 'one sync for what was there and what came')

  const cached = await recoveredLater({ policy: 'page-cache' })
  t.match(cached.found, { syncedEndOffset: 41, durableEndOffset: 40 }, 'written is what counts there')
  await cached.found.writer.syncRecovered()
  t.equal(await cached.endAfterPowerLoss(), 41, 'but it is synced all the same')

  const failed = await recoveredLater()
  failed.files.inject({ operation: 'sync', path: '.log', code: 'EIO', times: 1 })
  await failed.found.writer.syncRecovered()
  t.equal(failed.found.isOffline, true)
  t.match(failed.failures, [{ operation: 'sync', durableEndOffset: 40 }])

  const suspect = await recoveredLater({ isSuspect: true })
  t.equal(suspect.found.syncedEndOffset, 41, 'copied, so synced before it is open')
  t.equal(await suspect.endAfterPowerLoss(), 41)
})

test('what is left to be synced later goes with the log that begins anew behind it', async t => {
  const { found, failures } = await recoveredLater({ logStartOffset: 45, syncedEnd: 0 })
  t.match(found, { logStartOffset: 45, logEndOffset: 45, syncedEndOffset: 45, durableEndOffset: 45 })
  await found.writer.syncRecovered()
  await found.flush()
  t.notOk(found.isOffline)
  t.same(failures, [])
})
