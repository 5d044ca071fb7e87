// What a start finds, and what it reads to find it. Method: a log is written on the disk in memory, the disk is changed or
// crashes, and the log is opened again.
import { test } from 'tap'
import type { MemoryFiles } from '../../storage/files-memory.ts'
import { Log } from '../../storage/log.ts'
import type { LogOptions } from '../../storage/log-options.ts'
import { OpenFiles } from '../../storage/open-files.ts'
import { TailCache } from '../../storage/tail-cache.ts'
import { batchOf, config, type LogFixture, surroundings } from './log-fixture.ts'

const client = { leaderEpoch: 1, origin: 'client', nowMs: 1_700_000_000_000 } as const
const all = { maxBytes: 1e6, upto: Number.MAX_SAFE_INTEGER, minOneMessage: true }
const small = { ...config, segmentBytes: 1000, indexIntervalBytes: 200 }

interface Written extends LogFixture {
  log: Log
}

/** Forty batches of one record in five segments or so, the last of them not checkpointed. */
async function written(changes: Partial<LogOptions> = {}): Promise<Written> {
  const around = await surroundings({ config: small, ...changes })
  const log = await Log.open(around.options)
  for (let index = 0; index < 40; index++) {
    const batch = batchOf({ producerId: index % 3, producerEpoch: 0, baseSequence: Math.floor(index / 3) })
    log.appendAsLeader(batch, client)
    around.clock.endTurn()
  }
  await log.flush()
  await log.checkpoint()
  return { ...around, log }
}

function reopen(from: LogFixture, files: MemoryFiles, changes: Partial<LogOptions>): Promise<Log> {
  const openFiles = new OpenFiles(files)
  return Log.open({ ...from.options, files, openFiles, tailCache: new TailCache(1e6), ...changes })
}

/** The bytes that a start reads, by file. */
function readings(files: MemoryFiles): Map<string, number> {
  const read = new Map<string, number>()
  const count = (name: string, bytes: number) => read.set(name, (read.get(name) ?? 0) + bytes)
  const open = files.open.bind(files)
  const names = new Map<number, string>()
  files.open = (file, mode) => {
    const fd = open(file, mode)
    names.set(fd, file.slice('/data/t-0/'.length))
    return fd
  }
  const readAt = files.read.bind(files)
  files.read = (fd, buffer, position) => {
    count(names.get(fd) ?? '', buffer.length)
    return readAt(fd, buffer, position)
  }
  const readSync = files.readSync.bind(files)
  files.readSync = (fd, buffer, position) => {
    count(names.get(fd) ?? '', buffer.length)
    return readSync(fd, buffer, position)
  }
  const readFileSync = files.readFileSync.bind(files)
  files.readFileSync = file => {
    count(file.slice('/data/t-0/'.length), 1)
    return readFileSync(file)
  }
  return read
}

test('a clean start reads no log and no index', async t => {
  const around = await written()
  const recoveryPoint = await around.log.close()
  const read = readings(around.files)
  const log = await reopen(around, around.files, { cleanShutdown: true, recoveryPoint, syncedEnd: recoveryPoint })
  t.equal(log.wasWalked, false)
  t.equal(log.logEndOffset, 40)
  t.same([...read.keys()].sort(), ['00000000000000000040.snapshot', 'leader-epoch-checkpoint'])
  t.equal(around.files.openCount, 0)
  t.same(log.epochs.entries, [{ epoch: 1, startOffset: 0 }])
  t.equal(log.producers.get(2)?.batches.at(-1)?.lastOffset, 38)
  t.match(log.appendAsLeader(batchOf(), { ...client, leaderEpoch: 2 }), { baseOffset: 40 })
  t.equal((await log.read(0, { ...all, maxBytes: 1 })).endOffset, 1)
})

test('after a crash only what lies behind the recovery point is read', async t => {
  const around = await written()
  const { log } = around
  const recoveryPoint = log.recoveryPoint
  t.equal(recoveryPoint, 40)
  for (let index = 0; index < 3; index++) log.appendAsLeader(batchOf(), client)
  await log.flush()
  const files = around.files.crash({ below: () => 0 }, 'keep')
  const read = readings(files)
  const found = await reopen(around, files, { recoveryPoint, syncedEnd: 0 })
  t.equal(found.wasWalked, true)
  t.equal(found.logEndOffset, 43)
  const logs = [...read].filter(([name]) => name.endsWith('.log'))
  t.equal(logs.length, 1, 'one segment')
  t.ok((logs[0]?.[1] ?? 0) < 800, `${logs[0]?.[1]} bytes of it`)
  t.equal(found.recoveryPoint, 40, 'so little may be walked again')
})

test('what was long to walk is written down, so that the next start need not', async t => {
  const around = await written({ config: { ...small, segmentBytes: 10_000_000 } })
  const { log } = around
  for (let index = 0; index < 3; index++) log.appendAsLeader(batchOf({ valueBytes: 100_000 }), client)
  await log.flush()
  const files = around.files.crash({ below: () => 0 }, 'keep')
  const found = await reopen(around, files, { recoveryPoint: 40, syncedEnd: 0 })
  t.equal(found.recoveryPoint, 43)
})

/** Cuts or spoils the end of the last segment. */
function spoil(files: MemoryFiles, log: Log, how: 'cut' | 'flip' | 'zeros' | 'garbage', at = -1): void {
  const { file, sizeInBytes } = log.segments.active
  const fd = files.open(file.path, 'write')
  if (how === 'cut') files.ftruncate(fd, sizeInBytes - 7)
  if (how === 'flip') files.writev(fd, [Buffer.from([0xff])], at < 0 ? sizeInBytes + at : at)
  if (how === 'zeros') files.ftruncate(fd, sizeInBytes + 5000)
  if (how === 'garbage') files.writev(fd, [Buffer.alloc(300, 0xa5)], sizeInBytes)
  files.close(fd)
}

test('a torn tail is cut at the last whole sound batch', async t => {
  for (const [how, end] of [
    ['cut', 39],
    ['flip', 39],
    ['zeros', 40],
    ['garbage', 40]
  ] as const) {
    const around = await written()
    spoil(around.files, around.log, how)
    const log = await reopen(around, around.files, { recoveryPoint: 0, syncedEnd: 0 })
    t.equal(log.logEndOffset, end, how)
    t.ok(log.truncatedBytes > 0)
    t.equal(around.files.sizeOf(log.segments.active.file.path), log.segments.active.sizeInBytes)
    t.match(log.appendAsLeader(batchOf(), { ...client, leaderEpoch: 2 }), { baseOffset: end })
  }
})

test('a cut below the recorded synced end is corruption: the log is not opened, and nothing is changed', async t => {
  for (const how of ['cut', 'flip'] as const) {
    const around = await written()
    spoil(around.files, around.log, how)
    await around.log.discard()
    const changes: string[] = []
    const before = await around.files.readdir('/data/t-0')
    around.files.onOperation = (operation, path) => changes.push(`${operation} ${path}`)
    await t.rejects(reopen(around, around.files, { recoveryPoint: 0, syncedEnd: 40 }), {
      code: 'ERR_LOG_CORRUPT',
      message: 't-0: sound batches end at offset 39, but everything below 40 was synced'
    })
    t.same(await around.files.readdir('/data/t-0'), before)
    t.same(changes, [])
    t.equal(around.files.openCount, 0, 'no file stays open')
  }
})

test('a bad batch in the middle ends the log there, and the segments behind it go', async t => {
  const around = await written()
  const [, second] = [...around.log.segments]
  const fd = around.files.open(second?.file.path ?? '', 'write')
  around.files.writev(fd, [Buffer.from([1, 2, 3])], 150)
  around.files.close(fd)
  const log = await reopen(around, around.files, { recoveryPoint: 0, syncedEnd: 0 })
  t.equal(log.logEndOffset, (second?.baseOffset ?? 0) + 1)
  t.equal(log.segments.count, 2)
  const left = (await around.files.readdir('/data/t-0')).filter(name => name.endsWith('.log'))
  t.equal(left.length, 2)
  const beyond = (await around.files.readdir('/data/t-0')).filter(name => Number.parseInt(name, 10) > log.logEndOffset)
  t.same(beyond, [], 'no index and no snapshot from beyond the end')
})

test('a hole between segments ends the log before it', async t => {
  const around = await written()
  const { files } = around
  const [first, second] = [...around.log.segments]
  await files.unlink(second?.file.path ?? '')
  const log = await reopen(around, files, { recoveryPoint: 0, syncedEnd: 0 })
  t.equal(log.logEndOffset, second?.baseOffset)
  t.equal(log.segments.count, 1)
  t.equal(log.segments.active.baseOffset, first?.baseOffset)
})

test('a hole that compaction may have left is believed where everything was synced', async t => {
  for (const [compacts, syncedEnd, end] of [
    [true, 40, 40],
    [true, undefined, 40],
    [true, 5, 0],
    [false, 40, -1]
  ] as const) {
    const around = await written()
    const [, second] = [...around.log.segments]
    await around.files.unlink(second?.file.path ?? '')
    const { syncedEnd: _, ...options } = around.options
    const opening = Log.open({
      ...options,
      openFiles: new OpenFiles(around.files),
      recoveryPoint: 0,
      config: { ...small, compacts },
      ...(syncedEnd === undefined ? {} : { syncedEnd })
    })
    if (end < 0) await t.rejects(opening, { code: 'ERR_LOG_CORRUPT' })
    else t.equal((await opening).logEndOffset, end === 0 ? second?.baseOffset : end)
  }
})

test('missing or broken indexes are made anew, alike', async t => {
  const around = await written()
  const recoveryPoint = await around.log.close()
  const [, second] = [...around.log.segments]
  const { offsetIndex, timeIndex } = second as NonNullable<typeof second>
  const expected = [around.files.readFileSync(offsetIndex.path), around.files.readFileSync(timeIndex.path)]
  for (const broken of [offsetIndex, timeIndex]) {
    await around.files.unlink(broken.path)
    const log = await reopen(around, around.files, { cleanShutdown: true, recoveryPoint, syncedEnd: recoveryPoint })
    t.equal(log.wasWalked, true)
    t.equal(log.logEndOffset, 40)
    await log.close()
    t.same([around.files.readFileSync(offsetIndex.path), around.files.readFileSync(timeIndex.path)], expected)
  }
})

test('without epochs, or with a file of them that makes no sense, the batches tell', async t => {
  const around = await written()
  const recoveryPoint = await around.log.close()
  for (const text of ['', '0\n7\nnonsense\n']) {
    const fd = around.files.open('/data/t-0/leader-epoch-checkpoint', 'create')
    around.files.ftruncate(fd, 0)
    around.files.writev(fd, [Buffer.from(text)], 0)
    around.files.close(fd)
    const log = await reopen(around, around.files, { cleanShutdown: true, recoveryPoint, syncedEnd: recoveryPoint })
    t.same(log.epochs.entries, [{ epoch: 1, startOffset: 0 }])
    t.equal(log.logEndOffset, 40)
    await log.close()
  }
})

test('a producer snapshot that cannot be read costs a longer walk, nothing else', async t => {
  const around = await written()
  const recoveryPoint = await around.log.close()
  for (const name of await around.files.readdir('/data/t-0')) {
    if (!name.endsWith('.snapshot')) continue
    const fd = around.files.open(`/data/t-0/${name}`, 'write')
    around.files.writev(fd, [Buffer.from([0xff, 0xff, 0xff])], 2)
    around.files.close(fd)
  }
  const log = await reopen(around, around.files, { cleanShutdown: true, recoveryPoint, syncedEnd: recoveryPoint })
  t.equal(log.wasWalked, true)
  t.equal(log.producers.get(0)?.batches.at(-1)?.lastOffset, 39)
  t.equal(log.producers.get(0)?.batches.length, 5, 'the walk saw them all')
})

test('what a crash left half done is finished or dropped', async t => {
  const around = await written()
  const recoveryPoint = await around.log.close()
  const { files } = around
  const put = async (name: string, bytes: Buffer) => files.writeFileAtomically(`/data/t-0/${name}`, bytes)
  const [first, second, third] = [...around.log.segments].map(segment => segment.baseOffset)
  const name = (offset: number | undefined, kind: string) => `${String(offset).padStart(20, '0')}.${kind}`
  const bytesOf = (offset: number | undefined) => files.readFileSync(`/data/t-0/${name(offset, 'log')}`) as Buffer
  const merged = Buffer.concat([bytesOf(first), bytesOf(second)])
  await put(name(first, 'log.swap'), merged)
  await put(name(first, 'index.swap'), Buffer.alloc(0))
  await put(name(third, 'log.cleaned'), Buffer.from('half'))
  await put(name(7777, 'log.deleted'), Buffer.from('gone'))
  await put('leader-epoch-checkpoint.tmp', Buffer.from('half'))
  const log = await reopen(around, files, { recoveryPoint, syncedEnd: recoveryPoint, cleanShutdown: true })
  t.equal(log.logEndOffset, 40)
  t.same([...log.segments].map(segment => segment.baseOffset).slice(0, 2), [first, third])
  t.same(bytesOf(first), merged)
  const names = await files.readdir('/data/t-0')
  t.same(
    names.filter(each => /swap|cleaned|deleted|tmp/.test(each)),
    []
  )
  t.equal((await log.read(0, all)).sizeInBytes, merged.length)
})

test('an incomplete split is undone', async t => {
  const around = await written()
  const recoveryPoint = await around.log.close()
  const { files } = around
  const base = (around.log.segments.at(1) as { baseOffset: number }).baseOffset
  const name = (offset: number, kind: string) => `/data/t-0/${String(offset).padStart(20, '0')}.${kind}`
  const before = files.readFileSync(name(base, 'log')) as Buffer
  await files.writeFileAtomically(name(base, 'log.swap'), before.subarray(0, 100))
  await files.writeFileAtomically(name(base, 'log.cleaned'), before.subarray(100))
  const log = await reopen(around, files, { recoveryPoint, syncedEnd: recoveryPoint, cleanShutdown: true })
  t.equal(log.logEndOffset, 40)
  t.same(files.readFileSync(name(base, 'log')), before)
})

/** A batch that is in the page cache only, as a kill leaves it. */
function appendUnsynced({ files, log, clock }: Awaited<ReturnType<typeof written>>): void {
  files.fdatasync = () => new Promise(() => {})
  log.appendAsLeader(batchOf(), client)
  clock.endTurn()
  delete (files as { fdatasync?: unknown }).fdatasync
}

test('what a killed process left in the page cache is synced before it counts', async t => {
  const around = await written()
  const { files } = around
  appendUnsynced(around)
  const found = await reopen(around, files, { recoveryPoint: 40, syncedEnd: 40 })
  t.equal(found.logEndOffset, 41)
  t.equal(found.syncedEndOffset, 41)
  const after = files.crash({ below: () => 0 }, 'drop')
  t.equal((await reopen(around, after, { recoveryPoint: 40, syncedEnd: 41 })).logEndOffset, 41)
})

test('pages that a failed sync may have lost are copied to new files', async t => {
  const around = await written()
  const { files, log } = around
  log.appendAsLeader(batchOf(), client)
  files.inject({ operation: 'sync', path: '.log', code: 'EIO', times: 1 })
  await t.rejects(log.flush(), { code: 'ERR_LOG_OFFLINE' })
  t.match(around.failures, [{ operation: 'sync', durableEndOffset: 40 }])
  await log.discard()
  const found = await reopen(around, files, { recoveryPoint: 40, syncedEnd: 40, isSuspect: true })
  t.equal(found.logEndOffset, 41)
  const after = files.crash({ below: () => 0 }, 'drop')
  t.equal((await reopen(around, after, { recoveryPoint: 41, syncedEnd: 41 })).logEndOffset, 41)
})

test('a sync that fails while a log is opened is told as any other, before the opening fails', async t => {
  const around = await written()
  const { files } = around
  appendUnsynced(around)
  files.inject({ operation: 'sync', path: '.log', code: 'EIO', times: 1 })
  await t.rejects(reopen(around, files, { recoveryPoint: 40, syncedEnd: 40 }), { code: 'ERR_STORAGE' })
  t.match(around.failures, [{ operation: 'sync', durableEndOffset: 40 }])
})

test('a log whose start lies behind its end begins anew there', async t => {
  const around = await written()
  const log = await reopen(around, around.files, { logStartOffset: 100, syncedEnd: 0 })
  t.equal(log.logStartOffset, 100)
  t.equal(log.logEndOffset, 100)
  t.equal(log.producers.size, 0)
})

test('a missing directory is made, and is durable with the first batch; an empty one with a recorded end is corrupt', async t => {
  const around = await surroundings()
  const log = await Log.open(around.options)
  log.appendAsLeader(batchOf(), client)
  await log.flush()
  const files = around.files.crash({ below: () => 0 }, 'drop')
  t.ok((files.sizeOf('/data/t-0/00000000000000000000.log') ?? 0) > 0)
  const other = await surroundings()
  await t.rejects(Log.open({ ...other.options, syncedEnd: 5 }), { code: 'ERR_LOG_CORRUPT' })
})

test('a disk that cannot be read gives one clear failure', async t => {
  for (const operation of ['open', 'read', 'list', 'stat'] as const) {
    const around = await written()
    around.files.inject({ operation, path: '', code: 'EIO' })
    await t.rejects(reopen(around, around.files, {}), { code: 'ERR_STORAGE' })
  }
})

test('much that was appended is not walked again, though no segment was full and no time has passed', async t => {
  const around = await surroundings({ checkpointBytes: 2_000 })
  const moved: number[] = []
  const log = await Log.open({ ...around.options, onRecoveryPoint: offset => moved.push(offset) })
  for (let count = 0; count < 10; count++) {
    log.appendAsLeader(batchOf({ valueBytes: 500 }), client)
    around.clock.endTurn()
    await log.flush()
    // Checkpoints in the background come to their end.
    await new Promise(setImmediate)
  }
  await log.checkpoint()
  t.ok(moved.length >= 2, 'by itself')
  t.ok((moved[0] as number) >= 3 && (moved[0] as number) <= 5)
  log.appendAsLeader(batchOf({ valueBytes: 500 }), client)
  await log.flush()
  const files = around.files.crash({ below: () => 0 }, 'drop')
  const found = await reopen(around, files, { recoveryPoint: moved[1] as number, syncedEnd: 11 })
  t.equal(found.logEndOffset, 11)
  t.ok(found.snapshots.offsets.includes(moved[1] as number), 'the state of the producers is there')
})
