// Goal: a round of syncs ends when the last of it does, and each failure is told at once: a file is closed under none of them.
import { test } from 'tap'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { OpenFiles } from '../../storage/open-files.ts'
import { SyncRound } from '../../storage/sync-round.ts'

test('failures are told at once, the end of the round when nothing of it runs any more', async t => {
  const files = new MemoryFiles()
  await files.mkdir('/data')
  const openFiles = new OpenFiles(files)
  const opened = ['a', 'b'].map(name => ({ path: `/data/${name}`, fd: -1, pins: 0, onIdle: () => {} }))
  for (const file of opened) openFiles.create(file)
  const told: string[] = []
  const round = new SyncRound({
    ...{ files, openFiles, isUrgent: false },
    onFailed: error => told.push((error as { code: string }).code),
    onOver: () => told.push(`over, ${opened.map(({ pins }) => pins)} pins`)
  })
  const pending: (() => void)[] = []
  const real = files.fdatasync.bind(files)
  files.fdatasync = fd => new Promise<void>(resolve => pending.push(resolve)).then(() => real(fd))
  const some = opened.map(file => ({ file }))
  files.inject({ operation: 'sync', path: '/data/a', code: 'EIO', times: 1 })
  round.start(some, '/data')
  t.equal(round.isRunning, true)
  t.throws(() => round.start(some, null), 'one at a time')
  t.same(
    opened.map(({ pins }) => pins),
    [1, 1]
  )
  pending.shift()?.()
  await new Promise(setImmediate)
  t.same(told, ['ERR_STORAGE'])
  t.equal(round.isRunning, true, 'the files must not be closed yet')
  pending.shift()?.()
  await new Promise(setImmediate)
  t.same(told, ['ERR_STORAGE', 'over, 0,0 pins'])

  // A file that cannot be opened is a failed sync, and not within the call.
  openFiles.close(opened[0] as (typeof opened)[0])
  files.inject({ operation: 'open', path: '/data/a', code: 'EIO', times: 1 })
  round.start(some.slice(0, 1), null)
  t.equal(told.length, 2)
  await new Promise(setImmediate)
  t.same(told.slice(2), ['ERR_STORAGE', 'over, 0,0 pins'])
  round.start([], null)
  t.equal(round.isRunning, true)
  await new Promise(setImmediate)
  t.equal(told.length, 5)
})
