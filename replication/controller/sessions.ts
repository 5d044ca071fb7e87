// When each broker was last heard of (BrokerHeartbeatManager.java): soft state, never replayed. A new controller gives
// everyone a whole session time before it judges.
import type { BrokerId, Offset } from '../../protocol/types.ts'

interface Session {
  lastContactMs: number
  /** How far the broker has read the metadata. */
  metadataOffset: Offset
  /** The metadata offset that the others must have read before it goes; null before its controlled shutdown began. */
  shutdownOffset: Offset | null
}

export class Sessions {
  readonly #byBroker = new Map<BrokerId, Session>()
  readonly #timeoutMs: () => number

  constructor(timeoutMs: () => number) {
    this.#timeoutMs = timeoutMs
  }

  /** Any heartbeat with the broker's epoch renews its session. */
  touch(brokerId: BrokerId, metadataOffset: Offset, nowMs: number): void {
    const session = this.#byBroker.get(brokerId)
    if (!session) this.#byBroker.set(brokerId, { lastContactMs: nowMs, metadataOffset, shutdownOffset: null })
    else Object.assign(session, { lastContactMs: nowMs, metadataOffset })
  }

  remove(brokerId: BrokerId): void {
    this.#byBroker.delete(brokerId)
  }

  isValid(brokerId: BrokerId, nowMs: number): boolean {
    const session = this.#byBroker.get(brokerId)
    return session !== undefined && nowMs - session.lastContactMs <= this.#timeoutMs()
  }

  /** Brokers that were heard of once, and then not for a whole session time. */
  expired(nowMs: number): BrokerId[] {
    return [...this.#byBroker.keys()].filter(brokerId => !this.isValid(brokerId, nowMs))
  }

  /** This process stood still for that long: nobody is blamed for it. */
  credit(ms: number): void {
    for (const session of this.#byBroker.values()) session.lastContactMs += ms
  }

  shutdownBegan(brokerId: BrokerId, lastOffset: Offset): void {
    const session = this.#byBroker.get(brokerId)
    if (session) session.shutdownOffset ??= lastOffset
  }

  shutdownOffset(brokerId: BrokerId): Offset | null {
    return this.#byBroker.get(brokerId)?.shutdownOffset ?? null
  }

  /** The lowest metadata offset of the others that count; Infinity where there are none. */
  lowestOffsetBut(brokerId: BrokerId, counts: (brokerId: BrokerId) => boolean): Offset {
    let lowest = Number.POSITIVE_INFINITY
    for (const [id, { metadataOffset }] of this.#byBroker) {
      if (id !== brokerId && counts(id)) lowest = Math.min(lowest, metadataOffset)
    }
    return lowest
  }
}
