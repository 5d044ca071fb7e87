// Goal: what goes wrong with a data directory is said in one clear line, ends the process where it must and nothing else
// where it need not, and never costs an acked record.
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Test, test } from 'tap'
import { deleteTopics } from '../../protocol/messages/delete-topics.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { BrokerProcess, type Ended, type ProcessOptions } from './broker-process.ts'
import type { Fault } from './faults.ts'
import { batchFor, createTopic, Refused, readAll, send } from './load.ts'

const KAFKA_STORAGE_ERROR = 56
const FAULTS = fileURLToPath(new URL('./faults.js', import.meta.url))
const isRoot = process.getuid?.() === 0

/** The process ended with 1, and said why in one line that begins with its name. */
function endedInOneLine(t: Test, { code, stderr }: Ended, expected: RegExp): void {
  const lines = stderr.split('\n').filter(line => line !== '' && !line.startsWith('{'))
  t.equal(code, 1, 'exit code')
  t.equal(lines.length, 1, 'one line for people')
  t.match(lines[0], expected)
}

/** The error code that the broker answered with, 0 where it did not refuse. */
async function refusalOf(answer: Promise<unknown>): Promise<number> {
  try {
    await answer
    return 0
  } catch (error) {
    if (error instanceof Refused) return error.errorCode
    throw error
  }
}

async function startAndStop(o: ProcessOptions): Promise<void> {
  await (await BrokerProcess.start(o)).stop()
}

test('whose directory it is', async t => {
  const directory = join(t.testdir(), 'data')
  await startAndStop({ directory, set: { 'moldau.cluster.id': 'first-cluster' } })
  const cluster = BrokerProcess.spawn({ directory, set: { 'moldau.cluster.id': 'other-cluster' } })
  endedInOneLine(
    t,
    await cluster.ended,
    /^moldau: log directory \S+: it belongs to cluster first-cluster, this is cluster other-cluster$/
  )
  const node = BrokerProcess.spawn({ directory, set: { 'node.id': 7 } })
  endedInOneLine(
    t,
    await node.ended,
    /^moldau: log directory \S+: it belongs to node \d+, this is node 7 \(node\.id\)$/
  )
  await startAndStop({ directory })
})

test('a directory in use', async t => {
  const directory = join(t.testdir(), 'data')
  const first = await BrokerProcess.start({ directory })
  endedInOneLine(
    t,
    await BrokerProcess.spawn({ directory }).ended,
    /^moldau: log directory \S+: \S+\.lock is held by another process/
  )
  const connection = await first.connect()
  await createTopic(connection, 'orders', 1)
  await send(connection, { topic: 'orders', partition: 0, records: batchFor('v', 0, 1) })
  await first.kill()
  const second = await BrokerProcess.start({ directory })
  t.same([...(await readAll(await second.connect(), 'orders', 0))], [[0, 'v:0']], 'a killed one holds no lock')
  await second.stop()
})

test('a directory that may not be written', async t => {
  const directory = isRoot ? mkdtempSync(join(tmpdir(), 'moldau-closed-')) : t.testdir()
  chmodSync(directory, 0o555)
  const broker = BrokerProcess.spawn({ directory: join(directory, 'data'), ...(isRoot ? { uid: 65534 } : {}) })
  const ended = await broker.ended
  // Where even the program may not be read by that user, nothing can be said about the directory.
  if (/Cannot find module|EACCES.*node_modules/.test(ended.stderr)) t.comment('the program is out of reach for nobody')
  else endedInOneLine(t, ended, /^moldau: log directory \S+: permission denied \(.*EACCES\)$/)
  chmodSync(directory, 0o755)
  rmSync(directory, { recursive: true })
})

/** A broker whose disk fails when `set` says so. */
async function faultyBroker(directory: string, set: Record<string, string | number> = {}) {
  const faultFile = join(directory, 'fault.json')
  const options = {
    directory: join(directory, 'data'),
    set,
    env: { MOLDAU_FAULT: faultFile },
    nodeOptions: ['--import', FAULTS]
  }
  const broker = await BrokerProcess.start(options)
  return {
    broker,
    options,
    connection: await broker.connect(),
    fail: (fault: Fault) => writeFileSync(faultFile, JSON.stringify(fault)),
    heal: () => rmSync(faultFile, { force: true })
  }
}

for (const operation of ['write', 'fdatasync'] as const) {
  test(`a failed ${operation}: nothing more is acked, the process ends, the next life has everything acked`, async t => {
    const directory = t.testdir()
    const { broker, connection, options, fail, heal } = await faultyBroker(directory)
    await createTopic(connection, 'orders', 2)
    for (let i = 0; i < 20; i++)
      await send(connection, { topic: 'orders', partition: i % 2, records: batchFor('v', i, 1) })
    fail({ operation, path: 'orders-0/', code: 'EIO' })
    const refused = await send(connection, { topic: 'orders', partition: 0, records: batchFor('w', 0, 1) }).catch(
      error => error
    )
    t.ok(
      refused instanceof Refused ? refused.errorCode === KAFKA_STORAGE_ERROR : refused.code === 'ERR_DISCONNECTED',
      String(refused)
    )
    endedInOneLine(t, await broker.ended, operation === 'write' ? /^moldau: .*write .*EIO/ : /^moldau: .*sync .*EIO/)
    const marks = readdirSync(options.directory).filter(name => name.startsWith('moldau-suspect-'))
    t.equal(marks.length, operation === 'fdatasync' ? 1 : 0, 'a failed sync leaves a mark')
    heal()
    const next = await BrokerProcess.start(options)
    const again = await next.connect()
    for (const partition of [0, 1]) {
      const stored = [...(await readAll(again, 'orders', partition))]
      t.same(
        stored.slice(0, 10),
        Array.from({ length: 10 }, (_, i) => [i, `v:${i * 2 + partition}`])
      )
    }
    t.equal(await send(again, { topic: 'orders', partition: 1, records: batchFor('x', 0, 1) }), 10)
    t.same(
      readdirSync(options.directory).filter(name => name.startsWith('moldau-suspect-')),
      []
    )
    await next.stop()
  })
}

test('a segment that cannot be read: that read fails, the broker and the other partitions go on', async t => {
  const directory = t.testdir()
  const first = await faultyBroker(directory)
  await createTopic(first.connection, 'orders', 2)
  for (const partition of [0, 1])
    await send(first.connection, { topic: 'orders', partition, records: batchFor('v', 0, 1) })
  await first.broker.stop()
  const { broker, connection, fail, heal } = await faultyBroker(directory)
  fail({ operation: 'read', path: 'orders-0/', code: 'EIO' })
  t.equal(await refusalOf(readAll(connection, 'orders', 0)), KAFKA_STORAGE_ERROR)
  t.equal((await readAll(connection, 'orders', 1)).size, 1)
  heal()
  t.equal((await readAll(connection, 'orders', 0)).size, 1)
  await broker.logs(/"log-read-failed"/)
  await broker.stop()
})

test('records lost below the synced end: that partition is offline, nothing is cut, the others go on', async t => {
  const directory = join(t.testdir(), 'data')
  const set = { 'replica.high.watermark.checkpoint.interval.ms': 50 }
  const broker = await BrokerProcess.start({ directory, set })
  const connection = await broker.connect()
  await createTopic(connection, 'orders', 2)
  for (const partition of [0, 1]) {
    for (let i = 0; i < 3; i++) await send(connection, { topic: 'orders', partition, records: batchFor('v', i, 1) })
  }
  while (!existsSync(join(directory, 'moldau-synced-end-checkpoint')))
    await new Promise(resolve => setTimeout(resolve, 20))
  await new Promise(resolve => setTimeout(resolve, 200))
  await broker.kill()
  const file = join(directory, 'orders-0', `${'0'.repeat(20)}.log`)
  const size = statSync(file).size - 10
  truncateSync(file, size)
  const next = await BrokerProcess.start({ directory, set })
  const again = await next.connect()
  await next.logs(/"log-corrupt"/)
  const sending = send(again, { topic: 'orders', partition: 0, records: batchFor('v', 3, 1) })
  t.equal(await refusalOf(sending), KAFKA_STORAGE_ERROR, 'nothing is put where acked records were')
  t.equal((await readAll(again, 'orders', 1)).size, 3)
  t.equal(statSync(file).size, size)
  await next.stop()
})

/** A disk of its own, where the tests may mount one. */
async function onSmallDisk(t: Test, sizeInMiB: number, work: (mount: string) => Promise<void>): Promise<void> {
  const mount = join(t.testdir({ disk: {} }), 'disk')
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeInMiB}m`, 'tmpfs', mount], { stdio: 'ignore' })
  } catch {
    t.comment('no disk can be mounted here: the tests of the catalog have one that only pretends to be full')
    return
  }
  try {
    await work(mount)
  } finally {
    execFileSync('umount', ['-l', mount])
  }
}

const big = () =>
  buildBatch({ records: [{ timestamp: 1_700_000_000_000, key: null, value: Buffer.alloc(1_000_000, 7) }] })

test('below the reserve: clients are refused, reads and deletions go on, and it clears by itself', async t => {
  await onSmallDisk(t, 64, async mount => {
    const broker = await BrokerProcess.start({
      directory: join(mount, 'data'),
      set: { 'moldau.disk.reserve.bytes': 30 << 20, 'log.segment.delete.delay.ms': 0 }
    })
    const connection = await broker.connect()
    await createTopic(connection, 'orders', 1)
    let stored = 0
    const refused = await (async () => {
      for (;;) {
        await send(connection, { topic: 'orders', partition: 0, records: big() })
        stored++
        if (stored > 70) return null
      }
    })().catch(error => error)
    t.match(refused, { errorCode: KAFKA_STORAGE_ERROR })
    await broker.logs(/"disk-low"/)
    t.equal((await readAll(connection, 'orders', 0)).size, stored, 'all that was acked can be read')
    await connection.send(deleteTopics, 6, { topics: [{ name: 'orders' }], timeoutMs: 10_000 })
    await createTopic(connection, 'fresh', 1)
    const began = Date.now()
    for (;;) {
      const offset = await send(connection, { topic: 'fresh', partition: 0, records: big() }).catch(error => {
        if (Date.now() - began > 20_000) throw error
        return null
      })
      if (offset !== null) break
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    await broker.logs(/"disk-recovered"/)
    t.equal((await broker.stop()).code, 0)
  })
})

test('a full disk: the process ends in one line, and what was acked is there when there is room again', async t => {
  await onSmallDisk(t, 24, async mount => {
    const options = { directory: join(mount, 'data'), set: { 'moldau.disk.reserve.bytes': 0 } }
    const broker = await BrokerProcess.start(options)
    const connection = await broker.connect()
    await createTopic(connection, 'orders', 1)
    let stored = 0
    const sending = (async () => {
      for (;;) {
        await send(connection, { topic: 'orders', partition: 0, records: big() })
        stored++
      }
    })().catch(() => {})
    endedInOneLine(t, await broker.ended, /^moldau: .*ENOSPC/)
    await sending
    execFileSync('mount', ['-o', 'remount,size=64m', mount])
    const next = await BrokerProcess.start(options)
    const again = await next.connect()
    t.ok((await readAll(again, 'orders', 0)).size >= stored, `${stored} were acked`)
    t.ok((await send(again, { topic: 'orders', partition: 0, records: big() })) >= stored)
    const { brokers } = await again.send(metadata, 12, { topics: [] })
    t.equal(brokers.length, 1)
    await next.stop()
  })
})
