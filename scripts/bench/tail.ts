// Readers that wait at the end of a log, and how long a record takes from when it was due to when each of them has it: one writer to
// many readers, and one to one while others read an old topic from its beginning.
import { decodeResponse } from '../../protocol/frame.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { baseOffset, lastOffset, sizeInBytes } from '../../protocol/records/batch.ts'
import { Cluster } from './cluster.ts'
import { FETCH_VERSION, fetchFrame, fill, recordBytesOf } from './fetch.ts'
import { Histogram } from './histogram.ts'
import { atRate } from './pace.ts'
import { Pipe } from './pipe.ts'
import { checkProduced, in64k, untilAccepted } from './produce.ts'
import { batchOf, produceFrame, Slot } from './request.ts'
import type { Outcome, Scene, Stage } from './workload.ts'

const RECORD_BYTES = 1024
const MAX_BYTES = 1 << 20
const WAIT_MS = 500
const KEEP_BYTES = 512
/** A number that stands nowhere else in a request. */
const PLACE_HOLDER = 0x0a0b0c0d0e0f
const OLD_PARTITIONS = 4
const LATE_MS = 10_000

/** A fetch whose offset is patched in place. */
class Asking {
  readonly #frame: Buffer
  readonly #at: number

  constructor(topic: string, partition: number) {
    const mark = Buffer.alloc(8)
    mark.writeBigInt64BE(BigInt(PLACE_HOLDER))
    this.#frame = fetchFrame(topic, PLACE_HOLDER, MAX_BYTES, WAIT_MS, partition)
    this.#at = this.#frame.indexOf(mark)
  }

  from(offset: number): Buffer {
    this.#frame.writeBigInt64BE(BigInt(offset), this.#at)
    return this.#frame
  }
}

/** When each record was due, by its offset. */
class Due {
  readonly firstOffset: number
  readonly #ms: number[] = []

  constructor(firstOffset: number) {
    this.firstOffset = firstOffset
  }

  get nextOffset(): number {
    return this.firstOffset + this.#ms.length
  }

  add(ms: number): void {
    this.#ms.push(ms)
  }

  of(offset: number): number {
    return this.#ms[offset - this.firstOffset] ?? Number.NaN
  }
}

/** Reads on from one answer to the next; no record may be missing or come twice. */
class TailReader {
  readonly #pipe: Pipe
  readonly #asking: Asking
  readonly #slot = new Slot()
  #next: number
  requests = 0
  records = 0
  latency = new Histogram()
  due: Due | null = null
  #isEnded = false

  constructor(pipe: Pipe, topic: string, next: number) {
    this.#pipe = pipe
    this.#asking = new Asking(topic, 0)
    this.#next = next
    this.#ask()
  }

  get nextOffset(): number {
    return this.#next
  }

  end(): void {
    this.#isEnded = true
    this.#pipe.close()
  }

  #ask(): void {
    if (this.#isEnded) return
    this.#pipe.send(this.#slot.of(this.#asking.from(this.#next), true), frame => {
      this.#slot.check(frame)
      this.requests++
      if (recordBytesOf(frame) > 0) this.#read(frame)
      this.#ask()
    })
  }

  #read(frame: Buffer): void {
    const now = performance.now()
    const records = decodeResponse(fetch, FETCH_VERSION, frame).body.responses[0]?.partitions[0]?.records
    if (!records) throw new Error('a fetch without records')
    for (let at = 0; at + 12 <= records.length && at + sizeInBytes(records, at) <= records.length; ) {
      if (baseOffset(records, at) !== this.#next) {
        throw new Error(`a reader got offset ${baseOffset(records, at)} instead of ${this.#next}`)
      }
      const last = lastOffset(records, at)
      for (; this.#next <= last; this.#next++) {
        this.records++
        if (this.due !== null) this.latency.record(now - this.due.of(this.#next))
      }
      at += sizeInBytes(records, at)
    }
  }
}

interface Line {
  readonly writer: Pipe
  readonly frame: Buffer
  readonly readers: readonly TailReader[]
  readonly pipes: readonly Pipe[]
}

/** One writer, its topic, and readers at its end. */
async function lineOf(cluster: Cluster, scene: Scene, readers: number): Promise<Line & { close: () => Promise<void> }> {
  const topic = await cluster.createTopic(1, scene.configs)
  const leader = topic.leaders[0] as string
  const writer = await Pipe.open(leader)
  const batch = batchOf({ recordBytes: RECORD_BYTES, recordsPerBatch: 1 })
  const frame = produceFrame(topic.name, [0], -1, batch)
  const end = (await untilAccepted(writer, frame)) + 1
  const pipes = await Promise.all(Array.from({ length: readers }, () => Pipe.open(leader)))
  const all = pipes.map(pipe => new TailReader(pipe, topic.name, end))
  const close = async () => {
    writer.close()
    for (const each of all) each.end()
    await cluster.deleteTopics([topic.name])
  }
  return { writer, frame, readers: all, pipes, close }
}

/** Writes at a rate for some seconds; resolves when every reader has everything. */
async function flow({ writer, frame, readers, pipes }: Line, perSecond: number, seconds: number): Promise<Outcome> {
  const due = new Due((readers[0] as TailReader).nextOffset)
  for (const each of readers) {
    Object.assign(each, { due, latency: new Histogram(), requests: 0, records: 0 })
  }
  const wireBefore = pipes.reduce((sum, each) => sum + each.sentBytes + each.receivedBytes, 0)
  const startedMs = performance.now()
  await atRate(perSecond, seconds, (_, dueMs) => {
    due.add(dueMs)
    writer.send([frame], answer => checkProduced(answer))
  })
  const endMs = performance.now() + LATE_MS
  while (readers.some(each => each.nextOffset < due.nextOffset)) {
    if (performance.now() > endMs) throw new Error('a reader did not get all records')
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  const took = (performance.now() - startedMs) / 1000
  const latency = new Histogram()
  for (const each of readers) latency.add(each.latency)
  const records = readers.reduce((sum, each) => sum + each.records, 0)
  return {
    seconds: took,
    requests: readers.reduce((sum, each) => sum + each.requests, 0),
    records,
    bytes: records * RECORD_BYTES,
    wireBytes: pipes.reduce((sum, each) => sum + each.sentBytes + each.receivedBytes, 0) - wireBefore,
    latency
  }
}

export async function setUpFanOut(scene: Scene, shape: { readers: number; perSecond: number }): Promise<Stage> {
  const cluster = await Cluster.open(scene.bootstrap)
  const line = await lineOf(cluster, scene, shape.readers)
  const close = async () => {
    await line.close()
    cluster.close()
  }
  return { measure: seconds => flow(line, shape.perSecond, seconds), close }
}

interface OldReader {
  readonly pipe: Pipe
  readonly asking: Asking
  readonly slot: Slot
  offset: number
  isFree: boolean
}

/** Reads old partitions from their beginning, at most so many bytes a second; begins again at the end. */
class CatchUp {
  readonly #readers: OldReader[]
  readonly #endOffset: number
  bytes = 0

  constructor(pipes: readonly Pipe[], topic: string, endOffset: number) {
    this.#endOffset = endOffset
    this.#readers = pipes.map((pipe, partition) => ({
      ...{ pipe, asking: new Asking(topic, partition), slot: new Slot() },
      ...{ offset: 0, isFree: true }
    }))
  }

  /** Until `ended` says so. */
  async read(bytesPerSecond: number, ended: () => boolean): Promise<void> {
    const startedMs = performance.now()
    let asked = 0
    while (!ended()) {
      const due = ((performance.now() - startedMs) / 1000) * bytesPerSecond
      for (const reader of this.#readers) {
        if (!reader.isFree || asked >= due) continue
        asked += MAX_BYTES
        this.#ask(reader)
      }
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    while (this.#readers.some(each => !each.isFree)) await new Promise(resolve => setTimeout(resolve, 1))
  }

  #ask(reader: OldReader): void {
    reader.isFree = false
    reader.pipe.send(reader.slot.of(reader.asking.from(reader.offset), true), frame => {
      reader.slot.check(frame)
      const bytes = recordBytesOf(frame)
      if (bytes === 0) throw new Error('nothing old was there to be read')
      this.bytes += bytes
      // Whole batches only are counted on; each has as many records as the first.
      reader.offset += Math.floor(bytes / oldBatch().length) * in64k.recordsPerBatch
      if (reader.offset >= this.#endOffset) reader.offset = 0
      reader.isFree = true
    })
  }
}

let made: Buffer | null = null
function oldBatch(): Buffer {
  made ??= batchOf(in64k)
  return made
}

export async function setUpCatchUp(scene: Scene, shape: { perSecond: number; bytesPerSecond: number }): Promise<Stage> {
  const cluster = await Cluster.open(scene.bootstrap)
  const old = await cluster.createTopic(OLD_PARTITIONS)
  const pipes = await Promise.all(old.leaders.map(leader => Pipe.open(leader, KEEP_BYTES)))
  const { recordsPerBatch } = in64k
  const each = scene.oldBytes / OLD_PARTITIONS
  const batch = oldBatch()
  const ends = await Promise.all(
    pipes.map((pipe, partition) => fill(pipe, { topic: old.name, partition, batch, recordsPerBatch, bytes: each }))
  )
  const line = await lineOf(cluster, scene, 1)
  const catchUp = new CatchUp(pipes, old.name, Math.min(...ends))
  const measure = async (seconds: number): Promise<Outcome> => {
    const quiet = await flow(line, shape.perSecond, seconds)
    let isEnded = false
    const before = catchUp.bytes
    const reading = catchUp.read(shape.bytesPerSecond, () => isEnded)
    const beside = await flow(line, shape.perSecond, seconds)
    isEnded = true
    await reading
    const [quietP99Ms, besideP99Ms] = [quiet.latency?.at(0.99) ?? Number.NaN, beside.latency?.at(0.99) ?? Number.NaN]
    const extra = {
      ...{ quietP99Ms, besideP99Ms, besideByQuiet: besideP99Ms / quietP99Ms },
      catchUpMegabytesPerSecond: (catchUp.bytes - before) / beside.seconds / 1e6
    }
    return { ...beside, extra }
  }
  const close = async () => {
    await line.close()
    for (const pipe of pipes) pipe.close()
    await cluster.deleteTopics([old.name])
    cluster.close()
  }
  return { measure, close }
}
