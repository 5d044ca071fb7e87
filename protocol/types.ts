// The words that every folder shares: ids and positions. Numbers are safe integers (below 2^53).

/** A position in a partition's log; record offsets begin at 0. */
export type Offset = number
/** The reign of one partition leader; grows with each election. */
export type LeaderEpoch = number
/** Milliseconds since 1970, as Kafka's timestamps. */
export type TimestampMs = number
/** node.id of a broker or controller. */
export type BrokerId = number
/** 16 bytes as 22 characters of base64url without padding, as Kafka prints them. */
export type Uuid = string

export const ZERO_UUID: Uuid = 'AAAAAAAAAAAAAAAAAAAAAA'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}
