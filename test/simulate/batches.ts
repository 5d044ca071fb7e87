// Batches made by hand, for checkers and what they look at.
import { setBaseOffset, setPartitionLeaderEpoch } from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/builder.ts'

export interface Draft {
  readonly base: number
  readonly count?: number
  readonly epoch?: number
  readonly value?: string
  readonly producerId?: number
  readonly sequence?: number
}

export function batch({
  base,
  count = 1,
  epoch = 0,
  value = `at ${base}`,
  producerId = -1,
  sequence = -1
}: Draft): Buffer {
  const records = Array.from({ length: count }, () => ({ timestamp: 1000, key: null, value: Buffer.from(value) }))
  const by = producerId < 0 ? {} : { producerId, producerEpoch: 0, baseSequence: sequence }
  const bytes = buildBatch({ ...by, records })
  setBaseOffset(bytes, 0, base)
  setPartitionLeaderEpoch(bytes, 0, epoch)
  return bytes
}
