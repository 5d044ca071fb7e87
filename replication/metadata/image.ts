// The cluster as its metadata records describe it: a pure function of the records applied, and able to say itself in
// records again (a snapshot). Two live in a controller: one of everything appended, to decide on, and one of what is
// committed, which everyone else reads. What is not enforced yet (quotas, ACLs, tokens) is kept all the same.
import { MoldauError } from '../../protocol/failure.ts'
import type { BrokerId, Uuid } from '../../protocol/types.ts'
import { type ConfigResource, type MetadataDelta, ResourceType, UnheardDelta } from './delta.ts'
import { changed, type Partition, partitionOf, recordFieldsOf, withoutElr } from './partition.ts'
import { type MetadataRecord, type RecordOfType, recordAt } from './records.ts'

export interface Topic {
  readonly name: string
  readonly topicId: Uuid
  /** By partition id; partition ids are dense once a topic is whole. */
  readonly partitions: Partition[]
}

export type Broker = Readonly<RecordOfType<'RegisterBrokerRecord'>>
export type ControllerNode = Readonly<RecordOfType<'RegisterControllerRecord'>>

interface ClientQuota {
  readonly entity: RecordOfType<'ClientQuotaRecord'>['entity']
  readonly values: Map<string, number>
}

const NO_CONFIGS: ReadonlyMap<string, string> = new Map()
/** Where nobody wants to know what changed. */
const unheard = new UnheardDelta()

export class MetadataImage {
  readonly features = new Map<string, number>()
  readonly topicsByName = new Map<string, Topic>()
  readonly topicsById = new Map<Uuid, Topic>()
  readonly brokers = new Map<BrokerId, Broker>()
  readonly controllers = new Map<BrokerId, ControllerNode>()
  readonly clientQuotas = new Map<string, ClientQuota>()
  readonly scramCredentials = new Map<string, Readonly<RecordOfType<'UserScramCredentialRecord'>>>()
  readonly acls = new Map<Uuid, Readonly<RecordOfType<'AccessControlEntryRecord'>>>()
  readonly delegationTokens = new Map<string, Readonly<RecordOfType<'DelegationTokenRecord'>>>()
  readonly #configs = new Map<string, ConfigResource & { readonly values: Map<string, string> }>()
  /** The first producer id that nobody was given. */
  nextProducerId = 0
  /** Records of a metadata transaction that has not ended (KIP-868): they count from its end on. */
  #transaction: MetadataRecord[] | null = null

  get metadataVersion(): number {
    return this.features.get('metadata.version') ?? 0
  }

  /** Records wait for the end of a metadata transaction (KIP-868): moldau begins none, but a log of Kafka's may end in one. */
  get isInTransaction(): boolean {
    return this.#transaction !== null
  }

  /** The dynamic settings of a resource by name; empty where there are none. */
  configs(resourceType: number, resourceName: string): ReadonlyMap<string, string> {
    return this.#configs.get(`${resourceType} ${resourceName}`)?.values ?? NO_CONFIGS
  }

  /** Every resource that has dynamic settings. */
  configResources(): Iterable<ConfigResource> {
    return this.#configs.values()
  }

  partition(topicId: Uuid, partitionId: number): Partition | undefined {
    return this.topicsById.get(topicId)?.partitions[partitionId]
  }

  /** As it is now, for whoever needs it to stay so. Costs the maps only: what is in them never changes. */
  copy(): MetadataImage {
    const copy = new MetadataImage()
    for (const topic of this.topicsById.values()) {
      const own = { ...topic, partitions: [...topic.partitions] }
      copy.topicsById.set(topic.topicId, own)
      copy.topicsByName.set(topic.name, own)
    }
    for (const [key, resource] of this.#configs) {
      copy.#configs.set(key, { ...resource, values: new Map(resource.values) })
    }
    for (const [key, { entity, values }] of this.clientQuotas) {
      copy.clientQuotas.set(key, { entity, values: new Map(values) })
    }
    for (const [name, level] of this.features) copy.features.set(name, level)
    for (const [id, broker] of this.brokers) copy.brokers.set(id, broker)
    for (const [id, controller] of this.controllers) copy.controllers.set(id, controller)
    for (const [key, credential] of this.scramCredentials) copy.scramCredentials.set(key, credential)
    for (const [id, acl] of this.acls) copy.acls.set(id, acl)
    for (const [id, token] of this.delegationTokens) copy.delegationTokens.set(id, token)
    copy.nextProducerId = this.nextProducerId
    copy.#transaction = this.#transaction && [...this.#transaction]
    return copy
  }

  /** The only writer. Throws ERR_LOG_CORRUPT for a record that the records before it do not allow. */
  apply(record: MetadataRecord, delta?: MetadataDelta): void {
    if (record.type === 'EndTransactionRecord') {
      const pending = this.#transaction ?? []
      this.#transaction = null
      for (const one of pending) this.#applyOne(one, delta)
    } else if (record.type === 'BeginTransactionRecord') this.#transaction = []
    else if (record.type === 'AbortTransactionRecord') this.#transaction = null
    else if (this.#transaction) this.#transaction.push(record)
    else this.#applyOne(record, delta)
  }

  /** The image in records, in the order of Kafka's MetadataImage.write: features first, then what refers to them. */
  *records(): Generator<MetadataRecord> {
    const at = this.metadataVersion
    if (at > 0) yield recordAt(at, 'FeatureLevelRecord', { name: 'metadata.version', featureLevel: at })
    for (const [name, featureLevel] of this.features) {
      if (name !== 'metadata.version') yield recordAt(at, 'FeatureLevelRecord', { name, featureLevel })
    }
    for (const broker of this.brokers.values()) yield recordAt(at, 'RegisterBrokerRecord', broker)
    for (const controller of this.controllers.values()) yield recordAt(at, 'RegisterControllerRecord', controller)
    for (const topic of this.topicsById.values()) yield* topicRecords(at, topic)
    for (const { resourceType, resourceName, values } of this.#configs.values()) {
      for (const [name, value] of values)
        yield recordAt(at, 'ConfigRecord', { resourceType, resourceName, name, value })
    }
    for (const { entity, values } of this.clientQuotas.values()) {
      for (const [key, value] of values) yield recordAt(at, 'ClientQuotaRecord', { entity, key, value, remove: false })
    }
    // Whose block was the last matters to nobody (ProducerIdsImage.java).
    const { nextProducerId } = this
    const nobody = { brokerId: -1, brokerEpoch: -1 }
    if (nextProducerId > 0) yield recordAt(at, 'ProducerIdsRecord', { ...nobody, nextProducerId })
    for (const acl of this.acls.values()) yield recordAt(at, 'AccessControlEntryRecord', acl)
    for (const credential of this.scramCredentials.values()) yield recordAt(at, 'UserScramCredentialRecord', credential)
    for (const token of this.delegationTokens.values()) yield recordAt(at, 'DelegationTokenRecord', token)
  }

  #applyOne(entry: MetadataRecord, delta: MetadataDelta = unheard): void {
    const { record } = entry
    switch (entry.type) {
      case 'FeatureLevelRecord':
        if (entry.record.featureLevel === 0) this.features.delete(entry.record.name)
        else this.features.set(entry.record.name, entry.record.featureLevel)
        delta.featuresChanged = true
        return
      case 'TopicRecord':
      case 'RemoveTopicRecord':
      case 'PartitionRecord':
      case 'PartitionChangeRecord':
      case 'ClearElrRecord':
        this.#applyTopics(entry, delta)
        return
      case 'RegisterBrokerRecord':
      case 'UnregisterBrokerRecord':
      case 'BrokerRegistrationChangeRecord':
      case 'FenceBrokerRecord':
      case 'UnfenceBrokerRecord':
        this.#applyBrokers(entry, delta)
        return
      case 'RegisterControllerRecord':
        this.controllers.set(entry.record.controllerId, entry.record)
        delta.controllers.add(entry.record.controllerId)
        return
      case 'ConfigRecord':
        this.#applyConfig(entry.record, delta)
        return
      case 'ClientQuotaRecord':
        this.#applyQuota(entry.record, delta)
        return
      case 'ProducerIdsRecord':
        this.nextProducerId = entry.record.nextProducerId
        delta.producerIdsChanged = true
        return
      case 'UserScramCredentialRecord':
      case 'RemoveUserScramCredentialRecord':
      case 'AccessControlEntryRecord':
      case 'RemoveAccessControlEntryRecord':
      case 'DelegationTokenRecord':
      case 'RemoveDelegationTokenRecord':
        this.#applySecurity(entry, delta)
        return
      case 'NoOpRecord':
      case 'ZkMigrationStateRecord': // ZooKeeper left with Kafka 4.0: read, without effect.
        return
      default:
        throw new MoldauError('ERR_LOG_CORRUPT', `a ${entry.type} outside of its place: ${JSON.stringify(record)}`)
    }
  }

  #applyTopics(entry: MetadataRecord, delta: MetadataDelta): void {
    switch (entry.type) {
      case 'TopicRecord': {
        const { name, topicId } = entry.record
        if (this.topicsByName.has(name)) throw inconsistent(entry, 'that topic exists')
        const topic: Topic = { name, topicId, partitions: [] }
        this.topicsByName.set(name, topic)
        this.topicsById.set(topicId, topic)
        delta.topicCreated(topicId)
        return
      }
      case 'RemoveTopicRecord': {
        const topic = this.#topic(entry, entry.record.topicId)
        this.topicsByName.delete(topic.name)
        this.topicsById.delete(topic.topicId)
        this.#configs.delete(`${ResourceType.TOPIC} ${topic.name}`)
        delta.topicDeleted(topic)
        return
      }
      case 'PartitionRecord': {
        const topic = this.#topic(entry, entry.record.topicId)
        topic.partitions[entry.record.partitionId] = partitionOf(entry.record)
        delta.partitionChanged(topic.topicId, entry.record.partitionId)
        return
      }
      case 'PartitionChangeRecord': {
        const topic = this.#topic(entry, entry.record.topicId)
        const partition = topic.partitions[entry.record.partitionId]
        if (!partition) throw inconsistent(entry, 'that partition does not exist')
        topic.partitions[entry.record.partitionId] = changed(partition, entry.record)
        delta.partitionChanged(topic.topicId, entry.record.partitionId)
        return
      }
      case 'ClearElrRecord':
        this.#clearElr(entry.record.topicName, delta)
        return
    }
  }

  /** Of one topic, or of all where the name is empty (KIP-966). */
  #clearElr(topicName: string, delta: MetadataDelta): void {
    for (const topic of this.topicsById.values()) {
      if (topicName !== '' && topic.name !== topicName) continue
      topic.partitions.forEach((partition, partitionId) => {
        const cleared = withoutElr(partition)
        if (!cleared) return
        topic.partitions[partitionId] = cleared
        delta.partitionChanged(topic.topicId, partitionId)
      })
    }
  }

  #applyBrokers(entry: MetadataRecord, delta: MetadataDelta): void {
    switch (entry.type) {
      case 'RegisterBrokerRecord':
        this.brokers.set(entry.record.brokerId, entry.record)
        delta.brokers.add(entry.record.brokerId)
        return
      case 'UnregisterBrokerRecord':
        this.#broker(entry, entry.record.brokerId, entry.record.brokerEpoch)
        this.brokers.delete(entry.record.brokerId)
        delta.brokers.add(entry.record.brokerId)
        return
      case 'FenceBrokerRecord':
      case 'UnfenceBrokerRecord': {
        const broker = this.#broker(entry, entry.record.id, entry.record.epoch)
        this.brokers.set(broker.brokerId, { ...broker, fenced: entry.type === 'FenceBrokerRecord' })
        delta.brokers.add(broker.brokerId)
        return
      }
      case 'BrokerRegistrationChangeRecord': {
        const { brokerId, brokerEpoch, fenced, inControlledShutdown, logDirs, cordonedLogDirs } = entry.record
        const broker = this.#broker(entry, brokerId, brokerEpoch)
        this.brokers.set(brokerId, {
          ...broker,
          fenced: fenced === 0 ? broker.fenced : fenced === 1,
          inControlledShutdown: inControlledShutdown === 1 || broker.inControlledShutdown,
          logDirs: logDirs.length > 0 ? logDirs : broker.logDirs,
          cordonedLogDirs: cordonedLogDirs ?? broker.cordonedLogDirs
        })
        delta.brokers.add(brokerId)
        return
      }
    }
  }

  #applyConfig(record: RecordOfType<'ConfigRecord'>, delta: MetadataDelta): void {
    const { resourceType, resourceName, name, value } = record
    const key = `${resourceType} ${resourceName}`
    delta.configChanged(resourceType, resourceName)
    let resource = this.#configs.get(key)
    if (value === null) {
      resource?.values.delete(name)
      if (resource?.values.size === 0) this.#configs.delete(key)
      return
    }
    if (!resource) {
      resource = { resourceType, resourceName, values: new Map() }
      this.#configs.set(key, resource)
    }
    resource.values.set(name, value)
  }

  #applyQuota(record: RecordOfType<'ClientQuotaRecord'>, delta: MetadataDelta): void {
    const parts = record.entity.map(part => [part.entityType, part.entityName])
    const key = JSON.stringify(parts.sort())
    delta.clientQuotasChanged = true
    let quota = this.clientQuotas.get(key)
    if (record.remove) {
      quota?.values.delete(record.key)
      if (quota?.values.size === 0) this.clientQuotas.delete(key)
      return
    }
    if (!quota) {
      quota = { entity: record.entity, values: new Map() }
      this.clientQuotas.set(key, quota)
    }
    quota.values.set(record.key, record.value)
  }

  #applySecurity(entry: MetadataRecord, delta: MetadataDelta): void {
    switch (entry.type) {
      case 'UserScramCredentialRecord':
        this.scramCredentials.set(`${entry.record.mechanism} ${entry.record.name}`, entry.record)
        delta.scramChanged = true
        return
      case 'RemoveUserScramCredentialRecord':
        this.scramCredentials.delete(`${entry.record.mechanism} ${entry.record.name}`)
        delta.scramChanged = true
        return
      case 'AccessControlEntryRecord':
        this.acls.set(entry.record.id, entry.record)
        delta.aclsChanged = true
        return
      case 'RemoveAccessControlEntryRecord':
        this.acls.delete(entry.record.id)
        delta.aclsChanged = true
        return
      case 'DelegationTokenRecord':
        this.delegationTokens.set(entry.record.tokenId, entry.record)
        delta.delegationTokensChanged = true
        return
      case 'RemoveDelegationTokenRecord':
        this.delegationTokens.delete(entry.record.tokenId)
        delta.delegationTokensChanged = true
        return
    }
  }

  #topic(entry: MetadataRecord, topicId: Uuid): Topic {
    const topic = this.topicsById.get(topicId)
    if (!topic) throw inconsistent(entry, 'that topic does not exist')
    return topic
  }

  #broker(entry: MetadataRecord, brokerId: BrokerId, brokerEpoch: number): Broker {
    const broker = this.brokers.get(brokerId)
    if (broker?.brokerEpoch !== brokerEpoch) throw inconsistent(entry, 'no broker is registered with that epoch')
    return broker
  }
}

/** A topic's own records; ConfigRecords go elsewhere. */
function* topicRecords(metadataVersion: number, topic: Topic): Generator<MetadataRecord> {
  yield recordAt(metadataVersion, 'TopicRecord', { name: topic.name, topicId: topic.topicId })
  for (const [partitionId, partition] of topic.partitions.entries()) {
    yield recordAt(metadataVersion, 'PartitionRecord', recordFieldsOf(topic.topicId, partitionId, partition))
  }
}

function inconsistent(entry: MetadataRecord, why: string): MoldauError {
  return new MoldauError('ERR_LOG_CORRUPT', `metadata record ${entry.type} ${JSON.stringify(entry.record)}: ${why}`)
}
