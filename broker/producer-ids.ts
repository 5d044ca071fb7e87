// Producer ids of this broker, out of blocks that the controller gives away: no two producers of a cluster ever get the
// same (KIP-730). The next block is asked for when the last id of one is gone; those who come meanwhile wait together.
import { ErrorCode } from '../protocol/errors.ts'
import { isFailure } from '../protocol/failure.ts'
import type { ProducerIdBlock } from '../replication/controller/leaders.ts'

type Block = Pick<ProducerIdBlock, 'errorCode' | 'producerIdStart' | 'producerIdLen'>

export class ProducerIds {
  readonly #allocate: () => Promise<Block>
  #next = 0
  #left = 0
  #asking: Promise<number> | null = null

  constructor(allocate: () => Promise<Block>) {
    this.#allocate = allocate
  }

  /** A fresh producer id, or an error that the producer can try again after: what is wrong is between the brokers
   *  (RPCProducerIdManager.java). */
  async next(): Promise<{ readonly errorCode: number; readonly producerId: number }> {
    while (this.#left === 0) {
      this.#asking ??= this.#ask()
      const errorCode = await this.#asking
      if (errorCode !== ErrorCode.NONE) return { errorCode, producerId: -1 }
    }
    this.#left--
    return { errorCode: ErrorCode.NONE, producerId: this.#next++ }
  }

  async #ask(): Promise<number> {
    try {
      const { errorCode, producerIdStart, producerIdLen } = await this.#allocate()
      if (errorCode === ErrorCode.NONE) {
        this.#next = producerIdStart
        this.#left = producerIdLen
      }
      return errorCode === ErrorCode.NONE ? errorCode : ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    } catch (error) {
      if (isFailure(error)) return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
      throw error
    } finally {
      this.#asking = null
    }
  }
}
