// What three brokers take: replicated throughput with large batches, and latency at a fixed rate of single records, both with
// acks=all and three copies. CPU is that of all three processes, from the operating system's accounting.
import { encodeRequest } from '../protocol/frame.ts'
import { produce } from '../protocol/messages/produce.ts'
import { buildBatch } from '../protocol/records/builder.ts'
import { Pipe } from './bench/pipe.ts'
import { checkProduced } from './bench/produce.ts'
import { CORRELATION_ID_AT, PRODUCE_VERSION } from './bench/request.ts'
import type { Subject } from './bench-cluster-subject.ts'

const RECORD_BYTES = 1024
const DEPTH = 5
const ELECTION_MS = 30_000

export interface Replicated {
  readonly recordsPerSecond: number
  readonly megabytesPerSecond: number
  readonly cpuSecondsPerGigabyte: number
  readonly cpuMicrosPerRecord: number
  readonly p50Ms: number
  readonly p99Ms: number
}

interface Lane {
  readonly pipe: Pipe
  readonly frame: Buffer
}

async function lanesOf(subject: Subject, topic: string, leaders: readonly number[], records: number): Promise<Lane[]> {
  const value = Buffer.alloc(RECORD_BYTES, 'moldau ')
  const batch = () =>
    buildBatch({ records: Array.from({ length: records }, () => ({ timestamp: Date.now(), key: null, value })) })
  return await Promise.all(
    leaders.map(async (leader, index) => {
      const place = subject.places.find(each => each.nodeId === leader)
      const pipe = await Pipe.open(`${place?.host}:${place?.port}`)
      const frame = Buffer.concat(
        encodeRequest(produce, PRODUCE_VERSION, 0, 'bench', {
          ...{ acks: -1, timeoutMs: 30_000 },
          topicData: [{ name: topic, partitionData: [{ index, records: batch() }] }]
        })
      )
      return { pipe, frame }
    })
  )
}

function send({ pipe, frame }: Lane, correlationId: number): Promise<void> {
  const copy = Buffer.from(frame)
  copy.writeInt32BE(correlationId | 0, CORRELATION_ID_AT)
  return new Promise((resolve, reject) => {
    pipe.send([copy], answer => {
      try {
        checkProduced(answer)
        resolve()
      } catch (error) {
        reject(error)
      }
    })
  })
}

/** A broker may say that a topic is made before its leaders are in office. */
async function warm(lanes: readonly Lane[]): Promise<void> {
  const end = performance.now() + ELECTION_MS
  for (const lane of lanes) {
    for (;;) {
      const error = await send(lane, 0).then(
        () => null,
        failure => failure as Error
      )
      if (error === null) break
      if (performance.now() > end) throw error
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

/** As much as it takes: batches of 64 KiB, five on their way to each partition. */
export async function throughput(
  subject: Subject,
  topic: string,
  leaders: readonly number[],
  seconds: number,
  warmSeconds: number
): Promise<Replicated> {
  const perBatch = 62
  const lanes = await lanesOf(subject, topic, leaders, perBatch)
  await warm(lanes)
  await saturate(lanes, warmSeconds)
  const cpuBefore = subject.cpuSeconds()
  const { latencies, tookSeconds } = await saturate(lanes, seconds)
  const cpu = subject.cpuSeconds() - cpuBefore
  for (const { pipe } of lanes) pipe.close()
  return told(latencies, latencies.length * perBatch, tookSeconds, cpu)
}

/** Single records at a fixed rate, however long answers take. */
export async function latency(
  subject: Subject,
  topic: string,
  leaders: readonly number[],
  perSecond: number,
  seconds: number,
  warmSeconds: number
): Promise<Replicated> {
  const lanes = await lanesOf(subject, topic, leaders, 1)
  await warm(lanes)
  await paced(lanes, perSecond, warmSeconds)
  const cpuBefore = subject.cpuSeconds()
  const { latencies, tookSeconds } = await paced(lanes, perSecond, seconds)
  const cpu = subject.cpuSeconds() - cpuBefore
  for (const { pipe } of lanes) pipe.close()
  return told(latencies, latencies.length, tookSeconds, cpu)
}

async function saturate(lanes: readonly Lane[], seconds: number) {
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1000
  const latencies: number[] = []
  let count = 0
  const one = async (lane: Lane): Promise<void> => {
    for (let sentMs = performance.now(); sentMs < endMs; sentMs = performance.now()) {
      await send(lane, ++count)
      latencies.push(performance.now() - sentMs)
    }
  }
  await Promise.all(lanes.flatMap(lane => Array.from({ length: DEPTH }, () => one(lane))))
  return { latencies, tookSeconds: (performance.now() - startedMs) / 1000 }
}

async function paced(lanes: readonly Lane[], perSecond: number, seconds: number) {
  const startedMs = performance.now()
  const latencies: number[] = []
  const underWay: Promise<void>[] = []
  const total = perSecond * seconds
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - startedMs) / 1000) * perSecond))
    for (; sent < due; sent++) {
      // From when it should have been sent: a sender that is late does not make the broker look fast.
      const dueMs = startedMs + (sent / perSecond) * 1000
      const lane = lanes[sent % lanes.length] as Lane
      underWay.push(send(lane, sent).then(() => void latencies.push(performance.now() - dueMs)))
    }
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  await Promise.all(underWay)
  return { latencies, tookSeconds: (performance.now() - startedMs) / 1000 }
}

function told(latencies: number[], records: number, seconds: number, cpuSeconds: number): Replicated {
  latencies.sort((a, b) => a - b)
  const bytes = records * RECORD_BYTES
  return {
    recordsPerSecond: Math.round(records / seconds),
    megabytesPerSecond: Number((bytes / seconds / 1e6).toFixed(1)),
    cpuSecondsPerGigabyte: Number(((cpuSeconds / bytes) * 1e9).toFixed(1)),
    cpuMicrosPerRecord: Number(((cpuSeconds / records) * 1e6).toFixed(1)),
    p50Ms: Number((latencies[Math.floor(latencies.length * 0.5)] ?? Number.NaN).toFixed(2)),
    p99Ms: Number((latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN).toFixed(2))
  }
}
