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
