// What the committed metadata says of who is in sync: no fenced broker stays in an in-sync set that has others, for then
// what it misses would count as held by it.

export interface PartitionRegistration {
  readonly isr: readonly number[]
  readonly leader: number
}

export interface ClusterImage {
  readonly brokers: ReadonlyMap<number, { readonly fenced: boolean }>
  readonly topicsById: ReadonlyMap<
    string,
    { readonly name: string; readonly partitions: readonly PartitionRegistration[] }
  >
}

import { demand } from './violation.ts'

export function checkMembership(image: ClusterImage): void {
  for (const topic of image.topicsById.values()) {
    for (const [index, { isr, leader }] of topic.partitions.entries()) {
      if (isr.length > 1) {
        for (const id of isr) {
          const broker = image.brokers.get(id)
          demand(
            broker !== undefined && !broker.fenced,
            'isr-alive',
            () => `${topic.name}-${index}: node ${id} is fenced, and in sync with [${isr}]`
          )
        }
      }
      demand(
        leader < 0 || image.brokers.get(leader)?.fenced === false,
        'isr-alive',
        () => `${topic.name}-${index}: led by node ${leader}, which is fenced`
      )
    }
  }
}
