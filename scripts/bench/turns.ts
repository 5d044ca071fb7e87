// How long the turns of a moldau's event loop were while it was measured, from what it says of itself at /metrics: processor time,
// in buckets that count from its start, so that two looks make a difference.

const NAME = 'moldau_loop_turn_cpu_seconds'

/** Upper bounds in milliseconds, the last without one, and how many turns were no longer. */
export type Turns = readonly { readonly boundMs: number; readonly count: number }[]

export function turnsIn(text: string): Turns {
  const lines = text.matchAll(new RegExp(`^${NAME}_bucket\\{le="([^"]+)"\\} (\\d+)`, 'gm'))
  return [...lines].map(([, bound, count]) => ({
    boundMs: bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound) * 1000,
    count: Number(count)
  }))
}

/** The bucket that a share of the turns since `before` does not exceed; NaN where there was none. */
export function turnMs(before: Turns, after: Turns, quantile: number): number {
  const since = after.map(({ boundMs, count }, index) => ({ boundMs, count: count - (before[index]?.count ?? 0) }))
  const total = since.at(-1)?.count ?? 0
  if (total === 0) return Number.NaN
  return since.find(each => each.count >= total * quantile)?.boundMs ?? Number.NaN
}

/** Nothing where the broker does not tell. */
export async function lookAtTurns(url: string | undefined): Promise<Turns> {
  if (url === undefined) return []
  try {
    const answer = await fetch(url)
    return answer.ok ? turnsIn(await answer.text()) : []
  } catch {
    return []
  }
}
