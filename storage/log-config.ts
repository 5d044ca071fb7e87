// The settings that one log obeys, already parsed: topic configs by Kafka's names in camel case (LogConfig.java).
// Times in milliseconds, sizes in bytes; a value beyond 2^53 (Kafka's Long.MAX: "never", "no limit") is Infinity; -1
// where Kafka has -1 (retention.bytes, retention.ms: no limit).

export type CompressionType = 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

export interface LogConfig {
  readonly segmentBytes: number
  readonly segmentMs: number
  readonly segmentJitterMs: number
  readonly segmentIndexBytes: number
  readonly indexIntervalBytes: number
  readonly preallocate: boolean
  readonly maxMessageBytes: number
  /** cleanup.policy: both, one, or none of them (none: kept for ever, KIP-1161). */
  readonly deletes: boolean
  readonly compacts: boolean
  readonly retentionMs: number
  readonly retentionBytes: number
  readonly deleteRetentionMs: number
  readonly minCleanableDirtyRatio: number
  readonly minCompactionLagMs: number
  readonly maxCompactionLagMs: number
  readonly fileDeleteDelayMs: number
  readonly flushMessages: number
  readonly flushMs: number
  readonly compressionType: CompressionType
  readonly compressionGzipLevel: number
  readonly compressionLz4Level: number
  readonly compressionZstdLevel: number
  readonly messageTimestampType: 'CreateTime' | 'LogAppendTime'
  readonly messageTimestampBeforeMaxMs: number
  readonly messageTimestampAfterMaxMs: number
  readonly minInsyncReplicas: number
  readonly uncleanLeaderElectionEnable: boolean
}
