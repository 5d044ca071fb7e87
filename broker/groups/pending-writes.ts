// Writes that wait for their commit, with a limit (offsets.commit.timeout.ms), and what becomes of them. Every write has
// the same limit, so the oldest is always the first to be given up: a queue, and no timer of its own. So do reads that
// wait for the commits they have seen.
import { ErrorCode } from '../../protocol/errors.ts'
import { isFailure } from '../../protocol/failure.ts'

/** A reply, or the code that stands in its place. */
export type Outcome<T> =
  | { readonly errorCode: 0; readonly reply: T }
  | { readonly errorCode: number; readonly reply: null }

interface Write {
  readonly atMs: number
  isDone: boolean
  readonly giveUp: () => void
}

export class PendingWrites {
  readonly #writes: Write[] = []

  get earliestMs(): number {
    return this.#writes[0]?.atMs ?? Infinity
  }

  /** The reply; a code where it failed, `lateCode` where it has not come at `atMs`: then it may be committed yet. */
  add<T>(
    reply: { then(done: (reply: T) => void, failed: (error: unknown) => void): void },
    atMs: number,
    lateCode: number
  ): Promise<Outcome<T>> {
    return new Promise((resolve, reject) => {
      const refuse = (errorCode: number): void => resolve({ errorCode, reply: null })
      const write: Write = { atMs, isDone: false, giveUp: () => refuse(lateCode) }
      this.#writes.push(write)
      reply.then(
        committed => {
          this.#done(write)
          resolve({ errorCode: 0, reply: committed })
        },
        error => {
          this.#done(write)
          if (isFailure(error)) refuse(codeOf(error.code))
          else reject(error)
        }
      )
    })
  }

  giveUpDue(nowMs: number): void {
    while (this.earliestMs <= nowMs) this.#writes.shift()?.giveUp()
  }

  #done(write: Write): void {
    write.isDone = true
    while (this.#writes[0]?.isDone) this.#writes.shift()
  }
}

/** As CoordinatorOperationExceptionHelper.java: clients look for the coordinator again, or just try again. */
function codeOf(code: string): number {
  return code === 'ERR_TOO_LARGE' ? ErrorCode.UNKNOWN_SERVER_ERROR : ErrorCode.NOT_COORDINATOR
}
