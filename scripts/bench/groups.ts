// How long a hundred consumers take to become one group: from the first request to join to the moment when all of them are in the
// same generation and no other begins.
import { Cluster, pause } from './cluster.ts'
import { isStable, type Joined, join } from './member.ts'
import { Pipe } from './pipe.ts'
import type { Outcome, Scene, Stage } from './workload.ts'

/** How soon a member learns that a new generation begins. */
const BEAT_MS = 100
let groups = 0

export async function setUpJoin(scene: Scene, members: number): Promise<Stage> {
  const cluster = await Cluster.open(scene.bootstrap)
  const measure = async (): Promise<Outcome> => {
    const group = `bench-${process.pid}-${groups++}`
    const coordinator = await cluster.coordinator(group)
    const pipes = await Promise.all(Array.from({ length: members }, () => Pipe.open(coordinator)))
    const startedMs = performance.now()
    const generations = await Promise.all(untilOne(pipes, group))
    const joinMs = performance.now() - startedMs
    for (const pipe of pipes) pipe.close()
    const wireBytes = pipes.reduce((sum, each) => sum + each.sentBytes + each.receivedBytes, 0)
    return {
      ...{ seconds: joinMs / 1000, requests: members, records: members, bytes: 0, wireBytes, latency: null },
      extra: { joinMs, generation: Math.max(...generations) }
    }
  }
  return { measure, close: async () => cluster.close() }
}

/** Each member joins, beats, and joins again when it must, until one generation holds all. */
function untilOne(pipes: readonly Pipe[], group: string): Promise<number>[] {
  const generations: number[] = pipes.map(() => -1)
  let whole = -1
  const isOver = () => whole >= 0 && generations.every(each => each === whole)
  return pipes.map(async (pipe, index) => {
    let place: Joined | null = null
    while (!isOver()) {
      if (place === null || !(await isStable(pipe, place))) {
        place = await join(pipe, group, place?.memberId)
        generations[index] = place.generationId
        if (place.members === pipes.length) whole = place.generationId
      } else await pause(BEAT_MS)
    }
    return generations[index] as number
  })
}
