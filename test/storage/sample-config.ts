// The settings of a log with Kafka's defaults, for tests that change a few.
import type { LogConfig } from '../../storage/log-config.ts'

export function sampleConfig(changes: Partial<LogConfig> = {}): LogConfig {
  return {
    segmentBytes: 1073741824,
    segmentMs: 604800000,
    segmentJitterMs: 0,
    segmentIndexBytes: 10485760,
    indexIntervalBytes: 4096,
    preallocate: false,
    maxMessageBytes: 1048588,
    deletes: true,
    compacts: false,
    retentionMs: 604800000,
    retentionBytes: -1,
    deleteRetentionMs: 86400000,
    minCleanableDirtyRatio: 0.5,
    minCompactionLagMs: 0,
    maxCompactionLagMs: Number.POSITIVE_INFINITY,
    fileDeleteDelayMs: 60000,
    flushMessages: Number.POSITIVE_INFINITY,
    flushMs: Number.POSITIVE_INFINITY,
    compressionType: 'producer',
    compressionGzipLevel: -1,
    compressionLz4Level: 9,
    compressionZstdLevel: 3,
    messageTimestampType: 'CreateTime',
    messageTimestampBeforeMaxMs: Number.POSITIVE_INFINITY,
    messageTimestampAfterMaxMs: 3600000,
    minInsyncReplicas: 1,
    uncleanLeaderElectionEnable: false,
    ...changes
  }
}
