// This node in the metadata quorum: the pure quorum, run by its runner, with what its effects need: the quorum-state file,
// the other voters, the fetching from a leader, the serving of followers. Tells the metadata log what became of it. What
// must hold: what others are told (view) is on the disk first.
import { MoldauError } from '../../protocol/failure.ts'
import type { BrokerId, LeaderEpoch, Offset, Uuid } from '../../protocol/types.ts'
import type { Effect } from '../../replication/quorum/inputs.ts'
import { createQuorum, type Quorum, type QuorumTimeouts, type StoredVote } from '../../replication/quorum/state.ts'
import type { Files } from '../../storage/files.ts'
import type { Clock, Random } from '../clock.ts'
import type { VoterAddress } from '../config.ts'
import type { Logger } from '../log.ts'
import type { Network } from '../net/network.ts'
import type { Stalls } from '../stalls.ts'
import type { QuorumFacts } from '../waiting.ts'
import { QuorumAnswers } from './answers.ts'
import { type FollowerOptions, QuorumFollower } from './follower.ts'
import { NamedCluster } from './named-cluster.ts'
import { QuorumPeers } from './peers.ts'
import type { QuorumLog } from './quorum-log.ts'
import { QuorumRunner } from './runner.ts'
import { QuorumServer, type QuorumView } from './serve-fetch.ts'
import { writeQuorumState } from './state-file.ts'

/** What the node's place in the quorum means for its metadata. Called in the order of events. */
export interface Part {
  /** Begin this epoch with its LeaderChange record. */
  lead(epoch: LeaderEpoch, grantingVoters: readonly BrokerId[]): void
  resigned(): void
  committed(upto: Offset): void
  /** Leader or epoch are others now, as everybody may know. */
  viewChanged(): void
  /** All effects are performed: what the quorum has decided is on the disk. */
  settled(): void
}

export interface ParticipantOptions {
  readonly nodeId: BrokerId
  /** At least this node. */
  readonly voters: readonly VoterAddress[]
  readonly stored: StoredVote | null
  readonly isFormatted: boolean
  readonly timeouts: QuorumTimeouts
  readonly requestTimeoutMs: () => number
  readonly fetchMaxBytes: () => number
  readonly snapshotMaxBytes: () => number
  readonly clusterId: () => Uuid | null
  /** Of a cluster that is still to be (moldau.cluster.id). */
  readonly configuredClusterId: Uuid | null
  readonly log: QuorumLog
  readonly files: Files
  readonly network: Network
  readonly clock: Clock
  readonly stalls: Stalls
  readonly random: Random
  readonly logger: Logger
  readonly part: Part
  readonly follower: Pick<FollowerOptions, 'committedEnd' | 'onFetched' | 'onTruncated' | 'install'>
  readonly onFailure: (error: unknown) => void
}

/** How long the end of an epoch may take to be told. */
const HAND_OVER_MS = 500

export class Participant {
  readonly quorum: Quorum
  readonly runner: QuorumRunner
  readonly server: QuorumServer
  readonly answers: QuorumAnswers
  readonly peers: QuorumPeers
  readonly cluster: NamedCluster
  readonly #o: ParticipantOptions
  readonly #follower: QuorumFollower
  /** Voters that said that they are of another cluster, until they say otherwise: a directory may be put right, and must
   *  not count weeks later. Who is elected, or is served by who was, is of the cluster of a majority: all are forgotten. */
  readonly #foreign = new Set<BrokerId>()
  #view: QuorumView
  #ending: Promise<void>[] = []

  constructor(o: ParticipantOptions) {
    const { clock, clusterId, log, logger, network, nodeId, onFailure, random, requestTimeoutMs, voters } = o
    this.#o = o
    this.quorum = createQuorum({ ...o, voters: voters.map(voter => voter.nodeId) })
    this.#view = { epoch: this.quorum.epoch, leaderId: -1, isLeader: false }
    const { quorum } = this
    const onForeign = (voter: BrokerId) => this.#isForeignTo(voter)
    const onOwn = (voter: BrokerId) => this.#foreign.delete(voter)
    const others = { nodeId, voters, onForeign, onOwn }
    this.runner = new QuorumRunner({
      ...{ quorum, clock, random, stalls: o.stalls, onFailure },
      perform: effect => this.#perform(effect),
      onSettled: () => {
        this.server.wake()
        o.part.settled()
      }
    })
    const { runner } = this
    const view = () => this.#view
    const own = () => clusterId() ?? o.configuredClusterId
    const cluster = new NamedCluster({ own, logger, voters: quorum.voters })
    this.cluster = cluster
    this.peers = new QuorumPeers({ ...others, network, clock, logger, cluster, requestTimeoutMs })
    this.server = new QuorumServer({ quorum, runner, log, clock, clusterId, view, onOwn })
    this.answers = new QuorumAnswers({ nodeId, cluster, view, take: input => runner.take(input) })
    this.#follower = new QuorumFollower({
      ...{ quorum, runner, log, peers: this.peers, clock, logger, nodeId, clusterId, requestTimeoutMs, onFailure },
      ...{ fetchMaxBytes: o.fetchMaxBytes, snapshotMaxBytes: o.snapshotMaxBytes },
      ...o.follower,
      ...{ onForeign, onAccepted: () => this.#foreign.clear() }
    })
  }

  get view(): QuorumView {
    return this.#view
  }

  get facts(): QuorumFacts {
    const { isFresh } = this.quorum
    return { voters: this.#o.voters, isFresh, leaderId: this.#view.leaderId, troubles: this.peers.troubles }
  }

  /** Resolves when this node takes part; a sole voter leads then. */
  start(): Promise<void> {
    const { log } = this.#o
    // Where the log was cut since, the end that was synced then says too much: what counts is how it is now.
    log.log.onSynced(() => this.runner.run(() => [{ kind: 'synced', syncedEndOffset: log.log.syncedEndOffset }]))
    this.runner.take({ kind: 'started', ...log.end })
    return this.runner.settled()
  }

  /** Tells the others that this epoch is over, if it led, and takes no part any more. */
  async handOver(): Promise<void> {
    this.runner.take({ kind: 'stopping' })
    await this.runner.settled()
    await this.#ended()
    this.stop()
  }

  /** The end of the epoch has been told, or the time for that is up. */
  #ended(): Promise<void> {
    return new Promise(resolve => {
      const limit = this.#o.clock.after(HAND_OVER_MS, resolve)
      void Promise.all(this.#ending).then(() => {
        limit.cancel()
        resolve()
      })
    })
  }

  stop(): void {
    if (this.#view.isLeader) this.#resigned()
    this.#follower.stop()
    this.runner.stop()
    this.answers.close()
    this.server.wake()
    this.peers.close()
  }

  #perform(effect: Effect): Promise<undefined> | undefined {
    const { logger, part } = this.#o
    switch (effect.kind) {
      case 'store':
        return this.#store(effect)
      case 'reply':
        this.answers.reply(effect)
        return
      case 'send-vote':
        this.#ask(this.peers.vote(effect))
        return
      case 'send-begin':
        this.#ask(this.peers.begin(effect))
        return
      case 'send-end':
        this.#ending.push(this.peers.end(effect).catch(error => this.#fail(error)))
        return
      case 'lead': {
        const { epoch, grantingVoters } = effect
        logger.info({ epoch }, 'metadata-quorum-leader')
        this.#follower.stop()
        this.#foreign.clear()
        this.#see({ epoch, leaderId: this.quorum.nodeId, isLeader: true })
        part.lead(epoch, grantingVoters)
        return
      }
      case 'follow': {
        const { epoch, leaderId } = effect
        logger.info({ epoch, leaderId }, 'metadata-quorum-follower')
        this.#see({ epoch, leaderId, isLeader: false })
        this.#follower.follow({ leaderId, epoch })
        return
      }
      case 'unattached': {
        const { leaderId: lost } = this.#view
        if (lost !== -1) logger.info({ epoch: effect.epoch, lost }, 'metadata-quorum-without-leader')
        this.#follower.stop()
        this.#see({ epoch: effect.epoch, leaderId: -1, isLeader: false })
        return
      }
      case 'resigned':
        logger.info({ epoch: effect.epoch }, 'metadata-quorum-resigned')
        this.#resigned()
        return
      case 'advance-high-watermark':
        part.committed(effect.to)
        return
      default:
        effect satisfies never
    }
  }

  #resigned(): void {
    const { epoch } = this.#view
    this.#see({ epoch, leaderId: -1, isLeader: false })
    this.#o.part.resigned()
  }

  #see(view: QuorumView): void {
    const { epoch, leaderId } = this.#view
    this.#view = view
    if (view.epoch !== epoch || view.leaderId !== leaderId) this.#o.part.viewChanged()
  }

  async #store({ epoch, leaderId, votedId }: Extract<Effect, { kind: 'store' }>): Promise<undefined> {
    const { files, log } = this.#o
    const state = { leaderEpoch: epoch, leaderId, votedId }
    await writeQuorumState(files, log.log.directory, this.quorum.voters, state)
  }

  #ask(answer: ReturnType<QuorumPeers['vote']>): void {
    answer.then(
      input => {
        if (input) this.runner.take(input)
      },
      error => this.#fail(error)
    )
  }

  #fail(error: unknown): void {
    this.#o.onFailure(error)
  }

  /** Who is alone with its cluster id is the one in the wrong directory. One other says nothing of that, not even one that
   *  led when this node last ran: it may be the stranger itself. */
  #isForeignTo(voter: BrokerId): void {
    const { logger } = this.#o
    if (this.#foreign.has(voter)) return
    this.#foreign.add(voter)
    logger.warn({ voter, clusterId: this.cluster.clusterId }, 'voter-of-another-cluster')
    // What this node was only told of is not its own to defend.
    const isAlone = this.#foreign.size > this.quorum.voters.length / 2
    if (isAlone && this.cluster.own !== null) this.#fail(this.#foreignTo(voter))
  }

  #foreignTo(voter: BrokerId): MoldauError {
    const { log } = this.#o
    return new MoldauError(
      'ERR_WRONG_DIRECTORY',
      `${log.log.directory}: it belongs to cluster ${this.cluster.own}, voter ${voter} says that it is of another`
    )
  }
}
