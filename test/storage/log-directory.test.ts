// Goal: a directory is formatted once, belongs to one node of one cluster, and to one process at a time.
// Real files and real locks; the other process is a real one too.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { NodeFiles } from '../../storage/files-node.ts'
import {
  type LogDirectoryOptions,
  markCleanShutdown,
  openLogDirectory,
  STATE_DIRECTORY,
  takeCleanShutdown
} from '../../storage/log-directory.ts'
import { openLevelStore } from '../../storage/snapshot-cache.ts'

const files = new NodeFiles()
let uuids = 0

function options(directory: string, o: Partial<LogDirectoryOptions> = {}): LogDirectoryOptions {
  return {
    files,
    directory,
    nodeId: 1,
    clusterId: null,
    random: { uuid: () => `uuid-uuid-uuid-uuid-${String(++uuids).padStart(2, '0')}` },
    clock: { nowMs: () => 0 },
    openKeyStore: openLevelStore,
    bootstrapCheckpoint: () => Buffer.from('first records'),
    ...o
  }
}

async function openAndClose(o: LogDirectoryOptions) {
  const opened = await openLogDirectory(o)
  await opened.store.close()
  return opened
}

test('an empty or missing directory is formatted once', async t => {
  const directory = join(t.testdir(), 'made', 'by', 'us')
  const first = await openAndClose(options(directory))
  t.equal(first.isNew, true)
  t.equal(readFileSync(join(directory, 'bootstrap.checkpoint'), 'utf8'), 'first records')
  t.match(
    readFileSync(join(directory, 'meta.properties'), 'utf8'),
    /node\.id=1\ndirectory\.id=uuid-.*\nversion=1\ncluster\.id=uuid-/
  )
  const second = await openAndClose(
    options(directory, { bootstrapCheckpoint: () => t.fail('formatted twice') as never })
  )
  t.equal(second.isNew, false)
  t.same(second.meta, first.meta)
  t.equal(second.directoryId, first.directoryId)
  const told = await openAndClose(options(join(t.testdirName, 'told'), { clusterId: 'my-cluster' }))
  t.equal(told.meta?.clusterId, 'my-cluster')
})

test('a directory without an id gets one and keeps everything else (Kafka before 3.7)', async t => {
  const directory = t.testdir({
    'meta.properties': '#\n#x\nnode.id=1\nversion=1\ncluster.id=c\nplug.in=y\n',
    'orders-0': {}
  })
  const opened = await openAndClose(options(directory))
  t.match(opened, { isNew: false, meta: { clusterId: 'c' }, directoryId: /^uuid-/ })
  t.match(readFileSync(join(directory, 'meta.properties'), 'utf8'), /cluster\.id=c\nplug\.in=y\n/)
  t.notOk(existsSync(join(directory, 'bootstrap.checkpoint')))
})

test('somebody else’s directory is refused in one line, and left as it was', async t => {
  const owned = '#\n#x\nnode.id=7\nversion=1\ncluster.id=theirs\ndirectory.id=ISIjJCUmJygxMjM0NTY3OA\n'
  const directory = t.testdir({ other: { 'meta.properties': owned }, ownerless: { 'orders-0': {} }, file: 'x' })
  const cases: [string, Partial<LogDirectoryOptions>, string, RegExp][] = [
    ['other', { nodeId: 1 }, 'ERR_WRONG_DIRECTORY', /belongs to node 7, this is node 1 \(node\.id\)$/],
    [
      'other',
      { nodeId: 7, clusterId: 'mine' },
      'ERR_WRONG_DIRECTORY',
      /belongs to cluster theirs, this is cluster mine$/
    ],
    ['ownerless', {}, 'ERR_WRONG_DIRECTORY', /holds orders-0 but no meta\.properties/],
    ['file', {}, 'ERR_STORAGE', /it is a file$/],
    ['file/below', {}, 'ERR_STORAGE', /a part of the path is a file/]
  ]
  for (const [name, o, code, message] of cases) {
    const failure = await openLogDirectory(options(join(directory, name), o)).catch(error => error)
    t.match(failure, { code, message }, name)
    t.match(failure.message, `log directory ${join(directory, name)}: `, 'it names the directory')
    t.notMatch(failure.message, /\n/, 'one line')
  }
  t.equal(readFileSync(join(directory, 'other', 'meta.properties'), 'utf8'), owned)
  t.match(
    await openAndClose(options(join(directory, 'other'), { nodeId: 7 })),
    { isNew: false },
    'its owner may, the lock is free'
  )
})

test('a half-formatted directory is formatted to the end', async t => {
  const directory = t.testdir({
    'bootstrap.checkpoint': 'to',
    'lost+found': {},
    '__cluster_metadata-0': { 'moldau-state': {} }
  })
  t.equal((await openAndClose(options(directory))).isNew, true)
  t.equal(readFileSync(join(directory, 'bootstrap.checkpoint'), 'utf8'), 'first records')
})

test('one process at a time; the lock is Kafka’s, and a killed process holds none', async t => {
  const directory = join(t.testdir(), 'data')
  const opened = await openLogDirectory(options(directory))
  const second = await openLogDirectory(options(directory)).catch(error => error)
  t.match(second, { code: 'ERR_LOCKED', message: /\.lock is held by another process/ })
  t.equal(
    fcntlLock(directory, false),
    false,
    'a program that locks .lock as Kafka does is kept out, after the failed attempt too'
  )
  await opened.store.close()
  t.equal(fcntlLock(directory, true), true)

  const child = spawn(process.execPath, ['--input-type=module', '-e', holder(directory)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await once(child.stdout, 'data')
  t.match(
    await openLogDirectory(options(directory)).catch(error => error),
    { code: 'ERR_LOCKED' },
    'another process holds it'
  )
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.match(await openAndClose(options(directory)), { isNew: false }, 'kill -9 frees it')

  rmSync(join(directory, STATE_DIRECTORY), { recursive: true })
  const again = await openLogDirectory(options(directory))
  t.equal(fcntlLock(directory, false), false, 'deleting the cache does not lose the lock')
  await again.store.close()
})

test('no permission: one clear line', async t => {
  const directory = t.testdir({ closed: {} })
  chmodSync(join(directory, 'closed'), 0o555)
  // Root may do anything: the attempt is made by a process that is nobody.
  const asRoot = process.getuid?.() === 0
  for (let up = directory; asRoot && up !== '/'; up = join(up, '..'))
    if (!world(up)) return t.pass('the way here is closed too')
  const script = `${imports()}
    const options = { files: new NodeFiles(), directory: ${JSON.stringify(join(directory, 'closed'))}, nodeId: 1, clusterId: null,
      random: { uuid: () => 'u' }, clock: { nowMs: () => 0 }, openKeyStore: openLevelStore, bootstrapCheckpoint: () => Buffer.alloc(0) }
    try { await openLogDirectory(options) } catch (error) { console.log(error.code, error.message) }`
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    ...(asRoot ? { uid: 65534, gid: 65534 } : {})
  })
  t.match(said, /^ERR_STORAGE log directory \S+closed: permission denied \(.*EACCES\)\n$/)
  chmodSync(join(directory, 'closed'), 0o755)
})

test('the mark of a clean stop is taken once', async t => {
  const directory = t.testdir()
  t.equal(await takeCleanShutdown(files, directory), null)
  await markCleanShutdown(files, directory, 42)
  t.same(await takeCleanShutdown(files, directory), { brokerEpoch: 42 })
  t.equal(await takeCleanShutdown(files, directory), null)
  t.same(readdirSync(directory), [])
})

/** Whether a foreign program gets the fcntl lock that Kafka's FileLock takes; `expected` where no Python is there to try. */
function fcntlLock(directory: string, expected: boolean): boolean {
  const script = `import fcntl, sys
f = open(sys.argv[1], 'r+')
try:
  fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
  print('free')
except OSError:
  print('held')`
  const file = join(directory, '.lock')
  const { error, stdout } = spawnSync('python3', ['-c', script, file], { encoding: 'utf8' })
  return error ? expected : stdout.trim() === 'free'
}

function imports(): string {
  const from = (file: string) => JSON.stringify(new URL(`../../storage/${file}.js`, import.meta.url).href)
  return `import { NodeFiles } from ${from('files-node')}
    import { openLogDirectory } from ${from('log-directory')}
    import { openLevelStore } from ${from('snapshot-cache')}
  `
}

function holder(directory: string): string {
  const state = JSON.stringify(join(directory, STATE_DIRECTORY))
  return `${imports()}
    await openLevelStore(${state}, ${JSON.stringify(join(directory, '.lock'))})
    console.log('held'); setInterval(() => {}, 1000)`
}

function world(directory: string): boolean {
  const mode = execFileSync('stat', ['-c', '%a', directory], { encoding: 'utf8' }).trim()
  return (Number(mode.at(-1)) & 1) === 1
}

test('what cannot be made is said', async t => {
  const directory = t.testdir()
  mkdirSync(join(directory, 'a'))
  writeFileSync(join(directory, 'a', '__cluster_metadata-0'), 'a file where a directory must be')
  t.match(await openLogDirectory(options(join(directory, 'a'))).catch(error => error), { code: 'ERR_STORAGE' })
})

test('one of several waits for the cluster’s id, and writes it down once', async t => {
  const directory = join(t.testdir(), 'data')
  const several = (o: Partial<LogDirectoryOptions> = {}) => options(directory, { isOneOfSeveral: true, ...o })
  const first = await openAndClose(several())
  t.match(first, { isNew: true, meta: null })
  t.notOk(existsSync(join(directory, 'meta.properties')), 'nothing is formatted')
  t.notOk(existsSync(join(directory, 'bootstrap.checkpoint')))
  writeFileSync(join(directory, '__cluster_metadata-0', 'quorum-state'), '{}')
  const second = await openAndClose(several())
  t.equal(second.directoryId, first.directoryId, 'the directory keeps its id')
  await second.adopt('the-cluster')
  t.equal(second.meta?.clusterId, 'the-cluster')
  t.equal(readFileSync(join(directory, 'bootstrap.checkpoint'), 'utf8'), 'first records')
  t.notOk(existsSync(join(directory, 'moldau-directory-id')))
  await second.adopt('the-cluster')
  await t.rejects(second.adopt('another'), { code: 'ERR_WRONG_DIRECTORY', message: /belongs to cluster the-cluster/ })
  const third = await openAndClose(several())
  t.match(third, { isNew: false, directoryId: first.directoryId, meta: { clusterId: 'the-cluster' } })
  await third.adopt('the-cluster')
  await t.rejects(third.adopt('another'), { code: 'ERR_WRONG_DIRECTORY', message: /this is cluster another/ })
})

test('one of several is told its cluster beforehand, and refuses another', async t => {
  const told = await openAndClose(options(join(t.testdir(), 'data'), { isOneOfSeveral: true, clusterId: 'mine' }))
  t.equal(told.meta, null, 'a new directory says nothing of whether the cluster is new')
  await t.rejects(told.adopt('theirs'), { code: 'ERR_WRONG_DIRECTORY', message: /belongs to cluster mine/ })
  t.equal(told.meta, null)
  await told.adopt('mine')
  t.equal(told.meta?.clusterId, 'mine')
})

test('records without an owner are refused for one of several too, but for the metadata', async t => {
  const directory = t.testdir({ 'orders-0': {}, '__cluster_metadata-0': { 'quorum-state': '{}' } })
  await t.rejects(openLogDirectory(options(directory, { isOneOfSeveral: true })), { code: 'ERR_WRONG_DIRECTORY' })
})
