// How this broker asks the active controller, wherever that is: by a call where it is this node, else over a link of
// the controllers' listener. Requests that found no controller, or lost it, are tried again until their time is up.
// Signs of life, partitions, clients and topics made on the way each have a link of their own: answers of one link come in
// order, a topic that takes a second to create must not hold back a heartbeat, and a request that is given up takes its
// link with it, and all that waits there is sent again.
import { ErrorCode } from '../protocol/errors.ts'
import { isFailure, MoldauError } from '../protocol/failure.ts'
import { completed, decodeResponse, encodeRequest, encodeResponse } from '../protocol/frame.ts'
import { allocateProducerIds } from '../protocol/messages/allocate-producer-ids.ts'
import { alterPartition } from '../protocol/messages/alter-partition.ts'
import { brokerHeartbeat } from '../protocol/messages/broker-heartbeat.ts'
import { brokerRegistration } from '../protocol/messages/broker-registration.ts'
import { controllerRegistration } from '../protocol/messages/controller-registration.ts'
import { createTopics } from '../protocol/messages/create-topics.ts'
import { envelope } from '../protocol/messages/envelope.ts'
import type { Api, RequestDraft, RequestOf, ResponseDraft, ResponseOf } from '../protocol/schema.ts'
import type { BrokerId } from '../protocol/types.ts'
import { type AutoCreation, autoTopics } from '../replication/controller/auto-create.ts'
import type { Clock, Timer } from './clock.ts'
import type { Controller } from './controller.ts'
import { answerIn, envelopeOf } from './envelopes.ts'
import type { RequestContext } from './handlers/handler.ts'
import type { Network } from './net/network.ts'
import { PeerLink } from './peers.ts'

/** Each rejects with ERR_TIMEOUT where no controller answered in time, and with ERR_CLOSED once the broker stops. */
export interface ControllerChannel {
  registerBroker(request: RequestDraft<typeof brokerRegistration>): Promise<ResponseOf<typeof brokerRegistration>>
  heartbeat(
    request: RequestDraft<typeof brokerHeartbeat>,
    limitMs?: number
  ): Promise<ResponseOf<typeof brokerHeartbeat>>
  registerController(
    request: RequestDraft<typeof controllerRegistration>
  ): Promise<ResponseOf<typeof controllerRegistration>>
  /** One at a time, please; brokerEpoch is that of registration.brokerEpoch. */
  alterPartition(request: RequestDraft<typeof alterPartition>): Promise<ResponseOf<typeof alterPartition>>
  allocateProducerIds(
    request: RequestDraft<typeof allocateProducerIds>
  ): Promise<ResponseOf<typeof allocateProducerIds>>
  /** Makes topics that a client asked about, or that the broker itself needs: an error code for each name. NONE: they
   *  can be used here. Never rejects for want of a controller: LEADER_NOT_AVAILABLE. */
  autoCreate(names: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** A client's request as it came (header and body, without the size): `here` answers it where this node is the
   *  controller, else it goes in an envelope (KIP-590). Gives the answer's frame, with its size. */
  forward(frame: Buffer, context: RequestContext, here: () => Promise<readonly Buffer[]>): Promise<readonly Buffer[]>
  /** The same for a part of a request, or one of the broker's own. */
  forwardRequest<A extends Api>(
    api: A,
    request: RequestDraft<A>,
    context: RequestContext,
    here: () => Promise<ResponseDraft<A>>
  ): Promise<ResponseOf<A>>
  /** Ends the links: what waits is rejected. */
  close(): void
}

export interface ChannelOptions {
  readonly controller: Controller
  readonly network: Network
  readonly clock: Clock
  readonly nodeId: BrokerId
  readonly autoCreation: () => AutoCreation
  /** request.timeout.ms */
  readonly requestTimeoutMs: () => number
  /** broker.session.timeout.ms */
  readonly sessionTimeoutMs: () => number
  /** Resolves when this broker has done what committed metadata asked of it so far. */
  readonly settled: () => Promise<void>
}

/** What must not wait for each other, nor end with each other. */
type Lane = 'session' | 'partitions' | 'clients' | 'auto-creation'

interface Ask<A extends Api> {
  readonly lane: Lane
  readonly api: A
  readonly version: number
  readonly request: () => RequestDraft<A>
  /** How long it may take in all, and how long one attempt. */
  readonly limitMs: number
  readonly attemptMs: number
}

const RETRY_MS = 20
/** Metadata waits so long for a topic to be made before it says "not yet": less than a slow create of a client may take,
 *  so not on its link. */
const AUTO_CREATE_MS = 2000
const CREATE_TOPICS_VERSION = 7
/** What another attempt may mend: the controller went, moved, or is slow. */
const PASSING: ReadonlySet<string> = new Set(['ERR_NOT_CONTROLLER', 'ERR_REFUSED', 'ERR_DISCONNECTED', 'ERR_TIMEOUT'])

export class Channel implements ControllerChannel {
  readonly #o: ChannelOptions
  readonly #links = new Map<Lane, PeerLink>()
  #linkedTo: BrokerId = -1
  /** Attempts that found no controller: whose turn it is where the quorum does not say. */
  #misses = 0
  readonly #wakers = new Set<() => void>()
  readonly #unsubscribe: (() => void)[]
  #isClosed = false

  constructor(o: ChannelOptions) {
    this.#o = o
    const { controller } = o
    this.#unsubscribe = [
      controller.metadataLog.onLeaderChange(() => this.#leaderChanged()),
      controller.onActivation(() => this.#wake())
    ]
  }

  registerBroker(request: RequestDraft<typeof brokerRegistration>) {
    const here = (whole: RequestOf<typeof brokerRegistration>) => this.#o.controller.registerBroker(whole, null)
    return this.#ask(...this.#both(this.#session(brokerRegistration, 4, request), here))
  }

  heartbeat(request: RequestDraft<typeof brokerHeartbeat>, limitMs = this.#o.sessionTimeoutMs()) {
    const here = (whole: RequestOf<typeof brokerHeartbeat>) => this.#o.controller.heartbeat(whole, null)
    return this.#ask(...this.#both({ ...this.#session(brokerHeartbeat, 2, request), limitMs }, here))
  }

  registerController(request: RequestDraft<typeof controllerRegistration>) {
    const here = (whole: RequestOf<typeof controllerRegistration>) => this.#o.controller.registerController(whole)
    return this.#ask(...this.#both(this.#session(controllerRegistration, 0, request), here))
  }

  alterPartition(request: RequestDraft<typeof alterPartition>) {
    const here = (whole: RequestOf<typeof alterPartition>) => this.#o.controller.alterPartition(whole)
    return this.#ask(...this.#both(this.#patient('partitions', alterPartition, 3, request), here))
  }

  allocateProducerIds(request: RequestDraft<typeof allocateProducerIds>) {
    const here = ({ brokerId, brokerEpoch }: RequestOf<typeof allocateProducerIds>) =>
      this.#o.controller.allocateProducerIds(brokerId, brokerEpoch)
    return this.#ask(...this.#both(this.#patient('partitions', allocateProducerIds, 0, request), here))
  }

  async autoCreate(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const { controller, autoCreation, settled } = this.#o
    const topics = autoTopics(controller.metadata.image, names, autoCreation())
    const request = { topics, timeoutMs: AUTO_CREATE_MS }
    const patient = this.#patient('auto-creation', createTopics, CREATE_TOPICS_VERSION, request)
    const ask = { ...patient, limitMs: Math.min(patient.limitMs, AUTO_CREATE_MS) }
    const here = async (whole: RequestOf<typeof createTopics>) => {
      const made = await controller.createTopics(whole)
      return { topics: made.map(({ name, errorCode }) => ({ name, errorCode })) }
    }
    try {
      const answer = await this.#ask(...this.#both(ask, here))
      await settled()
      return new Map(answer.topics.map(({ name, errorCode }) => [name, madeBySomebody(errorCode)]))
    } catch (error) {
      if (!isFailure(error)) throw error
      return new Map(names.map(name => [name, ErrorCode.LEADER_NOT_AVAILABLE]))
    }
  }

  async forward(
    frame: Buffer,
    context: RequestContext,
    here: () => Promise<readonly Buffer[]>
  ): Promise<readonly Buffer[]> {
    const limitMs = this.#o.requestTimeoutMs()
    const request = () => envelopeOf(frame, context)
    const ask: Ask<typeof envelope> = {
      lane: 'clients',
      api: envelope,
      version: 0,
      request,
      limitMs,
      attemptMs: limitMs
    }
    const answer = await this.#ask(ask, here)
    if (Array.isArray(answer)) return answer
    await this.#o.settled()
    return answerIn(answer as ResponseOf<typeof envelope>)
  }

  async forwardRequest<A extends Api>(
    api: A,
    request: RequestDraft<A>,
    context: RequestContext,
    here: () => Promise<ResponseDraft<A>>
  ): Promise<ResponseOf<A>> {
    const { apiVersion, correlationId, clientId } = context
    const frame = Buffer.concat(encodeRequest(api, apiVersion, correlationId, clientId, request)).subarray(4)
    const answered = async () => encodeResponse(api, apiVersion, correlationId, await here())
    const answer = await this.forward(frame, context, answered)
    return decodeResponse(api, apiVersion, Buffer.concat(answer).subarray(4)).body
  }

  close(): void {
    this.#isClosed = true
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#closeLinks()
    this.#wake()
  }

  /** An attempt that gets no answer must end long before the session does: its link is then opened anew. */
  #session<A extends Api>(api: A, version: number, request: RequestDraft<A>): Ask<A> {
    const limitMs = this.#o.sessionTimeoutMs()
    return { lane: 'session', api, version, request: () => request, limitMs, attemptMs: limitMs / 3 }
  }

  #patient<A extends Api>(lane: Lane, api: A, version: number, request: RequestDraft<A>): Ask<A> {
    const limitMs = this.#o.requestTimeoutMs()
    return { lane, api, version, request: () => request, limitMs, attemptMs: limitMs }
  }

  /** The same question to a controller in this process: it is asked, and answers, as if over the wire. */
  #both<A extends Api>(
    ask: Ask<A>,
    here: (request: RequestOf<A>) => Promise<ResponseDraft<A>>
  ): [Ask<A>, () => Promise<ResponseOf<A>>] {
    const { api, version, request } = ask
    const asked = async () => {
      const whole = completed(api.request, version, request()) as RequestOf<A>
      return completed(api.response, version, await here(whole)) as ResponseOf<A>
    }
    return [ask, asked]
  }

  async #ask<A extends Api, H>(ask: Ask<A>, here: () => Promise<H>): Promise<ResponseOf<A> | H> {
    const { clock } = this.#o
    const deadlineMs = clock.monotonicMs() + ask.limitMs
    for (;;) {
      if (this.#isClosed) throw new MoldauError('ERR_CLOSED', 'this broker is stopping')
      const change = this.#nextChange()
      const asked = this.#leaderId
      try {
        const leftMs = deadlineMs - clock.monotonicMs()
        const answer = leftMs > 0 ? await this.#attempt(ask, here, leftMs) : null
        if (answer !== null && !isNotController(answer)) return answer
        // Two lanes that missed the same node go on to the same next one.
        if (asked === this.#leaderId) this.#misses++
        const restMs = deadlineMs - clock.monotonicMs()
        if (restMs <= 0) throw new MoldauError('ERR_TIMEOUT', `no active controller answered ${ask.api.name} in time`)
        await change.within(Math.min(restMs, this.#isKnown ? RETRY_MS : restMs))
      } finally {
        change.cancel()
      }
    }
  }

  /** Null: nobody to ask, or no answer; worth another try. */
  async #attempt<A extends Api, H>(
    { lane, api, version, request, attemptMs }: Ask<A>,
    here: () => Promise<H>,
    leftMs: number
  ): Promise<ResponseOf<A> | H | null> {
    try {
      if (this.#o.controller.isActive) return await this.#within(leftMs, here())
      const link = this.#linkFor(lane)
      return link && (await link.send(api, version, request(), Math.min(leftMs, attemptMs)))
    } catch (error) {
      // ERR_CLOSED: the link was closed because another node leads now.
      const isPassing =
        isFailure(error) && (PASSING.has(error.code) || (error.code === 'ERR_CLOSED' && !this.#isClosed))
      if (isPassing) return null
      throw error
    }
  }

  /** Somebody leads, and is to be asked again soon. */
  get #isKnown(): boolean {
    return this.#leaderId >= 0
  }

  /** A node that takes no part in the quorum any more, because its disk failed, hears of no election: it asks the other
   *  voters in turn, since its partitions are still to be given away. */
  get #leaderId(): BrokerId {
    const { controller, nodeId } = this.#o
    const { hasEnded, voters } = controller.metadataLog
    if (!hasEnded) return controller.activeControllerId
    const others = voters.filter(id => id !== nodeId)
    return others[this.#misses % others.length] ?? -1
  }

  #linkFor(lane: Lane): PeerLink | null {
    const { controller, network, clock, nodeId, requestTimeoutMs } = this.#o
    const leaderId = this.#leaderId
    if (leaderId < 0 || leaderId === nodeId) return null
    if (leaderId !== this.#linkedTo) this.#closeLinks()
    this.#linkedTo = leaderId
    let link = this.#links.get(lane)
    if (!link) {
      const address = () => controller.metadataLog.controllerAddress(leaderId)
      const clientId = `broker-${nodeId}-${lane}`
      link = new PeerLink({ network, clock, clientId, address, timeoutMs: requestTimeoutMs })
      this.#links.set(lane, link)
    }
    return link
  }

  #closeLinks(): void {
    for (const link of this.#links.values()) link.close()
    this.#links.clear()
    this.#linkedTo = -1
  }

  /** What waits for a node that leads no more is asked of the next one at once. */
  #leaderChanged(): void {
    if (this.#o.controller.activeControllerId !== this.#linkedTo) this.#closeLinks()
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#wakers) wake()
    this.#wakers.clear()
  }

  /** From now on: a change of the controller is noticed even while an attempt is under way. */
  #nextChange() {
    let isOver = false
    let wake = (): void => {
      isOver = true
    }
    const waker = (): void => wake()
    this.#wakers.add(waker)
    const cancel = (): void => {
      this.#wakers.delete(waker)
    }
    const within = (ms: number): Promise<void> =>
      new Promise(resolve => {
        if (isOver) return resolve()
        const timer: Timer = this.#o.clock.after(ms, () => wake())
        wake = () => {
          timer.cancel()
          cancel()
          resolve()
        }
      })
    return { cancel, within }
  }

  async #within<T>(ms: number, work: Promise<T>): Promise<T> {
    let timer: Timer | null = null
    const late = new Promise<never>((_, reject) => {
      timer = this.#o.clock.after(ms, () => reject(new MoldauError('ERR_TIMEOUT', `not committed within ${ms} ms`)))
    })
    try {
      return await Promise.race([work, late])
    } finally {
      ;(timer as Timer | null)?.cancel()
    }
  }
}

interface Codes {
  readonly errorCode?: number
  readonly topics?: readonly Codes[]
}

/** CreateTopics has no room to say so but beside each topic. */
function isNotController(answer: unknown): boolean {
  const { errorCode, topics = [] } = answer as Codes
  return [errorCode, ...topics.map(each => each.errorCode)].includes(ErrorCode.NOT_CONTROLLER)
}

/** Two clients may have asked at the same time. */
function madeBySomebody(errorCode: number): number {
  return errorCode === ErrorCode.TOPIC_ALREADY_EXISTS ? ErrorCode.NONE : errorCode
}
