// Goal: whatever clients do, the memory of a broker with default settings stays below 512 MB, members of groups keep
// their sessions meanwhile, and in the end everybody is answered. Where a broker grows beyond all bounds the test ends it.
import { existsSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Test, test } from 'tap'
import type { Connection } from '../../clients/connection.ts'
import { encodeRequest } from '../../protocol/frame.ts'
import { deleteGroups } from '../../protocol/messages/delete-groups.ts'
import { fetch as fetchApi } from '../../protocol/messages/fetch.ts'
import { heartbeat } from '../../protocol/messages/heartbeat.ts'
import { leaveGroup } from '../../protocol/messages/leave-group.ts'
import { offsetCommit } from '../../protocol/messages/offset-commit.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { BrokerProcess, type ProcessOptions } from './broker-process.ts'
import { createTopic, send } from './load.ts'
import { joined, type Member, watchedMember } from './member.ts'

const SLOW_DISK = fileURLToPath(new URL('./slow-disk.js', import.meta.url))
const MIB = 2 ** 20
const LIMIT_BYTES = 512e6
const GIVE_UP_BYTES = 900e6
const HEARTBEAT_MS = 1000
const isLinux = process.platform === 'linux'

/** A broker on whose memory somebody keeps an eye, and with a member of a group. */
async function watchedBroker(t: Test, o: Pick<ProcessOptions, 'env' | 'nodeOptions' | 'set'> = {}) {
  const set = { 'moldau.http.listener': '127.0.0.1:0', ...o.set }
  const broker = await BrokerProcess.start({ ...o, set, directory: join(t.testdir(), 'data') })
  t.teardown(() => broker.child.kill('SIGKILL'))
  const connection = await broker.connect()
  const url = await httpOf(broker)
  const endMember = await watchedMember({ port: broker.port, pid: broker.pid })
  // Long before the machine feels it.
  const watch = setInterval(() => {
    if (broker.child.exitCode === null && residentBytes(broker) > GIVE_UP_BYTES) broker.child.kill('SIGKILL')
  }, 20)
  return {
    broker,
    connection,
    /** Nothing is left of what was in flight; and the bounds held. */
    async end() {
      await eventually(async () => !(await metrics(url)).some(([name, value]) => isInFlight(name) && value > 0))
      clearInterval(watch)
      const { count, slowestMs, failure } = await endMember()
      t.equal(failure, null)
      t.ok(count > 0)
      t.ok(peakBytes(broker) < LIMIT_BYTES, `resident memory rose to ${Math.round(peakBytes(broker) / 1e6)} MB`)
      t.ok(slowestMs < HEARTBEAT_MS, `the slowest heartbeat took ${Math.round(slowestMs)} ms`)
      await broker.stop()
    },
    figure: async (wanted: string) => Number((await metrics(url)).find(([name]) => name === wanted)?.[1])
  }
}

const isInFlight = (name: string): boolean => /^moldau_memory_(bytes|waiting)/.test(name)

async function httpOf(broker: BrokerProcess): Promise<string> {
  await eventually(async () => /http:\S+\/readyz/.test(broker.stdout))
  return (/(http:\S+)\/readyz/.exec(broker.stdout) as RegExpExecArray)[1] as string
}

async function metrics(url: string): Promise<[name: string, value: number][]> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const lines = text.split('\n').filter(line => /^[a-z]/.test(line))
  return lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))])
}

function statusOf(broker: BrokerProcess, field: 'VmRSS' | 'VmHWM'): number {
  const file = `/proc/${broker.pid}/status`
  const status = existsSync(file) ? readFileSync(file, 'utf8') : ''
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
}

const residentBytes = (broker: BrokerProcess): number => statusOf(broker, 'VmRSS')
const peakBytes = (broker: BrokerProcess): number => statusOf(broker, 'VmHWM')

async function eventually(isTrue: () => Promise<boolean>): Promise<void> {
  const limit = Date.now() + 30_000
  while (!(await isTrue())) {
    if (Date.now() > limit) throw new Error('it never came true')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

function opened(port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  return new Promise(resolve => socket.once('connect', () => resolve(socket)))
}

const openedMany = (port: number, count: number): Promise<net.Socket[]> =>
  Promise.all(Array.from({ length: count }, () => opened(port)))

/** Resolves when so many whole frames have come, with the bytes of all of them; then nothing more is read. After each
 *  piece the socket rests for as long as `restMs` says. */
function framesOf(socket: net.Socket, count: number, restMs: () => number = () => 0): Promise<number> {
  let [frames, total, missing] = [0, 0, 0]
  let head = Buffer.alloc(0)
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error(`closed after ${frames} of ${count} answers`))
    const onData = (chunk: Buffer) => {
      total += chunk.length
      for (let at = 0; at < chunk.length; ) {
        const taken = Math.min(missing === 0 ? 4 - head.length : missing, chunk.length - at)
        if (missing > 0) {
          missing -= taken
          if (missing === 0) frames++
        } else {
          head = Buffer.concat([head, chunk.subarray(at, at + taken)])
          if (head.length === 4) {
            missing = head.readInt32BE(0)
            head = Buffer.alloc(0)
          }
        }
        at += taken
      }
      if (frames < count) {
        const rest = restMs()
        if (rest > 0) {
          socket.pause()
          setTimeout(() => socket.resume(), rest)
        }
        return
      }
      socket.pause().off('data', onData).off('close', onClose)
      resolve(total)
    }
    socket.on('close', onClose).on('data', onData).resume()
  })
}

const large = (bytes: number): Buffer =>
  buildBatch({ records: [{ timestamp: 1, key: null, value: Buffer.alloc(bytes) }] })

/** A request for all partitions from their beginning on. */
function fetchOf(topic: string, partitions: number, maxBytes: number): Buffer {
  const wanted = Array.from({ length: partitions }, (_, partition) => ({
    ...{ partition, fetchOffset: 0, partitionMaxBytes: maxBytes }
  }))
  return Buffer.concat(
    encodeRequest(fetchApi, 12, 1, 'greedy', {
      ...{ maxWaitMs: 500, minBytes: 1, maxBytes },
      topics: [{ topic, partitions: wanted }]
    })
  )
}

test('1,000 connections ask for 50 MB each and do not read', { skip: !isLinux }, async t => {
  const { broker, connection, end } = await watchedBroker(t)
  const partitions = 8
  await createTopic(connection, 'big', partitions)
  const records = large(100 * 1024)
  for (let index = 0; index < partitions; index++) {
    const sends = Array.from({ length: 80 }, () => send(connection, { topic: 'big', partition: index, records }))
    await Promise.all(sends)
  }
  const frame = fetchOf('big', partitions, 50 * MIB)
  const sockets = await openedMany(broker.port, 1000)
  for (const socket of sockets) socket.write(Buffer.concat([frame, frame]))
  // Who reads is served beside them, and more than once.
  const reader = await opened(broker.port)
  for (let round = 0; round < 20; round++) {
    reader.write(frame)
    t.ok((await framesOf(reader, 1)) > records.length)
  }
  const answers = await Promise.all(sockets.map(socket => framesOf(socket, 2)))
  t.ok(answers.every(bytes => bytes > 2 * records.length))
  for (const socket of [...sockets, reader]) socket.destroy()
  await end()
})

test('1,000 connections send half of a frame of 100 MB', { skip: !isLinux }, async t => {
  const { broker, connection, end, figure } = await watchedBroker(t)
  await createTopic(connection, 'big', 1)
  const [head] = encodeRequest(produce, 9, 7, 'huge', {
    ...{ acks: -1, timeoutMs: 30_000 },
    topicData: [{ name: 'big', partitionData: [{ index: 0, records: Buffer.alloc(100 * MIB - 1000) }] }]
  }) as [Buffer]
  const sockets = await openedMany(broker.port, 1000)
  const first = new Half(sockets[0] as net.Socket, head)
  await eventually(async () => (await figure('moldau_memory_bytes{of="large-requests"}')) >= 99 * MIB)
  await first.send(60 * MIB)
  const halves = sockets.slice(1).map(socket => new Half(socket, head))
  const [second, third, ...others] = halves as [Half, Half, ...Half[]]
  // More than the broker reads of one that waits; the system takes the rest.
  await Promise.all([second, third, ...others].map(each => each.send(700 * 1024)))
  await eventually(async () => (await figure('moldau_memory_waiting')) === 999)
  // Whoever sends requests of a common size goes on beside them.
  for (let i = 0; i < 10; i++) await send(connection, { topic: 'big', partition: 0, records: large(1000_000) })
  // The rest of one lets the next begin, those who have given up are passed over, and what is whole is answered.
  for (const each of others) each.socket.destroy()
  await Promise.all(
    [first, second, third].map(async half => {
      const answer = framesOf(half.socket, 1)
      await half.send(Number.POSITIVE_INFINITY)
      t.ok((await answer) > 0)
      half.socket.destroy()
    })
  )
  await end()
})

const PIECE = Buffer.alloc(256 * 1024)

/** Sends a frame as far as it is told. */
class Half {
  readonly socket: net.Socket
  #left: number

  constructor(socket: net.Socket, head: Buffer) {
    this.socket = socket
    this.#left = head.readInt32BE(0) + 4 - head.length
    socket.write(head)
  }

  /** Resolves when the system has taken so many more bytes. */
  async send(bytes: number): Promise<void> {
    for (let left = Math.min(bytes, this.#left); left > 0; ) {
      const count = Math.min(PIECE.length, left)
      left -= count
      this.#left -= count
      await new Promise(resolve => this.socket.write(PIECE.subarray(0, count), resolve))
    }
  }
}

test('producers are faster than the disk', { skip: !isLinux }, async t => {
  const diskBytesPerSecond = 80e6
  const env = { MOLDAU_DISK_BYTES_PER_SECOND: String(diskBytesPerSecond) }
  const { broker, connection, end } = await watchedBroker(t, { env, nodeOptions: ['--import', SLOW_DISK] })
  await createTopic(connection, 'fast', 20)
  const records = large(100 * 1024)
  const producers = await Promise.all(Array.from({ length: 20 }, () => broker.connect()))
  const results = producers.flatMap((producer, partition) =>
    Array.from({ length: 260 }, () => send(producer, { topic: 'fast', partition, records }))
  )
  t.equal(new Set((await Promise.all(results)).slice(0, 260)).size, 260, 'each got an offset of its own')
  await end()
})

test('200 connections produce records of 100 KiB at once, while readers take theirs slowly', {
  skip: !isLinux
}, async t => {
  const { broker, connection, end } = await watchedBroker(t)
  const partitions = 8
  const [producers, each] = [200, 6]
  await createTopic(connection, 'wide', partitions)
  const records = large(100 * 1024)
  // What is read is on the disk alone by then.
  for (let index = 0; index < partitions; index++) {
    await Promise.all(Array.from({ length: 100 }, () => send(connection, { topic: 'wide', partition: index, records })))
  }
  const senders = await Promise.all(Array.from({ length: producers }, () => broker.connect()))
  const readers = await openedMany(broker.port, 60)
  let restMs = 20
  const frame = fetchOf('wide', partitions, 50 * MIB)
  const answers = readers.map(socket => framesOf(socket, 3, () => restMs))
  for (const socket of readers) socket.write(Buffer.concat([frame, frame, frame]))
  const offsets = await Promise.all(
    senders.map((sender, index) =>
      Promise.all(
        Array.from({ length: each }, () => send(sender, { topic: 'wide', partition: index % partitions, records }))
      )
    )
  )
  for (let index = 0; index < partitions; index++) {
    const given = offsets.filter((_, sender) => sender % partitions === index).flat()
    t.equal(new Set(given).size, given.length, 'each got an offset of its own')
  }
  restMs = 0
  for (const bytes of await Promise.all(answers)) t.ok(bytes > 3 * records.length)
  for (const socket of readers) socket.destroy()
  await end()
})

const METADATA = Buffer.alloc(2048, 'm')

/** The life of a member between its join and its end. */
async function live(connection: Connection, member: Member): Promise<void> {
  const { groupId, memberId, generationId } = member
  for (let committedOffset = 1; committedOffset <= 3; committedOffset++) {
    const partitions = Array.from({ length: 10 }, (_, partitionIndex) => ({
      ...{ partitionIndex, committedOffset, committedMetadata: 'x'.repeat(500) }
    }))
    const commit = {
      groupId,
      memberId,
      generationIdOrMemberEpoch: generationId,
      topics: [{ name: 'read', partitions }]
    }
    const [beat, { topics }] = await Promise.all([
      connection.send(heartbeat, 3, member),
      connection.send(offsetCommit, 7, commit)
    ])
    const codes = [beat.errorCode, ...(topics[0]?.partitions.map(each => each.errorCode) ?? [-1])]
    if (codes.some(code => code !== 0)) throw new Error(`${groupId}: ${codes}`)
  }
}

test('1,000 groups, each with a member', { skip: !isLinux }, async t => {
  // Most of the joins wait at the same time.
  const { broker, connection, end, figure } = await watchedBroker(t, {
    set: { 'group.initial.rebalance.delay.ms': 1000 }
  })
  await createTopic(connection, 'read', 10)
  const connections = await Promise.all(Array.from({ length: 50 }, () => broker.connect()))
  const groups = Array.from({ length: 1000 }, (_, index) => ({
    groupId: `group-${index}`,
    connection: connections[index % connections.length] as Connection
  }))
  const joins = groups.map(each => joined(each.connection, each.groupId, METADATA))
  await eventually(async () => (await figure('moldau_memory_bytes{of="small-requests"}')) > 100 * METADATA.length)
  const members = await Promise.all(joins)
  await Promise.all(groups.map((each, index) => live(each.connection, members[index] as Member)))
  await Promise.all(
    groups.map(async (each, index) => {
      const { groupId, memberId } = members[index] as Member
      const { errorCode } = await each.connection.send(leaveGroup, 3, { groupId, members: [{ memberId }] })
      if (errorCode !== 0) throw new Error(`${groupId} could not be left: ${errorCode}`)
    })
  )
  const groupsNames = groups.map(each => each.groupId)
  const { results } = await connection.send(deleteGroups, 2, { groupsNames })
  t.equal(results.length, 1000)
  t.ok(results.every(each => each.errorCode === 0))
  await end()
})
