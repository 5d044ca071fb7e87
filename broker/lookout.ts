// What a process has beside its broker, from open ports to the end: the HTTP port for probes and figures, and a word about
// what the broker waits for. An ordinary start is over before either has anything to do.
import type { Outside } from './broker.ts'
import type { Clock } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import type { HttpServer } from './http/server.ts'
import type { Logger } from './log.ts'
import type { LoopTurns } from './loop-turns.ts'
import { tellWhileWaiting } from './waiting.ts'

/** Loading fastify takes as long as half of an ordinary start, on the same thread: it comes after it, or after so long. */
const UNDISTURBED_MS = 1000

export interface LookoutOptions {
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly turns: LoopTurns
  readonly log: Logger
}

export class Lookout {
  readonly #o: LookoutOptions
  #http: Promise<HttpServer | null> = Promise.resolve(null)
  #endTelling = (): void => {}
  #goOn = (): void => {}
  #isClosed = false

  constructor(o: LookoutOptions) {
    this.#o = o
  }

  /** The broker's ports are open. */
  begin(outside: Outside): void {
    const { clock, log } = this.#o
    this.#endTelling = tellWhileWaiting({ clock, log, waitingFor: () => outside.waitingFor })
    const undisturbed = new Promise<void>(resolve => {
      this.#goOn = resolve
      clock.after(UNDISTURBED_MS, resolve)
    })
    this.#http = undisturbed.then(() => this.#open(outside))
  }

  /** The broker has started. Resolves with the HTTP port once that is open; null: there is none. */
  entered(): Promise<HttpServer | null> {
    this.#endTelling()
    this.#goOn()
    return this.#http
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const server = await this.entered()
    await server?.close()
  }

  async #open(outside: Outside): Promise<HttpServer | null> {
    const { config, turns, log } = this.#o
    const listener = config.get('moldau.http.listener')
    if (listener === 'off' || this.#isClosed) return null
    const { openHttp } = await import('./http/server.ts')
    const measured = {
      turns,
      memory: outside.memory,
      get connections() {
        return outside.connectionCount
      },
      get replicas() {
        return outside.assembled
      }
    }
    const nextFree = !config.isGiven('moldau.http.listener')
    const server = await openHttp({ listener, nextFree, broker: outside, measured, log })
    // Printed for people once the broker is ready.
    if (server !== null && outside.readiness === 'starting') {
      log.info({ host: server.host, port: server.port }, 'http-open')
    }
    return server
  }
}
