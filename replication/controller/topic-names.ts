// Which names a topic may have (clients/.../internals/Topic.java). A name becomes a directory and a metric's name, so
// it is short, plain, and may not differ from another only by '.' against '_', which metrics cannot tell apart.
import type { Uuid } from '../../protocol/types.ts'

const LONGEST_NAME = 249
const LEGAL = /^[a-zA-Z0-9._-]+$/

/** Offsets and groups live here. */
export const CONSUMER_OFFSETS = '__consumer_offsets'
/** Topics that the broker itself writes. Clients may read them, and only admin tools may change them. */
export const INTERNAL_TOPICS: ReadonlySet<string> = new Set([
  CONSUMER_OFFSETS,
  '__transaction_state',
  '__share_group_state'
])
/** The metadata log's own name is nobody's topic. */
export const METADATA_TOPIC = '__cluster_metadata'
/** Uuid.METADATA_TOPIC_ID: the 128-bit number 1. */
export const METADATA_TOPIC_ID: Uuid = 'AAAAAAAAAAAAAAAAAAAAAQ'

/** Null for a legal name, else what is wrong with it. */
export function topicNameFault(name: string): string | null {
  if (name === '') return 'the empty string is not a topic name'
  if (name === '.' || name === '..') return `Topic name is invalid: '${name}' means a directory`
  if (name.length > LONGEST_NAME)
    return `Topic name is invalid: ${name.length} characters, at most ${LONGEST_NAME} are allowed`
  if (!LEGAL.test(name))
    return `Topic name is invalid: '${name}' has characters other than a-z, A-Z, 0-9, '.', '_' and '-'`
  if (name === METADATA_TOPIC) return `Topic name is invalid: '${name}' belongs to the cluster's metadata`
  return null
}

/** Equal for two names exactly if they collide. */
export function collisionKey(name: string): string {
  return name.replaceAll('.', '_')
}

export function mayCollide(name: string): boolean {
  return /[._]/.test(name)
}
