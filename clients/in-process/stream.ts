// One connection of a broker inside this process, seen from that broker: the real socket behind its life and the state of its
// link. Nothing is lost or reordered: what a cut or a pause holds back is carried on later, or ends with the connection.
import { EventEmitter } from 'node:events'
import type { ByteStream } from '../../broker/net/network.ts'
import type { Life } from './life.ts'
import type { Links } from './links.ts'

export interface Way {
  readonly links: Links
  readonly from: number
  readonly to: number
}

type Written = readonly [bytes: Uint8Array | string, done: ((error?: Error | null) => void) | undefined]
type Farewell = 'end' | 'destroySoon'

const EVENTS = ['connect', 'drain', 'end', 'close', 'error'] as const

export class LifeStream implements ByteStream {
  readonly #life: Life
  readonly #way: Way | null
  readonly #open: () => ByteStream
  readonly #events = new EventEmitter()
  readonly #unsubscribe: (() => void)[] = []
  /** Null until the link carries a first packet. */
  #real: ByteStream | null = null
  #isDestroyed = false
  #isClosed = false
  #isPaused = false
  /** Null until the socket was told. */
  #isFlowing: boolean | null = null
  /** Written while the link was cut. */
  #held: Written[] = []
  #heldBytes = 0
  #farewell: Farewell | null = null
  /** What happened at the socket while the link back was cut. */
  #unseen: (() => void)[] = []

  constructor(life: Life, open: () => ByteStream, way: Way | null) {
    this.#life = life
    this.#open = open
    this.#way = way
    this.#unsubscribe.push(
      life.onEnd(() => this.#end(real => real.resetAndDestroy())),
      life.onPause(() => this.#flow())
    )
    if (way !== null) this.#unsubscribe.push(way.links.onChange(() => this.#onChange()))
    if (this.#isWayOut && this.#isWayBack) this.#start()
  }

  get remoteAddress(): string | undefined {
    return this.#real?.remoteAddress
  }

  get remotePort(): number | undefined {
    return this.#real?.remotePort
  }

  get localAddress(): string | undefined {
    return this.#real?.localAddress
  }

  get localPort(): number | undefined {
    return this.#real?.localPort
  }

  get destroyed(): boolean {
    return this.#isDestroyed || (this.#real?.destroyed ?? false)
  }

  get writableLength(): number {
    return this.#heldBytes + (this.#real?.writableLength ?? 0)
  }

  setNoDelay(noDelay = true): void {
    this.#real?.setNoDelay(noDelay)
  }

  write(bytes: Uint8Array | string, done?: (error?: Error | null) => void): boolean {
    if (this.#life.isDead || this.#isDestroyed) return false
    if (this.#real !== null && this.#isWayOut && this.#held.length === 0) return this.#write(this.#real, bytes, done)
    this.#held.push([bytes, done])
    this.#heldBytes += bytes.length
    return true
  }

  cork(): void {
    this.#real?.cork()
  }

  uncork(): void {
    this.#real?.uncork()
  }

  pause(): void {
    this.#isPaused = true
    this.#flow()
  }

  resume(): void {
    this.#isPaused = false
    this.#flow()
  }

  end(): void {
    this.#leave('end')
  }

  destroySoon(): void {
    this.#leave('destroySoon')
  }

  destroy(error?: Error): void {
    this.#end(real => real.destroy(error))
  }

  resetAndDestroy(): void {
    this.#end(real => real.resetAndDestroy())
  }

  // biome-ignore lint/suspicious/noExplicitAny: the events' own types are those of the interface
  on(event: string, listener: (value: any) => void): this {
    this.#events.on(event, listener)
    if (event === 'data') this.#flow()
    return this
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  once(event: string, listener: (value: any) => void): this {
    this.#events.once(event, listener)
    return this
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  off(event: string, listener: (value: any) => void): this {
    this.#events.off(event, listener)
    return this
  }

  get #isWayOut(): boolean {
    return this.#way === null || !this.#way.links.isCut(this.#way.from, this.#way.to)
  }

  get #isWayBack(): boolean {
    return this.#way === null || !this.#way.links.isCut(this.#way.to, this.#way.from)
  }

  #start(): void {
    const real = this.#open()
    this.#real = real
    real.on('data', chunk => {
      // It may be seen later, when the socket has received other bytes into the same memory.
      const own = Buffer.from(chunk)
      this.#see(() => this.#events.emit('data', own))
    })
    for (const event of EVENTS) {
      real.on(event as 'error', (value: Error) => this.#see(() => this.#tell(event, value)))
    }
    this.#flow()
  }

  /** Lets happen what happened at the socket, once the link back and the life allow it. */
  #see(fn: () => void): void {
    if (this.#isWayBack && this.#unseen.length === 0) this.#life.run(fn)
    else this.#unseen.push(fn)
  }

  #tell(event: (typeof EVENTS)[number], value: Error): void {
    if (event === 'close') {
      if (this.#isClosed) return
      this.#isClosed = true
      this.#leaveAlone()
    }
    if (event === 'error' && this.#events.listenerCount('error') === 0) return
    if (!this.#isDestroyed || event === 'close') this.#events.emit(event, value)
  }

  #onChange(): void {
    if (this.#real === null) {
      if (this.#isDestroyed) this.#leaveAlone()
      else if (this.#isWayOut && this.#isWayBack) this.#start()
    }
    if (this.#isWayBack) for (const fn of this.#unseen.splice(0)) this.#life.run(fn)
    this.#sendHeld()
    this.#flow()
  }

  #sendHeld(): void {
    const real = this.#real
    if (real === null || !this.#isWayOut) return
    for (const [bytes, done] of this.#held.splice(0)) this.#write(real, bytes, done)
    this.#heldBytes = 0
    if (this.#farewell !== null) real[this.#farewell]()
    this.#farewell = null
  }

  #write(real: ByteStream, bytes: Uint8Array | string, done: ((error?: Error | null) => void) | undefined): boolean {
    return done === undefined ? real.write(bytes) : real.write(bytes, error => this.#life.run(() => done(error)))
  }

  /** Bytes flow only to a broker that lives, wants them, and can be reached. */
  #flow(): void {
    const isWanted = !this.#isPaused && this.#events.listenerCount('data') > 0
    const flows = isWanted && this.#isWayBack && !this.#life.isPaused
    if (this.#real === null || flows === this.#isFlowing) return
    this.#isFlowing = flows
    if (flows) this.#real.resume()
    else this.#real.pause()
  }

  #leave(how: Farewell): void {
    if (this.#life.isDead || this.#isDestroyed) return
    if (this.#real !== null && this.#isWayOut && this.#held.length === 0) this.#real[how]()
    else this.#farewell = how
  }

  /** The peer of a cut link hears of it when the link is healed. */
  #end(close: (real: ByteStream) => void): void {
    if (this.#isDestroyed) return
    this.#isDestroyed = true
    const real = this.#real
    const way = this.#way
    if (real !== null && this.#isWayOut) {
      close(real)
      return
    }
    if (real !== null && way !== null) {
      const stop = way.links.onChange(() => {
        if (way.links.isCut(way.from, way.to)) return
        stop()
        close(real)
      })
    }
    queueMicrotask(() => this.#life.run(() => this.#tell('close', new Error('closed'))))
  }

  #leaveAlone(): void {
    for (const each of this.#unsubscribe.splice(0)) each()
  }
}
