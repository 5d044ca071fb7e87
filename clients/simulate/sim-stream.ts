// One end of a simulated TCP connection: half is the system's (what it has received, what it will still send, also after
// the process has died), half is what net.Socket does for its process: back-pressure, half-open ends, events.
import { EventEmitter } from 'node:events'
import type { ByteStream } from '../../broker/net/network.ts'
import { Flow, type Link, type Receiver, type SegmentKind } from './sim-links.ts'
import type { SimProcess } from './sim-process.ts'

/** What the systems of both ends hold of one direction before the sender must wait. */
const WINDOW_BYTES = 512 * 1024
/** net.Socket says 'drain' after a write that found this much. */
const HIGH_WATER_BYTES = 64 * 1024

export interface StreamParts {
  readonly process: SimProcess
  readonly localAddress: string
  readonly localPort: number
  readonly remoteAddress: string
  readonly remotePort: number
  /** The way from here to there. */
  readonly link: Link
  /** Servers of Kafka still answer a client that sends no more. */
  readonly allowHalfOpen: boolean
  readonly isConnected: boolean
}

type Inbound = Buffer | 'end'

export class SimStream extends EventEmitter implements ByteStream, Receiver {
  readonly process: SimProcess
  readonly localAddress: string
  readonly localPort: number
  readonly remoteAddress: string
  readonly remotePort: number
  readonly #link: Link
  readonly #allowHalfOpen: boolean
  #peer: SimStream | null = null
  #out: Flow | null = null
  /** The system has given the connection up: whoever still sends to it gets a reset. */
  #isGone = false
  #isConnected: boolean
  #inbox: Inbound[] = []
  #isFlowing = false
  #isPaused = false
  #unsent: { readonly bytes: Uint8Array; readonly done: (() => void) | null }[] = []
  /** Sent, and not taken by the process at the other end. */
  #inFlight = 0
  #needsDrain = false
  #isEnding = false
  #isFinished = false
  #isReadEnded = false
  #closeWhenSent = false
  destroyed = false
  writableLength = 0

  constructor(parts: StreamParts) {
    super()
    this.process = parts.process
    this.localAddress = parts.localAddress
    this.localPort = parts.localPort
    this.remoteAddress = parts.remoteAddress
    this.remotePort = parts.remotePort
    this.#link = parts.link
    this.#allowHalfOpen = parts.allowHalfOpen
    this.#isConnected = parts.isConnected
    this.on('newListener', event => {
      if (event !== 'data' || this.#isFlowing) return
      this.#isFlowing = true
      queueMicrotask(() => this.#read())
    })
  }

  /** The other end, once it exists. */
  join(peer: SimStream): void {
    this.#peer = peer
    this.#out = new Flow(this.#link, peer)
  }

  /** Both systems know of the connection. */
  accept(): void {
    this.#out?.send('accept')
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** The host at the other end. */
  get to(): string {
    return this.#link.to
  }

  get peer(): SimStream | null {
    return this.#peer
  }

  // What arrives, as the system sees it.

  receive(kind: SegmentKind, bytes: Buffer | null): void {
    if (this.#isGone) {
      if (kind !== 'reset') this.#out?.send('reset')
      return
    }
    if (kind === 'accept') this.process.run('io', () => this.#connected())
    else if (kind === 'reset') {
      this.#isGone = true
      this.#inbox = []
      this.process.run('io', () => this.fail('ECONNRESET', 'read ECONNRESET'))
    } else {
      this.#inbox.push(kind === 'end' ? 'end' : (bytes as Buffer))
      this.process.run('io', () => this.#read())
    }
  }

  #connected(): void {
    if (this.destroyed || this.#isConnected) return
    this.#isConnected = true
    this.emit('connect')
    this.#send()
  }

  #read(): void {
    while (this.#isFlowing && !this.#isPaused && !this.destroyed && !this.process.isDead) {
      const next = this.#inbox.shift()
      if (next === undefined) return
      if (next === 'end') {
        this.#isReadEnded = true
        this.emit('end')
        if (!this.#allowHalfOpen) this.end()
        this.#closeIfBothEnded()
      } else {
        this.#peer?.taken(next.length)
        this.emit('data', next)
      }
    }
  }

  /** The process at the other end has taken bytes. */
  taken(count: number): void {
    this.#inFlight -= count
    if (this.#unsent.length === 0 || this.#isGone) return
    this.#link.agenda.after(this.#link.drawUs(), () => this.process.run('io', () => this.#send()))
  }

  // What the process does.

  setNoDelay(): this {
    return this
  }

  cork(): void {}

  uncork(): void {}

  write(bytes: Uint8Array | string, done?: (error?: Error | null) => void): boolean {
    if (this.destroyed || this.#isEnding) {
      if (done) queueMicrotask(() => done(new Error('the stream has ended')))
      return false
    }
    // As the system does it: once `done` is called the bytes are the writer's again, wherever they are on their way.
    const raw = Buffer.from(bytes as Uint8Array)
    this.#unsent.push({ bytes: raw, done: done ? () => done(null) : null })
    this.writableLength += raw.length
    this.#send()
    if (this.writableLength >= HIGH_WATER_BYTES) this.#needsDrain = true
    return !this.#needsDrain
  }

  #send(): void {
    if (!this.#isConnected || this.destroyed || this.#out === null) return
    while (this.#unsent.length > 0) {
      const { bytes, done } = this.#unsent[0] as { bytes: Uint8Array; done: (() => void) | null }
      const room = WINDOW_BYTES - this.#inFlight
      if (room <= 0 && bytes.length > 0) return
      const part = bytes.length <= room ? bytes : bytes.subarray(0, room)
      if (part.length > 0) this.#out.send('data', part)
      this.#inFlight += part.length
      this.writableLength -= part.length
      if (part.length < bytes.length) {
        this.#unsent[0] = { bytes: bytes.subarray(part.length), done }
        return
      }
      this.#unsent.shift()
      if (done) queueMicrotask(done)
    }
    this.#allSent()
  }

  #allSent(): void {
    if (this.#isEnding && !this.#isFinished) {
      this.#isFinished = true
      if (!this.#isGone) this.#out?.send('end')
      this.#closeIfBothEnded()
    }
    if (this.#closeWhenSent) this.destroy()
    if (!this.#needsDrain || this.destroyed) return
    this.#needsDrain = false
    queueMicrotask(() => {
      if (!this.destroyed) this.emit('drain')
    })
  }

  pause(): this {
    this.#isPaused = true
    return this
  }

  resume(): this {
    this.#isPaused = false
    this.#isFlowing = true
    queueMicrotask(() => this.#read())
    return this
  }

  end(): this {
    if (this.#isEnding || this.destroyed) return this
    this.#isEnding = true
    if (this.#unsent.length === 0 && this.#isConnected) this.#allSent()
    return this
  }

  destroySoon(): void {
    if (this.destroyed) return
    this.end()
    if (this.#isFinished) this.destroy()
    else this.#closeWhenSent = true
  }

  destroy(error?: Error): this {
    if (this.destroyed) return this
    this.#leave(error ?? null)
    this.give(false)
    return this
  }

  resetAndDestroy(): this {
    if (this.destroyed) return this
    this.#leave(null)
    this.give(true)
    return this
  }

  fail(code: string, message: string): void {
    if (this.destroyed) return
    this.#isGone = true
    this.#leave(Object.assign(new Error(message), { code }))
  }

  /** The system gives the connection up: in order, or with a reset where bytes were left unread. */
  give(isReset: boolean): void {
    if (this.#isGone) return
    this.#isGone = true
    const isUnread = this.#inbox.some(each => each !== 'end')
    this.#inbox = []
    if (isReset || isUnread) this.#out?.send('reset')
    else if (!this.#isFinished) this.#out?.send('end')
  }

  /** The host is without power: nobody is told. */
  vanish(): void {
    this.#isGone = true
    this.#inbox = []
  }

  #closeIfBothEnded(): void {
    if (!this.#isFinished || !this.#isReadEnded || this.destroyed) return
    this.#isGone = true
    this.#leave(null)
  }

  #leave(error: Error | null): void {
    this.destroyed = true
    const callbacks = this.#unsent.splice(0)
    this.writableLength = 0
    queueMicrotask(() => {
      for (const each of callbacks) each.done?.()
      if (error !== null) this.emit('error', error)
      this.emit('close')
    })
  }
}
