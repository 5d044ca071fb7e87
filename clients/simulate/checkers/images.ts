// What the metadata says up to one offset is one truth: whoever holds it, from the records one by one or from a snapshot
// of somebody else's, holds the same. It is looked at part by part, and not by the records that a snapshot is made of.
import { crc32c } from '../../../protocol/records/crc32c.ts'
import type { Offset } from '../../../protocol/types.ts'
import { demand } from './violation.ts'

/** What is compared of an image: its fields by name. */
export type ImageParts = Readonly<Record<string, unknown>>

interface Held {
  readonly nodeId: number
  readonly sums: ReadonlyMap<string, number>
}

export class Images {
  readonly #held = new Map<Offset, Held>()

  /** `parts`: the metadata that the node holds, up to `endOffset`. */
  check(nodeId: number, endOffset: Offset, parts: ImageParts): void {
    const texts = Object.entries(parts).map(([name, value]): [string, string] => [name, inOrder(value)])
    const sums = new Map(texts.map(([name, text]) => [name, crc32c(Buffer.from(text))]))
    const known = this.#held.get(endOffset)
    if (known === undefined) {
      this.#held.set(endOffset, { nodeId, sums })
      return
    }
    for (const [name, text] of texts) {
      demand(
        known.sums.get(name) === sums.get(name),
        'one-image',
        () => `node ${nodeId} holds other ${name} than node ${known.nodeId} did, up to offset ${endOffset}: ${text}`
      )
    }
  }
}

/** The same text for the same content, in whatever order a map or an object was filled. */
function inOrder(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inOrder).join()}]`
  if (Buffer.isBuffer(value)) return value.toString('hex')
  if (value === null || typeof value !== 'object') return String(value)
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return `{${entries
    .map(([key, each]) => `${String(key)}:${inOrder(each)}`)
    .sort()
    .join()}}`
}
