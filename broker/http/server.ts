// The HTTP side of a broker, on a port of its own: whether it lives, whether it serves, and its figures. Loaded after the
// Kafka port is open, before the broker has entered its cluster, and never a reason for it to stop: whatever fails here is
// one warning.
import Fastify, { type FastifyInstance } from 'fastify'
import type { Logger } from '../log.ts'
import type { Readiness } from '../progress.ts'
import { METRICS_TYPE, type Measured, metricsText } from './metrics.ts'

export interface Health {
  readonly readiness: Readiness
}

export interface HttpOptions {
  /** `host:port`. */
  readonly listener: string
  /** Take the next port while the one asked for is in use. */
  readonly nextFree: boolean
  readonly broker: Health
  readonly measured: Measured
  readonly log: Logger
}

export interface HttpServer {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

const PORTS_TO_TRY = 100

/** Null if it could not be opened; the log says why. */
export async function openHttp({ listener, nextFree, broker, measured, log }: HttpOptions): Promise<HttpServer | null> {
  const at = listener.lastIndexOf(':')
  const host = listener.slice(0, at).replace(/^\[|\]$/g, '') || '::'
  const first = Number(listener.slice(at + 1))
  for (let port = first; ; port++) {
    const app = routes(broker, measured)
    try {
      await app.listen({ host, port })
      const bound = app.server.address()
      return { host, port: typeof bound === 'object' && bound !== null ? bound.port : port, close: () => app.close() }
    } catch (error) {
      await app.close()
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'EADDRINUSE' && nextFree && port + 1 < first + PORTS_TO_TRY) continue
      log.warn({ listener, reason: code === 'EADDRINUSE' ? 'the port is in use' : message }, 'no-http')
      return null
    }
  }
}

function routes(broker: Health, measured: Measured): FastifyInstance {
  const app = Fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1024 * 1024 })
  app.get('/livez', async () => ({ status: 'live' }))
  app.get('/readyz', async (_, reply) => {
    const { readiness } = broker
    if (readiness === 'ready') return { status: 'ready' }
    return reply.code(503).send({ status: 'not ready', why: readiness })
  })
  app.get('/metrics', (_, reply) => reply.type(METRICS_TYPE).send(metricsText(measured)))
  return app
}
