// The listening sockets of one broker and every connection that they accepted: limits on connections, idle ones,
// one flush per turn for all of them, and the orderly end. This is where a connection gets its security protocol:
// PLAINTEXT hands the socket on as it is; TLS would wrap it here, SASL would stand before dispatch.
import { isBug, MoldauError } from '../../protocol/failure.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { MemoryBudget } from './budget.ts'
import { Connection, type OnFrame } from './connection.ts'
import { type ByteStream, type Listening, type Network, plainAddress, systemCode } from './network.ts'
import { SENT_BYTES, TAKEN_BYTES, TurnWork } from './turn-work.ts'

export interface Endpoint {
  /** The listener's name: PLAINTEXT, INTERNAL, ... */
  readonly name: string
  readonly protocol: string
  /** '' listens on every address, 'localhost' on both loopback addresses. */
  readonly host: string
  readonly port: number
}

export interface Limits {
  readonly maxFrameBytes: () => number
  readonly maxConnections: () => number
  readonly maxConnectionsPerIp: (address: string) => number
  readonly maxIdleMs: () => number
}

export interface ListenerOptions {
  readonly network: Network
  readonly limits: Limits
  readonly budget: MemoryBudget
  readonly clock: Clock
  readonly log: Logger
  readonly onFrame: OnFrame
}

const BACKLOG = 1024
const DRAIN_MS = 10_000

export class Listeners {
  readonly #options: ListenerOptions
  readonly #listening: Listening[] = []
  readonly #connections = new Set<Connection>()
  readonly #perAddress = new Map<string, number>()
  readonly #turnWork: TurnWork
  readonly #sendWork: TurnWork
  #dirty: Connection[] = []
  #sweep: Timer | null = null
  #nextId = 1
  #closing = false

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#turnWork = new TurnWork(options.clock, TAKEN_BYTES)
    this.#sendWork = new TurnWork(options.clock, SENT_BYTES)
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections
  }

  /** Listens, and gives the port (the one the system chose for port 0). Throws ERR_LISTEN with one clear line. */
  async listen(endpoint: Endpoint): Promise<number> {
    if (endpoint.protocol !== 'PLAINTEXT') {
      throw new MoldauError(
        'ERR_CONFIG',
        `listener ${endpoint.name} uses ${endpoint.protocol}; only PLAINTEXT is supported so far`
      )
    }
    let port = endpoint.port
    for (const host of addressesOf(endpoint.host)) {
      try {
        port = await this.#listenOn(host, port, endpoint.name)
      } catch (error) {
        // A machine without IPv6 still has its IPv4 loopback.
        if (host === '::1' && isUnavailable(error)) continue
        throw listenFailure(error, endpoint)
      }
    }
    this.#sweep ??= this.#scheduleSweep()
    return port
  }

  async #listenOn(host: string, port: number, name: string): Promise<number> {
    const listening = await this.#options.network.listen(
      { host, port, backlog: BACKLOG, ...(host === '::' ? { ipv6Only: false } : {}) },
      stream => this.#accept(stream, name),
      // Out of descriptors, for one: the connection is lost, the listener stays.
      error => this.#options.log.error({ err: error }, 'accept-failed')
    )
    this.#listening.push(listening)
    return listening.port
  }

  #accept(stream: ByteStream, listenerName: string): void {
    const address = plainAddress(stream.remoteAddress)
    const refusal = this.#refusal(address)
    if (refusal !== null || this.#closing) {
      stream.destroy()
      if (refusal) this.#options.log.warn({ address, limit: refusal }, 'connection-refused')
      return
    }
    const connection = new Connection(stream, {
      id: this.#nextId++,
      listenerName,
      maxFrameBytes: this.#options.limits.maxFrameBytes(),
      budget: this.#options.budget,
      turnWork: this.#turnWork,
      sendWork: this.#sendWork,
      onFrame: this.#options.onFrame,
      scheduleFlush: each => this.#scheduleFlush(each),
      onClosed: (each, error) => this.#onClosed(each, address, error),
      nowMs: () => this.#options.clock.monotonicMs()
    })
    this.#connections.add(connection)
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
  }

  #refusal(address: string): string | null {
    const { limits } = this.#options
    if (this.#connections.size >= limits.maxConnections()) return 'max.connections'
    if ((this.#perAddress.get(address) ?? 0) >= limits.maxConnectionsPerIp(address)) return 'max.connections.per.ip'
    return null
  }

  #onClosed(connection: Connection, address: string, error: Error | null): void {
    this.#connections.delete(connection)
    const count = (this.#perAddress.get(address) ?? 1) - 1
    if (count === 0) this.#perAddress.delete(address)
    else this.#perAddress.set(address, count)
    if (error && !isOrdinaryEnd(error)) {
      this.#options.log.warn(
        {
          ...{ client: `${connection.remoteAddress}:${connection.remotePort}`, reason: error.message },
          ...(isBug(error) ? { err: error } : {})
        },
        'connection-ended'
      )
    }
  }

  /** One callback per turn sends the replies of every connection: those of a turn leave in one write each. */
  #scheduleFlush(connection: Connection): void {
    if (this.#dirty.push(connection) > 1) return
    this.#options.clock.endOfTurn(() => {
      const dirty = this.#dirty
      this.#dirty = []
      for (const each of dirty) each.flush()
    })
  }

  #scheduleSweep(): Timer {
    const idleMs = this.#options.limits.maxIdleMs()
    const everyMs = idleMs < 0 ? 60_000 : Math.min(Math.max(idleMs / 4, 50), 60_000)
    return this.#options.clock.after(everyMs, () => {
      this.#endIdle(this.#options.limits.maxIdleMs())
      this.#sweep = this.#closing ? null : this.#scheduleSweep()
    })
  }

  #endIdle(idleMs: number): void {
    if (idleMs < 0) return
    for (const each of this.#connections) if (each.isIdle(idleMs)) each.destroy(null)
  }

  /** Accepts no more; requests in work are answered; whoever is not done after ten seconds is cut off. */
  async close(): Promise<void> {
    this.#closing = true
    this.#sweep?.cancel()
    for (const each of this.#listening) each.close()
    const { promise, resolve } = timeLimit(this.#options.clock, DRAIN_MS)
    await Promise.race([Promise.all([...this.#connections].map(each => each.drain())), promise])
    resolve()
    for (const each of this.#connections) each.destroy(null)
  }
}

function timeLimit(clock: Clock, ms: number): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>(done => {
    const timer = clock.after(ms, done)
    resolve = () => {
      timer.cancel()
      done()
    }
  })
  return { promise, resolve }
}

/** 'localhost' is both loopback addresses, so that a client reaches it whichever way its resolver prefers. */
function addressesOf(host: string): string[] {
  if (host === '') return ['::']
  if (host === 'localhost') return ['127.0.0.1', '::1']
  return [host]
}

function isUnavailable(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT'
}

function isOrdinaryEnd(error: Error): boolean {
  const code = systemCode(error)
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ETIMEDOUT'
}

function listenFailure(error: unknown, { name, host, port }: Endpoint): MoldauError {
  const where = `${name}://${host}:${port}`
  const code = systemCode(error)
  const reasons: Record<string, string> = {
    EADDRINUSE: 'the port is in use by another process',
    EACCES: 'this user may not listen on that port',
    EADDRNOTAVAIL: 'this machine has no such address',
    ENOTFOUND: 'the host name is not known'
  }
  const reason = (code && reasons[code]) ?? (error as Error).message
  return new MoldauError('ERR_LISTEN', `cannot listen on ${where}: ${reason}`, { cause: error })
}
