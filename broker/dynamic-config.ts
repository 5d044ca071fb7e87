// Dynamic settings of brokers, from the metadata log into this broker's settings: at once when they are committed
// (KIP-226). Topic settings are looked up where topics are; this is about the BROKER resource only.
import { ResourceType } from '../replication/metadata/delta.ts'
import type { BrokerConfig } from './config.ts'
import type { Logger } from './log.ts'
import type { MetadataCache } from './metadata-cache.ts'

export function followDynamicConfig(
  config: BrokerConfig,
  metadata: Pick<MetadataCache, 'image' | 'onChange'>,
  log: Logger
): void {
  const apply = () => {
    const ofBroker = metadata.image.configs(ResourceType.BROKER, String(config.nodeId))
    const ofCluster = metadata.image.configs(ResourceType.BROKER, '')
    for (const complaint of config.applyDynamic(ofBroker, ofCluster)) log.warn({ complaint }, 'setting-left-out')
  }
  apply()
  metadata.onChange((_, delta) => {
    for (const { resourceType, resourceName } of delta.configs) {
      if (resourceType !== ResourceType.BROKER || (resourceName !== '' && resourceName !== String(config.nodeId)))
        continue
      apply()
      return
    }
  })
}

/** Eligible leader replicas need one min.insync.replicas that all brokers agree on: what a node's file says counts when
 *  the cluster first starts, and is passed over from then on (KIP-966). Said once, where the two differ; the metadata
 *  must have been read by then. */
export function tellMinInsyncReplicas(config: BrokerConfig, log: Logger): void {
  const key = 'min.insync.replicas'
  const asked = config
    .sourcesOf(key)
    .find(({ origin }) => origin === 'static')
    ?.text.trim()
  const holds = config.clusterDefaults.get(key)?.trim()
  if (asked === undefined || holds === undefined || Number(asked) === Number(holds)) return
  const warning =
    `${key}=${asked} is not what holds: the cluster has ${holds}, committed for all brokers; to change it: kafka-configs ` +
    `--bootstrap-server HOST:PORT --entity-type brokers --entity-default --alter --add-config ${key}=${asked}`
  log.warn({ warning }, 'settings')
}
