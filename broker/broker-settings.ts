// How the settings of one broker become what its parts want: advertised endpoints and limits on connections.
import { hostname } from 'node:os'
import type { Endpoint } from '../replication/controller/activation.ts'
import { isEveryAddress } from './config/endpoints.ts'
import type { BrokerConfig } from './config.ts'

/** A listener and the port that it really has. */
export interface BoundListener {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly isController: boolean
}

/** SecurityProtocol.java: the only one that is spoken so far. */
const PLAINTEXT = 0

/** What is registered for clients and other brokers. A listener without a host is known by this machine's name. */
export function advertised(config: BrokerConfig, bound: readonly BoundListener[]): Endpoint[] {
  return config.advertisedListeners.map(({ name, host, port }) => ({
    name,
    host: host ?? hostname(),
    port: port !== 0 ? port : (bound.find(each => each.name === name)?.port ?? 0),
    securityProtocol: PLAINTEXT
  }))
}

export function endpointsFor(bound: readonly BoundListener[]): Endpoint[] {
  return bound.map(({ name, host, port }) => ({
    name,
    host: isEveryAddress(host) ? hostname() : host,
    port,
    securityProtocol: PLAINTEXT
  }))
}

/** max.connections.per.ip.overrides (`host:count,...`) before max.connections.per.ip. */
export function connectionsPerIp(config: BrokerConfig, address: string): number {
  const overrides = config.get('max.connections.per.ip.overrides') ?? ''
  for (const each of overrides.split(',')) {
    const at = each.lastIndexOf(':')
    if (at > 0 && each.slice(0, at).trim() === address) return Number(each.slice(at + 1))
  }
  return config.get('max.connections.per.ip')
}
