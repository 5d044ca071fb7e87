// The cluster as committed metadata records say: what every handler and every partition goes by. Nothing that might
// still be rolled back is ever seen here.
import type { Offset } from '../protocol/types.ts'
import { MetadataDelta, ResourceType } from '../replication/metadata/delta.ts'
import type { MetadataImage } from '../replication/metadata/image.ts'
import type { MetadataRecord } from '../replication/metadata/records.ts'

export type MetadataListener = (image: MetadataImage, delta: MetadataDelta) => void

export class MetadataCache {
  /** Changes in place; hold no part of it over an await that must be right afterwards. */
  readonly image: MetadataImage
  /** The offset after the last record that the image holds. */
  endOffset: Offset
  #pending: MetadataDelta
  readonly #listeners = new Set<MetadataListener>()

  /** `loaded` says everything that the image holds already: the first change that listeners hear of. */
  constructor(image: MetadataImage, endOffset: Offset, loaded: MetadataDelta) {
    this.image = image
    this.endOffset = endOffset
    this.#pending = loaded
  }

  /** Called once per group of committed records, after the image has them. Gives the function that ends it. */
  onChange(listener: MetadataListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The topic's own settings, without defaults. */
  topicConfigs(topic: string): ReadonlyMap<string, string> {
    return this.image.configs(ResourceType.TOPIC, topic)
  }

  /** For the controller: these records are committed now. */
  commit(records: readonly MetadataRecord[], endOffset: Offset): void {
    const delta = this.#pending
    this.#pending = new MetadataDelta()
    for (const record of records) this.image.apply(record, delta)
    this.endOffset = endOffset
    for (const listener of this.#listeners) listener(this.image, delta)
  }
}
