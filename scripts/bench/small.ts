// Rows of small requests, each from 16 connections: fetches that find nothing, Metadata, Heartbeat of group members, commits.
import { decodeResponse, encodeRequest } from '../../protocol/frame.ts'
import { heartbeat } from '../../protocol/messages/heartbeat.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { offsetCommit } from '../../protocol/messages/offset-commit.ts'
import { Cluster } from './cluster.ts'
import { fetchFrame, recordBytesOf } from './fetch.ts'
import { joinAlone, type Membership } from './member.ts'
import { type Lane, LanePool, paced, saturate, type Tally } from './pace.ts'
import { Pipe } from './pipe.ts'
import { untilAccepted } from './produce.ts'
import { batchOf, produceFrame, Slot } from './request.ts'
import type { Scene, Stage } from './workload.ts'

export type SmallKind = 'empty-fetch' | 'metadata' | 'heartbeat' | 'offset-commit'

export interface SmallShape {
  readonly kind: SmallKind
  readonly connections: number
  readonly depth: number
  readonly perSecond?: number
}

const METADATA_VERSION = 9
const HEARTBEAT_VERSION = 3
const COMMIT_VERSION = 7
const PARTITIONS = 4

/** A frame that is sent again and again, and what its answer must be. */
class Repeat implements Lane {
  readonly pipe: Pipe
  readonly #frame: Buffer
  readonly #isRight: (answer: Buffer) => boolean
  readonly #slot = new Slot()

  constructor(pipe: Pipe, frame: Buffer, isRight: (answer: Buffer) => boolean) {
    this.pipe = pipe
    this.#frame = frame
    this.#isRight = isRight
  }

  next(): readonly Buffer[] {
    return this.#slot.of(this.#frame)
  }

  check(frame: Buffer, size: number, tally: Tally): void {
    this.#slot.check(frame)
    if (!this.#isRight(frame)) throw new Error(`a wrong answer of ${size} bytes: ${frame.toString('hex', 0, 40)}`)
    tally.bytes += size
    tally.records++
  }
}

interface Sent {
  readonly frame: Buffer
  readonly isRight: (answer: Buffer) => boolean
}

function committing(topic: string, { group, memberId, generationId }: Membership, partition: number): Sent {
  const partitions = [{ partitionIndex: partition, committedOffset: 1, committedMetadata: '' }]
  const body = {
    groupId: group,
    generationIdOrMemberEpoch: generationId,
    memberId,
    topics: [{ name: topic, partitions }]
  }
  return {
    frame: Buffer.concat(encodeRequest(offsetCommit, COMMIT_VERSION, 0, 'bench', body)),
    isRight: answer => {
      const { topics } = decodeResponse(offsetCommit, COMMIT_VERSION, answer).body
      return topics[0]?.partitions[0]?.errorCode === 0
    }
  }
}

function beating({ group, memberId, generationId }: Membership): Sent {
  const body = { groupId: group, generationId, memberId }
  return {
    frame: Buffer.concat(encodeRequest(heartbeat, HEARTBEAT_VERSION, 0, 'bench', body)),
    isRight: answer => decodeResponse(heartbeat, HEARTBEAT_VERSION, answer).body.errorCode === 0
  }
}

function asking(topic: string): Sent {
  const body = { topics: [{ name: topic }], allowAutoTopicCreation: false }
  return {
    frame: Buffer.concat(encodeRequest(metadata, METADATA_VERSION, 0, 'bench', body)),
    isRight: answer => {
      const { topics } = decodeResponse(metadata, METADATA_VERSION, answer).body
      return topics[0]?.errorCode === 0 && topics[0].partitions.length === PARTITIONS
    }
  }
}

export async function setUpSmall(scene: Scene, shape: SmallShape): Promise<Stage> {
  const cluster = await Cluster.open(scene.bootstrap)
  const topic = await cluster.createTopic(PARTITIONS, scene.configs)
  const lanes: (() => Lane)[] = []
  const pipes: Pipe[] = []
  const connect = async (address: string): Promise<Pipe> => {
    const pipe = await Pipe.open(address)
    pipes.push(pipe)
    return pipe
  }
  const leader = topic.leaders[0] as string
  const end = await untilAccepted(
    await connect(leader),
    produceFrame(topic.name, [0], -1, batchOf({ recordBytes: 100, recordsPerBatch: 1 }))
  )
  for (let index = 0; index < shape.connections; index++) {
    if (shape.kind === 'empty-fetch') {
      const frame = fetchFrame(topic.name, end + 1, 1 << 20, 0)
      const pipe = await connect(leader)
      lanes.push(() => new Repeat(pipe, frame, answer => recordBytesOf(answer) === 0))
    } else if (shape.kind === 'metadata') {
      const sent = asking(topic.name)
      const pipe = await connect(scene.bootstrap)
      lanes.push(() => new Repeat(pipe, sent.frame, sent.isRight))
    } else {
      const group = `${topic.name}-${index}`
      const pipe = await connect(await cluster.coordinator(group))
      const member = await joinAlone(pipe, group)
      const sent = shape.kind === 'heartbeat' ? beating(member) : committing(topic.name, member, index % PARTITIONS)
      lanes.push(() => new Repeat(pipe, sent.frame, sent.isRight))
    }
  }
  const close = async () => {
    for (const pipe of pipes) pipe.close()
    await cluster.deleteTopics([topic.name])
    cluster.close()
  }
  const { perSecond } = shape
  if (perSecond !== undefined) {
    const pools = lanes.map(make => new LanePool(make))
    return { measure: seconds => paced(pools, perSecond, seconds), close }
  }
  const busy = lanes.flatMap(make => Array.from({ length: shape.depth }, make))
  return { measure: seconds => saturate(busy, seconds), close }
}
