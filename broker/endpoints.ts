// Which address a client is told for a broker: that of the listener it came in on. A single broker whose listener
// names no host answers with the local address of the client's own connection, so that it is right from everywhere;
// in a cluster every node gives every broker's registered address, the same from all nodes.
import type { BrokerId } from '../protocol/types.ts'
import { isDirectoryOnline, type Partition } from '../replication/metadata/partition.ts'
import type { RequestContext } from './handlers/handler.ts'
import type { Services } from './services.ts'

export interface NodeEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

/** Null for a broker that is not alive, or has no listener of the connection's name. */
export function endpointOf(
  brokerId: number,
  context: Pick<RequestContext, 'listenerName' | 'localAddress' | 'localPort'>,
  services: Services
): NodeEndpoint | null {
  const broker = services.metadata.image.brokers.get(brokerId)
  if (broker === undefined || broker.fenced) return null
  const registered = broker.endPoints.find(each => each.name === context.listenerName)
  if (registered === undefined) return null
  const { rack } = broker
  if (isAlone(brokerId, services) && namesNoHost(context.listenerName, services)) {
    return { nodeId: brokerId, host: context.localAddress, port: context.localPort, rack }
  }
  return { nodeId: brokerId, host: registered.host, port: registered.port, rack }
}

/** Every live broker that the client can reach through its listener. */
export function liveEndpoints(
  context: Pick<RequestContext, 'listenerName' | 'localAddress' | 'localPort'>,
  services: Services
): NodeEndpoint[] {
  const live: NodeEndpoint[] = []
  for (const id of services.metadata.image.brokers.keys()) {
    const endpoint = endpointOf(id, context, services)
    if (endpoint !== null) live.push(endpoint)
  }
  return live
}

const NONE: BrokerId[] = []

/** Replicas that are of no use to who came in on that listener: dead, not behind it, or with their directory offline. */
export function offlineReplicas(
  partition: Partition,
  { listenerName }: Pick<RequestContext, 'listenerName'>,
  { metadata }: Pick<Services, 'metadata'>
): BrokerId[] {
  const { brokers } = metadata.image
  let offline = NONE
  for (const id of partition.replicas) {
    const broker = brokers.get(id)
    const isListening = broker?.fenced === false && broker.endPoints.some(each => each.name === listenerName)
    if (isListening && isDirectoryOnline(partition, id, broker.logDirs)) continue
    if (offline === NONE) offline = [id]
    else offline.push(id)
  }
  return offline
}

/** Every controller that can be reached through the controllers' listener of the connection. */
export function controllerEndpoints(
  context: Pick<RequestContext, 'listenerName' | 'localAddress' | 'localPort'>,
  services: Services
): NodeEndpoint[] {
  const { controllers } = services.metadata.image
  const { advertisedControllers, voters } = services.config
  const own = advertisedControllers.find(each => each.name === context.listenerName)
  const isSole = voters.length <= 1 && own?.host === null
  return [...controllers.values()].flatMap(({ controllerId, endPoints }) => {
    const registered = endPoints.find(each => each.name === context.listenerName)
    if (registered === undefined) return []
    const { host, port } = isSole ? { host: context.localAddress, port: context.localPort } : registered
    return { nodeId: controllerId, host, port, rack: null }
  })
}

/** Meant to be so: the others of a cluster may not be there yet, or be forgotten. */
function isAlone(brokerId: BrokerId, { config, metadata, nodeId }: Services): boolean {
  return config.voters.length <= 1 && metadata.image.brokers.size === 1 && brokerId === nodeId
}

/** The listener is bound to every address and nothing else is advertised for it. */
function namesNoHost(listenerName: string, services: Services): boolean {
  return services.config.advertisedListeners.some(each => each.name === listenerName && each.host === null)
}
