// The cluster as committed metadata records say: what every handler and every partition goes by. Nothing that might
// still be rolled back is ever seen here.
import type { Offset } from '../protocol/types.ts'
import { MetadataDelta, ResourceType } from '../replication/metadata/delta.ts'
import { deltaBetween } from '../replication/metadata/difference.ts'
import { MetadataImage } from '../replication/metadata/image.ts'
import type { MetadataRecord } from '../replication/metadata/records.ts'

export type MetadataListener = (image: MetadataImage, delta: MetadataDelta) => void

export class MetadataCache {
  #image: MetadataImage
  /** The offset after the last record that the image holds. */
  endOffset: Offset
  #pending: MetadataDelta | null
  readonly #listeners = new Set<MetadataListener>()

  /** `loaded` says everything that the image holds already: the first change that listeners hear of. */
  constructor(image: MetadataImage, endOffset: Offset, loaded: MetadataDelta) {
    this.#image = image
    this.endOffset = endOffset
    this.#pending = loaded
  }

  /** Changes in place, or is another one after a snapshot came: hold no part of it over an await. */
  get image(): MetadataImage {
    return this.#image
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

  /** For the metadata log: these records are committed now. What was loaded is told with the first of them. */
  commit(records: readonly MetadataRecord[], endOffset: Offset): void {
    const delta = this.#pending ?? new MetadataDelta()
    const isNews = this.#pending !== null || records.length > 0
    this.#pending = null
    for (const record of records) this.#image.apply(record, delta)
    this.endOffset = endOffset
    if (isNews) this.#tell(delta)
  }

  /** For the metadata log: a snapshot of what is committed took the place of the records up to `endOffset`. */
  replace(image: MetadataImage, endOffset: Offset): void {
    // What was loaded and not told yet is told now, or was undone meanwhile.
    const before = this.#pending === null ? this.#image : new MetadataImage()
    this.#pending = null
    this.#image = image
    this.endOffset = endOffset
    this.#tell(deltaBetween(before, image))
  }

  #tell(delta: MetadataDelta): void {
    for (const listener of this.#listeners) listener(this.#image, delta)
  }
}
