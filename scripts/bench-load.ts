// The load of the benchmark: pipelined connections that send the same pre-encoded frame again and again, with only
// the correlation id patched, so that the client costs little beside the broker. Latency is from send to answer.
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { decodeResponse, encodeRequest } from '../protocol/frame.ts'
import { createTopics } from '../protocol/messages/create-topics.ts'
import { fetch } from '../protocol/messages/fetch.ts'
import { produce } from '../protocol/messages/produce.ts'
import { buildBatch } from '../protocol/records/builder.ts'
import type { Api } from '../protocol/schema.ts'

export const CORRELATION_ID_AT = 8
export const PRODUCE_VERSION = 9
const FETCH_VERSION = 11
const TICKS_PER_SECOND = 100
const ELECTION_MS = 10_000

export interface Case {
  readonly name: string
  readonly what: string
  readonly kind: 'produce' | 'fetch'
  readonly acks: number
  readonly connections: number
  /** Requests of one connection on their way at a time. */
  readonly depth: number
  readonly partitions: number
  readonly recordBytes: number
  readonly recordsPerBatch: number
  /** Topic configs, e.g. flush.messages=1 to have Kafka sync before it answers. */
  readonly configs: Readonly<Record<string, string>>
}

const base = { kind: 'produce', acks: 1, connections: 4, depth: 5, partitions: 1, configs: {} } as const
const in64k = { recordBytes: 1024, recordsPerBatch: 62 }
const in16k = { recordBytes: 1024, recordsPerBatch: 15 }
const small = { recordBytes: 100, recordsPerBatch: 1 }

export const CASES: readonly Case[] = [
  { ...base, ...in64k, name: 'produce-64k', what: '1 KiB records, 64 KiB batches, 1 partition, acks=1 (page cache)' },
  {
    ...base,
    ...in16k,
    partitions: 100,
    name: 'produce-100p',
    what: '1 KiB records, 16 KiB batches, 100 partitions, acks=1'
  },
  {
    ...base,
    ...in64k,
    partitions: 4,
    acks: -1,
    configs: { 'flush.messages': '1' },
    name: 'produce-synced',
    what: '64 KiB batches, 4 partitions, acks=all, synced before each ack'
  },
  {
    ...base,
    ...small,
    connections: 16,
    depth: 1,
    name: 'small-1',
    what: '100-byte produces, 16 connections, 1 in flight, acks=1'
  },
  {
    ...base,
    ...small,
    connections: 16,
    name: 'small-5',
    what: '100-byte produces, 16 connections, 5 in flight, acks=1'
  },
  {
    ...base,
    ...small,
    connections: 16,
    acks: -1,
    configs: { 'flush.messages': '1' },
    name: 'small-5-synced',
    what: 'the same, synced before each ack'
  },
  { ...base, ...in64k, kind: 'fetch', depth: 2, name: 'fetch-tail', what: 'fetches of 1 MiB from the end of the log' }
]

export interface Measured {
  readonly requests: number
  readonly records: number
  readonly bytes: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** User and system time of a process so far, in seconds (proc(5), fields utime and stime). */
export function cpuSecondsOf(pid: number): number {
  if (Number.isNaN(pid)) return Number.NaN
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** One pipelined connection; answers come in the order of the requests. */
export class Pipe {
  readonly #socket: Socket
  readonly #waiting: ((frame: Buffer) => void)[] = []
  #received: Buffer[] = []
  #receivedBytes = 0

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#onData(chunk as Buffer))
    socket.on('error', error => {
      throw error
    })
  }

  static async open(bootstrap: string): Promise<Pipe> {
    const at = bootstrap.lastIndexOf(':')
    const socket = connect({ host: bootstrap.slice(0, at), port: Number(bootstrap.slice(at + 1)) })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new Pipe(socket)
  }

  send(buffers: readonly Buffer[], answered: (frame: Buffer) => void): void {
    this.#waiting.push(answered)
    this.#socket.cork()
    for (const each of buffers) this.#socket.write(each)
    this.#socket.uncork()
  }

  close(): void {
    this.#socket.destroy()
  }

  #onData(chunk: Buffer): void {
    this.#received.push(chunk)
    this.#receivedBytes += chunk.length
    for (;;) {
      if (this.#receivedBytes < 4) return
      if ((this.#received[0] as Buffer).length < 4) this.#received = [Buffer.concat(this.#received)]
      const size = (this.#received[0] as Buffer).readInt32BE(0) + 4
      if (this.#receivedBytes < size) return
      const all = this.#received.length === 1 ? (this.#received[0] as Buffer) : Buffer.concat(this.#received)
      this.#received = all.length > size ? [all.subarray(size)] : []
      this.#receivedBytes = all.length - size
      this.#waiting.shift()?.(all.subarray(4, size))
    }
  }
}

function ask<A extends Api>(
  pipe: Pipe,
  api: A,
  version: number,
  body: object
): Promise<ReturnType<typeof decodeResponse<A>>['body']> {
  return new Promise(resolve => {
    pipe.send(encodeRequest(api, version, 1, 'bench', body), frame => resolve(decodeResponse(api, version, frame).body))
  })
}

let topics = 0

async function createTopic(each: Case, pipe: Pipe): Promise<string> {
  const name = `bench-${process.pid}-${topics++}`
  const configs = Object.entries(each.configs).map(([key, value]) => ({ name: key, value }))
  const made = await ask(pipe, createTopics, 5, {
    topics: [{ name, numPartitions: each.partitions, replicationFactor: 1, configs }],
    timeoutMs: 30_000
  })
  if (made.topics[0]?.errorCode !== 0) throw new Error(`topic not made: ${made.topics[0]?.errorMessage}`)
  return name
}

function produceFrames(each: Case, topic: string): Buffer[] {
  const value = Buffer.alloc(each.recordBytes, 'moldau ')
  const records = Array.from({ length: each.recordsPerBatch }, () => ({ timestamp: Date.now(), key: null, value }))
  return Array.from({ length: each.partitions }, (_, index) =>
    Buffer.concat(
      encodeRequest(produce, PRODUCE_VERSION, 0, 'bench', {
        acks: each.acks,
        timeoutMs: 30_000,
        topicData: [{ name: topic, partitionData: [{ index, records: buildBatch({ records }) }] }]
      })
    )
  )
}

function fetchFrame(topic: string): Buffer {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }]
  return Buffer.concat(
    encodeRequest(fetch, FETCH_VERSION, 0, 'bench', {
      maxWaitMs: 100,
      minBytes: 1,
      maxBytes: 1 << 20,
      topics: [{ topic, partitions }]
    })
  )
}

export function checkProduced(frame: Buffer): void {
  const { body } = decodeResponse(produce, PRODUCE_VERSION, frame)
  const errorCode = body.responses[0]?.partitionResponses[0]?.errorCode
  if (errorCode !== 0) throw new Error(`produce failed with error ${errorCode}`)
}

/** Where the first record error of an answer would stand: a wrong answer must not count as speed. */
function check(each: Case, frame: Buffer): number {
  if (each.kind === 'produce') {
    checkProduced(frame)
    return 0
  }
  const { body } = decodeResponse(fetch, FETCH_VERSION, frame)
  const partition = body.responses[0]?.partitions[0]
  if (partition?.errorCode !== 0) throw new Error(`fetch failed with error ${partition?.errorCode}`)
  return partition.records?.length ?? 0
}

/** A broker may say that a topic is made before its leaders are in office. */
async function untilAccepted(pipe: Pipe, frame: Buffer): Promise<void> {
  const endMs = performance.now() + ELECTION_MS
  for (;;) {
    const answer = await new Promise<Buffer>(done => pipe.send([frame], done))
    const { body } = decodeResponse(produce, PRODUCE_VERSION, answer)
    if (body.responses[0]?.partitionResponses[0]?.errorCode === 0) return
    if (performance.now() > endMs) throw new Error('a partition of the new topic takes no records')
  }
}

/** Runs one case for some seconds and takes the broker's CPU over the same time. */
export async function measure(each: Case, bootstrap: string, pid: number, seconds: number): Promise<Measured> {
  const pipes = await Promise.all(Array.from({ length: each.connections }, () => Pipe.open(bootstrap)))
  const first = pipes[0] as Pipe
  const topic = await createTopic(each, first)
  const frames = produceFrames(each, topic)
  for (const frame of frames) await untilAccepted(first, frame)
  if (each.kind === 'fetch') for (let n = 0; n < 40; n++) await new Promise<Buffer>(done => first.send(frames, done))
  const sent = each.kind === 'fetch' ? [fetchFrame(topic)] : frames
  await load(each, pipes, sent, 0.5)
  const cpuBefore = cpuSecondsOf(pid)
  const counted = await load(each, pipes, sent, seconds)
  const cpuSeconds = cpuSecondsOf(pid) - cpuBefore
  for (const pipe of pipes) pipe.close()
  const payload = each.recordBytes * each.recordsPerBatch
  const bytes = each.kind === 'produce' ? counted.requests * payload : counted.bytes
  const records =
    each.kind === 'produce' ? counted.requests * each.recordsPerBatch : Math.round(bytes / each.recordBytes)
  return { ...counted, records, bytes, cpuSeconds }
}

async function load(each: Case, pipes: readonly Pipe[], frames: readonly Buffer[], seconds: number) {
  const started = performance.now()
  const endMs = started + seconds * 1000
  const latencies: number[] = []
  let requests = 0
  let bytes = 0
  let next = 0
  const one = (pipe: Pipe): Promise<void> =>
    new Promise(resolve => {
      const again = (): void => {
        const sentMs = performance.now()
        if (sentMs >= endMs) {
          resolve()
          return
        }
        const frame = Buffer.from(frames[next++ % frames.length] as Buffer)
        frame.writeInt32BE(next | 0, CORRELATION_ID_AT)
        pipe.send([frame], answer => {
          requests++
          bytes += check(each, answer)
          if (requests % 8 === 0) latencies.push(performance.now() - sentMs)
          again()
        })
      }
      again()
    })
  await Promise.all(pipes.flatMap(pipe => Array.from({ length: each.depth }, () => one(pipe))))
  latencies.sort((a, b) => a - b)
  const at = (quantile: number): number => latencies[Math.floor(latencies.length * quantile)] ?? Number.NaN
  return { requests, bytes, seconds: (performance.now() - started) / 1000, p50Ms: at(0.5), p99Ms: at(0.99) }
}
