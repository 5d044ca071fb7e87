// Which brokers live, as the active controller sees it. A broker that is heard of keeps its session; one whose
// connection ended is looked for at its registered address, and only "nobody listens there" ends the session before its
// time: silence never does, nor does a stall of this process. Soft state: a new controller gives everyone a whole session
// time, and looks once for each.
import type { BrokerId, Offset } from '../protocol/types.ts'
import { Sessions } from '../replication/controller/sessions.ts'
import type { Clock, Timer } from './clock.ts'
import type { Logger } from './log.ts'
import type { Address } from './net/network.ts'
import type { Stalls } from './stalls.ts'

/** The connection that a broker's request came on; null: this node's own broker, by a call. */
export interface Caller {
  readonly connectionId: number
  /** Aborted when the connection has ended. */
  readonly signal: AbortSignal
}

export interface BrokerSessionsOptions {
  readonly clock: Clock
  readonly stalls: Stalls
  readonly logger: Logger
  readonly timeoutMs: () => number
  /** Where that broker registered to be found by others; null: unknown. */
  readonly addressOf: (brokerId: BrokerId) => Address | null
  readonly probe: (address: Address) => Promise<'accepted' | 'refused' | 'silent'>
  /** Takes it out of every leadership and in-sync set, if it is in any. */
  readonly fence: (brokerId: BrokerId, why: 'silent' | 'gone') => void
}

const TICK_MS = 500
/** When a process dies the kernel closes its sockets one by one: a listener may still be there a moment after. */
const LOOK_AGAIN_MS: readonly number[] = [0, 20, 100]

export class BrokerSessions {
  readonly #o: BrokerSessionsOptions
  readonly #sessions: Sessions
  readonly #callers = new Map<BrokerId, Caller | null>()
  /** Connections whose end is listened for: once each, however often a broker registers on it. */
  readonly #watched = new WeakSet<AbortSignal>()
  /** The number of the last sign of life of each: a look that took time counts only if there was none meanwhile. */
  readonly #heard = new Map<BrokerId, number>()
  #signs = 0
  #timer: Timer | null = null
  #stalledMs = 0

  constructor(o: BrokerSessionsOptions) {
    this.#o = o
    this.#sessions = new Sessions(o.timeoutMs)
  }

  /** The sessions of these brokers begin now, and each is looked for. Resolves when those that are surely gone are fenced. */
  async begin(brokerIds: readonly BrokerId[]): Promise<void> {
    const nowMs = this.#o.clock.monotonicMs()
    this.#stalledMs = this.#o.stalls.totalMs
    this.#scheduleTick()
    const looks = brokerIds.map(brokerId => {
      this.#sessions.touch(brokerId, -1, nowMs)
      return this.#lookFor(brokerId)
    })
    await Promise.all(looks)
  }

  /** Another node leads: nothing is judged here any more. */
  end(): void {
    this.#timer?.cancel()
    this.#timer = null
    for (const brokerId of [...this.#heard.keys()]) this.remove(brokerId)
    for (const brokerId of this.#sessions.expired(Number.POSITIVE_INFINITY)) this.remove(brokerId)
  }

  /** A sign of life, with the epoch of its registration. */
  touch(brokerId: BrokerId, metadataOffset: Offset, caller: Caller | null): void {
    this.#sessions.touch(brokerId, metadataOffset, this.#o.clock.monotonicMs())
    this.#heard.set(brokerId, ++this.#signs)
    const known = this.#callers.get(brokerId)
    if (known === caller || (known && known.signal === caller?.signal)) return
    this.#callers.set(brokerId, caller)
    if (caller === null) return
    const { signal } = caller
    if (signal.aborted) this.#ended(signal)
    else if (!this.#watched.has(signal)) {
      this.#watched.add(signal)
      signal.addEventListener('abort', () => this.#ended(signal), { once: true })
    }
  }

  /** A new registration: what was known of the life before does not count. */
  registered(brokerId: BrokerId, caller: Caller | null): void {
    this.remove(brokerId)
    this.touch(brokerId, -1, caller)
  }

  /** It left in order, is fenced, or is no member any more. */
  remove(brokerId: BrokerId): void {
    this.#sessions.remove(brokerId)
    this.#callers.delete(brokerId)
    this.#heard.delete(brokerId)
  }

  isValid(brokerId: BrokerId): boolean {
    return this.#sessions.isValid(brokerId, this.#o.clock.monotonicMs())
  }

  /** Its connection lives. */
  isConnected(brokerId: BrokerId): boolean {
    const caller = this.#callers.get(brokerId)
    return caller === null || caller?.signal.aborted === false
  }

  /**
   * Another incarnation wants the place of a broker whose session is valid: true if that one is surely gone. It is not
   * while its connection lives; it is if the newcomer listens where it listened, or if nobody listens there.
   */
  async isSucceeded(brokerId: BrokerId, newcomer: Address | null): Promise<boolean> {
    if (this.isConnected(brokerId)) return false
    const address = this.#o.addressOf(brokerId)
    if (!address) return false
    if (newcomer && newcomer.host === address.host && newcomer.port === address.port) return true
    const heard = this.#heard.get(brokerId)
    return (await this.#o.probe(address)) === 'refused' && this.#heard.get(brokerId) === heard
  }

  shutdownBegan(brokerId: BrokerId, lastOffset: Offset): void {
    this.#sessions.shutdownBegan(brokerId, lastOffset)
  }

  shutdownOffset(brokerId: BrokerId): Offset | null {
    return this.#sessions.shutdownOffset(brokerId)
  }

  lowestOffsetBut(brokerId: BrokerId, counts: (brokerId: BrokerId) => boolean): Offset {
    return this.#sessions.lowestOffsetBut(brokerId, counts)
  }

  /** A connection on which brokers were heard of. */
  #ended(signal: AbortSignal): void {
    if (this.#timer === null) return
    for (const [brokerId, caller] of this.#callers) if (caller?.signal === signal) void this.#lookFor(brokerId)
  }

  /** Looks for a broker where it registered, a few times; nobody there, and no word from it since: its session ends. */
  async #lookFor(brokerId: BrokerId): Promise<void> {
    const { clock, logger, probe, addressOf, fence } = this.#o
    const heard = this.#heard.get(brokerId)
    for (const ms of LOOK_AGAIN_MS) {
      if (ms > 0) await new Promise<void>(resolve => clock.after(ms, resolve))
      const address = addressOf(brokerId)
      if (!address || this.#isCancelled(brokerId, heard)) return
      const found = await probe(address).catch(() => 'silent' as const)
      if (this.#isCancelled(brokerId, heard)) return
      if (found !== 'refused') continue
      logger.warn({ brokerId, host: address.host, port: address.port }, 'broker-gone')
      this.remove(brokerId)
      fence(brokerId, 'gone')
      return
    }
  }

  #isCancelled(brokerId: BrokerId, heard: number | undefined): boolean {
    return this.#timer === null || this.#heard.get(brokerId) !== heard || !this.isValid(brokerId)
  }

  #scheduleTick(): void {
    const { clock, stalls } = this.#o
    const timer = clock.after(TICK_MS, () =>
      stalls.afterPoll(() => {
        if (this.#timer === timer) this.#tick()
      })
    )
    this.#timer = timer
  }

  #tick(): void {
    const { clock, stalls, fence } = this.#o
    const { totalMs } = stalls
    if (totalMs > this.#stalledMs) this.#sessions.credit(totalMs - this.#stalledMs)
    this.#stalledMs = totalMs
    for (const brokerId of this.#sessions.expired(clock.monotonicMs())) {
      this.remove(brokerId)
      fence(brokerId, 'silent')
    }
    this.#scheduleTick()
  }
}

/** The listener by which brokers find each other, else the first. */
export function interBrokerAddress(
  endPoints: readonly { readonly name: string; readonly host: string; readonly port: number }[],
  listenerName: string
): Address | null {
  return endPoints.find(each => each.name === listenerName) ?? endPoints[0] ?? null
}
