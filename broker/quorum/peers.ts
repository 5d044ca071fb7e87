// The other voters, where controller.quorum.voters says: one link for fetching, on which an answer may be long in coming,
// and one for what must not wait behind it. Answers become inputs of the quorum; no answer is none, and is asked again by
// whoever needs it.
import { ErrorCode, errorName } from '../../protocol/errors.ts'
import { isFailure, type MoldauError } from '../../protocol/failure.ts'
import { beginQuorumEpoch } from '../../protocol/messages/begin-quorum-epoch.ts'
import { endQuorumEpoch } from '../../protocol/messages/end-quorum-epoch.ts'
import { vote } from '../../protocol/messages/vote.ts'
import type { BrokerId } from '../../protocol/types.ts'
import { METADATA_TOPIC } from '../../replication/controller/topic-names.ts'
import type { Effect, Input } from '../../replication/quorum/inputs.ts'
import type { Clock } from '../clock.ts'
import type { VoterAddress } from '../config.ts'
import type { Logger } from '../log.ts'
import { type Address, type Network, systemCode } from '../net/network.ts'
import { PeerLink, probe } from '../peers.ts'
import type { NamedCluster } from './named-cluster.ts'

const VOTE_VERSION = 2
const BEGIN_QUORUM_EPOCH_VERSION = 1
const END_QUORUM_EPOCH_VERSION = 1
/** A live process accepts at once. */
const PROBE_MS = 500

export interface QuorumPeersOptions {
  readonly nodeId: BrokerId
  readonly voters: readonly VoterAddress[]
  readonly network: Network
  readonly clock: Clock
  readonly logger: Logger
  readonly cluster: NamedCluster
  readonly requestTimeoutMs: () => number
  /** That voter says that it belongs to another cluster. */
  readonly onForeign: (voter: BrokerId) => void
  /** It answers as one of this cluster. */
  readonly onOwn: (voter: BrokerId) => void
}

interface Links {
  readonly fetching: PeerLink
  readonly talking: PeerLink
}

type Send<K extends Effect['kind']> = Extract<Effect, { kind: K }>

export class QuorumPeers {
  readonly #o: QuorumPeersOptions
  readonly #links = new Map<BrokerId, Links>()
  readonly #addresses: ReadonlyMap<BrokerId, Address>
  /** What each voter refused the last request with, as long as it refuses: said once, however often it is asked. */
  readonly #refusals = new Map<BrokerId, string>()
  readonly #troubles = new Map<BrokerId, string>()

  constructor(o: QuorumPeersOptions) {
    this.#o = o
    this.#addresses = new Map(o.voters.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    for (const { nodeId } of o.voters) {
      if (nodeId !== o.nodeId) this.#links.set(nodeId, { fetching: this.#link(nodeId), talking: this.#link(nodeId) })
      if (nodeId !== o.nodeId) this.#troubles.set(nodeId, 'no answer yet')
    }
  }

  /** Why a voter cannot be talked to, in words; who answered last time is not in it. */
  get troubles(): ReadonlyMap<BrokerId, string> {
    return this.#troubles
  }

  answered(voter: BrokerId): void {
    this.#troubles.delete(voter)
  }

  failed(voter: BrokerId, failure: MoldauError): void {
    this.#troubles.set(voter, troubleOf(failure))
  }

  /** Null for who is no voter. */
  addressOf(nodeId: BrokerId): Address | null {
    return this.#addresses.get(nodeId) ?? null
  }

  /** Null for who is no voter, and for this node. */
  fetching(nodeId: BrokerId): PeerLink | null {
    return this.#links.get(nodeId)?.fetching ?? null
  }

  /** True where nobody listens any more: the process is dead. Silence is no sign. */
  async isGone(nodeId: BrokerId): Promise<boolean> {
    const address = this.addressOf(nodeId)
    return address !== null && (await probe(this.#o.network, this.#o.clock, address, PROBE_MS)) === 'refused'
  }

  async vote({ to, epoch, lastOffset, lastOffsetEpoch, isPreVote }: Send<'send-vote'>): Promise<Input | null> {
    const { nodeId, cluster } = this.#o
    const partition = { partitionIndex: 0, replicaEpoch: epoch, replicaId: nodeId, lastOffset, lastOffsetEpoch }
    const topics = [{ topicName: METADATA_TOPIC, partitions: [{ ...partition, preVote: isPreVote }] }]
    const request = { clusterId: cluster.clusterId, voterId: to, topics }
    const response = await this.#ask(to, link => link.send(vote, VOTE_VERSION, request))
    const answer = this.#sound(to, response)
    if (answer === null) return null
    const { leaderEpoch, leaderId, voteGranted } = answer
    const about = { kind: 'vote-answered', from: to, requestEpoch: epoch, isPreVote } as const
    return { ...about, epoch: leaderEpoch, leaderId, isGranted: voteGranted }
  }

  async begin({ to, epoch }: Send<'send-begin'>): Promise<Input | null> {
    const { nodeId, cluster } = this.#o
    const partition = { partitionIndex: 0, leaderId: nodeId, leaderEpoch: epoch }
    const topics = [{ topicName: METADATA_TOPIC, partitions: [partition] }]
    const request = { clusterId: cluster.clusterId, voterId: to, topics, leaderEndpoints: this.#ownEndpoints() }
    const response = await this.#ask(to, link => link.send(beginQuorumEpoch, BEGIN_QUORUM_EPOCH_VERSION, request))
    const answer = this.#sound(to, response)
    return answer && { kind: 'begin-answered', from: to, epoch: answer.leaderEpoch, leaderId: answer.leaderId }
  }

  /** Resolves when it was answered, or will not be. */
  async end({ to, epoch, preferredSuccessors }: Send<'send-end'>): Promise<void> {
    const { nodeId, cluster } = this.#o
    const preferredCandidates = preferredSuccessors.map(candidateId => ({ candidateId }))
    const partition = { partitionIndex: 0, leaderId: nodeId, leaderEpoch: epoch, preferredCandidates }
    const topics = [{ topicName: METADATA_TOPIC, partitions: [partition] }]
    const request = { clusterId: cluster.clusterId, topics, leaderEndpoints: this.#ownEndpoints() }
    await this.#ask(to, link => link.send(endQuorumEpoch, END_QUORUM_EPOCH_VERSION, request))
  }

  close(): void {
    for (const { fetching, talking } of this.#links.values()) {
      fetching.close()
      talking.close()
    }
  }

  #link(nodeId: BrokerId): PeerLink {
    const { network, clock, requestTimeoutMs, nodeId: self } = this.#o
    const address = () => this.addressOf(nodeId)
    return new PeerLink({ network, clock, clientId: `quorum-${self}`, address, timeoutMs: requestTimeoutMs })
  }

  #ownEndpoints() {
    const own = this.addressOf(this.#o.nodeId)
    return own ? [{ name: 'CONTROLLER', ...own }] : []
  }

  /** Null without an answer: a dead or a silent voter is nothing to talk about each time. */
  async #ask<T>(to: BrokerId, send: (link: PeerLink) => Promise<T>): Promise<T | null> {
    const link = this.#links.get(to)?.talking
    if (!link) return null
    try {
      return await send(link)
    } catch (error) {
      if (!isFailure(error)) throw error
      this.failed(to, error)
      this.#o.logger.debug({ voter: to, err: error }, 'quorum-request-failed')
      return null
    }
  }

  /** The answer about the one partition, whether it agrees or not; null for an answer that says nothing of the quorum. */
  #sound<P extends { readonly errorCode: number }>(
    from: BrokerId,
    response: { readonly errorCode: number; readonly topics: readonly { readonly partitions: readonly P[] }[] } | null
  ): P | null {
    if (response === null) return null
    const answer = response.topics[0]?.partitions[0]
    if (response.errorCode === ErrorCode.INCONSISTENT_CLUSTER_ID) this.#o.onForeign(from)
    const errorCode = response.errorCode || answer?.errorCode
    if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.FENCED_LEADER_EPOCH) {
      this.#refusals.delete(from)
      this.answered(from)
      this.#o.onOwn(from)
      return answer ?? null
    }
    const error = errorName(errorCode ?? -1)
    if (errorCode === ErrorCode.BROKER_NOT_AVAILABLE) {
      // It is about to start or to stop, as in any start of several.
      this.#troubles.set(from, 'it takes no part in the quorum')
      return null
    }
    if (this.#refusals.get(from) !== error) this.#o.logger.warn({ voter: from, error }, 'quorum-request-refused')
    this.#refusals.set(from, error)
    this.#troubles.set(from, `it answers ${error}`)
    return null
  }
}

/** The system's codes that an operator meets, and what they mean. */
const TROUBLES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ETIMEDOUT: 'connection timed out',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host name not resolved',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable'
}

function troubleOf({ message, cause }: MoldauError): string {
  // Closed because another request on it got no answer.
  if (isFailure(cause, 'ERR_TIMEOUT')) return cause.message
  return TROUBLES[systemCode(cause) ?? ''] ?? message
}
