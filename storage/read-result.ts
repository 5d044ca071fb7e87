// What a read of a log asks and gets: whole batches, as they lie in memory or in the file.
import type { Holds } from '../protocol/memory-pool.ts'
import type { Offset } from '../protocol/types.ts'

export interface ReadOptions {
  readonly maxBytes: number
  /** Exclusive: high watermark, last stable offset or log end offset. */
  readonly upto: Offset
  /** The first batch is given even when it is larger than maxBytes (KIP-74). */
  readonly minOneMessage: boolean
  /** Takes the memory that the records lie in, until its owner lets go of it. Without it the reader may keep the records
   *  for ever, and their memory is not used again. */
  readonly holds?: Holds | undefined
}

export interface ReadResult {
  /** Written to by nobody as long as they are held, so they may go to a socket as they are. */
  readonly records: Buffer[]
  readonly sizeInBytes: number
  /** Where the next read begins; the offset asked for when nothing was read. */
  readonly endOffset: Offset
}
