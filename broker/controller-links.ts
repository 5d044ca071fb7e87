// This broker's ways to other nodes, as its settings and the committed metadata have them: to the active controller, to
// leaders that it follows, and whether there is anybody left to make a quorum with.
import type { BrokerId } from '../protocol/types.ts'
import type { Clock } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import type { Controller } from './controller.ts'
import { Channel } from './controller-channel.ts'
import { interBrokerAddress } from './controller-sessions.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { Network } from './net/network.ts'
import { PeerLink, probe } from './peers.ts'

interface Surroundings {
  readonly network: Network
  readonly clock: Clock
  readonly config: BrokerConfig
}

/** Who is asked whether it is there, and does not say. */
const PROBE_MS = 500

export function openChannel(
  o: Surroundings & { readonly controller: Controller; readonly settled: () => Promise<void> }
): Channel {
  const { config, ...rest } = o
  return new Channel({
    ...rest,
    nodeId: config.nodeId,
    autoCreation: () => ({
      offsetsPartitions: config.get('offsets.topic.num.partitions'),
      offsetsReplicationFactor: config.get('offsets.topic.replication.factor'),
      offsetsSegmentBytes: config.get('offsets.topic.segment.bytes'),
      brokersMeant: config.voters.length
    }),
    requestTimeoutMs: () => config.get('request.timeout.ms'),
    sessionTimeoutMs: () => config.get('broker.session.timeout.ms')
  })
}

/** To that broker's inter-broker listener, wherever the metadata says that it is when the connection opens. */
export function linkTo(brokerId: BrokerId, o: Surroundings & { readonly metadata: MetadataCache }): PeerLink {
  const { metadata, network, clock, config } = o
  return new PeerLink({
    ...{ network, clock },
    clientId: `broker-${config.nodeId}-fetcher-${brokerId}`,
    address: () =>
      interBrokerAddress(metadata.image.brokers.get(brokerId)?.endPoints ?? [], config.interBrokerListener),
    timeoutMs: () => config.get('replica.socket.timeout.ms')
  })
}

/** So few other voters are left that no controller can be found any more; silent ones count as left. */
export async function isWithoutQuorum(o: Surroundings & { readonly controller: Controller }): Promise<boolean> {
  const { network, clock, config, controller } = o
  const others = config.voters.filter(({ nodeId }) => nodeId !== config.nodeId)
  if (others.length === 0) return !controller.isActive
  const found = await Promise.all(others.map(address => probe(network, clock, address, PROBE_MS)))
  const left = 1 + found.filter(each => each !== 'refused').length
  return left <= config.voters.length / 2
}
