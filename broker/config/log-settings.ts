// A log's settings: what its topic says, else what the broker says, else the default. Pure: the caller knows the broker's
// effective texts. A setting's text is exact where it is shown; its value is a number, Infinity beyond 2^53.
import type { CompressionType, LogConfig } from '../../storage/log-config.ts'
import { parseSetting } from './setting.ts'
import { complaintAbout } from './table.ts'
import { TOPIC_SYNONYMS, type TopicKey, topicSettings } from './topics.ts'

/** The text of a broker setting as it holds now, its default included; null: none. */
export type BrokerTexts = (key: string) => string | null

/** The broker settings behind a topic setting, in Kafka's order. */
export function synonymsOf(key: string): readonly (readonly [string, number])[] {
  return Object.hasOwn(TOPIC_SYNONYMS, key) ? TOPIC_SYNONYMS[key as keyof typeof TOPIC_SYNONYMS] : []
}

/** The text of a topic setting for topics that do not say it themselves. */
export function inheritedText(key: TopicKey, broker: BrokerTexts): string | null {
  for (const [synonym, factor] of synonymsOf(key)) {
    const text = broker(synonym)
    if (text !== null) return scaled(text, factor)
  }
  return topicSettings[key].defaultText
}

/** Hours and minutes as milliseconds; any negative time is Kafka's -1. */
export function scaled(text: string, factor: number): string {
  if (factor === 1) return text
  return Number(text) < 0 ? '-1' : String(Number(text) * factor)
}

export function logConfigOf(overrides: ReadonlyMap<string, string>, broker: BrokerTexts): LogConfig {
  function value<K extends TopicKey>(key: K): ReturnType<(typeof topicSettings)[K]['read']> {
    const text = overrides.get(key) ?? inheritedText(key, broker)
    const parsed = text === null ? null : parseSetting<unknown>(key, topicSettings[key], text)
    return parsed as ReturnType<(typeof topicSettings)[K]['read']>
  }
  const policies = value('cleanup.policy')
  const preserved = value('internal.segment.bytes')
  return {
    segmentBytes: preserved ?? value('segment.bytes'),
    segmentMs: value('segment.ms'),
    segmentJitterMs: value('segment.jitter.ms'),
    segmentIndexBytes: value('segment.index.bytes'),
    indexIntervalBytes: value('index.interval.bytes'),
    preallocate: value('preallocate'),
    maxMessageBytes: value('max.message.bytes'),
    deletes: policies.includes('delete'),
    compacts: policies.includes('compact'),
    retentionMs: value('retention.ms'),
    retentionBytes: value('retention.bytes'),
    deleteRetentionMs: value('delete.retention.ms'),
    minCleanableDirtyRatio: value('min.cleanable.dirty.ratio'),
    minCompactionLagMs: value('min.compaction.lag.ms'),
    maxCompactionLagMs: value('max.compaction.lag.ms'),
    fileDeleteDelayMs: value('file.delete.delay.ms'),
    flushMessages: value('flush.messages'),
    flushMs: value('flush.ms'),
    compressionType: value('compression.type') as CompressionType,
    compressionGzipLevel: value('compression.gzip.level'),
    compressionLz4Level: value('compression.lz4.level'),
    compressionZstdLevel: value('compression.zstd.level'),
    messageTimestampType: value('message.timestamp.type'),
    messageTimestampBeforeMaxMs: value('message.timestamp.before.max.ms'),
    messageTimestampAfterMaxMs: value('message.timestamp.after.max.ms'),
    minInsyncReplicas: value('min.insync.replicas'),
    uncleanLeaderElectionEnable: value('unclean.leader.election.enable')
  }
}

/** What is wrong with the settings of a topic that is to be created or changed, or null (LogConfig#validate). */
export function topicComplaint(overrides: ReadonlyMap<string, string>, broker: BrokerTexts): string | null {
  for (const [key, text] of overrides) {
    const complaint = complaintAbout('topic', key, text)
    if (complaint !== null) return complaint
  }
  const config = logConfigOf(overrides, broker)
  if (config.minCompactionLagMs > config.maxCompactionLagMs) {
    return `min.compaction.lag.ms (${config.minCompactionLagMs}) must not be above max.compaction.lag.ms (${config.maxCompactionLagMs})`
  }
  if (overrides.get('remote.storage.enable')?.trim().toLowerCase() === 'true') {
    return 'remote.storage.enable=true: this broker has no tiered storage'
  }
  return null
}
