// Requests of other voters on their way through the quorum: checked as KafkaRaftClient.java checks them, given to the
// quorum as inputs, and answered when it says so, which is after what it promises is on the disk.
import { ErrorCode } from '../../protocol/errors.ts'
import type { beginQuorumEpoch } from '../../protocol/messages/begin-quorum-epoch.ts'
import type { endQuorumEpoch } from '../../protocol/messages/end-quorum-epoch.ts'
import type { vote } from '../../protocol/messages/vote.ts'
import type { RequestOf, ResponseDraft } from '../../protocol/schema.ts'
import { type BrokerId, type Uuid, ZERO_UUID } from '../../protocol/types.ts'
import { METADATA_TOPIC } from '../../replication/controller/topic-names.ts'
import type { Effect, Input } from '../../replication/quorum/inputs.ts'
import type { NamedCluster } from './named-cluster.ts'

type Answer = Omit<Extract<Effect, { kind: 'reply' }>, 'kind' | 'token'>

export interface AnswersOptions {
  readonly nodeId: BrokerId
  readonly cluster: NamedCluster
  readonly take: (input: Input) => void
  /** What is known now, for answers that the quorum is not asked for. */
  readonly view: () => { readonly epoch: number; readonly leaderId: BrokerId }
}

interface Asked<P> {
  readonly clusterId: string | null
  readonly topics: readonly { readonly topicName: string; readonly partitions: readonly P[] }[]
}

export class QuorumAnswers {
  readonly #o: AnswersOptions
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #token = 0
  #isClosed = false

  constructor(o: AnswersOptions) {
    this.#o = o
  }

  async onVote(request: RequestOf<typeof vote>): Promise<ResponseDraft<typeof vote>> {
    const asked = this.#only(request)
    if (typeof asked === 'number') return { errorCode: asked }
    const { replicaId: candidateId, replicaEpoch: epoch, lastOffset, lastOffsetEpoch, preVote: isPreVote } = asked
    const isIllegal = isPreVote ? lastOffsetEpoch > epoch : lastOffsetEpoch >= epoch
    const { cluster } = this.#o
    cluster.hear(candidateId, request.clusterId)
    const about = { candidateId, epoch, lastOffset, lastOffsetEpoch, isPreVote }
    const answer =
      lastOffset < 0 || lastOffsetEpoch < 0 || isIllegal
        ? this.#refusal(ErrorCode.INVALID_REQUEST)
        : this.#isMistaken(request.voterId, asked.voterDirectoryId)
          ? this.#refusal(ErrorCode.INVALID_VOTER_KEY)
          : await this.#quorum(token => ({ kind: 'vote-requested', token, ...about }))
    // Whoever asks with nothing may be about to found a cluster, and would give it an id that is not the one.
    const isIgnorant = isPreVote && lastOffset === 0 && request.clusterId === null && cluster.isNamed
    return topicsOf({ ...partitionOf(answer), voteGranted: answer.isGranted && !isIgnorant })
  }

  async onBegin(request: RequestOf<typeof beginQuorumEpoch>): Promise<ResponseDraft<typeof beginQuorumEpoch>> {
    const asked = this.#only(request)
    if (typeof asked === 'number') return { errorCode: asked }
    const { leaderId, leaderEpoch: epoch } = asked
    this.#o.cluster.hear(leaderId, request.clusterId)
    const answer = this.#isMistaken(request.voterId, asked.voterDirectoryId)
      ? this.#refusal(ErrorCode.INVALID_VOTER_KEY)
      : await this.#quorum(token => ({ kind: 'begin-requested', token, leaderId, epoch }))
    return topicsOf(partitionOf(answer))
  }

  async onEnd(request: RequestOf<typeof endQuorumEpoch>): Promise<ResponseDraft<typeof endQuorumEpoch>> {
    const asked = this.#only(request)
    if (typeof asked === 'number') return { errorCode: asked }
    const { leaderId, leaderEpoch: epoch } = asked
    const named = asked.preferredCandidates.map(each => each.candidateId)
    const preferredSuccessors = named.length > 0 ? named : asked.preferredSuccessors
    const about = { kind: 'end-requested', leaderId, epoch, preferredSuccessors } as const
    return topicsOf(partitionOf(await this.#quorum(token => ({ ...about, token }))))
  }

  /** Performs `reply`. */
  reply({ token, ...answer }: Extract<Effect, { kind: 'reply' }>): void {
    this.#waiting.get(token)?.(answer)
    this.#waiting.delete(token)
  }

  /** Nobody will decide any more. */
  close(): void {
    this.#isClosed = true
    for (const answer of this.#waiting.values()) answer(this.#refusal(ErrorCode.BROKER_NOT_AVAILABLE))
    this.#waiting.clear()
  }

  /** The one partition that there is, or what is wrong with the request. */
  #only<P extends { readonly partitionIndex: number }>({ clusterId, topics }: Asked<P>): P | number {
    const { own } = this.#o.cluster
    // Who knows none yet is asked by those who do, and the other way round.
    if (own !== null && clusterId !== null && clusterId !== own) return ErrorCode.INCONSISTENT_CLUSTER_ID
    const [topic, ...otherTopics] = topics
    const [partition, ...others] = topic?.partitions ?? []
    const isOurs = topic?.topicName === METADATA_TOPIC && partition?.partitionIndex === 0
    return isOurs && otherTopics.length === 0 && others.length === 0 ? (partition as P) : ErrorCode.INVALID_REQUEST
  }

  /** Meant for another voter, or for another directory of this one (KIP-853): versions 0 do not say. */
  #isMistaken(voterId: BrokerId, directoryId: Uuid): boolean {
    return (voterId >= 0 && voterId !== this.#o.nodeId) || (directoryId !== ZERO_UUID && directoryId !== '')
  }

  #refusal(errorCode: number): Answer {
    return { errorCode, ...this.#o.view(), isGranted: false }
  }

  #quorum(input: (token: number) => Input): Promise<Answer> {
    if (this.#isClosed) return Promise.resolve(this.#refusal(ErrorCode.BROKER_NOT_AVAILABLE))
    const token = ++this.#token
    return new Promise(resolve => {
      this.#waiting.set(token, resolve)
      this.#o.take(input(token))
    })
  }
}

function partitionOf({ errorCode, leaderId, epoch }: Answer) {
  return { partitionIndex: 0, errorCode, leaderId, leaderEpoch: epoch }
}

function topicsOf<P>(partition: P) {
  return { topics: [{ topicName: METADATA_TOPIC, partitions: [partition] }] }
}
