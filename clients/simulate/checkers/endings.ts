// The last look, after everything was healed: what was acked is read back, once and where it was told to be; what was
// refused is nowhere; and the order of each idempotent producer is the order in which it sent.
import type { History, Send } from '../history.ts'
import { demand } from './violation.ts'

/** `readTo`: how far the last readers came, by partition. They compared every batch with what is committed. */
export function checkEndings(history: History, readTo: ReadonlyMap<string, number>): void {
  const lastAt = new Map<string, number>()
  for (const send of history.sends) {
    checkSend(send, readTo)
    const at = send.found[0]
    if (send.producerId < 0 || at === undefined) continue
    const key = `${send.partition} ${send.writer}`
    const before = lastAt.get(key) ?? -1
    demand(at > before, 'sequences', () => `${send.partition}: ${send.writer} sent what lies at ${at} after ${before}`)
    lastAt.set(key, at)
  }
}

function checkSend(send: Send, readTo: ReadonlyMap<string, number>): void {
  const name = (): string => `${send.partition}: ${send.count} records of ${send.writer}, sent at ${send.sentMs} ms,`
  if (send.ackedAt >= 0) {
    const times = send.found.filter(at => at === send.ackedAt).length
    demand(times === 1, 'acked-is-readable', () => `${name()} acked at ${send.ackedAt}, lie at [${send.found}]`)
    const to = readTo.get(send.partition) ?? 0
    demand(
      to >= send.ackedAt + send.count,
      'acked-is-readable',
      () => `${name()} acked at ${send.ackedAt}; the last reader came to ${to}`
    )
  }
  demand(
    send.possible > 0 || send.found.length === 0,
    'refused-is-absent',
    () => `${name()} refused, lie at [${send.found}]`
  )
}
