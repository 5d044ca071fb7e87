// The load process: one row on one broker, told what to do over the channel to the process that started it. It alone talks to
// the broker, and reads what the broker has cost at both ends of what it measures.

import { prepareCompression } from '../../protocol/records/compression.ts'
import { accountsOf, forgetPeaks } from './accounts.ts'
import { Histogram } from './histogram.ts'
import { ALIASES, ROWS } from './rows.ts'
import { lookAtTurns, turnMs } from './turns.ts'
import { CannotRun, type Measured, type Scene, type Stage } from './workload.ts'

export type Order =
  | { readonly order: 'set-up'; readonly row: string; readonly scene: Scene }
  | { readonly order: 'measure'; readonly seconds: number }
  | { readonly order: 'close' }

export type Answer =
  | { readonly answer: 'done' }
  | { readonly answer: 'measured'; readonly measured: Measured }
  | { readonly answer: 'cannot'; readonly why: string }
  | { readonly answer: 'failed'; readonly why: string }

let stage: Stage | null = null
let pids: readonly number[] = []
let metricsUrl: string | undefined

async function measured(seconds: number): Promise<Measured> {
  if (stage === null) throw new Error('nothing is set up')
  const turnsBefore = await lookAtTurns(metricsUrl)
  forgetPeaks(pids)
  const before = accountsOf(pids)
  const ownBefore = process.cpuUsage()
  const { latency, extra = {}, ...outcome } = await stage.measure(seconds)
  const own = process.cpuUsage(ownBefore)
  const after = accountsOf(pids)
  const turns = await lookAtTurns(metricsUrl)
  const ofTurns = {
    turnP99Ms: turnMs(turnsBefore, turns, 0.99),
    turnMaxMs: turnMs(turnsBefore, turns, 1)
  }
  return {
    ...outcome,
    ...(latency ?? new Histogram()).quantiles(),
    extra: { ...ofTurns, ...extra },
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    loadCpuSeconds: (own.user + own.system) / 1e6,
    residentMegabytes: after.residentMegabytes,
    peakMegabytes: after.peakMegabytes,
    writtenBytes: after.writtenBytes - before.writtenBytes
  }
}

async function obey(order: Order): Promise<Answer> {
  if (order.order === 'measure') return { answer: 'measured', measured: await measured(order.seconds) }
  if (order.order === 'close') {
    await stage?.close()
    return { answer: 'done' }
  }
  const name = ALIASES[order.row] ?? order.row
  const row = ROWS.find(each => each.name === name)
  if (row?.setUp === undefined) throw new Error(`no row is called ${order.row}`)
  await prepareCompression()
  pids = order.scene.pids
  metricsUrl = order.scene.metricsUrl
  stage = await row.setUp(order.scene)
  return { answer: 'done' }
}

function tell(answer: Answer, then: () => void = () => {}): void {
  if (process.send === undefined) throw new Error('this is the load of `npm run bench`: it is not run by hand')
  process.send(answer, then)
}

const fail = (error: unknown) =>
  tell({ answer: 'failed', why: error instanceof Error ? (error.stack ?? error.message) : String(error) }, () =>
    process.exit(1)
  )

process.on('uncaughtException', fail)
process.on('disconnect', () => process.exit(1))
process.on('message', order => {
  obey(order as Order).then(
    answer => tell(answer, (order as Order).order === 'close' ? () => process.exit(0) : undefined),
    error => (error instanceof CannotRun ? tell({ answer: 'cannot', why: error.message }) : fail(error))
  )
})
