// What the members of one group know together: who has which partition in which generation, and which positions were
// committed. The checks on it are in checkers/answers.ts; this is their memory.
import type { Offset } from '../../../protocol/types.ts'
import { checkPosition, Position } from '../checkers/answers.ts'
import { demand } from '../checkers/violation.ts'

export class Group {
  readonly groupId: string
  readonly #positions = new Map<number, Position>()
  readonly #owners = new Map<string, string>()
  newestGeneration = -1

  constructor(groupId: string) {
    this.groupId = groupId
  }

  positionOf(partition: number): Position {
    let position = this.#positions.get(partition)
    if (position === undefined) {
      position = new Position()
      this.#positions.set(partition, position)
    }
    return position
  }

  /** A member was told that a partition is its own in a generation. */
  assigned(generationId: number, partition: number, memberId: string): void {
    const key = `${generationId}/${partition}`
    const owner = this.#owners.get(key)
    demand(
      owner === undefined || owner === memberId,
      'group-offsets',
      () =>
        `${this.groupId}, generation ${generationId}: partition ${partition} is given to ${owner} and to ${memberId}`
    )
    this.#owners.set(key, memberId)
    this.newestGeneration = Math.max(this.newestGeneration, generationId)
  }

  committing(partition: number, offset: Offset): void {
    this.positionOf(partition).tried.add(offset)
  }

  committed(partition: number, offset: Offset): void {
    const position = this.positionOf(partition)
    position.atLeast = Math.max(position.atLeast, offset)
  }

  /** `since`: atLeast when the question was asked. */
  told(partition: number, since: Offset, offset: Offset): void {
    checkPosition(`${this.groupId}, partition ${partition}`, this.positionOf(partition), since, offset)
  }
}
