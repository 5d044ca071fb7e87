// Rows that read: the newest records, a log that is larger than any cache of the broker, and nothing at all.
import { decodeResponse, encodeRequest } from '../../protocol/frame.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { Cluster } from './cluster.ts'
import { type Lane, saturate, type Tally } from './pace.ts'
import { Pipe } from './pipe.ts'
import { checkProduced, in64k, untilAccepted } from './produce.ts'
import { batchOf, produceFrame, Slot } from './request.ts'
import type { Scene, Stage } from './workload.ts'

/** The last with topic names at fixed places: what an answer says can be read without decoding it. */
export const FETCH_VERSION = 11
const KEEP_BYTES = 512
const IN_FLIGHT = 20

export interface FetchShape {
  readonly connections: number
  readonly depth: number
  readonly partitionBytes: number
  readonly logBytes: number
  /** From the beginning to the end and again, instead of anywhere. */
  readonly inOrder: boolean
}

export function fetchFrame(
  topic: string,
  fetchOffset: number,
  maxBytes: number,
  maxWaitMs = 100,
  partition = 0
): Buffer {
  return Buffer.concat(
    encodeRequest(fetch, FETCH_VERSION, 0, 'bench', {
      maxWaitMs,
      minBytes: 1,
      maxBytes,
      topics: [{ topic, partitions: [{ partition, fetchOffset, partitionMaxBytes: maxBytes }] }]
    })
  )
}

/** Bytes of records in an answer about one partition; an error throws. */
export function recordBytesOf(frame: Buffer): number {
  const topError = frame.readInt16BE(8)
  if (topError !== 0) throw new Error(`fetch failed with error ${topError}`)
  if (frame.readInt32BE(14) !== 1) throw new Error('fetch was not answered for its topic')
  const partition = 18 + 2 + frame.readInt16BE(18) + 4
  const errorCode = frame.readInt16BE(partition + 4)
  if (errorCode !== 0) throw new Error(`fetch failed with error ${errorCode}`)
  const aborted = Math.max(0, frame.readInt32BE(partition + 30))
  return Math.max(0, frame.readInt32BE(partition + 38 + aborted * 16))
}

/** The same, slowly and wholly: once for each row, so that the places above are right on this broker. */
function agree(frame: Buffer): void {
  const { body } = decodeResponse(fetch, FETCH_VERSION, frame)
  const records = body.responses[0]?.partitions[0]?.records
  if ((records?.length ?? 0) !== recordBytesOf(frame)) throw new Error('the answer to a fetch is not read rightly')
}

class FetchLane implements Lane {
  readonly pipe: Pipe
  readonly #frames: readonly Buffer[]
  readonly #least: number
  readonly #slot = new Slot()
  readonly #step: number
  #at: number

  constructor(pipe: Pipe, frames: readonly Buffer[], least: number, start: number, step: number) {
    this.pipe = pipe
    this.#frames = frames
    this.#least = least
    this.#at = start
    this.#step = step
  }

  next(): readonly Buffer[] {
    const frame = this.#frames[this.#at % this.#frames.length] as Buffer
    this.#at += this.#step
    return this.#slot.of(frame)
  }

  check(frame: Buffer, size: number, tally: Tally): void {
    this.#slot.check(frame)
    const bytes = recordBytesOf(frame)
    if (bytes < this.#least || bytes > size) throw new Error(`fetch gave ${bytes} bytes`)
    tally.bytes += bytes
    tally.records += Math.floor(bytes / 1024)
  }
}

export interface Filling {
  readonly topic: string
  readonly partition: number
  readonly batch: Buffer
  readonly recordsPerBatch: number
  readonly bytes: number
}

/** Fills a partition, some requests on their way at a time; returns the offset behind the last record. */
export async function fill(pipe: Pipe, { topic, partition, batch, recordsPerBatch, bytes }: Filling): Promise<number> {
  const frame = produceFrame(topic, [partition], 1, batch)
  const first = await untilAccepted(pipe, frame)
  let left = Math.ceil(bytes / batch.length) - 1
  const count = left + 1
  const one = (): Promise<void> =>
    new Promise(resolve => {
      const again = () => {
        if (left-- <= 0) return resolve()
        pipe.send([frame], answer => {
          checkProduced(answer)
          again()
        })
      }
      again()
    })
  await Promise.all(Array.from({ length: IN_FLIGHT }, one))
  return first + count * recordsPerBatch
}

export async function setUpFetch(scene: Scene, shape: FetchShape): Promise<Stage> {
  const batch = batchOf(in64k)
  const batches = Math.ceil(shape.logBytes / batch.length)
  const perFetch = Math.floor(shape.partitionBytes / batch.length)
  let name = 'floor'
  let address = scene.bootstrap
  let close = async () => {}
  if (!scene.isFloor) {
    const cluster = await Cluster.open(scene.bootstrap)
    const topic = await cluster.createTopic(1, scene.configs)
    name = topic.name
    address = topic.leaders[0] as string
    const filler = await Pipe.open(address)
    await fill(filler, {
      topic: name,
      partition: 0,
      batch,
      recordsPerBatch: in64k.recordsPerBatch,
      bytes: shape.logBytes
    })
    filler.close()
    close = async () => {
      await cluster.deleteTopics([name])
      cluster.close()
    }
  }
  const starts = Array.from({ length: Math.floor(batches / perFetch) }, (_, index) => index * perFetch)
  const frames = starts.map(start => fetchFrame(name, start * in64k.recordsPerBatch, shape.partitionBytes))
  const probe = await Pipe.open(address)
  await new Promise<void>(done =>
    probe.send([frames[0] as Buffer], frame => {
      agree(frame)
      done()
    })
  )
  probe.close()
  const pipes = await Promise.all(Array.from({ length: shape.connections }, () => Pipe.open(address, KEEP_BYTES)))
  const lanes = pipes.flatMap((pipe, nth) =>
    Array.from({ length: shape.depth }, (_, lane) => {
      const start = Math.floor((frames.length * nth) / pipes.length) + lane
      return new FetchLane(pipe, frames, batch.length, start, shape.inOrder ? shape.depth : 7)
    })
  )
  const closeAll = async () => {
    for (const pipe of pipes) pipe.close()
    await close()
  }
  return { measure: seconds => saturate(lanes, seconds), close: closeAll }
}
