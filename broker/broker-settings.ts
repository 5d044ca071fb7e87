// How the settings of one broker become what its parts want: advertised endpoints and limits on connections.
import { hostname } from 'node:os'
import type { Endpoint } from '../replication/controller/activation.ts'
import { type AdvertisedListener, isEveryAddress } from './config/endpoints.ts'
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
  return config.advertisedListeners.map(each => ({
    ...{ name: each.name, host: each.host ?? hostname(), port: portOf(each, bound) },
    securityProtocol: PLAINTEXT
  }))
}

/** What is registered for who looks for this controller. A listener that names no host is where the voters look for it;
 *  that may be another port, mapped on its way, of the first listener alone. */
export function advertisedControllers(config: BrokerConfig, bound: readonly BoundListener[]): Endpoint[] {
  const voter = config.voters.find(each => each.nodeId === config.nodeId)
  const known = voter === undefined || isEveryAddress(voter.host) ? null : voter
  return config.advertisedControllers.map((each, index) => {
    const isMapped = each.host === null && index === 0 && known !== null && known.port !== 0
    const port = isMapped ? known.port : portOf(each, bound)
    return { name: each.name, host: each.host ?? known?.host ?? hostname(), port, securityProtocol: PLAINTEXT }
  })
}

function portOf({ name, port }: AdvertisedListener, bound: readonly BoundListener[]): number {
  return port !== 0 ? port : (bound.find(each => each.name === name)?.port ?? 0)
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
