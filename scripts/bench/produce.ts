// Rows that produce: large batches in all shapes, small requests, fixed rates, and the idempotent producer. Each answer's error
// codes are read; with acks=0 the log's end is asked for afterwards and must be where it has to be.
import { decodeResponse } from '../../protocol/frame.ts'
import { initProducerId } from '../../protocol/messages/init-producer-id.ts'
import { produce } from '../../protocol/messages/produce.ts'
import type { Codec } from '../../protocol/records/compression.ts'
import { ask, Cluster, type Topic, untilDone } from './cluster.ts'
import { type Lane, LanePool, paced, saturate, type Tally } from './pace.ts'
import { Pipe } from './pipe.ts'
import { batchOf, PRODUCE_VERSION, placesOf, produceFrame, SequencePatch, Slot } from './request.ts'
import type { Outcome, Scene, Stage } from './workload.ts'

export interface ProduceShape {
  readonly partitions: number
  readonly recordBytes: number
  readonly recordsPerBatch: number
  readonly acks: 0 | 1 | -1
  readonly connections: number
  /** Requests of one connection on their way at a time. */
  readonly depth: number
  readonly codec?: Codec
  /** Open loop, instead of as much as it takes. */
  readonly perSecond?: number
}

export const large = { recordBytes: 1024, acks: -1, connections: 4, depth: 5, partitions: 1 } as const
export const in64k = { ...large, recordsPerBatch: 62 } as const
export const in16k = { ...large, recordsPerBatch: 15 } as const
export const single = { ...large, recordBytes: 100, recordsPerBatch: 1, connections: 16 } as const

/** Every partition must be accepted, and there must be as many as were sent. */
export function checkProduced(frame: Buffer, partitions = 1): number {
  const { body } = decodeResponse(produce, PRODUCE_VERSION, frame)
  let seen = 0
  let baseOffset = -1
  for (const { partitionResponses } of body.responses) {
    for (const each of partitionResponses) {
      if (each.errorCode !== 0)
        throw new Error(`produce failed with error ${each.errorCode} ${each.errorMessage ?? ''}`)
      baseOffset = each.baseOffset
      seen++
    }
  }
  if (seen !== partitions) throw new Error(`${seen} partitions answered instead of ${partitions}`)
  return baseOffset
}

/** Connections, one row of them to each broker that leads; a partition's requests keep to its leader's. */
export class Connections {
  readonly all: Pipe[] = []
  readonly #of = new Map<string, Pipe[]>()

  static async open(addresses: readonly string[], each: number, keep?: number): Promise<Connections> {
    const made = new Connections()
    for (const address of new Set(addresses)) {
      const pipes = await Promise.all(Array.from({ length: each }, () => Pipe.open(address, keep)))
      made.#of.set(address, pipes)
      made.all.push(...pipes)
    }
    return made
  }

  to(address: string): readonly Pipe[] {
    return this.#of.get(address) as Pipe[]
  }

  get addresses(): readonly string[] {
    return [...this.#of.keys()]
  }

  close(): void {
    for (const each of this.all) each.close()
  }
}

/** A broker may say that a topic is made before its leaders are in office. */
export async function untilAccepted(pipe: Pipe, frame: Buffer, limitMs?: number): Promise<number> {
  const attempt = async () => {
    const answer = await new Promise<Buffer>(done => pipe.send([frame], each => done(Buffer.from(each))))
    try {
      return checkProduced(answer)
    } catch {
      return null
    }
  }
  return await untilDone('the first produce to a partition', attempt, limitMs)
}

export class ProduceLane implements Lane {
  readonly pipe: Pipe
  readonly #frames: readonly Buffer[]
  readonly #shape: ProduceShape
  readonly #slot = new Slot()
  #turn: { next: number }

  /** `turn` is shared by all lanes that take their frames in turn. */
  constructor(pipe: Pipe, frames: readonly Buffer[], shape: ProduceShape, turn: { next: number }) {
    this.pipe = pipe
    this.#frames = frames
    this.#shape = shape
    this.#turn = turn
  }

  next(): readonly Buffer[] {
    return this.#slot.of(this.#frames[this.#turn.next++ % this.#frames.length] as Buffer)
  }

  check(frame: Buffer, _size: number, tally: Tally): void {
    this.#slot.check(frame)
    checkProduced(frame)
    tally.records += this.#shape.recordsPerBatch
    tally.bytes += this.#shape.recordsPerBatch * this.#shape.recordBytes
  }
}

export async function setUpProduce(scene: Scene, shape: ProduceShape): Promise<Stage> {
  const batch = batchOf(shape)
  if (scene.isFloor) {
    const pipes = await Promise.all(Array.from({ length: shape.connections }, () => Pipe.open(scene.bootstrap)))
    return firehose(pipes, produceFrame('floor', [0], 0, batch), shape, async () => {})
  }
  const cluster = await Cluster.open(scene.bootstrap)
  const topic = await cluster.createTopic(shape.partitions, scene.configs)
  const connections = await Connections.open(topic.leaders, shape.connections)
  const frameOf = (acks: number) => (_: string, index: number) => produceFrame(topic.name, [index], acks, batch)
  const probes = topic.leaders.map(frameOf(-1))
  const frames = shape.acks === -1 ? probes : topic.leaders.map(frameOf(shape.acks))
  for (const [index, probe] of probes.entries()) {
    await untilAccepted(connections.to(topic.leaders[index] as string)[0] as Pipe, probe)
  }
  const close = async () => {
    connections.close()
    await cluster.deleteTopics([topic.name])
    cluster.close()
  }
  if (shape.acks === 0) return { ...unanswered(connections, topic, frames, probes, shape), close }
  const groups = connections.addresses.map(address => ({
    pipes: connections.to(address),
    frames: frames.filter((_, index) => topic.leaders[index] === address),
    turn: { next: 0 }
  }))
  if (shape.perSecond !== undefined) {
    const pools = groups.flatMap(({ pipes, frames, turn }) =>
      pipes.map((pipe, index) => {
        // A connection keeps to its partitions, as a client's does.
        const own = frames.filter((_, n) => n % pipes.length === index)
        return new LanePool(() => new ProduceLane(pipe, own.length > 0 ? own : frames, shape, turn))
      })
    )
    const perSecond = shape.perSecond
    return { measure: seconds => paced(pools, perSecond, seconds), close }
  }
  const lanes = groups.flatMap(({ pipes, frames, turn }) =>
    pipes.flatMap(pipe => Array.from({ length: shape.depth }, () => new ProduceLane(pipe, frames, shape, turn)))
  )
  return { measure: seconds => saturate(lanes, seconds), close }
}

/** As much as the other side takes, without answers. */
function firehose(pipes: readonly Pipe[], frame: Buffer, shape: ProduceShape, close: () => Promise<void>): Stage {
  const measure = async (seconds: number): Promise<Outcome> => {
    const wireBefore = pipes.reduce((sum, each) => sum + each.sentBytes, 0)
    const startedMs = performance.now()
    const requests = await pour(pipes, () => frame, startedMs + seconds * 1000, shape.depth)
    const took = (performance.now() - startedMs) / 1000
    const wireBytes = pipes.reduce((sum, each) => sum + each.sentBytes, 0) - wireBefore
    const records = requests * shape.recordsPerBatch
    return { seconds: took, requests, records, bytes: records * shape.recordBytes, wireBytes, latency: null }
  }
  return { measure, close }
}

/** Each connection has `depth` frames with the system; returns how many it took. */
async function pour(pipes: readonly Pipe[], next: (n: number) => Buffer, endMs: number, depth: number) {
  let requests = 0
  const one = (pipe: Pipe): Promise<void> =>
    new Promise(resolve => {
      const again = () => {
        if (performance.now() >= endMs) return resolve()
        pipe.write([next(requests++)], again)
      }
      again()
    })
  await Promise.all(pipes.flatMap(pipe => Array.from({ length: depth }, () => one(pipe))))
  return requests
}

/** acks=0: the last request of each connection asks for an answer, so that all before it were taken; then ends are compared. */
function unanswered(
  connections: Connections,
  topic: Topic,
  frames: readonly Buffer[],
  probes: readonly Buffer[],
  shape: ProduceShape
): Pick<Stage, 'measure'> {
  if (frames.length !== 1) throw new Error('acks=0 is measured with one partition')
  const pipes = connections.to(topic.leaders[0] as string)
  const measure = async (seconds: number): Promise<Outcome> => {
    const before = await untilAccepted(pipes[0] as Pipe, probes[0] as Buffer)
    const startedMs = performance.now()
    const requests = await pour(pipes, () => frames[0] as Buffer, startedMs + seconds * 1000, shape.depth)
    const ends = await Promise.all(pipes.map(pipe => untilAccepted(pipe, probes[0] as Buffer)))
    const took = (performance.now() - startedMs) / 1000
    const records = requests * shape.recordsPerBatch
    const appended = Math.max(...ends) - before - pipes.length * shape.recordsPerBatch
    if (appended !== records) throw new Error(`${records} records were sent with acks=0, ${appended} are in the log`)
    const bytes = records * shape.recordBytes
    const wireBytes = requests * (frames[0] as Buffer).length
    return { seconds: took, requests, records, bytes, wireBytes, latency: null }
  }
  return { measure }
}

class IdempotentLane implements Lane {
  readonly pipe: Pipe
  readonly #frame: Buffer
  readonly #places: readonly number[]
  readonly #patch: SequencePatch
  readonly #sequences: number[]
  readonly #shape: ProduceShape
  readonly #slot = new Slot()

  /** `sequences` are the next of each partition, shared by the lanes of one producer. */
  constructor(pipe: Pipe, made: { frame: Buffer; batch: Buffer }, sequences: number[], shape: ProduceShape) {
    this.pipe = pipe
    this.#frame = Buffer.from(made.frame)
    this.#places = placesOf(made.frame, made.batch, sequences.length)
    this.#patch = new SequencePatch(made.batch, shape.recordsPerBatch)
    this.#sequences = sequences
    this.#shape = shape
  }

  next(): readonly Buffer[] {
    for (const [index, at] of this.#places.entries()) {
      this.#sequences[index] = this.#patch.put(this.#frame, at, this.#sequences[index] as number)
    }
    return this.#slot.of(this.#frame, true)
  }

  check(frame: Buffer, _size: number, tally: Tally): void {
    this.#slot.check(frame)
    checkProduced(frame, this.#places.length)
    const records = this.#places.length * this.#shape.recordsPerBatch
    tally.records += records
    tally.bytes += records * this.#shape.recordBytes
  }
}

/** One producer as Kafka's own with large batches: each request carries one batch for each partition of a leader. */
export async function setUpIdempotent(scene: Scene, shape: ProduceShape): Promise<Stage> {
  if (scene.isFloor) return await setUpProduce(scene, { ...shape, connections: 1 })
  const cluster = await Cluster.open(scene.bootstrap)
  const topic = await cluster.createTopic(shape.partitions, scene.configs)
  const connections = await Connections.open(topic.leaders, 1)
  const producer = await untilDone('a producer id', async () => {
    const given = await ask(cluster.pipe, initProducerId, 2, { transactionalId: null, transactionTimeoutMs: 60_000 })
    return given.errorCode === 0 ? given : null
  })
  const plain = batchOf({ ...shape, recordsPerBatch: 1 })
  for (const [index, address] of topic.leaders.entries()) {
    await untilAccepted(connections.to(address)[0] as Pipe, produceFrame(topic.name, [index], -1, plain))
  }
  const { producerId, producerEpoch } = producer
  const batch = batchOf({ ...shape, producerId, producerEpoch })
  const lanes = connections.addresses.flatMap(address => {
    const led = topic.leaders.flatMap((leader, index) => (leader === address ? [index] : []))
    const made = { frame: produceFrame(topic.name, led, shape.acks, batch), batch }
    const sequences = led.map(() => 0)
    const pipe = connections.to(address)[0] as Pipe
    return Array.from({ length: shape.depth }, () => new IdempotentLane(pipe, made, sequences, shape))
  })
  const close = async () => {
    connections.close()
    await cluster.deleteTopics([topic.name])
    cluster.close()
  }
  return { measure: seconds => saturate(lanes, seconds), close }
}
