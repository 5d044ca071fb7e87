// Everything that reads bytes from a network or a disk, with sound samples to begin from. A target's decode may give
// anything or throw a MoldauError; any other exception, a hang, or a result out of proportion to the bytes is a defect.
// A decoder of another kind gets its own file here and joins TARGETS.

import { isFailure, type MoldauError } from '../../protocol/failure.ts'
import { protocolTargets } from './protocol-targets.ts'
import { recordsTargets } from './records-targets.ts'

export interface Target {
  readonly name: string
  readonly samples: readonly Buffer[]
  decode(bytes: Buffer): unknown
}

/** All targets; made when asked for, since their samples are read from files. */
export function targets(): Target[] {
  return [...protocolTargets(), ...recordsTargets()]
}

/** What is wrong with a target on these bytes, or nothing. */
export function wrongWith(target: Target, bytes: Buffer): string {
  try {
    const outcome = target.decode(bytes)
    const count = weigh(outcome)
    return count > bytes.length ? `${count} elements out of ${bytes.length} bytes` : ''
  } catch (error) {
    return isFailure(error) ? '' : String((error as MoldauError).stack)
  }
}

/** The elements of all arrays in a value: each must have cost a byte. */
function weigh(value: unknown): number {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return 0
  let count = Array.isArray(value) ? value.length : 0
  for (const inner of Object.values(value)) count += weigh(inner)
  return count
}
